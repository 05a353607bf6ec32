//! Exchanges by the batch: what all entries have in common is looked up once, and the segments of one
//! entry are remembered for the next.

use abi::cap::{Kind, Rights};
use abi::count::Event;
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES, batch};

use super::{Bound, bound};
use crate::Kernel;
use crate::batches;
use crate::cap::CapTable;
use crate::error::{INVALID, OK, Result, Status};
use crate::frame::{Word, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid};

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
        let bound = bound(call.capability.oid(), aperture)?;
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
            if !self.swap_usual(aperture, here, there) {
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
        self.count(Event::LookUps, 1);
        let found = self.object_in(&table.0[slot], Kind::Table1, self.needed())?;
        let segment = self.exchangeable(found)?;
        self.seen_changed(segment).note_all(&self.flush);
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
}

/// The two entries that an entry of a batch means.
#[inline(always)]
fn places([one, other]: [&Words; 2], order: u64) -> (&Word, &Word) {
    let (first, second) = ((order >> 32) as usize, (order >> 48) as usize);
    (one.word(first), other.word(second))
}
