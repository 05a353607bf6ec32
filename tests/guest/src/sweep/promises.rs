//! What the kernel owes to any process, whatever happens to others: tried by this one, on objects of its own.
//!
//! What it unmaps or exchanges it sees so at once; no capability gives more than was given with it; and no
//! frame is exchanged against the will of who may say no.

use abi::batch::direction;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::ENODEV;
use guest::children::BANK;
use rt::shared::{self, Segment};
use rt::{Kernel, RevocableMapping, slots};
use sys::object::{Aperture, CapTable, DeviceDma, Page, Table};
use sys::{Cap, Error, Mem};

use crate::start::take;
use crate::{Failure, during};

/// Things that are tried.
pub const CHECKS: u64 = 7;

/// Places of the segments: pages that are exchanged, that are pinned elsewhere, and an empty one.
const EXCHANGED: u64 = 0;
const PINNED: u64 = 1;
const EMPTY: u64 = 2;
/// The slot of the foreign aperture.
const PIN: u16 = 0;
/// A root slot far behind those that hold tables of slots, and a slot in the table that it names.
const FAR_TABLE: u16 = 127;
const FAR_SLOT: u16 = 5;
/// What is written into the pages.
const MARKS: [u64; 2] = [0x1111_2222_3333_4444, 0x5555_6666_7777_8888];

const ROOT: Cap<CapTable> = Cap::at(slot::ROOT);
const BOTH: Rights = Rights::READ.union(Rights::WRITE);

/// Objects to try it with.
pub struct Promises {
    segments: [Segment; 2],
    /// The first segment, for who may not write.
    readable: CapAddr,
    page: CapAddr,
    /// Where copies of capabilities come, with fewer rights.
    weak: CapAddr,
    /// An aperture of the driver's function, and one of another.
    own: Cap<Aperture>,
    foreign: Cap<Aperture>,
}

impl Promises {
    /// Buys all of it. `function`: that of the driver's.
    pub fn new(function: Cap<DeviceDma>) -> Result<Promises, Failure> {
        let segment = || shared::buy(BANK, EMPTY as usize).map_err(during("buying a segment"));
        let buy = |kind| -> Result<CapAddr, Failure> {
            let address = take()?;
            let (table, index) = slots::table_of(address);
            BANK.buy_caps(&Kernel, kind, 1, table, index)
                .map_err(during("buying an object"))?;
            Ok(address)
        };
        let promises = Promises {
            segments: [segment()?, segment()?],
            readable: take()?,
            page: buy(Kind::Page)?,
            weak: take()?,
            own: Cap::at(buy(Kind::Aperture)?),
            foreign: Cap::at(buy(Kind::Aperture)?),
        };
        let [one, _] = &promises.segments;
        let writable = Rights::FULL.difference(Rights::WRITE);
        restrict(one.table.address(), writable, promises.readable)?;
        let table = buy(Kind::CapTable)?;
        let window = buy(Kind::Table1)?;
        let unmanaged = Rights::FULL.difference(Rights::MANAGE);
        Cap::<CapTable>::at(table)
            .put(&Kernel, FAR_SLOT, promises.page, Rights::FULL)
            .and_then(|()| ROOT.put(&Kernel, FAR_TABLE, table, unmanaged))
            .and_then(|()| function.bind(&Kernel, promises.own))
            .and_then(|()| bind_last(Cap::at(slots::take()?), promises.foreign))
            .and_then(|()| promises.foreign.set_window(&Kernel, Cap::at(window)))
            .map_err(during("preparing what is tried"))?;
        Ok(promises)
    }

    /// They are kept.
    pub fn are_kept(&self) -> Result<(), Failure> {
        self.translations_are_forgotten()?;
        self.rights_are_not_gained()?;
        self.tables_are_not_reached()?;
        self.exchanges_are_seen()?;
        self.exchanges_are_refused()
    }

    fn memory(&self) -> [RevocableMapping; 2] {
        let [one, other] = &self.segments;
        [one.place.revocable(), other.place.revocable()]
    }

    fn translations_are_forgotten(&self) -> Result<(), Failure> {
        let ([segment, _], [memory, _]) = (&self.segments, self.memory());
        let at = offset(EMPTY);
        let page: Cap<Page> = Cap::at(self.page);
        segment
            .table
            .map(&Kernel, EMPTY, page, BOTH)
            .map_err(during("mapping a page"))?;
        seen(memory.store_u64(at, MARKS[0]))?;
        segment
            .table
            .unmap(&Kernel, EMPTY, 1)
            .map_err(during("unmapping a page"))?;
        match memory.load_u64(at) {
            Ok(_) => Err(Failure::Wrong("a page that was unmapped is still seen")),
            Err(_) => Ok(()),
        }
    }

    fn rights_are_not_gained(&self) -> Result<(), Failure> {
        restrict(self.page, Rights::READ, self.weak)?;
        let (table, index) = slots::table_of(self.weak);
        let (_, rights) = table
            .describe(&Kernel, index)
            .map_err(during("describing a capability"))?;
        if rights != Rights::READ {
            return Err(Failure::Wrong(
                "a capability has other rights than it was given",
            ));
        }
        let segment = self.segments[0].table;
        let weak: Cap<Page> = Cap::at(self.weak);
        // To grant less than is asked for is as good as to refuse.
        if segment.map(&Kernel, EMPTY, weak, BOTH).is_err() {
            return Ok(());
        }
        let granted = segment.query(&Kernel, EMPTY);
        let (_, rights) = granted.map_err(during("looking at an entry"))?;
        segment
            .unmap(&Kernel, EMPTY, 1)
            .map_err(during("unmapping a page"))?;
        match rights.contains(Rights::WRITE) {
            true => Err(Failure::Wrong("an entry grants more than its capability")),
            false => Ok(()),
        }
    }

    fn tables_are_not_reached(&self) -> Result<(), Failure> {
        let far: Cap<Page> = Cap::at(FAR_TABLE << 7 | FAR_SLOT);
        match far.read(&Kernel, 0) {
            Ok(_) => Err(Failure::Wrong("a table is used by who may not manage it")),
            Err(_) => Ok(()),
        }
    }

    fn exchange(&self, one: Cap<Table>, place: u64) -> Result<(), Error> {
        let other = self.segments[1].table;
        self.own.exchange(&Kernel, (one, place), (other, place))
    }

    fn exchanges_are_seen(&self) -> Result<(), Failure> {
        let at = offset(EXCHANGED);
        let [one, other] = self.memory();
        seen(
            one.store_u64(at, MARKS[0])
                .and_then(|()| other.store_u64(at, MARKS[1])),
        )?;
        self.exchange(self.segments[0].table, EXCHANGED)
            .map_err(during("exchanging frames"))?;
        match (one.load_u64(at), other.load_u64(at)) {
            (Ok(a), Ok(b)) if [b, a] == MARKS => Ok(()),
            _ => Err(Failure::Wrong("an exchange of frames isn't seen")),
        }
    }

    fn exchanges_are_refused(&self) -> Result<(), Failure> {
        if self.exchange(Cap::at(self.readable), EXCHANGED).is_ok() {
            return Err(Failure::Wrong("who may not write exchanged a frame"));
        }
        let segment = self.segments[0].table;
        self.foreign
            .pin(&Kernel, PIN, segment, PINNED as u16, direction::FROM_DEVICE)
            .map_err(during("pinning a page"))?;
        let exchanged = self.exchange(segment, PINNED);
        self.foreign
            .unpin(&Kernel, PIN)
            .map_err(during("unpinning a page"))?;
        match exchanged {
            Ok(()) => Err(Failure::Wrong(
                "a frame was exchanged that another device has",
            )),
            Err(_) => Ok(()),
        }
    }
}

/// Where a place lies in its segment.
const fn offset(place: u64) -> usize {
    place as usize * abi::PAGE_SIZE
}

/// Nobody takes these pages away.
fn seen<T>(result: Result<T, sys::Fault>) -> Result<T, Failure> {
    result.map_err(|_| Failure::Wrong("a page of the sweep's own isn't there"))
}

/// A copy of a capability, with these rights at most.
fn restrict(from: CapAddr, rights: Rights, into: CapAddr) -> Result<(), Failure> {
    let (table, index) = slots::table_of(into);
    table
        .put(&Kernel, index, from, rights)
        .map_err(during("copying a capability"))
}

/// Binds an aperture to the last function of bus 0 that takes it: the driver has the first.
fn bind_last(function: Cap<DeviceDma>, aperture: Cap<Aperture>) -> Result<(), Error> {
    let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
    let bind = |device: u16| {
        all.function(&Kernel, device << 3, function.address())
            .and_then(|()| function.bind(&Kernel, aperture))
    };
    match (0..32).rev().any(|device| bind(device).is_ok()) {
        true => Ok(()),
        false => Err(Error::new(ENODEV)),
    }
}
