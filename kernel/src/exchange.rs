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
use crate::error::{ACCESS, BUSY, DEVICE, EMPTY, INVALID, KIND, OK, Result, Status, VOID};
use crate::flush::Seen;
use crate::frame::{Frame, FrameRow, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};
use crate::planted::Fault;
use crate::table::Entry;

/// `CapTable`s that a batch may take segments from.
const TABLES: usize = 3;

/// A segment in which frames may be exchanged.
#[derive(Clone, Copy)]
struct Segment<'k> {
    entries: &'k Words,
    /// Where the running process sees it.
    seen: Seen,
}

/// The segments of a batch's entries: the last one of either side is remembered, because the entries
/// of a busy recipient follow each other.
struct Segments<'k> {
    tables: [Option<&'k CapTable>; TABLES],
    last: [Option<(u16, Segment<'k>)>; 2],
}

impl<M: Machine> Kernel<'_, M> {
    /// `EXCHANGE`: two places.
    pub(crate) fn exchange(
        &self,
        call: &Invocation,
        aperture: &ObjectRow,
        places: [u64; 2],
    ) -> Result<Answer> {
        let function = bound(aperture)?;
        let one = self.exchangeable(&call.argument(self, 0)?)?;
        let other = self.exchangeable(&call.argument(self, 1)?)?;
        self.swap_frames(function, [(&one, places[0]), (&other, places[1])])?;
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
        let function = bound(aperture)?;
        let mut segments = Segments {
            tables: [None; TABLES],
            last: [None; 2],
        };
        for (n, table) in segments.tables.iter_mut().enumerate() {
            *table = match call.argument(self, 1 + n) {
                Ok(capability) => Some(self.segment_table(&capability)?),
                // The first must be there; the others only when they are used.
                Err(VOID) if n > 0 => None,
                Err(status) => return Err(status),
            };
        }
        let mut done = 0;
        for n in 0..orders.count {
            let order = orders.get(n, 0);
            let status = self.exchange_order(function, &mut segments, order);
            orders.set(n, 1, u64::from(status));
            done += u64::from(status == OK);
        }
        Ok(Answer::word(done))
    }

    fn segment_table(&self, table: &Capability) -> Result<&CapTable> {
        let row = self.object_of(table, Kind::CapTable)?;
        table.needs(Rights::MANAGE)?;
        Ok(self.view(row.frame.get()))
    }

    /// An entry of a batch: segments in the low half, places in the high one.
    #[inline(always)]
    fn exchange_order<'k>(
        &'k self,
        function: u32,
        segments: &mut Segments<'k>,
        order: u64,
    ) -> Status {
        let mut sides = [None; 2];
        for (n, side) in sides.iter_mut().enumerate() {
            let name = (order >> (16 * n)) as u16;
            *side = match segments.last[n] {
                Some((last, segment)) if last == name => Some(segment),
                _ => match self.named_segment(segments, name) {
                    Ok(segment) => {
                        segments.last[n] = Some((name, segment));
                        Some(segment)
                    }
                    Err(status) => return status,
                },
            };
        }
        let [Some(one), Some(other)] = &sides else {
            return VOID;
        };
        let (first, second) = (order >> 32 & 0xffff, order >> 48);
        match self.swap_frames(function, [(one, first), (other, second)]) {
            Ok(()) => OK,
            Err(status) => status,
        }
    }

    #[inline(never)]
    fn named_segment(&self, segments: &Segments, name: u16) -> Result<Segment<'_>> {
        let (table, slot) = (
            usize::from(name) / CAP_TABLE_SLOTS,
            usize::from(name) % CAP_TABLE_SLOTS,
        );
        let table = segments.tables.get(table).ok_or(INVALID)?.ok_or(VOID)?;
        self.exchangeable(&table.0[slot].get())
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
        Ok(Segment {
            entries: self.view(row.frame.get()),
            seen: self.seen(row),
        })
    }

    /// Swaps the frames at two places, or nothing.
    #[inline(always)]
    fn swap_frames(&self, function: u32, sides: [(&Segment, u64); 2]) -> Result<()> {
        let [(one, first), (other, second)] = sides;
        if (first | second) >= TABLE_ENTRIES as u64 {
            return Err(INVALID);
        }
        let (first, second) = (first as usize, second as usize);
        let entries = [
            Entry(one.entries.get(first)),
            Entry(other.entries.get(second)),
        ];
        let (Some(a), Some(b)) = (entries[0].frame(), entries[1].frame()) else {
            let device = entries.iter().any(|entry| entry.is_device());
            return Err(if device { KIND } else { EMPTY });
        };
        if !entries[0].is_writable() || !entries[1].is_writable() {
            return Err(ACCESS);
        }
        if a == b {
            return Err(INVALID);
        }
        let (row_a, row_b) = (self.frame_row(a), self.frame_row(b));
        if !self.pinned_only_for(function, row_a) || !self.pinned_only_for(function, row_b) {
            return Err(BUSY);
        }
        let (page_a, page_b) = (self.page_in(row_a, a)?, self.page_in(row_b, b)?);
        // Nothing refuses from here on.
        let owner = row_a.owner.get();
        row_a.owner.set(row_b.owner.get());
        row_b.owner.set(owner);
        page_a.frame.set(b);
        page_b.frame.set(a);
        one.entries
            .set(first, entries[0].with_frame_of(entries[1]).0);
        other
            .entries
            .set(second, entries[1].with_frame_of(entries[0]).0);
        if self.has(Fault::ExchangePins) {
            row_a.pins[0].swap(&row_b.pins[0]);
        }
        if self.has(Fault::ExchangeUnflushed) {
            return Ok(());
        }
        one.seen.note(&self.flush, first);
        other.seen.note(&self.flush, second);
        Ok(())
    }

    /// Whether all that pins a frame are apertures of this function.
    #[inline(always)]
    fn pinned_only_for(&self, function: u32, frame: &FrameRow) -> bool {
        frame.pins.iter().all(|pin| {
            let pin = pin.get();
            pin.used == 0
                || self.has(Fault::ExchangeForeign)
                || self
                    .row(pin.aperture)
                    .is_some_and(|row| row.function.get() == function)
        })
    }

    /// The page that owns a mapped frame.
    #[inline(always)]
    fn page_in(&self, row: &FrameRow, frame: Frame) -> Result<&ObjectRow> {
        match self.row(row.owner.get()) {
            Some(page)
                if page.kind.get() == Kind::Page
                    && page.state.get() == State::Live
                    && page.frame.get() == frame =>
            {
                Ok(page)
            }
            _ => Err(EMPTY),
        }
    }
}

/// The function that an aperture is bound to.
fn bound(aperture: &ObjectRow) -> Result<u32> {
    match aperture.function.get() {
        0 => Err(DEVICE),
        function => Ok(function),
    }
}
