//! A driver's own memory for DMA: pages bought from its own bank, pinned for good.

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::{Kind, Rights};
use abi::error::EINVAL;
use abi::{APERTURE_SLOTS, PAGE_SIZE};
use sys::object::{Aperture, Table};
use sys::{Cap, Error};

use crate::Program;
use crate::program::BANK;
use crate::window::{Pinned, Wanted, Window, direction};

/// Pages that driver and device both read and write. Page *n* is slot *n* of the aperture, and lies
/// *n* pages into [`Pool::memory`].
pub struct Pool<P: Program> {
    segment: Cap<Table>,
    window: Window<P>,
    pages: Vec<Pinned>,
}

impl<P: Program> Pool<P> {
    /// Buys `pages` pages (1 to 512) and a segment for them from the program's bank, and pins them in
    /// the first slots of the aperture.
    ///
    /// # Errors
    /// `EINVAL`: none or too many pages. Those of slots, places, buying and pinning; a driver that
    /// can't have its pool can't work, so nothing is undone.
    pub fn make(
        program: &P,
        aperture: Cap<Aperture>,
        window: Cap<Table>,
        pages: u16,
    ) -> Result<Self, Error> {
        if pages == 0 || pages as usize > APERTURE_SLOTS {
            return Err(Error::new(EINVAL));
        }
        let sys = program.sys();
        let slot = program.take_slot()?;
        let (table, index) = program.table_of(slot);
        BANK.buy_caps(sys, Kind::Table1, 1, table, index)?;
        let segment = Cap::at(slot);
        let window = Window::open(program, aperture, window)?;
        let mut pinned = Vec::with_capacity(pages as usize);
        for first in (0..pages).step_by(LIMIT) {
            let count = (pages - first).min(LIMIT as u16);
            let rights = Rights::READ | Rights::WRITE;
            BANK.buy_places(sys, Kind::Page, count as u64, segment, first as u64, rights)?;
            let wanted = Wanted {
                slot: first,
                index: first,
                count,
                direction: direction::BOTH,
            };
            window.pin(program, segment, wanted, &mut pinned)?;
        }
        Ok(Pool {
            segment,
            window,
            pages: pinned,
        })
    }

    /// The segment that the pages lie in: page *n* at place *n*.
    pub const fn segment(&self) -> Cap<Table> {
        self.segment
    }

    /// The aperture that they are pinned in, with its window.
    pub const fn window(&self) -> &Window<P> {
        &self.window
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there are none; a pool that was made has some.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// All pages, one after the other.
    #[inline]
    pub const fn memory(&self) -> &P::Own {
        self.window.memory()
    }

    /// Where the device reaches a page.
    pub fn address(&self, page: usize) -> Option<u64> {
        self.pages.get(page).map(Pinned::address)
    }

    /// Where a page lies in [`Pool::memory`].
    pub const fn offset(page: usize) -> usize {
        page * PAGE_SIZE
    }
}
