//! The segment that a client of the ethernet driver transmits from.

use abi::batch::LIMIT;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::EINVAL;
use sys::object::Table;
use sys::{Cap, Error};

use crate::layout::{FEWEST_PAGES, FIRST_TRANSMIT_PAGE, MOST_PAGES};
use crate::program::{BANK, Program};

/// The segment that a client transmits from: bought from its own bank, and kept across sessions.
pub struct TransmitSegment<P: Program> {
    table: Cap<Table>,
    place: P::Place,
    pages: u16,
}

impl<P: Program> TransmitSegment<P> {
    /// Buys a segment with `pages` transmit pages (2 to 240), and its rings, and maps it.
    ///
    /// # Errors
    /// `EINVAL`: too few or too many pages. Those of buying and of mapping. Up to 64 pages are bought
    /// all or none; when more fail, some stay with the bank.
    pub fn buy(program: &P, pages: u16) -> Result<Self, Error> {
        if !(FEWEST_PAGES..=MOST_PAGES).contains(&pages) {
            return Err(Error::new(EINVAL));
        }
        let slot = program.take_slot()?;
        Self::buy_at(program, slot, pages).inspect_err(|_| program.give_slot(slot))
    }

    fn buy_at(program: &P, slot: CapAddr, pages: u16) -> Result<Self, Error> {
        let (into, index) = program.table_of(slot);
        BANK.buy_caps(program.sys(), Kind::Table1, 1, into, index)?;
        let table = Cap::at(slot);
        fill(program, table, FIRST_TRANSMIT_PAGE as u64 + pages as u64)
            .and_then(|()| program.map(table, Rights::READ | Rights::WRITE))
            .map(|place| TransmitSegment {
                table,
                place,
                pages,
            })
            .inspect_err(|_| {
                // It was just bought: a bank that doesn't take it back is gone.
                let _ = BANK.sell(program.sys(), slot);
            })
    }

    /// The segment, with all rights.
    pub const fn table(&self) -> Cap<Table> {
        self.table
    }

    /// Where the client sees it.
    pub(crate) const fn place(&self) -> &P::Place {
        &self.place
    }

    /// Transmit pages.
    pub const fn pages(&self) -> u16 {
        self.pages
    }

    /// Unmaps it and sells the segment. Its pages go when the bank goes.
    pub fn release(self, program: &P) {
        program.unmap(self.place);
        let _ = BANK.sell(program.sys(), self.table.address());
        program.give_slot(self.table.address());
    }
}

fn fill<P: Program>(program: &P, table: Cap<Table>, pages: u64) -> Result<(), Error> {
    let rights = Rights::READ | Rights::WRITE;
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(LIMIT as u64);
        BANK.buy_places(program.sys(), Kind::Page, count, table, done, rights)?;
        done += count;
    }
    Ok(())
}
