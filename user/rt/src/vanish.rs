//! Shared segments that turn to zeros when their owner takes them back.
//!
//! A program that parses what lies in such a segment need not expect a fault at every load: when
//! memory of it is gone, the fault entry maps a segment of the program's own over it, puts a page of
//! zeros where the access was, and repeats the instruction. What was being parsed then fails its
//! checks, and [`Vanishing::gone`] says why.
//!
//! Only loads from memory that isn't there are answered so. A store, a fetch or an access that lacks
//! a right is reported like everywhere else. The pages of zeros are few and move with the accesses:
//! a page is mapped in one place only, and read-only, so what was moved is still zero.

use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::EMFILE;
use abi::fault::Access;
use abi::{PAGE_SIZE, SEGMENT_SIZE, TABLE_ENTRIES};
use sys::bank::Bank;
use sys::object::{Page, Table};
use sys::{Cap, Error};

use crate::invoke::Kernel;
use crate::mapping::Mapping;
use crate::shared::{self, Place};
use crate::slots;

/// Segments that can be watched at once.
const WATCHES: usize = 4;
/// Pages of zeros for each. An instruction touches at most two pages of a segment.
const PAGES: usize = 4;
/// Slots for each: the pages, then their segment.
const SLOTS: u16 = PAGES as u16 + 1;
/// In [`Watch::places`]: the page lies nowhere.
const NOWHERE: u16 = u16::MAX;

/// What the fault entry knows of a segment. It runs between two instructions of the program, on the
/// same CPU: relaxed accesses are enough, and `address` is set last and cleared first.
struct Watch {
    /// Where the segment is mapped; 0: not in use.
    address: AtomicU64,
    /// First of its slots.
    slots: AtomicU16,
    /// How many pages of zeros it took; 0: it has not vanished.
    used: AtomicU64,
    /// Where each page of zeros lies.
    places: [AtomicU16; PAGES],
}

static WATCH: [Watch; WATCHES] = [const {
    Watch {
        address: AtomicU64::new(0),
        slots: AtomicU16::new(0),
        used: AtomicU64::new(0),
        places: [const { AtomicU16::new(NOWHERE) }; PAGES],
    }
}; WATCHES];

/// A segment that turns to zeros when it is taken back.
#[derive(Debug)]
pub struct Vanishing {
    watch: usize,
    place: Place,
}

impl Vanishing {
    /// Maps a segment, readable; buys five objects from the program's bank for the case of its loss.
    ///
    /// # Errors
    /// `EMFILE`: four segments are watched already, or no slot or place is left. Those of buying and
    /// of `Table::MAP`.
    pub fn map(segment: Cap<Table>) -> Result<Vanishing, Error> {
        let free = |watch: &Watch| watch.address.load(Ordering::Relaxed) == 0;
        let watch = WATCH.iter().position(free).ok_or(Error::new(EMFILE))?;
        let first = slots::take_run(SLOTS)?;
        let made = buy(first).and_then(|()| shared::map(segment, Rights::READ));
        let place = made.inspect_err(|_| give_back(first))?;
        let state = &WATCH[watch];
        state.slots.store(first, Ordering::Relaxed);
        state.used.store(0, Ordering::Relaxed);
        state
            .places
            .iter()
            .for_each(|place| place.store(NOWHERE, Ordering::Relaxed));
        state
            .address
            .store(place.address() as u64, Ordering::Release);
        Ok(Vanishing { watch, place })
    }

    /// The segment, to be read.
    pub fn mapping(&self) -> Mapping {
        self.place.mapping()
    }

    /// Whether something of it was gone when it was read: what was read since may be zeros.
    pub fn gone(&self) -> bool {
        WATCH[self.watch].used.load(Ordering::Relaxed) != 0
    }

    /// Takes the segment out and gives back what was bought for it.
    ///
    /// # Errors
    /// As for [`Place::unmap`].
    pub fn unmap(self) -> Result<(), Error> {
        let state = &WATCH[self.watch];
        let first = state.slots.load(Ordering::Relaxed);
        state.address.store(0, Ordering::Release);
        self.place.unmap()?;
        give_back(first);
        Ok(())
    }
}

fn buy(first: u16) -> Result<(), Error> {
    let bank: Cap<Bank> = Cap::at(slot::BANK);
    let (table, index) = slots::table_of(first);
    bank.buy_caps(&Kernel, Kind::Page, PAGES as u64, table, index)?;
    bank.buy_caps(&Kernel, Kind::Table1, 1, table, index + PAGES as u16)
}

/// Sells what was bought, as far as it was, and frees its slots.
fn give_back(first: u16) {
    let bank: Cap<Bank> = Cap::at(slot::BANK);
    for address in first..first + SLOTS {
        // Refused only where nothing was bought, or where the bank itself is gone.
        let _ = bank.sell(&Kernel, address);
        slots::give(address);
    }
}

/// In the fault entry: puts zeros where the access was, if that is in a watched segment. Answers
/// whether the access can be repeated.
pub(crate) fn replace(address: u64, access: Access) -> bool {
    if !access.is_empty() {
        return false;
    }
    let inside = |watch: &&Watch| {
        let first = watch.address.load(Ordering::Acquire);
        first != 0 && (first..first + SEGMENT_SIZE as u64).contains(&address)
    };
    WATCH
        .iter()
        .find(inside)
        .is_some_and(|watch| put_zeros(watch, address).is_ok())
}

fn put_zeros(watch: &Watch, address: u64) -> Result<(), Error> {
    let space: Cap<Table> = Cap::at(slot::SPACE);
    let first = watch.slots.load(Ordering::Relaxed);
    let zeros: Cap<Table> = Cap::at(first + PAGES as u16);
    let used = watch.used.load(Ordering::Relaxed);
    if used == 0 {
        let index = watch.address.load(Ordering::Relaxed) / SEGMENT_SIZE as u64;
        // Its owner may have taken the whole segment, or only pages out of it.
        space.unmap(&Kernel, index, 1)?;
        space.map(&Kernel, index, zeros, Rights::READ)?;
    }
    let number = used as usize % PAGES;
    let page: Cap<Page> = Cap::at(first + number as u16);
    let before = watch.places[number].load(Ordering::Relaxed);
    if before != NOWHERE {
        zeros.unmap(&Kernel, u64::from(before), 1)?;
    }
    let place = address as usize / PAGE_SIZE % TABLE_ENTRIES;
    zeros.map(&Kernel, place as u64, page, Rights::READ)?;
    watch.places[number].store(place as u16, Ordering::Relaxed);
    watch.used.store(used + 1, Ordering::Relaxed);
    Ok(())
}
