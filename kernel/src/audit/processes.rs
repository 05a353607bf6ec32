//! Processes against their tables and spaces, the queues that they stand in, and the timers.

use core::cell::Cell;

use abi::cap::Kind;
use abi::method::process::state;

use super::queues::REACH;
use super::{Result, Violation, demand};
use crate::Kernel;
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::process::Process;

impl<M: Machine> Kernel<'_, M> {
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        let is =
            |row: &&ObjectRow| row.kind.get() == Kind::Process && row.state.get() == State::Live;
        self.objects
            .iter()
            .filter(is)
            .map(|row| self.process(row.frame.get()))
    }

    /// Those who may have callers: all that live, and those that are being taken apart.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Process> {
        let is =
            |row: &&ObjectRow| row.kind.get() == Kind::Process && row.state.get() != State::Free;
        self.objects
            .iter()
            .filter(is)
            .map(|row| self.process(row.frame.get()))
    }

    pub(super) fn audit_process(&self, oid: Oid, row: &ObjectRow) -> Result {
        let process = self.process(row.frame.get());
        let wrong = |what| Violation::Process { oid, what };
        let named = process.oid.get() == oid && process.frame.get() == row.frame.get();
        demand!(named, wrong("it doesn't know its own number and frame"));
        let parents = row
            .parents
            .iter()
            .all(|parent| parent.get() == Parent::NONE);
        demand!(parents, wrong("it has parents"));
        self.audit_callers(process, REACH)?;
        if row.state.get() == State::Dying {
            let gone = process.state.get() == state::STOPPED && process.root.get() == Frame::NONE;
            demand!(
                gone && !self.is_current(process),
                wrong("void, and still runs")
            );
            return Ok(());
        }
        self.audit_space(process, Kind::CapTable)?;
        self.audit_space(process, Kind::Table4)?;
        let now = process.state.get();
        demand!(now <= state::CALLING, wrong("in no state that there is"));
        demand!(
            now == state::STOPPED || process.root.get() != Frame::NONE,
            wrong("it runs without a capability table")
        );
        demand!(
            now == state::STOPPED || process.space.get() != Frame::NONE,
            wrong("it runs without an address space")
        );
        demand!(
            (now == state::CALLING) == (process.token.get() != 0),
            wrong("its call and its token disagree")
        );
        demand!(
            (now == state::QUEUED) == (process.waits_for.get() != Frame::NONE),
            wrong("it waits in a queue, and for nobody, or the other way round")
        );
        for (group, bits) in process.bits.iter().enumerate() {
            let told = process.groups.get() >> group & 1 != 0;
            demand!(
                told == (bits.get() != 0),
                wrong("a notification is not listed")
            );
        }
        let idle = process.groups.get() == 0 && process.first_caller.get() == Frame::NONE;
        demand!(
            now != state::WAITING || idle,
            wrong("it waits for what is there already")
        );
        demand!(
            now == state::READY || !self.is_current(process),
            wrong("it is current, and not ready")
        );
        let place = process.timer.get();
        let timer = place.checked_sub(1).map(|place| self.timer(place as usize));
        demand!(
            timer.is_none_or(|frame| place <= self.armed.get() && frame == row.frame.get()),
            wrong("its timer is not where it says")
        );
        self.audit_standing(process)
    }

    /// What a process has as its root table or address space knows it as a parent.
    fn audit_space(&self, process: &Process, kind: Kind) -> Result {
        let (oid, frame) = match kind {
            Kind::CapTable => (process.root_oid.get(), process.root.get()),
            _ => (process.space_oid.get(), process.space.get()),
        };
        let parent = Parent {
            holder: process.oid.get(),
            index: Parent::PROCESS,
        };
        let agrees = match self.live(oid, kind) {
            None => oid == Oid::NONE && frame == Frame::NONE,
            Some(row) => {
                row.frame.get() == frame && row.parents.iter().any(|known| known.get() == parent)
            }
        };
        demand!(
            agrees,
            Violation::Process {
                oid: process.oid.get(),
                what: "its table or space doesn't know it"
            }
        );
        Ok(())
    }

    fn timer(&self, place: usize) -> Frame {
        self.timers.get(place).map_or(Frame::NONE, Cell::get)
    }

    /// A place in the heap of timers.
    pub(super) fn audit_timer(&self, place: usize) -> Result {
        let frame = self.timer(place);
        let deadline = |frame: Frame| self.process(frame).deadline.get();
        let fits = if place < self.armed.get() as usize {
            let process = self.live_process(self.frame_row(frame).owner.get());
            let known = process.is_some_and(|p| p.timer.get() as usize == place + 1);
            known
                && place
                    .checked_sub(1)
                    .is_none_or(|child| deadline(self.timer(child / 2)) <= deadline(frame))
        } else {
            frame == Frame::NONE
        };
        demand!(
            fits,
            Violation::Timer {
                place: place as u32
            }
        );
        Ok(())
    }

    /// The timers are a heap of processes that know their places.
    pub(super) fn audit_timers(&self) -> Result {
        (0..self.timers.len()).try_for_each(|place| self.audit_timer(place))?;
        let armed = self.armed.get();
        let known = self.processes().filter(|p| p.timer.get() != 0).count();
        demand!(known == armed as usize, Violation::Timer { place: armed });
        Ok(())
    }
}
