//! Exchange: two pages swap their frames, in place.
//!
//! Each page keeps its number, its owner's bank and its place; the frames change sides, and with them
//! go their contents, the slots that pin them, what windows show and where devices reach them. So an
//! exchange needs no work on a device's side, and a frame that is posted to a device stays posted.
//!
//! It grants nothing that copying both pages would not: whoever asks must be able to read and write
//! both places. A frame that another function's aperture pins is refused, because who holds that pin
//! would from then on see what the next owner keeps there.

use abi::cap::{Kind, Rights};
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES, batch};

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::error::{ACCESS, BUSY, DEVICE, EMPTY, INVALID, KIND, OK, Result, Status};
use crate::flush::Seen;
use crate::frame::{FrameRow, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};
use crate::planted::Fault;
use crate::table::Entry;

/// `CapTable`s that a batch may take segments from.
const TABLES: usize = 3;

/// An aperture that is bound, and its function.
type Bound = (Oid, u32);

/// A segment in which frames may be exchanged.
#[derive(Clone, Copy)]
struct Segment<'k> {
    entries: &'k Words,
    /// Where the running process sees it.
    seen: Seen,
}

/// What a batch remembers from entry to entry: those of a busy recipient follow each other.
struct Segments<'k> {
    /// The names of the last two, as an entry has them; more than 32 bits as long as there are none.
    names: u64,
    entries: [&'k Words; 2],
    /// The first of the tables that go with the call.
    table: &'k CapTable,
}

impl Segments<'_> {
    const UNNAMED: u64 = u64::MAX;
}

impl<M: Machine> Kernel<'_, M> {
    /// `EXCHANGE`: two places.
    pub(crate) fn exchange(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        places: [u64; 2],
    ) -> Result<Answer> {
        let aperture = bound(call, aperture)?;
        let one = self.exchangeable(&call.argument(self, 0)?)?;
        let other = self.exchangeable(&call.argument(self, 1)?)?;
        if (places[0] | places[1]) >= TABLE_ENTRIES as u64 {
            return Err(INVALID);
        }
        let [first, second] = places.map(|place| place as usize);
        let places = [(one.entries, first), (other.entries, second)];
        self.swap_frames(places, |frames| self.pinned_only_for(aperture, frames))?;
        one.seen.note(&self.flush, first);
        other.seen.note(&self.flush, second);
        Ok(Answer::NOTHING)
    }

    /// `EXCHANGE_BATCH`: each entry for itself.
    pub(crate) fn exchange_batch(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        offset: u64,
        count: u64,
    ) -> Result<Answer> {
        let page = call.argument(self, 0)?;
        let orders = self.batch(&page, offset, count, size_of::<batch::Exchange>() / 8)?;
        let aperture = bound(call, aperture)?;
        let mut segments = Segments {
            // The first must be there; the others only when they are used.
            table: self.segment_table(call, 0)?,
            names: Segments::UNNAMED,
            entries: [orders.words(); 2],
        };
        let mut refused = 0;
        for n in 0..orders.count {
            let order = orders.get(n, 0);
            orders.set(n, 1, u64::from(OK));
            if let Err(status) = self.exchange_order(call, aperture, &mut segments, order) {
                orders.set(n, 1, u64::from(status));
                refused += 1;
            }
        }
        Ok(Answer::word(orders.count as u64 - refused))
    }

    /// An entry of a batch: segments in the low half, places in the high one.
    #[inline(always)]
    fn exchange_order<'k>(
        &'k self,
        call: &Invocation,
        aperture: Bound,
        segments: &mut Segments<'k>,
        order: u64,
    ) -> Result<()> {
        let names = order & 0xffff_ffff;
        if names != segments.names {
            self.find_segments(call, segments, names)?;
        }
        let [one, other] = segments.entries;
        let (first, second) = ((order >> 32) as usize, (order >> 48) as usize);
        let beyond = 0xffff & !(TABLE_ENTRIES as u64 - 1);
        if order & (beyond << 32 | beyond << 48) != 0 {
            return Err(INVALID);
        }
        let places = [
            (one, first % TABLE_ENTRIES),
            (other, second % TABLE_ENTRIES),
        ];
        // Mostly this very aperture has the frames pinned, and nobody else.
        self.swap_frames(places, |[a, b]| {
            pinned_only_by(aperture.0, a) && pinned_only_by(aperture.0, b)
        })
        .or_else(|status| match status {
            BUSY => self.swap_with_other_apertures(aperture, places),
            status => Err(status),
        })
    }

    /// Swaps frames of which some are pinned by other apertures, if these are the function's.
    #[inline(never)]
    fn swap_with_other_apertures(
        &self,
        aperture: Bound,
        places: [(&Words, usize); 2],
    ) -> Result<()> {
        self.swap_frames(places, |frames| self.pinned_only_for(aperture, frames))
    }

    /// Finds the segments that an entry names. A batch changes more of them than is worth forgetting
    /// page by page.
    #[inline(never)]
    fn find_segments<'k>(
        &'k self,
        call: &Invocation,
        segments: &mut Segments<'k>,
        names: u64,
    ) -> Result<()> {
        let last = core::mem::replace(&mut segments.names, Segments::UNNAMED);
        for (n, entries) in segments.entries.iter_mut().enumerate() {
            let [last_name, name] = [last, names].map(|names| (names >> (16 * n)) as u16);
            if last == Segments::UNNAMED || last_name != name {
                let (table, slot) = (
                    usize::from(name) / CAP_TABLE_SLOTS,
                    usize::from(name) % CAP_TABLE_SLOTS,
                );
                let table = match table {
                    0 => segments.table,
                    _ => self.segment_table(call, table)?,
                };
                let segment = self.exchangeable(&table.0[slot].get())?;
                segment.seen.note_all(&self.flush);
                *entries = segment.entries;
            }
        }
        segments.names = names;
        Ok(())
    }

    /// One of the tables that go with a batch, behind its page.
    fn segment_table(&self, call: &Invocation, number: usize) -> Result<&CapTable> {
        if number >= TABLES {
            return Err(INVALID);
        }
        let table = call.argument(self, 1 + number)?;
        let row = self.object_of(&table, Kind::CapTable)?;
        table.needs(Rights::MANAGE)?;
        Ok(self.view(row.frame.get()))
    }

    /// A segment whose frames its holder may exchange.
    fn exchangeable(&self, segment: &Capability) -> Result<Segment<'_>> {
        let row = self.object_of(segment, Kind::Table1)?;
        if !self.has(Fault::ExchangeUnwritable) {
            segment.needs(Rights::READ | Rights::WRITE)?;
        }
        segment.needs(Rights::MANAGE)?;
        if row.partner.get() != Oid::NONE {
            // A window: the frames seen through it are at home elsewhere.
            return Err(KIND);
        }
        let seen = match self.has(Fault::ExchangeUnflushed) {
            true => Seen::NOWHERE,
            false => self.seen(segment.oid(), row),
        };
        Ok(Segment {
            entries: self.view(row.frame.get()),
            seen,
        })
    }

    /// Swaps the frames at two places, or nothing, if nobody pins them who mustn't.
    #[inline(always)]
    fn swap_frames(
        &self,
        [(one, first), (other, second)]: [(&Words, usize); 2],
        may: impl Fn([&FrameRow; 2]) -> bool,
    ) -> Result<()> {
        let (here, there) = (Entry(one.get(first)), Entry(other.get(second)));
        if !Entry::are_writable(here, there) {
            return Err(why_not(here, there));
        }
        let (a, b) = (here.names(), there.names());
        if a == b {
            return Err(INVALID);
        }
        let (Some(row_a), Some(row_b)) =
            (self.frames.get(a.0 as usize), self.frames.get(b.0 as usize))
        else {
            return Err(EMPTY);
        };
        if !may([row_a, row_b]) && !self.has(Fault::ExchangeForeign) {
            return Err(BUSY);
        }
        let (owner_a, owner_b) = (row_a.owner.get(), row_b.owner.get());
        let (Some(page_a), Some(page_b)) = (self.row(owner_a), self.row(owner_b)) else {
            return Err(EMPTY);
        };
        if !is_live_page(page_a) || !is_live_page(page_b) {
            return Err(EMPTY);
        }
        // Nothing refuses from here on.
        row_a.owner.set(owner_b);
        row_b.owner.set(owner_a);
        page_a.frame.set(b);
        page_b.frame.set(a);
        let swapped = here.0 ^ there.0;
        one.set(first, here.with_frame_of(swapped).0);
        other.set(second, there.with_frame_of(swapped).0);
        if self.has(Fault::ExchangePins) {
            row_a.pins[0].swap(&row_b.pins[0]);
        }
        Ok(())
    }

    /// Whether all that pins these frames are apertures of this one's function.
    fn pinned_only_for(&self, (_, function): Bound, frames: [&FrameRow; 2]) -> bool {
        let mut pins = frames.iter().flat_map(|frame| &frame.pins);
        pins.all(|pin| {
            let pin = pin.get();
            let is_for = |row: &ObjectRow| row.function.get() == function;
            pin.used == 0 || self.row(pin.aperture).is_some_and(is_for)
        })
    }
}

/// The aperture, if it is bound to a function.
fn bound(call: &Invocation, aperture: &ObjectRow) -> Result<Bound> {
    match aperture.function.get() {
        0 => Err(DEVICE),
        function => Ok((call.capability.oid(), function)),
    }
}

/// Why two entries are not both pages that may be written.
#[cold]
fn why_not(here: Entry, there: Entry) -> Status {
    if here.is_device() || there.is_device() {
        KIND
    } else if here.is_present() && there.is_present() {
        ACCESS
    } else {
        EMPTY
    }
}

/// Whether nothing pins a frame but this aperture: the usual case.
#[inline(always)]
fn pinned_only_by(aperture: Oid, frame: &FrameRow) -> bool {
    let [first, second] = [frame.pins[0].get(), frame.pins[1].get()];
    (first.used == 0 || first.aperture == aperture)
        && (second.used == 0 || second.aperture == aperture)
}

#[inline(always)]
fn is_live_page(row: &ObjectRow) -> bool {
    (row.kind.get() == Kind::Page) & (row.state.get() == State::Live)
}
