//! Single-producer single-consumer rings of descriptors, in memory shared by two parties that need
//! not trust each other.
//!
//! A ring is 256 descriptors of 16 bytes in one page, a *line* of the producer's and a line of the
//! consumer's (64 bytes each, so that neither disturbs the other's cache). Who writes what is
//! enforced by where it lies: entries and producer's line in memory that only the producer can
//! write, the consumer's line in memory that only the consumer can write. Each side keeps its own
//! indices in private ([`Producer`], [`Consumer`]) and only ever *publishes* them; what it reads of
//! the other's line is a hint, bounded before use.
//!
//! Indices are 32 bits wide and run freely: the slot is the index modulo 256, the ring is empty when
//! they are equal and full when they are 256 apart, at every value. A peer's index that moves
//! backwards, or beyond what the ring can hold, is [`Misbehaved`], not work to do.
//!
//! **Notification.** Who wants to wait writes into its line which index of the peer's it has seen,
//! and looks again; who publishes looks whether its index moved past what the other has seen. A
//! fence on each side, between the store and the load, makes one of the two see the other, so no
//! wake-up is lost; and each wish is answered once. What is left in the line from an earlier wish
//! lies behind, and is no wish.
//!
//! Every access goes through [`sys::Mem`], so the memory may vanish at any of them: then the
//! operation ends with [`Fault`], having published nothing that is half written.
#![no_std]
#![forbid(unsafe_code)]

mod consumer;
mod producer;

#[cfg(all(test, loom))]
mod ordering;
#[cfg(all(test, not(loom)))]
mod tests;

pub use consumer::Consumer;
pub use producer::Producer;

use sys::Fault;

/// Entries in a ring.
pub const CAPACITY: u32 = 256;
/// Bytes of a descriptor.
pub const ENTRY_BYTES: usize = 16;
/// Bytes of all entries: a page.
pub const RING_BYTES: usize = CAPACITY as usize * ENTRY_BYTES;
/// Bytes of a line.
pub const LINE_BYTES: usize = 64;

/// Offset in a line of the owner's index.
const INDEX: usize = 0;
/// Offset in a line of the peer's index that the owner has seen, and wants to be woken beyond.
const SEEN: usize = 4;

/// Where a ring lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Entries: byte offset in the producer's memory, a multiple of 8.
    pub entries: usize,
    /// Producer's line: byte offset in the producer's memory, a multiple of 64.
    pub producer: usize,
    /// Consumer's line: byte offset in the consumer's memory, a multiple of 64.
    pub consumer: usize,
}

impl Ring {
    /// Offset of the entry that an index stands for.
    #[inline]
    const fn entry(&self, index: u32) -> usize {
        self.entries + (index % CAPACITY) as usize * ENTRY_BYTES
    }
}

/// What an entry says: some bytes of a page.
///
/// It proves nothing: who reads one checks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The page, by its place in the segment that the ring is about.
    pub page: u32,
    /// First byte in the page.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
    /// [`MORE`], other bits zero.
    pub flags: u32,
}

/// Flag: the frame goes on in the next descriptor.
pub const MORE: u32 = 1;

impl Descriptor {
    /// As two words, the way it lies in memory.
    #[inline]
    const fn to_words(self) -> (u64, u64) {
        (
            self.page as u64 | (self.offset as u64) << 32,
            self.length as u64 | (self.flags as u64) << 32,
        )
    }

    #[inline]
    const fn from_words(first: u64, second: u64) -> Descriptor {
        Descriptor {
            page: first as u32,
            offset: (first >> 32) as u32,
            length: second as u32,
            flags: (second >> 32) as u32,
        }
    }
}

/// A peer's index that it can't honestly have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehaved {
    /// The index that it published before.
    pub seen: u32,
    /// The index that it publishes now.
    pub claimed: u32,
    /// How far it could have come.
    pub limit: u32,
}

impl core::fmt::Display for Misbehaved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Misbehaved {
            seen,
            claimed,
            limit,
        } = self;
        write!(
            f,
            "ring index went from {seen} to {claimed}, beyond the {limit} entries possible"
        )
    }
}

/// Why an operation on a ring failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The memory failed.
    Fault(Fault),
    /// The peer did.
    Misbehaved(Misbehaved),
    /// A push found no room. Ask [`Producer::room`] first.
    Full,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Fault(fault) => fault.fmt(f),
            Error::Misbehaved(what) => what.fmt(f),
            Error::Full => f.write_str("the ring is full"),
        }
    }
}

impl core::error::Error for Error {}

/// Takes a peer's new index if it has moved by no more than `limit`.
#[inline]
fn advance(seen: &mut u32, claimed: u32, limit: u32) -> Result<(), Error> {
    // Modulo 2^32 a step back is a very long step forward, so one comparison refuses both.
    if claimed.wrapping_sub(*seen) > limit {
        return Err(Error::Misbehaved(Misbehaved {
            seen: *seen,
            claimed,
            limit,
        }));
    }
    *seen = claimed;
    Ok(())
}

/// Whether an index that went from `old` to `new` moved past `seen`, so that who has seen only that
/// wants to know.
#[inline]
const fn passed(seen: u32, old: u32, new: u32) -> bool {
    seen.wrapping_sub(old) < new.wrapping_sub(old)
}

const _: () = {
    assert!(CAPACITY.is_power_of_two());
    assert!(RING_BYTES == sys::abi::PAGE_SIZE);
};
