//! What operations are done with, and they themselves.
//!
//! Between operations the pages of two segments are mapped, nothing is pinned, and the third segment is
//! empty.

use core::mem::offset_of;

use abi::batch::{Exchange, Pin, Unpin, direction};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use guest::children::{BANK, Failed, Nursery, SubBank, own_priority};
use guest::code;
use guest::operations::{Loop, Operation, TIMES, Work};
use rt::child::{Image, Program};
use rt::shared::Segment;
use rt::{Kernel, message_page, shared, slots};
use sys::object::{Aperture, CapTable, Notify, Page, Start};
use sys::{Cap, Error, Mem, Message, Sys};

use crate::loops;

/// An aperture bound to a function that does nothing.
const APERTURE: Cap<Aperture> = Cap::at(slot::GRANT);
/// A notification of a process that isn't waiting.
const NOTIFY: Cap<Notify> = Cap::at(slot::GRANT + 1);

const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);

/// Where batches lie in the message page.
const PINS: u64 = 0;
const UNPINS: u64 = PINS + TIMES * size_of::<Pin>() as u64;
const EXCHANGES: u64 = UNPINS + TIMES * size_of::<Unpin>() as u64;
/// Slot of the first segment in the table that goes with a batch of exchanges.
const FIRST: u16 = 1;

/// What operations are done with.
pub struct Bed {
    segments: [Segment; 2],
    /// Pages of the first one, as capabilities.
    pages: CapAddr,
    /// Where pages are bought into.
    empty: Segment,
    /// Of whom.
    owner: Option<SubBank>,
    names: Cap<CapTable>,
    echo: Cap<Start>,
}

impl Bed {
    /// Buys everything.
    ///
    /// # Errors
    /// The bank refuses.
    pub fn new() -> Result<Bed, Failed> {
        let segments = [shared::buy(BANK, 0)?, shared::buy(BANK, TIMES as usize)?];
        let pages = slots::take_run(TIMES as u16)?;
        let (table, first) = slots::table_of(pages);
        BANK.buy_caps(&Kernel, Kind::Page, TIMES, table, first)?;
        let address = slots::take()?;
        let (table, index) = slots::table_of(address);
        BANK.buy_caps(&Kernel, Kind::CapTable, 1, table, index)?;
        let names: Cap<CapTable> = Cap::at(address);
        for (slot, segment) in (FIRST..).zip(&segments) {
            names.put(&Kernel, slot, segment.table.address(), Rights::FULL)?;
        }
        write_batches().map_err(|_| Error::VOID)?;
        let bed = Bed {
            segments,
            pages,
            empty: shared::buy(BANK, 0)?,
            owner: None,
            names,
            echo: echo()?,
        };
        bed.map(TIMES)?;
        Ok(bed)
    }

    /// Makes ready for an operation.
    pub fn prepare(&mut self, operation: &Operation) -> Result<(), Failed> {
        match operation.work {
            Work::Map => self.unmap(TIMES)?,
            Work::Unpin => self.pin(0, TIMES)?,
            Work::Exchange => {
                self.pin(0, TIMES)?;
                self.pin(1, TIMES)?;
            }
            Work::Buy => self.owner = Some(SubBank::new(TIMES + 8)?),
            Work::Rescind => {
                self.owner = Some(SubBank::new(TIMES + 8)?);
                self.buy(TIMES)?;
            }
            _ => (),
        }
        Ok(())
    }

    /// Does it so often: not at all, or as often as it is to be counted.
    pub fn work(&mut self, operation: &Operation, times: u64) -> Result<(), Failed> {
        let batches = times / operation.together;
        match operation.work {
            Work::Trap => (0..times).for_each(|_| Kernel.null()),
            Work::Call => {
                for _ in 0..times {
                    let reply = Kernel.call(self.echo.address(), &Message::default());
                    Error::check(reply.status)?;
                }
            }
            Work::Signal => (0..times).try_for_each(|_| NOTIFY.signal(&Kernel))?,
            Work::Map => self.map(times)?,
            Work::Unmap => self.unmap(times)?,
            Work::Pin if operation.together == 1 => self.pin(0, times)?,
            Work::Pin => {
                let (page, segment) = (message_page::PAGE, self.segments[0].table);
                for _ in 0..batches {
                    let done = APERTURE.pin_batch(&Kernel, page, segment, PINS, TIMES)?;
                    whole(done, "not all pages could be pinned")?;
                }
            }
            Work::Unpin if operation.together == 1 => unpin(0, times)?,
            Work::Unpin => {
                for _ in 0..batches {
                    let page = message_page::PAGE;
                    let done = APERTURE.unpin_batch(&Kernel, page, UNPINS, TIMES)?;
                    whole(done, "not all pages could be unpinned")?;
                }
            }
            Work::Exchange if operation.together == 1 => {
                let [one, two] = self.segments.each_ref().map(|segment| segment.table);
                for place in 0..times {
                    APERTURE.exchange(&Kernel, (one, place), (two, place))?;
                }
            }
            Work::Exchange => {
                let page = message_page::PAGE;
                for _ in 0..batches {
                    let names = [self.names];
                    let done = APERTURE.exchange_batch(&Kernel, page, &names, EXCHANGES, TIMES)?;
                    whole(done, "not all pages could be exchanged")?;
                }
            }
            Work::Buy if batches > 0 => self.buy(times)?,
            // The bank is destroyed when it is dropped.
            Work::Rescind if batches > 0 => self.owner = None,
            Work::Buy | Work::Rescind => (),
            Work::Copy(by) => self.copy(by, operation.bytes, times)?,
            Work::Zero(by) => self.zero(by, operation.bytes, times)?,
        }
        Ok(())
    }

    /// Puts everything back.
    pub fn finish(&mut self, operation: &Operation) -> Result<(), Failed> {
        match operation.work {
            Work::Unmap => self.map(TIMES)?,
            Work::Pin => unpin(0, TIMES)?,
            Work::Exchange => {
                unpin(0, TIMES)?;
                unpin(1, TIMES)?;
            }
            // The bank goes, and what it sold.
            Work::Buy => self.owner = None,
            _ => (),
        }
        Ok(())
    }

    fn map(&self, times: u64) -> Result<(), Error> {
        (0..times).try_for_each(|place| {
            let page: Cap<Page> = Cap::at(self.pages + place as u16);
            self.segments[0].table.map(&Kernel, place, page, RIGHTS)
        })
    }

    fn unmap(&self, times: u64) -> Result<(), Error> {
        let segment = self.segments[0].table;
        (0..times).try_for_each(|place| segment.unmap(&Kernel, place, 1).map(|_| ()))
    }

    fn pin(&self, segment: u16, times: u64) -> Result<(), Error> {
        let table = self.segments[usize::from(segment)].table;
        (0..times as u16).try_for_each(|place| {
            let slot = segment * TIMES as u16 + place;
            let pinned = APERTURE.pin(&Kernel, slot, table, place, direction::FROM_DEVICE);
            pinned.map(|_| ())
        })
    }

    fn buy(&self, pages: u64) -> Result<(), Failed> {
        let owner = self.owner.as_ref().ok_or(Failed::Wrong("nobody to buy"))?;
        let (kind, into) = (Kind::Page, self.empty.table);
        Ok(owner
            .bank
            .buy_places(&Kernel, kind, pages, into, 0, RIGHTS)?)
    }

    fn copy(&self, by: Loop, bytes: usize, times: u64) -> Result<(), Failed> {
        let [from, to] = self.segments.each_ref().map(|segment| &segment.place);
        match loops::copy(by) {
            Some(routine) => {
                for _ in 0..times {
                    // SAFETY:
                    // - both segments have pages where the routine reads and writes: `bytes` is a page at
                    //   most;
                    // - nothing of Rust's lies there.
                    unsafe { routine(to.address(), from.address(), bytes) };
                }
            }
            None => {
                let (from, to) = (from.mapping(), to.mapping());
                for _ in 0..times {
                    from.copy_to(0, &to, 0, bytes).map_err(|_| Error::VOID)?;
                }
            }
        }
        Ok(())
    }

    fn zero(&self, by: Loop, bytes: usize, times: u64) -> Result<(), Failed> {
        let routine = loops::zero(by).ok_or(Failed::Wrong("there is no such loop"))?;
        for _ in 0..times {
            // SAFETY:
            // - the segment has a page where the routine writes, and `bytes` is a page at most;
            // - nothing of Rust's lies there.
            unsafe { routine(self.segments[1].place.address(), 0, bytes) };
        }
        Ok(())
    }
}

fn whole(done: u64, otherwise: &'static str) -> Result<(), Failed> {
    match done {
        TIMES => Ok(()),
        _ => Err(Failed::Wrong(otherwise)),
    }
}

fn unpin(segment: u16, times: u64) -> Result<(), Error> {
    let first = segment * TIMES as u16;
    (first..first + times as u16).try_for_each(|slot| APERTURE.unpin(&Kernel, slot))
}

/// A server in an address space of its own that answers at once.
fn echo() -> Result<Cap<Start>, Failed> {
    let mut nursery = Nursery::new()?;
    let image = Image::from_code(code::echo())?;
    let server = nursery.child(&Program {
        priority: own_priority()?,
        stack_pages: 1,
        ..Program::new("echo", &image, BANK)
    })?;
    let start: Cap<Start> = Cap::at(slots::take()?);
    server.process.make_start(&Kernel, 1, start.address())?;
    server.start(&Kernel)?;
    Ok(start)
}

fn write_batches() -> Result<(), sys::Fault> {
    let page = message_page::batch();
    for n in 0..TIMES as usize {
        let pin = PINS as usize + n * size_of::<Pin>();
        page.store_u16(pin + offset_of!(Pin, slot), n as u16)?;
        page.store_u16(pin + offset_of!(Pin, index), n as u16)?;
        page.store_u8(pin + offset_of!(Pin, direction), direction::FROM_DEVICE)?;
        page.store_u8(pin + offset_of!(Pin, reserved), 0)?;
        let unpin = UNPINS as usize + n * size_of::<Unpin>();
        page.store_u16(unpin + offset_of!(Unpin, slot), n as u16)?;
        page.store_u32(unpin + offset_of!(Unpin, reserved), 0)?;
        let exchange = EXCHANGES as usize + n * size_of::<Exchange>();
        let segments = exchange + offset_of!(Exchange, segments);
        let places = exchange + offset_of!(Exchange, places);
        for (n_th, place) in [n as u16, n as u16].into_iter().enumerate() {
            page.store_u16(segments + 2 * n_th, FIRST + n_th as u16)?;
            page.store_u16(places + 2 * n_th, place)?;
        }
        page.store_u32(exchange + offset_of!(Exchange, reserved), 0)?;
    }
    Ok(())
}
