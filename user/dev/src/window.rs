//! Apertures, the windows over what they pin, and pinned slots.
//!
//! What is pinned stays: neither the device nor the driver loses it when its owner revokes it, until
//! the slot is unpinned. So the memory of a window never fails where a slot is pinned.

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::{CapAddr, Rights};
use abi::error::EMFILE;
use abi::{APERTURE_SLOTS, CAP_TABLE_SLOTS, PAGE_SIZE};
use sys::object::{Aperture, CapTable, Table};
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
    /// A slot that [`Window::pin_each`] said holds a pin now.
    #[inline]
    pub const fn new(slot: u16, address: u64) -> Pinned {
        Pinned { slot, address }
    }

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
        let mut orders = [(0, 0); LIMIT];
        for (n, order) in (0..count).zip(&mut orders) {
            *order = (slot + n, index + n);
        }
        let orders = &orders[..count as usize];
        self.pin_each(program, segment, direction, orders, |n, address| {
            into.push(Pinned {
                slot: slot + n as u16,
                address,
            });
        })
    }

    /// Pins pages one by one, at most 64: each order is a slot and a place. `pinned` gets the number of
    /// each order that was carried out, and where the device reaches the frame.
    ///
    /// # Errors
    /// As for [`pin`](Window::pin).
    pub fn pin_each(
        &self,
        program: &P,
        segment: Cap<Table>,
        direction: u8,
        orders: &[(u16, u16)],
        mut pinned: impl FnMut(usize, u64),
    ) -> Result<(), Error> {
        if orders.len() > LIMIT {
            return Err(Error::new(abi::error::EINVAL));
        }
        let batch = program.batch();
        for (n, (slot, index)) in orders.iter().enumerate() {
            let entry = *slot as u64 | (*index as u64) << 16 | (direction as u64) << 32;
            own(batch.store_u64(n * 16, entry))?;
            own(batch.store_u64(n * 16 + 8, 0))?;
        }
        let sys = program.sys();
        self.aperture
            .pin_batch(sys, BATCH_PAGE, segment, 0, orders.len() as u64)?;
        let mut result = Ok(());
        for n in 0..orders.len() {
            let status = (own(batch.load_u64(n * 16))? >> 48) as u32;
            match Error::check(status) {
                Ok(()) => pinned(n, own(batch.load_u64(n * 16 + 8))?),
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
        let mut slots = [0; LIMIT];
        let first = pinned.len().saturating_sub(LIMIT);
        let count = pinned.len() - first;
        for (pin, slot) in pinned.drain(first..).zip(&mut slots) {
            *slot = pin.slot;
        }
        self.unpin_each(program, &slots[..count])
            .inspect_err(|_| pinned.clear())
    }

    /// Unpins slots, at most 64. The device must be done with them.
    ///
    /// # Errors
    /// `VOID`: the aperture is gone, and its pins are no longer the caller's.
    pub fn unpin_each(&self, program: &P, slots: &[u16]) -> Result<(), Error> {
        if slots.is_empty() {
            return Ok(());
        }
        if slots.len() > LIMIT {
            return Err(Error::new(abi::error::EINVAL));
        }
        let batch = program.batch();
        for (n, slot) in slots.iter().enumerate() {
            own(batch.store_u64(n * 8, *slot as u64))?;
        }
        self.aperture
            .unpin_batch(program.sys(), BATCH_PAGE, 0, slots.len() as u64)
            .map(|_| ())
    }

    /// Exchanges the frames at pairs of places, at most 64: `result` gets the number of each pair and
    /// how it went. Pins and slots stay with the frames. A call names three `CapTable`s; the more of them
    /// the places' segments lie in, the more calls it takes.
    ///
    /// # Errors
    /// `EINVAL`, more than 64. Those of the invocation: of which pair `result` wasn't told, that one wasn't
    /// exchanged.
    pub fn exchange(
        &self,
        program: &P,
        pairs: &[[(CapAddr, u16); 2]],
        mut result: impl FnMut(usize, Result<(), Error>),
    ) -> Result<(), Error> {
        if pairs.len() > LIMIT {
            return Err(Error::new(abi::error::EINVAL));
        }
        let mut done = 0;
        while done < pairs.len() {
            done += self.exchange_first(program, &pairs[done..], |n, how| result(done + n, how))?;
        }
        Ok(())
    }

    /// Exchanges the first of some pairs, as many as a call can name; answers how many.
    #[inline]
    fn exchange_first(
        &self,
        program: &P,
        pairs: &[[(CapAddr, u16); 2]],
        mut result: impl FnMut(usize, Result<(), Error>),
    ) -> Result<usize, Error> {
        let batch = program.batch();
        let mut tables = Tables::default();
        let mut count = 0;
        for pair in pairs {
            let places = pair[0].1 as u64 | (pair[1].1 as u64) << 16;
            let segments = pair.map(|(segment, _)| tables.find(program.table_of(segment)));
            let [Some(one), Some(other)] = segments else {
                // There is always room for the two tables of a pair.
                break;
            };
            let entry = one as u64 | (other as u64) << 16 | places << 32;
            own(batch.store_u64(count * 16, entry))?;
            own(batch.store_u64(count * 16 + 8, abi::error::status(EMFILE) as u64))?;
            count += 1;
        }
        let sys = program.sys();
        self.aperture
            .exchange_batch(sys, BATCH_PAGE, &tables.caps(), 0, count as u64)?;
        for n in 0..count {
            let status = own(batch.load_u64(n * 16 + 8))? as u32;
            result(n, Error::check(status));
        }
        Ok(count)
    }

    /// Slots whose owner is gone, at most 20; each is told once.
    ///
    /// # Errors
    /// `VOID`: the aperture is gone.
    pub fn limbo(&self, program: &P) -> Result<Limbo, Error> {
        self.aperture.limbo(program.sys()).map(Limbo::from_words)
    }
}

/// The tables that the segments of a batch of exchanges lie in.
#[derive(Default)]
struct Tables {
    list: [CapAddr; 3],
    count: usize,
}

impl Tables {
    /// How an entry names a slot of a table, unless that would be a fourth table.
    fn find(&mut self, (table, slot): (Cap<CapTable>, u16)) -> Option<u16> {
        let known = self.list[..self.count].iter();
        let number = match known.clone().position(|known| *known == table.address()) {
            Some(number) => number,
            None => {
                *self.list.get_mut(self.count)? = table.address();
                self.count += 1;
                self.count - 1
            }
        };
        Some(slot + (number * CAP_TABLE_SLOTS) as u16)
    }

    fn caps(&self) -> [Cap<CapTable>; 3] {
        self.list.map(Cap::at)
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
