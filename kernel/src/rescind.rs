//! Rescinding: make an object's capabilities void, unmap it, free its frame.
//!
//! The order is everything. First the version is bumped: from then on no capability works. Then the
//! object leaves every table, and translations are flushed. Then it is taken apart, in bounded
//! pieces: entries of a table, callers of a process. At last its frame is zeroed and free, or, when a
//! pin holds the frame, the object is in limbo until the last pin goes: void for everybody, and not
//! to be sold. Nothing here waits for anybody.
//!
//! The pages of a batch go through it side by side: all are cut off, one flush serves them, and then
//! all are freed.

use abi::cap::Kind;
use abi::count::Event;
use abi::fault::Cause;
use abi::{TABLE_ENTRIES, batch};

use crate::Kernel;
use crate::cap::CapTable;
use crate::error::{EMPTY, MORE, Status};
use crate::frame::{Frame, Pin, Words};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::planted::Fault;
use crate::process::Process;
use crate::table::Entry;

/// Units of work in one invocation. A unit is about 20 instructions; zeroing a frame counts as
/// [`ZEROING`].
pub(crate) const BUDGET: u32 = 640;
pub(crate) const ZEROING: u32 = 32;
/// What rescinding anything costs beside zeroing.
pub(crate) const EACH: u32 = 8;

/// What clearing an entry of a table costs.
const CLEARING: u32 = 8;
/// What looking through the slots of a `CapTable` costs.
const EMPTYING: u32 = 80;
/// Entries of a table that are looked at together.
const LINE: usize = 8;

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescinded {
    /// Free; the frame is zeroed.
    Freed,
    /// Void; a pin holds the frame.
    Limbo,
    /// The budget ran out: go on with the same object.
    More,
    /// It was free, or in limbo, already.
    NotSold,
}

impl Rescinded {
    /// What an entry of `RESCIND` is answered, but for `More`.
    #[inline(always)]
    pub(crate) fn status(self) -> Status {
        match self {
            Rescinded::Freed => batch::RESCIND_FREED,
            Rescinded::Limbo => batch::RESCIND_LIMBO,
            Rescinded::More => MORE,
            Rescinded::NotSold => EMPTY,
        }
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// The first half of rescinding a page that lives: from now on nobody reaches it. What the CPU
    /// remembers of it must be flushed before [`Kernel::release`], once for `many` pages.
    #[inline(always)]
    pub(crate) fn cut_off_page(&self, row: &ObjectRow, many: bool) {
        if !self.has(Fault::KeepVersion) {
            row.version.set(row.version.get().wrapping_add(1));
        }
        row.state.set(State::Dying);
        self.unmap_page(row, many);
        if self.frame_row(row.frame.get()).is_pinned() {
            self.orphan_pins(row.frame.get());
        }
    }

    /// Rescinds an object, or goes on with it.
    #[inline(never)]
    pub(crate) fn rescind(&self, oid: Oid, row: &ObjectRow, budget: &mut u32) -> Rescinded {
        match row.state.get() {
            State::Free | State::Limbo => return Rescinded::NotSold,
            State::Live => {
                if !self.has(Fault::KeepVersion) {
                    row.version.set(row.version.get().wrapping_add(1));
                }
                row.state.set(State::Dying);
                row.progress.set(0);
                self.cut_off(oid, row);
            }
            State::Dying => {}
        }
        *budget = budget.saturating_sub(EACH);
        if !self.take_apart(oid, row, budget) {
            return Rescinded::More;
        }
        self.flush_pending();
        *budget = budget.saturating_sub(ZEROING);
        self.release(oid, row)
    }

    /// The first step: nobody reaches the object any more.
    fn cut_off(&self, oid: Oid, row: &ObjectRow) {
        match row.kind.get() {
            Kind::Page => {
                self.unmap_page(row, false);
                self.orphan_pins(row.frame.get());
            }
            Kind::Table1 | Kind::Table2 | Kind::Table3 => self.unmap_everywhere(row),
            Kind::Table4 | Kind::CapTable => {
                for parent in &row.parents {
                    let process = parent.replace(Parent::NONE).holder;
                    if let Some(process) = self.live_process(process) {
                        self.leave_spaces(process);
                        self.suspend(process, Cause::Space);
                    }
                }
                if row.frame.get() == self.cpu.space.get() {
                    self.leave_space();
                }
            }
            Kind::Process => self.end_process(self.process(row.frame.get())),
            Kind::Aperture => self.end_aperture(oid, row),
            _ => {}
        }
    }

    /// Unmaps a page, if it is mapped; `many` if it is one of more than are flushed one by one.
    #[inline(always)]
    fn unmap_page(&self, row: &ObjectRow, many: bool) {
        if let Some((home, table)) = self.home(row)
            && !self.has(Fault::KeepHome)
        {
            let index = home.index as usize;
            match many {
                true => self.invalidate_all(home.holder, table),
                false => self.invalidate(home.holder, table, 1, index),
            }
            self.write_entry(self.view(table.frame.get()), index, Entry::EMPTY);
        }
        row.parents[0].set(Parent::NONE);
    }

    /// Leaves an address space that is going away for the kernel's own.
    fn leave_space(&self) {
        let kernel = self.machine.kernel_space();
        self.cpu.space.set(kernel);
        self.machine.load_space(kernel);
        self.count(Event::Switches, 1);
    }

    fn end_process(&self, process: &Process) {
        self.stop(process);
        self.disarm(process);
        self.leave_spaces(process);
        if self.is_current(process) {
            // Nothing may be charged to a frame that is about to be zeroed.
            self.account();
            self.cpu.current.set(Frame::NONE);
        }
        if let Some(function) = process.drives.get().checked_sub(1) {
            self.stop_dma(function as u16);
        }
        self.drop_caller(process);
    }

    /// Takes a piece of an object apart. False when the budget ran out first.
    fn take_apart(&self, oid: Oid, row: &ObjectRow, budget: &mut u32) -> bool {
        match row.kind.get() {
            kind if kind.table_level().is_some() => {
                let limit = if kind == Kind::Table4 {
                    TABLE_ENTRIES / 2
                } else {
                    TABLE_ENTRIES
                };
                let entries: &Words = self.view(row.frame.get());
                let mut index = usize::from(row.progress.get());
                while index < limit {
                    if *budget == 0 {
                        row.progress.set(index as u16);
                        return false;
                    }
                    // Most tables are mostly empty.
                    if index.is_multiple_of(LINE) && entries.are_zero(index / LINE) {
                        *budget -= 1;
                        index += LINE;
                        continue;
                    }
                    let cost = match self.clear_entry(oid, row, index) {
                        true => CLEARING,
                        false => 1,
                    };
                    *budget = budget.saturating_sub(cost);
                    index += 1;
                }
                self.part_from_aperture(oid, row);
                true
            }
            Kind::CapTable => {
                self.empty_cap_table(self.view::<CapTable>(row.frame.get()));
                *budget = budget.saturating_sub(EMPTYING);
                true
            }
            Kind::Process => {
                let process = self.process(row.frame.get());
                while process.first_caller.get() != Frame::NONE {
                    if *budget == 0 {
                        return false;
                    }
                    *budget = budget.saturating_sub(4);
                    let caller = self.process(process.first_caller.get());
                    self.leave_queue(caller);
                    caller.state.set(abi::method::process::state::READY);
                    self.answer(caller, crate::error::ABANDONED);
                    self.enqueue(caller);
                }
                true
            }
            _ => true,
        }
    }

    /// The last step: the frame is zeroed and free, unless something pins it (or, of an aperture,
    /// it pins something).
    #[inline(always)]
    pub(crate) fn release(&self, oid: Oid, row: &ObjectRow) -> Rescinded {
        let frame = row.frame.get();
        let held = match row.kind.get() {
            Kind::Aperture => self.aperture_holds(row),
            _ => self.frame_row(frame).is_pinned(),
        };
        if held && self.has(Fault::ZeroPinned) {
            self.zero(frame);
        }
        if held && !self.has(Fault::FreePinned) {
            row.state.set(State::Limbo);
            self.census.held.add();
            if row.kind.get() == Kind::Aperture {
                self.census.died.add();
                row.next.set(self.dead_apertures.replace(oid));
            }
            return Rescinded::Limbo;
        }
        if row.kind.get() == Kind::Aperture {
            self.part_from_window(oid, row);
        }
        self.zero(frame);
        // A page has but its home, which it has left.
        if row.kind.get() != Kind::Page {
            row.clear();
        }
        row.kind.set(Kind::Void);
        row.state.set(State::Free);
        self.census.freed.add();
        Rescinded::Freed
    }

    /// Tells the apertures that pin a frame that its owner is gone.
    fn orphan_pins(&self, frame: Frame) {
        for pin in &self.frame_row(frame).pins {
            let Pin {
                aperture,
                slot,
                used,
            } = pin.get();
            if used != 0 {
                self.slot_orphaned(aperture, slot);
            }
        }
    }

    /// After a pin went: if that was the last one on the frame of an object in limbo, its limbo ends.
    /// A page is zeroed when it is reaped, before anybody may buy it: of a batch of pins, all may be such
    /// last ones, and that is more than may be zeroed at once.
    pub(crate) fn end_limbo(&self, oid: Oid) {
        let Some(row) = self.row(oid) else { return };
        if row.kind.get() == Kind::Aperture {
            self.census.buried.add();
        }
        if row.kind.get() != Kind::Page {
            self.zero(row.frame.get());
        }
        self.census.ended.add();
        row.clear();
        row.next.set(self.reapable.replace(oid));
        self.notify(self.range_notify.get());
    }
}
