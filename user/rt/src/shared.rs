//! Where segments are mapped: places of 2 MiB between `layout::SHARED` and `layout::SHARED_END`.
//!
//! Nothing of Rust's ever lies there. That is why mappings of it can be copied and outlive their
//! place: an access to what was unmapped is a fault that is reported, not a Rust object overwritten.

use abi::SEGMENT_SIZE;
use abi::boot::layout::{SHARED, SHARED_END};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::EMFILE;
use sys::bank::Bank;
use sys::object::Table;
use sys::{Cap, Error};

use crate::invoke::Kernel;
use crate::mapping::{Mapping, RevocableMapping};
use crate::single::Single;
use crate::slots;

const FIRST: u64 = SHARED / SEGMENT_SIZE as u64;
const COUNT: usize = ((SHARED_END - SHARED) / SEGMENT_SIZE as u64) as usize;
const SPACE: Cap<Table> = Cap::at(slot::SPACE);

/// Which places are taken.
static TAKEN: Single<[bool; COUNT]> = Single::new([false; COUNT]);

/// A place with a segment in it. It stays mapped until [`Place::unmap`].
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    number: usize,
}

/// Maps a segment with the rights that both `rights` and the capability have.
///
/// # Errors
/// `EMFILE`: no place is left. Those of `Table::MAP`.
pub fn map(segment: Cap<Table>, rights: Rights) -> Result<Place, Error> {
    let mut taken = TAKEN.get().ok_or(Error::new(EMFILE))?;
    let number = taken
        .iter()
        .position(|taken| !taken)
        .ok_or(Error::new(EMFILE))?;
    SPACE.map(&Kernel, FIRST + number as u64, segment, rights)?;
    taken[number] = true;
    Ok(Place { number })
}

impl Place {
    /// Its first address.
    pub fn address(&self) -> usize {
        SHARED as usize + self.number * SEGMENT_SIZE
    }

    /// Its index in the level-2 table.
    pub(crate) fn index(&self) -> u64 {
        FIRST + self.number as u64
    }

    /// The segment as memory that can't vanish. If it does vanish, the program ends: for segments of
    /// one's own, and for windows.
    pub fn mapping(&self) -> Mapping {
        // SAFETY: the range lies where no Rust object does.
        unsafe { Mapping::new(self.address(), SEGMENT_SIZE) }
    }

    /// The segment as memory that may be taken back.
    pub fn revocable(&self) -> RevocableMapping {
        // SAFETY: the range lies where no Rust object does.
        unsafe { RevocableMapping::new(self.address(), SEGMENT_SIZE) }
    }

    /// Takes the segment out. Mappings of it must not be used any more: that would be a fault.
    ///
    /// # Errors
    /// Those of `Table::UNMAP`; the place stays taken.
    pub fn unmap(self) -> Result<(), Error> {
        SPACE.unmap(&Kernel, self.index(), 1)?;
        if let Some(mut taken) = TAKEN.get() {
            taken[self.number] = false;
        }
        Ok(())
    }
}

/// A segment of the program's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// The segment, with all rights.
    pub table: Cap<Table>,
    /// Where the program sees it.
    pub place: Place,
}

/// Buys a segment with pages in its first places and maps it, readable and writable.
///
/// # Errors
/// `EMFILE`: no slot or place is left. Those of `Bank::BUY`. Up to 64 pages are bought all or none;
/// of more, some may stay with the bank, which alone can get back what lies in places.
pub fn buy(bank: Cap<Bank>, pages: usize) -> Result<Segment, Error> {
    let address = slots::take()?;
    buy_at(bank, pages, address).inspect_err(|_| slots::give(address))
}

fn buy_at(bank: Cap<Bank>, pages: usize, address: CapAddr) -> Result<Segment, Error> {
    let (root, index) = slots::table_of(address);
    bank.buy_caps(&Kernel, Kind::Table1, 1, root, index)?;
    let table = Cap::at(address);
    fill(bank, table, pages)
        .and_then(|()| map(table, Rights::READ | Rights::WRITE))
        .map(|place| Segment { table, place })
        .inspect_err(|_| {
            // It was just bought: a bank that takes it back not even now is gone.
            let _ = bank.sell(&Kernel, address);
        })
}

fn fill(bank: Cap<Bank>, table: Cap<Table>, pages: usize) -> Result<(), Error> {
    let rights = Rights::READ | Rights::WRITE;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(abi::batch::LIMIT);
        bank.buy_places(
            &Kernel,
            Kind::Page,
            count as u64,
            table,
            done as u64,
            rights,
        )?;
        done += count;
    }
    Ok(())
}
