//! What a program has besides invocation.

use abi::boot::slot;
use abi::cap::{CapAddr, Rights};
use sys::bank::Bank;
use sys::object::{CapTable, Page, Process, Table};
use sys::{Cap, Error, Mem, Sys};

use crate::activity::Activity;

/// What the program that links a driver's or a client's library gives it: `user/rt` in a real one, a
/// fake in tests.
///
/// The first slots of a program's root `CapTable` are as `abi::boot::slot` says.
pub trait Program {
    /// Invocation.
    type Sys: Sys;
    /// Memory that can't vanish: the program's own, and windows over pinned frames.
    type Own: Mem + Clone;
    /// Memory that its owner may take back at any instant.
    type Shared: Mem + Clone;
    /// A segment's place in the address space.
    type Place;

    /// Invocation.
    fn sys(&self) -> &Self::Sys;

    /// Nanoseconds since boot.
    fn now(&self) -> u64;

    /// Whether that time is an emulator's, which says nothing of hardware.
    fn emulated(&self) -> bool {
        false
    }

    /// Sets the program's one timer: at that time (nanoseconds since boot) the notification bit is set.
    ///
    /// # Errors
    /// `EINVAL`: no such bit.
    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error>;

    /// Maps a segment with the rights that both `rights` and the capability have.
    ///
    /// # Errors
    /// `EMFILE`: no place is left. Those of `Table::MAP`.
    fn map(&self, segment: Cap<Table>, rights: Rights) -> Result<Self::Place, Error>;

    /// A mapped segment as memory that can't vanish. If it does, the program ends.
    fn own(&self, place: &Self::Place) -> Self::Own;

    /// A mapped segment as memory that may be taken back.
    fn shared(&self, place: &Self::Place) -> Self::Shared;

    /// Takes a segment out of the address space. Its memory must not be used any more.
    fn unmap(&self, place: Self::Place);

    /// An empty capability slot.
    ///
    /// # Errors
    /// `EMFILE`: none is left. Those of buying a `CapTable` from the program's bank.
    fn take_slot(&self) -> Result<CapAddr, Error>;

    /// The same for a segment whose pages are [exchanged](crate::window::Window::exchange): where other
    /// segments lie, as far as may be.
    ///
    /// # Errors
    /// As for [`take_slot`](Program::take_slot).
    fn take_segment_slot(&self) -> Result<CapAddr, Error> {
        self.take_slot()
    }

    /// Empties a slot and makes it free again.
    fn give_slot(&self, address: CapAddr);

    /// The `CapTable` that a slot lies in, and its number there.
    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16);

    /// The start of [`BATCH_PAGE`], [`BATCH_BYTES`] long.
    fn batch(&self) -> Self::Own;

    /// A driver says what it is doing. Only a simulation listens, or who
    /// counts.
    #[inline(always)]
    fn doing(&self, _: Activity) {}
}

/// The page that batches are written to.
pub const BATCH_PAGE: Cap<Page> = Cap::at(slot::MESSAGE);
/// Bytes of it that may be used: 64 entries of 16 bytes.
pub const BATCH_BYTES: usize = 1024;
/// The program's own bank.
pub const BANK: Cap<Bank> = Cap::at(slot::BANK);
/// The program's process, to make capabilities with which it is called and notified.
pub const PROCESS: Cap<Process> = Cap::at(slot::PROCESS);

/// Copies a capability into a slot of its own, keeping only some rights.
///
/// # Errors
/// Those of [`Program::take_slot`] and of `CapTable::PUT`.
pub fn weaken<P: Program>(program: &P, from: CapAddr, rights: Rights) -> Result<CapAddr, Error> {
    let into = program.take_slot()?;
    let (table, index) = program.table_of(into);
    match table.put(program.sys(), index, from, rights) {
        Ok(()) => Ok(into),
        Err(error) => {
            program.give_slot(into);
            Err(error)
        }
    }
}

/// Kind (as a number) and rights of a capability in one of the program's slots.
///
/// # Errors
/// Those of `CapTable::DESCRIBE`.
pub fn describe<P: Program>(program: &P, address: CapAddr) -> Result<(u8, Rights), Error> {
    let (table, index) = program.table_of(address);
    table.describe(program.sys(), index)
}

const _: () = {
    assert!(abi::batch::LIMIT * size_of::<abi::batch::Pin>() <= BATCH_BYTES);
    assert!(abi::batch::LIMIT * size_of::<abi::batch::Unpin>() <= BATCH_BYTES);
};
