//! An audit in pieces: each takes a bounded time, and the live system goes on between them.
//!
//! All that the kernel keeps holds between any two entries into it. So what is true of one object, frame
//! or place and of its neighbours can be looked at in the piece that reaches it. Each piece is a look at
//! one instant; all of them together are not. What that means for what is found:
//!
//! - Found in any case, if it is there when its piece comes: whatever is wrong between a frame and its
//!   owner and pins, an object and its home, parents, partner and slots, an entry and what it names, a
//!   capability and its object, a process and its table, space, state, neighbours in a queue and timer; a
//!   free frame that isn't zeroed.
//! - How many objects are free, in limbo, out of it, or dead apertures: what the walk finds is held against
//!   what was counted as they changed, with as many let pass as have changed during the walk. There are a
//!   few walks more, until none has.
//! - Calls and their answers: see `calls`. While servers put calls off and answer them later all the time
//!   they can't be compared; after a few walks that is given up, and said.
//! - Only the first 64 in a queue, and 128 in a list, are walked from its head. (Everybody in a queue is
//!   looked at with its neighbours anyway.)
//! - Only found by [`Kernel::audit`], which looks at everything at one instant: a ring of more than 64
//!   processes that no queue leads to, a list that goes wrong beyond its first 128, and as many objects
//!   lost as have changed during the walk.
//!
//! A piece stops at the first disagreement.

use abi::cap::Kind;
use abi::{PRIORITIES, TABLE_ENTRIES};

use super::cursor::{Cursor, Phase};
use super::queues::REACH;
use super::{Extent, Violation, demand};
use crate::Kernel;
use crate::census::Tally;
use crate::frame::{Frame, Words};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};
use crate::table::Entry;

/// Work in one piece, in instructions as reckoned below.
const BUDGET: u32 = 15_000;

/// Members of a list that are looked at.
const LISTED: usize = 128;

/// How often calls and answers are walked over until they can be compared.
const TRIES: u8 = 8;

/// How often objects are walked over until none has changed meanwhile.
const WALKS: u8 = 3;

/// Entries of a table, or slots of an aperture, that are looked at together.
const ENTRIES: usize = 64;

/// What looking at things costs at most, in instructions: measured, with what a loop adds. The sweep, which
/// fails when the kernel has interrupts off for longer than it may, says when that is no longer so.
mod cost {
    /// A priority's queue with as many in it as are looked at.
    pub const QUEUE: u32 = 3_000;
    pub const LISTS: u32 = 12_000;
    pub const FRAME: u32 = 60;
    /// A pin, beside its frame.
    pub const PIN: u32 = 120;
    pub const FREE: u32 = 135;
    pub const PAGE: u32 = 180;
    /// A table's row; an aperture's comes with its slots.
    pub const ROW: u32 = 400;
    /// Entries that are looked at together: of a table of level 1, or slots, and of the levels above.
    pub const ENTRIES: u32 = 7_500;
    pub const TABLES: u32 = 11_000;
    /// An entry of device memory: compared with all that is none, and with where each of a dozen functions
    /// says now that its MSI-X table is.
    pub const DEVICE: u32 = 5_000;
    /// What an aperture's slots add up to, and its list of orphans.
    pub const SLOTS: u32 = 14_500;
    pub const CAP_TABLE: u32 = 14_000;
    /// A process, with as many neighbours and callers as are looked at.
    pub const PROCESS: u32 = 7_000;
    pub const TIMER: u32 = 90;
    pub const ARMED: u32 = 180;
    /// A row that is passed by.
    pub const SCAN: u32 = 32;
    pub const SCAN_PROCESS: u32 = 90;
    pub const SCAN_SLOTS: u32 = 6_000;
    pub const RESIDUE: u32 = 1_400;
}

/// What is left of a piece's work.
struct Budget(u32);

impl Budget {
    /// Takes what something costs, if so much is left.
    fn take(&mut self, cost: u32) -> bool {
        match self.0.checked_sub(cost) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// Whether a phase was gone through.
type Through = core::result::Result<bool, Violation>;

/// What a piece came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing was wrong so far; there is more to look at.
    More(Cursor),
    /// Everything was looked at, and nothing is wrong.
    Done {
        /// Calls and their answers could be compared.
        compared: bool,
    },
}

impl<M: Machine> Kernel<'_, M> {
    /// Does a piece of an audit, and says where to go on.
    ///
    /// # Errors
    /// The first disagreement found.
    pub fn audit_piece(&self, mut at: Cursor) -> core::result::Result<Piece, Violation> {
        demand!(!self.flush.is_pending(), Violation::Flush);
        let mut budget = Budget(BUDGET);
        loop {
            let through = match at.phase {
                Phase::Queues => self.piece_of_queues(&mut at, &mut budget)?,
                Phase::Lists => self.piece_of_lists(&mut budget)?,
                Phase::Frames => self.piece_of_frames(&mut at, &mut budget)?,
                Phase::Objects => self.piece_of_objects(&mut at, &mut budget)?,
                Phase::Timers => self.piece_of_timers(&mut at, &mut budget)?,
                Phase::Calls | Phase::Answers | Phase::CallsAgain => {
                    self.piece_of_calls(&mut at, &mut budget)
                }
                Phase::Residue => self.piece_of_residue(&mut at, &mut budget)?,
            };
            if !through {
                return Ok(Piece::More(at));
            }
            match self.next_phase(&mut at)? {
                Some(phase) => at.enter(phase),
                None => {
                    let compared = !at.uncompared;
                    return Ok(Piece::Done { compared });
                }
            }
        }
    }

    /// What comes after a phase that was gone through.
    fn next_phase(&self, at: &mut Cursor) -> core::result::Result<Option<Phase>, Violation> {
        Ok(Some(match at.phase {
            Phase::Queues => Phase::Lists,
            Phase::Lists => Phase::Frames,
            Phase::Frames => {
                at.sums = [0, 0, 0, self.census.changes()];
                Phase::Objects
            }
            Phase::Objects => {
                let changes = self.census.changes().wrapping_sub(at.sums[3]);
                self.audit_tally(&tally_of(at.sums), changes)?;
                if changes != 0 && at.tries < WALKS {
                    at.tries += 1;
                    at.sums = [0, 0, 0, self.census.changes()];
                    Phase::Objects
                } else {
                    Phase::Timers
                }
            }
            Phase::Timers => {
                at.tries = 0;
                self.begin_calls(at, self.tokens.get())
            }
            Phase::Calls => Phase::Answers,
            Phase::Answers => Phase::CallsAgain,
            Phase::CallsAgain => return self.end_calls(at),
            Phase::Residue => return Ok(None),
        }))
    }

    fn piece_of_queues(&self, at: &mut Cursor, budget: &mut Budget) -> Through {
        if at.index == 0 {
            self.audit_current()?;
        }
        while (at.index as usize) < PRIORITIES {
            // Most are empty: what isn't used is given back.
            if !budget.take(cost::QUEUE) {
                return Ok(false);
            }
            let length = self.audit_priority(at.index as usize, REACH)?;
            budget.0 += cost::QUEUE / (REACH as u32 + 1) * (REACH - length.min(REACH)) as u32;
            at.index += 1;
        }
        Ok(true)
    }

    fn piece_of_lists(&self, budget: &mut Budget) -> Through {
        let fits = budget.take(cost::LISTS);
        if fits {
            self.audit_lists(LISTED)?;
        }
        Ok(fits)
    }

    fn piece_of_frames(&self, at: &mut Cursor, budget: &mut Budget) -> Through {
        while let Some(row) = self.frames.get(at.index as usize) {
            if !budget.take(cost::FRAME + cost::PIN * row.pinned()) {
                return Ok(false);
            }
            self.audit_frame(Frame(at.index), row)?;
            at.index += 1;
        }
        Ok(true)
    }

    fn piece_of_objects(&self, at: &mut Cursor, budget: &mut Budget) -> Through {
        while let Some(row) = self.row(Oid(at.index)) {
            let extent = self.extent_of(row, at.part);
            if !budget.take(self.cost_of(row, &extent)) {
                return Ok(false);
            }
            self.audit_object_in(Oid(at.index), &extent)?;
            if has_entries(row) && extent.entries.end < TABLE_ENTRIES {
                at.part = extent.entries.end as u16 + 1;
                continue;
            }
            let mut tally = tally_of(at.sums);
            self.tally_row(row, &mut tally);
            set_tally(&mut at.sums, &tally);
            (at.index, at.part) = (at.index + 1, 0);
        }
        Ok(true)
    }

    /// What of an object is looked at together: first its row and its sums, then from entry to entry. The row
    /// is, each time: between two parts another object may have come into the place of the one before. An
    /// entry of device memory is the last of its part.
    fn extent_of(&self, row: &ObjectRow, part: u16) -> Extent {
        match (has_entries(row), part.checked_sub(1)) {
            (true, None) => Extent {
                sums: true,
                entries: 0..0,
            },
            (true, Some(first)) => {
                let first = usize::from(first).min(TABLE_ENTRIES);
                let all = first..(first + ENTRIES).min(TABLE_ENTRIES);
                let device = all.clone().find(|n| self.is_of_device(row, *n));
                Extent {
                    sums: false,
                    entries: first..device.map_or(all.end, |n| n + 1),
                }
            }
            _ => Extent::WHOLE,
        }
    }

    /// Whether an entry of a table's is device memory.
    fn is_of_device(&self, row: &ObjectRow, index: usize) -> bool {
        row.kind.get() == Kind::Table1 && {
            let entry = Entry(self.view::<Words>(row.frame.get()).get(index));
            entry.is_present() && entry.frame().is_none()
        }
    }

    /// What looking at so much of it costs at most.
    fn cost_of(&self, row: &ObjectRow, extent: &Extent) -> u32 {
        if row.state.get() == State::Free {
            return cost::FREE;
        }
        let last = extent.entries.end.checked_sub(1);
        match (row.kind.get(), extent.sums) {
            (Kind::Page, _) => cost::PAGE,
            (Kind::CapTable, _) => cost::CAP_TABLE,
            (Kind::Process, _) => cost::PROCESS,
            (Kind::Aperture, true) => cost::SLOTS,
            (_, true) => cost::ROW,
            (Kind::Table1, _) if last.is_some_and(|n| self.is_of_device(row, n)) => {
                let entries = extent.entries.len() as u32;
                cost::ROW + cost::ENTRIES * entries / ENTRIES as u32 + cost::DEVICE
            }
            (Kind::Aperture | Kind::Table1, _) => cost::ROW + cost::ENTRIES,
            _ => cost::ROW + cost::TABLES,
        }
    }

    fn piece_of_timers(&self, at: &mut Cursor, budget: &mut Budget) -> Through {
        while (at.index as usize) < self.timers.len() {
            let cost = match at.index < self.armed.get() {
                true => cost::ARMED,
                false => cost::TIMER,
            };
            if !budget.take(cost) {
                return Ok(false);
            }
            self.audit_timer(at.index as usize)?;
            at.index += 1;
        }
        Ok(true)
    }

    /// Sums: calls seen to wait less answers, calls seen to wait less those that still wait; the youngest
    /// call that is looked at; how often a `Resume` had moved.
    fn begin_calls(&self, at: &mut Cursor, youngest: u64) -> Phase {
        at.sums = [0, 0, youngest, self.resumes.get()];
        Phase::Calls
    }

    fn piece_of_calls(&self, at: &mut Cursor, budget: &mut Budget) -> bool {
        let youngest = at.sums[2];
        while let Some(row) = self.row(Oid(at.index)) {
            let cost = match (row.state.get(), row.kind.get(), at.phase) {
                (State::Live, Kind::Process, _) => cost::SCAN_PROCESS,
                (State::Live, Kind::CapTable, Phase::Answers) => cost::SCAN_SLOTS,
                _ => cost::SCAN,
            };
            if !budget.take(cost) {
                return false;
            }
            let [unanswered, ended, ..] = &mut at.sums;
            match at.phase {
                Phase::Answers => {
                    let mark = self.mark_of_answers(row, youngest);
                    *unanswered = unanswered.wrapping_sub(mark);
                }
                Phase::CallsAgain => {
                    let mark = self.mark_of_call(row, youngest);
                    *ended = ended.wrapping_sub(mark);
                }
                _ => {
                    let mark = self.mark_of_call(row, youngest);
                    *unanswered = unanswered.wrapping_add(mark);
                    *ended = ended.wrapping_add(mark);
                }
            }
            at.index += 1;
        }
        true
    }

    fn end_calls(&self, at: &mut Cursor) -> core::result::Result<Option<Phase>, Violation> {
        let [unanswered, ended, youngest, resumes] = at.sums;
        if ended != 0 || resumes != self.resumes.get() {
            // Some ended meanwhile. Of the same calls, fewer will the next time.
            if at.tries < TRIES {
                at.tries += 1;
                return Ok(Some(self.begin_calls(at, youngest)));
            }
            at.uncompared = true;
        }
        let matched = unanswered == 0 || at.uncompared;
        demand!(matched, Violation::Calls { counts: None });
        Ok(at.whole.then_some(Phase::Residue))
    }

    fn piece_of_residue(&self, at: &mut Cursor, budget: &mut Budget) -> Through {
        while let Some(row) = self.row(Oid(at.index)) {
            let cost = match row.state.get() {
                State::Free => cost::RESIDUE,
                _ => cost::SCAN,
            };
            if !budget.take(cost) {
                return Ok(false);
            }
            self.audit_zeroed(Oid(at.index))?;
            at.index += 1;
        }
        Ok(true)
    }
}

/// Whether an object holds entries that are looked at by and by.
fn has_entries(row: &ObjectRow) -> bool {
    matches!(row.state.get(), State::Live | State::Dying | State::Limbo)
        && (row.kind.get() == Kind::Aperture || row.kind.get().table_level().is_some())
}

/// How many were found in which state, of two in a word.
fn tally_of([first, second, ..]: [u64; 4]) -> Tally {
    Tally {
        free: first as u32 as usize,
        limbo: (first >> 32) as usize,
        ended: second as u32 as usize,
        dead: (second >> 32) as usize,
    }
}

fn set_tally(sums: &mut [u64; 4], tally: &Tally) {
    let both = |low: usize, high: usize| low as u64 | (high as u64) << 32;
    sums[0] = both(tally.free, tally.limbo);
    sums[1] = both(tally.ended, tally.dead);
}

const _: () = {
    assert!(cost::LISTS <= BUDGET && cost::SLOTS <= BUDGET && cost::CAP_TABLE <= BUDGET);
    assert!(cost::ROW + cost::TABLES <= BUDGET && cost::PROCESS <= BUDGET);
    assert!(cost::ROW + cost::ENTRIES + cost::DEVICE <= BUDGET);
};
