//! What capabilities and table entries say, read without the kernel's help: for those who check it.

use std::sync::atomic::Ordering;

use abi::CAP_TABLE_SLOTS;
use abi::cap::{CapAddr, Kind, Rights};
use kernel::cap::Capability;
use kernel::frame::Frame;
use kernel::object::{ObjectRow, State};
use kernel::process::Process;

use crate::memory::Memory;

/// Bit of an entry: it maps something.
pub const PRESENT: u64 = 1;
/// Bit of an entry: what it maps can be written.
pub const WRITABLE: u64 = 1 << 1;
/// Bit of an entry: it is there for programs.
pub const USER: u64 = 1 << 2;
/// Bit of an entry that the kernel uses: it maps device memory.
pub const DEVICE: u64 = 1 << 9;
/// Bit of an entry: what it maps can't be executed.
pub const NO_EXECUTE: u64 = 1 << 63;
/// Bits of an entry that name a frame.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The frame that an entry names.
pub fn frame_of(entry: u64) -> Frame {
    Frame::holding(entry & ADDRESS)
}

/// The capability in a slot of a `CapTable`'s frame.
pub fn slot(memory: &Memory, table: Frame, n: usize) -> Capability {
    let word = |m: usize| memory.word(table, 4 * n + m).load(Ordering::Relaxed);
    Capability {
        head: word(0),
        version: word(1),
        badge: word(2),
        extent: word(3),
    }
}

/// The row of the object of this kind that a capability names, if it is alive.
pub fn named<'m>(memory: &'m Memory, held: &Capability, kind: Kind) -> Option<&'m ObjectRow> {
    let row = memory.objects.get(held.oid().0 as usize)?;
    let alive = row.version.get() == held.version && row.state.get() == State::Live;
    (held.is(kind) && alive).then_some(row)
}

/// What a process has at an address; void if it has nothing there. Slots of tables that it may not manage
/// it can't name.
pub fn held(memory: &Memory, process: &Process, address: CapAddr) -> Capability {
    let address = usize::from(address);
    let (outer, inner) = (address / CAP_TABLE_SLOTS, address % CAP_TABLE_SLOTS);
    let root = process.root.get();
    if address == 0 || outer >= CAP_TABLE_SLOTS || !memory.is_ram(root) {
        return Capability::VOID;
    }
    if outer == 0 {
        return slot(memory, root, inner);
    }
    let table = slot(memory, root, outer);
    named(memory, &table, Kind::CapTable)
        .filter(|_| table.rights().contains(Rights::MANAGE))
        .map_or(Capability::VOID, |row| slot(memory, row.frame.get(), inner))
}
