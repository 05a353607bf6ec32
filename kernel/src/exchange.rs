//! Exchange: two pages swap their frames, in place.
//!
//! Each page keeps its number, its owner's bank and its place; the frames change sides, and with them
//! go their contents, the slots that pin them, what windows show and where devices reach them. So an
//! exchange needs no work on a device's side, and a frame that is posted to a device stays posted.
//!
//! It grants nothing that copying both pages would not: whoever asks must be able to read and write
//! both places. A frame that another function's aperture pins is refused, because who holds that pin
//! would from then on see what the next owner keeps there.

mod batch;

use core::cell::Cell;

use abi::TABLE_ENTRIES;
use abi::cap::{Kind, Rights};
use abi::count::Event;

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{ACCESS, BUSY, DEVICE, EMPTY, INVALID, KIND, Result};
use crate::flush::Seen;
use crate::frame::{FrameRow, Word, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{Named, ObjectRow, Oid};
use crate::planted::Fault;
use crate::process::{Process, Registers};
use crate::table::Entry;

/// An aperture that is bound, and its function.
#[derive(Clone, Copy)]
struct Bound {
    aperture: Oid,
    function: u32,
}

/// A segment in which frames may be exchanged.
#[derive(Clone, Copy)]
struct Segment<'k> {
    oid: Oid,
    row: &'k ObjectRow,
    entries: &'k Words,
}

impl<M: Machine> Kernel<'_, M> {
    /// `EXCHANGE` as it mostly is: slots of the root table name everything, and nobody has the frames
    /// pinned but this very aperture. `None`: it is different, or refused; nothing was changed, and
    /// [`Kernel::exchange`] sees to it.
    #[inline(always)]
    pub(crate) fn exchange_directly(
        &self,
        invoker: &Process,
        aperture: &Cell<Capability>,
        registers: &Registers,
    ) -> Option<()> {
        let aperture = self.usual_object(aperture, Kind::Aperture, Rights::MANAGE)?;
        let bound = bound(aperture.oid, aperture.row).ok()?;
        let one = self.usual_segment(invoker, registers.r13 as u16)?;
        let other = self.usual_segment(invoker, (registers.r13 >> 16) as u16)?;
        let [here, there] = indices([registers.rdx, registers.r10]).ok()?;
        let (seen_here, seen_there) = (self.remembered(one.oid)?, self.remembered(other.oid)?);
        if !self.swap_usual(
            bound.aperture,
            one.entries.word(here),
            other.entries.word(there),
        ) {
            return None;
        }
        self.changed(seen_here).forget(self, here);
        self.changed(seen_there).forget(self, there);
        Some(())
    }

    /// A segment that a slot of the root table names, if its frames may be exchanged.
    #[inline(always)]
    fn usual_segment(&self, invoker: &Process, address: u16) -> Option<Segment<'_>> {
        let slot = self.near_slot(invoker, address.into())?;
        let named = self.usual_object(slot, Kind::Table1, self.needed())?;
        self.exchangeable(named).ok()
    }

    /// `EXCHANGE`: two places.
    #[inline(never)]
    pub(crate) fn exchange(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        places: [u64; 2],
    ) -> Result<Answer> {
        let bound = bound(call.capability.oid(), aperture)?;
        let one = self.exchangeable(call.object(self, 0, Kind::Table1, self.needed())?)?;
        let other = self.exchangeable(call.object(self, 1, Kind::Table1, self.needed())?)?;
        let [here, there] = indices(places)?;
        self.swap_unusual(bound, one.entries.word(here), other.entries.word(there))?;
        self.seen_changed(one).note(&self.flush, here);
        self.seen_changed(other).note(&self.flush, there);
        Ok(Answer::NOTHING)
    }

    /// What a segment's holder must have to exchange its frames.
    #[inline(always)]
    fn needed(&self) -> Rights {
        match self.has(Fault::ExchangeUnwritable) {
            true => Rights::MANAGE,
            false => Rights::MANAGE | Rights::READ | Rights::WRITE,
        }
    }

    /// A segment as one whose frames may be exchanged.
    #[inline(always)]
    fn exchangeable<'k>(&'k self, Named { oid, row, .. }: Named<'k>) -> Result<Segment<'k>> {
        if row.partner.get() != Oid::NONE {
            // A window: the frames seen through it are at home elsewhere.
            return Err(KIND);
        }
        Ok(Segment {
            oid,
            row,
            entries: self.view(row.frame.get()),
        })
    }

    /// Where the running process sees a segment whose frames were exchanged.
    #[inline(always)]
    fn seen_changed(&self, Segment { oid, row, .. }: Segment) -> Seen {
        self.changed(self.seen(oid, row))
    }

    #[inline(always)]
    fn changed(&self, seen: Seen) -> Seen {
        match self.has(Fault::ExchangeUnflushed) {
            true => Seen::NOWHERE,
            false => seen,
        }
    }

    /// Swaps frames that nobody has pinned but this very aperture: mostly so it is.
    #[inline(always)]
    fn swap_usual(&self, aperture: Oid, here: &Word, there: &Word) -> bool {
        self.swap_frames(here, there, |frame| pinned_only_by(aperture, frame))
    }

    /// Swaps frames that other apertures of the same function may have pinned, or tells why not.
    #[inline(never)]
    fn swap_unusual(&self, bound: Bound, here: &Word, there: &Word) -> Result<()> {
        let may = |frame: &FrameRow| self.pinned_only_for(bound.function, frame);
        if self.swap_frames(here, there, may) {
            return Ok(());
        }
        let (here, there) = (Entry(here.get()), Entry(there.get()));
        Err(if here.is_device() || there.is_device() {
            KIND
        } else if !here.is_present() || !there.is_present() {
            EMPTY
        } else if !Entry::are_writable(here, there) {
            ACCESS
        } else if Entry::difference(here, there) == 0 {
            INVALID
        } else {
            BUSY
        })
    }

    /// Swaps the frames at two places, or nothing: unless both are pages that may be written, two
    /// different ones, and may be exchanged for all that pins them.
    #[inline(always)]
    fn swap_frames(&self, one: &Word, other: &Word, may: impl Fn(&FrameRow) -> bool) -> bool {
        let (here, there) = (Entry(one.get()), Entry(other.get()));
        let difference = Entry::difference(here, there);
        if !Entry::are_writable(here, there) || difference == 0 {
            return false;
        }
        let (a, b) = (here.names(), there.names());
        let Some(row_a) = self.frames.get(a.0 as usize).filter(|row| may(row)) else {
            return false;
        };
        let Some(row_b) = self.frames.get(b.0 as usize).filter(|row| may(row)) else {
            return false;
        };
        let (owner_a, owner_b) = (row_a.owner.get(), row_b.owner.get());
        let Some(page_a) = self.row(owner_a).filter(|page| page.is_live(Kind::Page)) else {
            return false;
        };
        let Some(page_b) = self.row(owner_b).filter(|page| page.is_live(Kind::Page)) else {
            return false;
        };
        // Nothing refuses from here on.
        row_a.owner.set(owner_b);
        row_b.owner.set(owner_a);
        page_a.frame.set(b);
        page_b.frame.set(a);
        one.set(here.with_frame_at(difference).0);
        other.set(there.with_frame_at(difference).0);
        self.count(Event::Entries, 2);
        self.count(Event::Exchanges, 1);
        if self.has(Fault::ExchangePins) {
            row_a.pins[0].swap(&row_b.pins[0]);
        }
        true
    }

    /// Whether all that pins a frame are apertures of a function.
    fn pinned_only_for(&self, function: u32, frame: &FrameRow) -> bool {
        frame.pins.iter().all(|pin| {
            let pin = pin.get();
            let is_for = |row: &ObjectRow| row.function.get() == function;
            pin.used == 0
                || self.has(Fault::ExchangeForeign)
                || self.row(pin.aperture).is_some_and(is_for)
        })
    }
}

/// An aperture, if it is bound to a function.
#[inline(always)]
fn bound(aperture: Oid, row: &ObjectRow) -> Result<Bound> {
    match row.function.get() {
        0 => Err(DEVICE),
        function => Ok(Bound { aperture, function }),
    }
}

/// Places as indices in their segments.
#[inline(always)]
fn indices(places: [u64; 2]) -> Result<[usize; 2]> {
    match (places[0] | places[1]) < TABLE_ENTRIES as u64 {
        true => Ok(places.map(|place| place as usize)),
        false => Err(INVALID),
    }
}

/// Whether nothing pins a frame but this aperture.
#[inline(always)]
fn pinned_only_by(aperture: Oid, frame: &FrameRow) -> bool {
    let [first, second] = [frame.pins[0].get(), frame.pins[1].get()];
    (first.aperture == aperture || first.used == 0)
        && (second.used == 0 || second.aperture == aperture)
}
