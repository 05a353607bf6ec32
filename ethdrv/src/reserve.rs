//! Pages of the driver's own, for the device.
//!
//! Some are buffers that frames can be exchanged out of ([`crate::slots`]). Others take the place of pages
//! that the device still has.
//!
//! A page that is posted comes back when the device has filled it, and on a silent network nothing fills
//! it. Whoever leaves, or goes over to copying, need not wait for that: each of its pages that is away is
//! exchanged for a page of the reserve. Its place then has a frame that nobody has pinned, all zero; the
//! frame that the device has is the driver's, and comes back to the reserve when the device is done,
//! zeroed. There are never more such pages than buffers that the device takes; they are bought from the
//! driver's bank when they are first needed, and kept.
//!
//! A page that was revoked without warning has no place any more that a frame could be exchanged with:
//! its frame stays in limbo until the device has filled it.

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::ENOMEM;
use dev::Program;
use dev::program::BANK;
use dev::window::Window;
use sys::object::Table;
use sys::{Cap, Error};

/// Most pages in reserve: as many as a device has buffers.
pub const MOST: u16 = 256;
/// Objects that the driver's bank must be able to sell for the reserve, whatever ports reserve besides.
pub const OBJECTS: u64 = MOST as u64 + 1;

/// A place whose page is away.
pub type Place = (CapAddr, u16);

/// The reserve.
#[derive(Debug, Default)]
pub struct Reserve {
    segment: Option<CapAddr>,
    bought: u16,
    /// Pages whose frames nobody has pinned.
    free: Vec<u16>,
}

impl Reserve {
    /// Pages bought, and segments for them.
    pub fn bought(&self) -> (usize, usize) {
        (self.bought.into(), self.segment.iter().count())
    }

    /// How many pages there are to take, of `most` in all; those that can still be bought among them.
    pub fn left(&self, most: u16) -> usize {
        self.free.len() + most.min(MOST).saturating_sub(self.bought) as usize
    }

    /// Where a page lies.
    pub fn place(&self, page: u16) -> Option<Place> {
        Some((self.segment?, page))
    }

    /// Buys what is lacking of so many pages to be [taken](Reserve::take), of `most` in all, as far as it
    /// can be had. Answers the segment that they lie in, if there is one.
    pub fn prepare<P: Program>(
        &mut self,
        program: &P,
        most: u16,
        count: u16,
    ) -> Option<Cap<Table>> {
        let lacking = count.saturating_sub(self.free.len() as u16);
        if lacking > 0 {
            // What can't be bought is lacking: then there are fewer.
            let _ = self.buy(program, most, lacking);
        }
        self.segment.map(Cap::at)
    }

    /// Takes a page, whose frame nobody has pinned, all zero.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop()
    }

    /// Exchanges as many of these places' frames, at most 64, as there are pages for, of `most` in all.
    /// `done` gets the number of each place whose page was exchanged, and of the page that the reserve
    /// has in its stead.
    pub fn exchange<P: Program>(
        &mut self,
        program: &P,
        window: &Window<P>,
        most: u16,
        places: &[Place],
        mut done: impl FnMut(usize, u16),
    ) {
        let wanted = places.len().min(LIMIT);
        let segment = self.prepare(program, most, wanted as u16);
        let count = wanted.min(self.free.len());
        let Some(segment) = segment.filter(|_| count > 0) else {
            return;
        };
        let taken = self.free.len() - count;
        let mut pairs = [[(0, 0); 2]; LIMIT];
        for ((pair, place), page) in pairs.iter_mut().zip(places).zip(&self.free[taken..]) {
            *pair = [*place, (segment.address(), *page)];
        }
        let mut exchanged = [false; LIMIT];
        // An aperture of the driver's own that is gone: init is taking the driver down.
        let _ = window.exchange(program, &pairs[..count], |n, result| {
            exchanged[n] = result.is_ok();
        });
        self.free.truncate(taken);
        for (n, pair) in pairs[..count].iter().enumerate() {
            match exchanged[n] {
                true => done(n, pair[1].1),
                false => self.free.push(pair[1].1),
            }
        }
    }

    /// The frame of a page is pinned no longer, and zero.
    pub fn put_back(&mut self, page: u16) {
        self.free.push(page);
    }

    fn buy<P: Program>(&mut self, program: &P, most: u16, count: u16) -> Result<(), Error> {
        let most = most.min(MOST);
        let count = count.min(most.saturating_sub(self.bought));
        if count == 0 {
            return Ok(());
        }
        let segment = self.segment(program)?;
        // Room for all that there can be: putting one back allocates nothing.
        self.free
            .try_reserve(MOST as usize - self.free.len())
            .map_err(|_| Error::new(ENOMEM))?;
        let rights = Rights::READ | Rights::WRITE;
        let first = self.bought as u64;
        BANK.buy_places(
            program.sys(),
            Kind::Page,
            count as u64,
            segment,
            first,
            rights,
        )?;
        self.free.extend(self.bought..self.bought + count);
        self.bought += count;
        Ok(())
    }

    fn segment<P: Program>(&mut self, program: &P) -> Result<Cap<Table>, Error> {
        if let Some(slot) = self.segment {
            return Ok(Cap::at(slot));
        }
        let slot = program.take_segment_slot()?;
        let (table, index) = program.table_of(slot);
        BANK.buy_caps(program.sys(), Kind::Table1, 1, table, index)
            .inspect_err(|_| program.give_slot(slot))?;
        self.segment = Some(slot);
        Ok(Cap::at(slot))
    }
}
