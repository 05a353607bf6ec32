//! What spacebank asks of the kernel.
//!
//! The only capabilities that spacebank ever *calls* are the kernel's own, in the slots named here.
//! What a client sends is passed on as an argument, or (a `Notify`) sent to, which never waits: that
//! is why buying is prompt.

use abi::batch::{LIMIT, Mint, RESCIND_FREED};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error;
use sys::object::{CapTable, Clock, Notify, Page, Process, Range};
use sys::{Cap, Error, Fault, Mem, Message, Sys};

/// Receives the capability that comes with a request.
pub const ARGUMENT: CapAddr = slot::FREE;
/// Holds the capability that goes with an answer.
pub const ANSWER: CapAddr = slot::FREE + 1;
/// Holds a caller while spacebank looks for other requests.
pub const CALLER: CapAddr = slot::FREE + 2;
/// Holds spacebank's own notification while it is handed to the kernel.
pub const NOTIFY: CapAddr = slot::FREE + 3;
/// First of the slots that hold the notifications of clients that wait for the end of a bank.
pub const WAITERS: CapAddr = slot::FREE + 4;
/// Number of those.
pub const WAITER_SLOTS: usize = 24;
/// Most of them that a child of the prime bank and its descendants may have; those further down have
/// one less.
pub const BRANCH_WAITERS: usize = 3;

const _: () = assert!(WAITERS as usize + WAITER_SLOTS <= slot::BANK_RECORD_TABLES as usize);

/// What became of a rescinded object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Freed,
    Limbo,
}

/// The fates of the first objects of a batch, and whether the rest wants another call.
pub(crate) struct Rescinded {
    pub fates: [Fate; LIMIT],
    pub done: usize,
    pub more: bool,
}

/// The kernel, seen through a `Sys` and the batch page.
pub(crate) struct Kernel<'k, S, M> {
    pub sys: &'k S,
    pub batch: &'k M,
}

const RANGE: Cap<Range> = Cap::at(slot::BANK_RANGE);
const PROCESS: Cap<Process> = Cap::at(slot::PROCESS);
const ROOT: Cap<CapTable> = Cap::at(slot::ROOT);
const BATCH: Cap<Page> = Cap::at(slot::MESSAGE);
const CLOCK: Cap<Clock> = Cap::at(slot::CLOCK);

fn unreachable_batch(_: Fault) -> Error {
    Error::new(error::EFAULT)
}

impl<S: Sys, M: Mem> Kernel<'_, S, M> {
    /// Sells objects of one kind into consecutive places or slots, all or none.
    pub fn mint_into(
        &self,
        destination: CapAddr,
        oids: &[u32],
        kind: Kind,
        rights: Rights,
        first: u16,
    ) -> Result<(), Error> {
        for (n, (oid, index)) in oids.iter().zip(first..).enumerate() {
            // The layout of `abi::batch::Mint`, as two words.
            let word = u64::from(*oid)
                | (kind as u64) << 32
                | u64::from(rights.bits()) << 40
                | u64::from(index) << 48;
            let offset = n * size_of::<Mint>();
            self.batch
                .store_u64(offset, word)
                .map_err(unreachable_batch)?;
            self.batch
                .store_u64(offset + 8, 0)
                .map_err(unreachable_batch)?;
        }
        RANGE.mint_into(self.sys, BATCH, destination, 0, oids.len() as u64)
    }

    /// Rescinds objects, in order, as far as the kernel goes in one call.
    ///
    /// A result that is neither of the two that the kernel promises counts as limbo: the object stays
    /// charged and is not sold again until the kernel itself says that it is free.
    pub fn rescind(&self, oids: &[u32]) -> Result<Rescinded, Error> {
        for (n, oid) in oids.iter().enumerate() {
            self.batch
                .store_u64(n * 8, u64::from(*oid))
                .map_err(unreachable_batch)?;
        }
        let (done, more) = RANGE.rescind(self.sys, BATCH, 0, oids.len() as u64)?;
        let done = if more {
            oids.len().min(done as usize)
        } else {
            oids.len()
        };
        let mut rescinded = Rescinded {
            fates: [Fate::Freed; LIMIT],
            done,
            more,
        };
        for (n, fate) in rescinded.fates.iter_mut().enumerate().take(done) {
            let result = self.batch.load_u32(n * 8 + 4).map_err(unreachable_batch)?;
            if result != RESCIND_FREED {
                *fate = Fate::Limbo;
            }
        }
        Ok(rescinded)
    }

    /// Objects whose limbo ended, as many as one call tells.
    pub fn reap(&self) -> Result<([u32; 10], usize), Error> {
        let [count, words @ ..] = RANGE.reap(self.sys)?;
        let mut oids = [0; 10];
        for (n, oid) in oids.iter_mut().enumerate() {
            *oid = (words[n / 2] >> (32 * (n % 2))) as u32;
        }
        Ok((oids, oids.len().min(count as usize)))
    }

    /// Object, kind and rights of the capability that came with a request. Whatever is not storage,
    /// and alive, gets `EBADF`: `VOID` would speak of the capability that was invoked.
    pub fn identify(&self) -> Result<(u32, Kind, Rights), Error> {
        let other_kind = Error::new(error::EBADF);
        let (oid, kind, rights) = RANGE.identify(self.sys, ARGUMENT).map_err(|_| other_kind)?;
        let kind = Kind::from_u8(kind)
            .filter(|kind| kind.is_storage())
            .ok_or(other_kind)?;
        Ok((oid, kind, rights))
    }

    /// A new capability with all rights to a live object, in [`ANSWER`]: `Range::MINT` of an object
    /// that is live already, with its own kind, makes one.
    pub fn mint_again(&self, oid: u32, kind: Kind) -> Result<(), Error> {
        RANGE.mint(self.sys, oid, kind as u8, ANSWER)
    }

    /// Kind and state of an object.
    pub fn query(&self, oid: u32) -> Result<(Option<Kind>, u8), Error> {
        let (kind, state, _) = RANGE.query(self.sys, oid)?;
        Ok((Kind::from_u8(kind).filter(|kind| kind.is_storage()), state))
    }

    /// A bank capability with this badge, in [`ANSWER`].
    pub fn make_start(&self, badge: u64) -> Result<(), Error> {
        PROCESS.make_start(self.sys, badge, ANSWER)
    }

    /// Asks the kernel to set `bit` of spacebank when a limbo ends.
    pub fn notify_of_limbo(&self, bit: u64) -> Result<(), Error> {
        PROCESS.make_notify(self.sys, bit, NOTIFY)?;
        RANGE.set_notify(self.sys, Cap::at(NOTIFY))
    }

    /// Keeps the capability that came with a request.
    pub fn keep_argument(&self, slot: CapAddr) -> Result<(), Error> {
        ROOT.relocate(self.sys, ARGUMENT, slot)
    }

    /// Tells a client that waits, and forgets it. Whether anybody still listens is not our affair.
    pub fn tell(&self, slot: CapAddr) {
        let _ = Cap::<Notify>::at(slot).signal(self.sys);
        let _ = ROOT.clear(self.sys, slot, 1);
    }

    /// Sets `bit` of spacebank after a while.
    pub fn alarm(&self, nanoseconds: u64, bit: u64) -> Result<(), Error> {
        let now = CLOCK.now(self.sys)?.nanoseconds;
        CLOCK.arm(self.sys, now.saturating_add(nanoseconds), bit)
    }

    /// Answers the caller held, without waiting for the next message.
    pub fn answer(&self, status: error::Status, message: &Message) {
        if self.sys.save_caller(CALLER) == error::OK {
            // A caller that is gone can't be answered, and need not be.
            let _ = self.sys.resume(CALLER, status, message);
        }
    }
}

/// Where the segment lies that maps object `oid`'s record, and its place in there.
pub(crate) const fn record_place(oid: u32) -> (CapAddr, u16) {
    let segment = oid as usize / abi::TABLE_ENTRIES;
    let root = slot::BANK_RECORD_TABLES as usize + segment / abi::CAP_TABLE_SLOTS;
    let address = (root << 7) | (segment % abi::CAP_TABLE_SLOTS);
    (
        address as CapAddr,
        (oid as usize % abi::TABLE_ENTRIES) as u16,
    )
}

const _: () = {
    let (last, _) = record_place(crate::entry::MAX_OBJECTS as u32 - 1);
    assert!((last as usize) < abi::cap::CAP_ADDRESSES && last as usize >> 7 == 127);
};
