//! Apertures, the windows over what they pin, and pinned slots.
//!
//! What is pinned stays: neither the device nor the driver loses it when its owner revokes it, until
//! the slot is unpinned. So the memory of a window never fails where a slot is pinned.

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::Rights;
use abi::{APERTURE_SLOTS, PAGE_SIZE};
use sys::object::{Aperture, Table};
use sys::{Cap, Error, Mem};

use crate::Program;
use crate::program::BATCH_PAGE;

pub use abi::batch::direction;

/// A slot that holds a pin. It is not copied: what was pinned once is unpinned once.
///
/// It proves that the frame is kept, not that its owner is still there.
#[derive(Debug, PartialEq, Eq)]
pub struct Pinned {
    slot: u16,
    address: u64,
}

impl Pinned {
    /// The slot in the aperture, and the page in the window.
    #[inline]
    pub const fn slot(&self) -> u16 {
        self.slot
    }

    /// Where the device reaches the frame; 0 if it was pinned for no direction.
    #[inline]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Offset of the frame in the window.
    #[inline]
    pub const fn offset(&self) -> usize {
        self.slot as usize * PAGE_SIZE
    }
}

/// What to pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// First slot, each page in the next one.
    pub slot: u16,
    /// First place in the segment, each page in the next one.
    pub index: u16,
    /// How many, at most 64.
    pub count: u16,
    /// As [`direction`].
    pub direction: u8,
}

/// An aperture and its window.
pub struct Window<P: Program> {
    aperture: Cap<Aperture>,
    place: P::Place,
    memory: P::Own,
}

impl<P: Program> Window<P> {
    /// Maps the window (the segment that the aperture was given).
    ///
    /// # Errors
    /// Those of [`Program::map`].
    pub fn open(program: &P, aperture: Cap<Aperture>, window: Cap<Table>) -> Result<Self, Error> {
        let place = program.map(window, Rights::READ | Rights::WRITE)?;
        let memory = program.own(&place);
        Ok(Window {
            aperture,
            place,
            memory,
        })
    }

    /// Takes the window out of the address space. Pins are left as they are.
    pub fn close(self, program: &P) {
        program.unmap(self.place);
    }

    /// The aperture.
    pub const fn aperture(&self) -> Cap<Aperture> {
        self.aperture
    }

    /// What the driver sees: slot *n* at *n* pages.
    #[inline]
    pub const fn memory(&self) -> &P::Own {
        &self.memory
    }

    /// Pins pages that follow each other, at most 64, and appends them to `into`.
    ///
    /// # Errors
    /// The first error; the pages pinned before and after it are in `into` all the same. As for
    /// `Aperture::PIN`; `EINVAL`: more than 64, or beyond slots or places.
    pub fn pin(
        &self,
        program: &P,
        segment: Cap<Table>,
        wanted: Wanted,
        into: &mut Vec<Pinned>,
    ) -> Result<(), Error> {
        let Wanted {
            slot,
            index,
            count,
            direction,
        } = wanted;
        let beyond = |first: u16| first as usize + count as usize > APERTURE_SLOTS;
        if count as usize > LIMIT || beyond(slot) || beyond(index) {
            return Err(Error::new(abi::error::EINVAL));
        }
        let batch = program.batch();
        for n in 0..count {
            let entry = (slot + n) as u64 | ((index + n) as u64) << 16 | (direction as u64) << 32;
            own(batch.store_u64(n as usize * 16, entry))?;
            own(batch.store_u64(n as usize * 16 + 8, 0))?;
        }
        let sys = program.sys();
        self.aperture
            .pin_batch(sys, BATCH_PAGE, segment, 0, count as u64)?;
        let mut result = Ok(());
        for n in 0..count {
            let status = (own(batch.load_u64(n as usize * 16))? >> 48) as u32;
            match Error::check(status) {
                Ok(()) => into.push(Pinned {
                    slot: slot + n,
                    address: own(batch.load_u64(n as usize * 16 + 8))?,
                }),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Unpins the last of `pinned`, at most 64 of them. The device must be done with them.
    ///
    /// # Errors
    /// `VOID`: the aperture is gone, and its pins are no longer the caller's: `pinned` is empty then.
    pub fn unpin(&self, program: &P, pinned: &mut Vec<Pinned>) -> Result<(), Error> {
        let batch = program.batch();
        let first = pinned.len().saturating_sub(LIMIT);
        let count = pinned.len() - first;
        if count == 0 {
            return Ok(());
        }
        for (n, pin) in pinned.drain(first..).enumerate() {
            own(batch.store_u64(n * 8, pin.slot as u64))?;
        }
        let done = self
            .aperture
            .unpin_batch(program.sys(), BATCH_PAGE, 0, count as u64);
        if let Err(error) = done {
            pinned.clear();
            return Err(error);
        }
        Ok(())
    }

    /// Slots whose owner is gone, at most 20; each is told once.
    ///
    /// # Errors
    /// `VOID`: the aperture is gone.
    pub fn limbo(&self, program: &P) -> Result<Limbo, Error> {
        self.aperture.limbo(program.sys()).map(Limbo::from_words)
    }
}

/// Slots whose owner is gone.
#[derive(Clone, Debug)]
pub struct Limbo {
    words: [u64; 5],
    next: usize,
    count: usize,
}

impl Limbo {
    /// How many slots there may be in one answer; if there are as many, ask again.
    pub const FULL: usize = 20;

    /// What `Aperture::LIMBO` answered.
    pub fn from_words([count, words @ ..]: [u64; 6]) -> Limbo {
        Limbo {
            words,
            next: 0,
            count: count.min(Limbo::FULL as u64) as usize,
        }
    }
}

impl Iterator for Limbo {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.next == self.count {
            return None;
        }
        let word = self.words[self.next / 4];
        let slot = (word >> (16 * (self.next % 4))) as u16;
        self.next += 1;
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Limbo {}

/// The program's own page can't fail; if it does, the program has none.
fn own<T>(access: Result<T, sys::Fault>) -> Result<T, Error> {
    access.map_err(|_| Error::new(abi::error::EFAULT))
}
