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
use crate::batches;
use crate::cap::CapTable;
use crate::error::{ACCESS, BUSY, DEVICE, EMPTY, INVALID, KIND, OK, Result, Status};
use crate::flush::Seen;
use crate::frame::{FrameRow, Word, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{Named, ObjectRow, Oid};
use crate::planted::Fault;
use crate::table::Entry;

/// `CapTable`s that a batch may take segments from.
const TABLES: usize = 3;

/// Words of a batch's entry.
const ORDER: usize = size_of::<batch::Exchange>() / 8;

/// The names of its segments in a batch's entry.
const NAMES: u64 = 0xffff_ffff;

/// The places in it, above them.
const PLACES: u64 = {
    let place = TABLE_ENTRIES as u64 - 1;
    place << 32 | place << 48
};

/// A segment without pages, for as long as none is named.
static NOTHING: Words = Words::zeroed();

/// An aperture that is bound, and its function.
#[derive(Clone, Copy)]
struct Bound {
    aperture: Oid,
    function: u32,
}

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
    #[inline(never)]
    pub(crate) fn exchange(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        places: [u64; 2],
    ) -> Result<Answer> {
        let bound = bound(call, aperture)?;
        let one = self.exchangeable(call.object(self, 0, Kind::Table1, self.needed())?)?;
        let other = self.exchangeable(call.object(self, 1, Kind::Table1, self.needed())?)?;
        if (places[0] | places[1]) >= TABLE_ENTRIES as u64 {
            return Err(INVALID);
        }
        let [first, second] = places.map(|place| place as usize);
        let (here, there) = (one.entries.word(first), other.entries.word(second));
        if !self.swap_usual(bound, here, there) {
            self.swap_unusual(bound, here, there)?;
        }
        one.seen.note(&self.flush, first);
        other.seen.note(&self.flush, second);
        Ok(Answer::NOTHING)
    }

    /// `EXCHANGE_BATCH`: each entry for itself.
    #[inline(never)]
    pub(crate) fn exchange_batch(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        offset: u64,
        count: u64,
    ) -> Result<Answer> {
        let orders = self.batch::<ORDER>(call, offset, count)?;
        let bound = bound(call, aperture)?;
        let mut segments = Segments {
            // The first must be there; the others only when they are used.
            table: self.segment_table(call, 0)?,
            names: Segments::UNNAMED,
            entries: [&NOTHING; 2],
        };
        if let Some([order, _]) = orders.first() {
            // If they can't be found, the entry that names them says why.
            let _ = self.find_segments(call, &mut segments, order.get() & NAMES);
        }
        let (mut next, mut refused) = (0, 0);
        loop {
            next += self.swap_run(bound.aperture, &segments, &orders[next..]);
            let Some([order, result]) = orders.get(next) else {
                return Ok(Answer::word(orders.len() as u64 - refused));
            };
            let status = self.exchange_order(call, bound, &mut segments, order.get());
            result.set(u64::from(status));
            refused += u64::from(status != OK);
            next += 1;
        }
    }

    /// Does entries, as long as they name the same segments and are usual: nobody has their frames
    /// pinned but this very aperture. Answers how many. It calls nothing, so all that it needs stays in
    /// registers.
    #[inline(never)]
    fn swap_run(&self, aperture: Oid, segments: &Segments, orders: batches::Batch<ORDER>) -> usize {
        let mut left = orders;
        while let [[order, result], rest @ ..] = left {
            let order = order.get();
            // Names that differ, or places beyond the last.
            if order & !PLACES != segments.names {
                break;
            }
            let (here, there) = places(segments.entries, order);
            if !self.swap_frames(here, there, |frame| pinned_only_by(aperture, frame)) {
                break;
            }
            result.set(u64::from(OK));
            left = rest;
        }
        orders.len() - left.len()
    }

    /// An entry of a batch that names other segments than the one before, or is unusual.
    #[inline(never)]
    fn exchange_order<'k>(
        &'k self,
        call: &Invocation,
        bound: Bound,
        segments: &mut Segments<'k>,
        order: u64,
    ) -> Status {
        let done = self
            .find_segments(call, segments, order & NAMES)
            .and_then(|()| {
                if order & !PLACES != segments.names {
                    return Err(INVALID);
                }
                let (here, there) = places(segments.entries, order);
                self.swap_unusual(bound, here, there)
            });
        done.err().unwrap_or(OK)
    }

    /// Finds the segments that an entry names. A batch changes more of them than is worth forgetting
    /// page by page.
    fn find_segments<'k>(
        &'k self,
        call: &Invocation,
        segments: &mut Segments<'k>,
        names: u64,
    ) -> Result<()> {
        if names == segments.names {
            return Ok(());
        }
        segments.names = Segments::UNNAMED;
        let one = self.named_segment(call, segments, names as u16)?;
        let other = self.named_segment(call, segments, (names >> 16) as u16)?;
        segments.entries = [one, other];
        segments.names = names;
        Ok(())
    }

    /// A segment that an entry names, by table and slot.
    fn named_segment<'k>(
        &'k self,
        call: &Invocation,
        segments: &Segments<'k>,
        name: u16,
    ) -> Result<&'k Words> {
        let (table, slot) = (
            usize::from(name) / CAP_TABLE_SLOTS,
            usize::from(name) % CAP_TABLE_SLOTS,
        );
        let table = match table {
            0 => segments.table,
            _ => self.segment_table(call, table)?,
        };
        let found = self.object_in(&table.0[slot], Kind::Table1, self.needed())?;
        let segment = self.exchangeable(found)?;
        segment.seen.note_all(&self.flush);
        Ok(segment.entries)
    }

    /// One of the tables that go with a batch, behind its page.
    fn segment_table(&self, call: &Invocation, number: usize) -> Result<&CapTable> {
        if number >= TABLES {
            return Err(INVALID);
        }
        let table = call.object(self, 1 + number, Kind::CapTable, Rights::MANAGE)?;
        Ok(self.view(table.row.frame.get()))
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
    fn exchangeable(&self, Named { oid, row, .. }: Named) -> Result<Segment<'_>> {
        if row.partner.get() != Oid::NONE {
            // A window: the frames seen through it are at home elsewhere.
            return Err(KIND);
        }
        let seen = match self.has(Fault::ExchangeUnflushed) {
            true => Seen::NOWHERE,
            false => self.seen(oid, row),
        };
        Ok(Segment {
            entries: self.view(row.frame.get()),
            seen,
        })
    }

    /// Swaps frames that nobody has pinned but this very aperture: mostly so it is.
    #[inline(never)]
    fn swap_usual(&self, bound: Bound, here: &Word, there: &Word) -> bool {
        self.swap_frames(here, there, |frame| pinned_only_by(bound.aperture, frame))
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

/// The aperture, if it is bound to a function.
fn bound(call: &Invocation, aperture: &ObjectRow) -> Result<Bound> {
    match aperture.function.get() {
        0 => Err(DEVICE),
        function => Ok(Bound {
            aperture: call.capability.oid(),
            function,
        }),
    }
}

/// The two entries that an entry of a batch means.
#[inline(always)]
fn places([one, other]: [&Words; 2], order: u64) -> (&Word, &Word) {
    let (first, second) = ((order >> 32) as usize, (order >> 48) as usize);
    (one.word(first), other.word(second))
}

/// Whether nothing pins a frame but this aperture.
#[inline(always)]
fn pinned_only_by(aperture: Oid, frame: &FrameRow) -> bool {
    let [first, second] = [frame.pins[0].get(), frame.pins[1].get()];
    (first.aperture == aperture || first.used == 0)
        && (second.used == 0 || second.aperture == aperture)
}
