//! The queues that processes stand in: the scheduler's, one for each priority, and each server's callers.
//!
//! A queue is as long as there are processes. So there are two ways to look. At once: all queues are walked,
//! and as many must stand in them as should. Of one process: its neighbours know it, and whoever goes from
//! one to the next towards the head comes to that of the right queue, or has gone [`REACH`] of them. If
//! that is true of everybody at the same time, all stand where they should, but for rings of more than
//! [`REACH`] processes that no queue leads to.

use abi::PRIORITIES;
use abi::method::process::state;

use super::{Result, Violation, demand};
use crate::Kernel;
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::Oid;
use crate::process::{Links, Process};

/// How many neighbours of a process are looked at, in either direction.
pub(super) const REACH: usize = 64;

impl<M: Machine> Kernel<'_, M> {
    /// Somebody in a queue, who must be a process.
    fn standing(&self, frame: Frame) -> core::result::Result<&Process, Violation> {
        let oid = self.frame_row(frame).owner.get();
        let what = "in a queue, and no process";
        self.live_process(oid)
            .ok_or(Violation::Process { oid, what })
    }

    /// Walks a queue, so far at most; answers how many stand there.
    fn audit_queue(
        &self,
        ends: Links,
        limit: usize,
        belongs: impl Fn(&Process) -> bool,
    ) -> core::result::Result<usize, Violation> {
        let (mut frame, mut before, mut length) = (ends.before, Frame::NONE, 0);
        while frame != Frame::NONE {
            let process = self.standing(frame)?;
            let oid = process.oid.get();
            let wrong = |what| Violation::Process { oid, what };
            if length == limit {
                return Ok(length);
            }
            length += 1;
            demand!(
                length <= self.objects.len(),
                wrong("in a queue that has no end")
            );
            demand!(
                process.links.get().before == before,
                wrong("the links of its queue disagree")
            );
            demand!(
                belongs(process),
                wrong("in a queue where it doesn't belong")
            );
            (before, frame) = (frame, process.links.get().after);
        }
        demand!(
            ends.after == before,
            Violation::List {
                oid: self.frame_row(ends.after).owner.get(),
                what: "the end of a queue"
            }
        );
        Ok(length)
    }

    /// A process that should stand in a queue is found there by its neighbours.
    fn audit_neighbours(
        &self,
        process: &Process,
        ends: Links,
        belongs: impl Fn(&Process) -> bool,
    ) -> Result {
        let own = process.frame.get();
        let wrong = |what| Violation::Process {
            oid: process.oid.get(),
            what,
        };
        let Links { before, after } = process.links.get();
        let followed = match after {
            Frame::NONE => ends.after == own,
            after => {
                let next = self.standing(after)?;
                belongs(next) && next.links.get().before == own
            }
        };
        demand!(followed, wrong("who comes after it doesn't know it"));
        let (mut frame, mut behind) = (before, own);
        for _ in 0..REACH {
            if frame == Frame::NONE {
                demand!(ends.before == behind, wrong("no queue leads to it"));
                return Ok(());
            }
            demand!(frame != own, wrong("it stands in a ring"));
            let next = self.standing(frame)?;
            let agree = belongs(next) && next.links.get().after == behind;
            demand!(agree, wrong("who comes before it doesn't know it"));
            (behind, frame) = (frame, next.links.get().before);
        }
        Ok(())
    }

    fn is_ready_at(&self, process: &Process, priority: usize) -> bool {
        process.state.get() == state::READY
            && usize::from(process.priority.get()) == priority
            && !self.is_current(process)
    }

    /// A process stands in the queue that it should stand in, if in any.
    pub(super) fn audit_standing(&self, process: &Process) -> Result {
        match process.state.get() {
            state::READY if !self.is_current(process) => {
                let priority = usize::from(process.priority.get());
                let ends = self.cpu.queue_of(priority);
                self.audit_neighbours(process, ends, |other| self.is_ready_at(other, priority))
            }
            state::QUEUED => {
                let server = self.process(process.waits_for.get());
                self.audit_neighbours(process, callers(server), |other| waits_for(other, server))
            }
            _ => Ok(()),
        }
    }

    /// The callers of a server wait for it. Answers how many were looked at.
    pub(super) fn audit_callers(
        &self,
        server: &Process,
        limit: usize,
    ) -> core::result::Result<usize, Violation> {
        self.audit_queue(callers(server), limit, |other| waits_for(other, server))
    }

    /// The queue of a priority holds who is ready at it. Answers how many were looked at.
    pub(super) fn audit_priority(
        &self,
        priority: usize,
        limit: usize,
    ) -> core::result::Result<usize, Violation> {
        let length = self.audit_queue(self.cpu.queue_of(priority), limit, |process| {
            self.is_ready_at(process, priority)
        })?;
        demand!(
            (self.cpu.ready.get() >> priority & 1 != 0) == (length != 0),
            Violation::List {
                oid: Oid::NONE,
                what: "the set of priorities that are ready"
            }
        );
        Ok(length)
    }

    /// Everybody who is ready stands in one queue, and nobody else; everybody who waits for a server
    /// stands in its queue.
    pub(super) fn audit_scheduler(&self) -> Result {
        let missing = |what| Violation::List {
            oid: Oid::NONE,
            what,
        };
        let in_state = |wanted| {
            let is =
                |process: &&Process| process.state.get() == wanted && !self.is_current(process);
            self.processes().filter(is).count()
        };
        let mut ready = 0;
        for priority in 0..PRIORITIES {
            ready += self.audit_priority(priority, usize::MAX)?;
        }
        demand!(
            ready == in_state(state::READY),
            missing("a process is ready, and in no queue")
        );
        let mut queued = 0;
        for server in self.servers() {
            queued += self.audit_callers(server, usize::MAX)?;
        }
        demand!(
            queued == in_state(state::QUEUED),
            missing("a process waits for a server, and not in its queue")
        );
        self.audit_current()
    }

    /// Who runs is ready, in its own space.
    pub(super) fn audit_current(&self) -> Result {
        let Some(process) = self.current() else {
            return Ok(());
        };
        let oid = self.frame_row(self.cpu.current.get()).owner.get();
        let runs = self
            .live_process(oid)
            .is_some_and(|process| process.state.get() == state::READY);
        demand!(
            runs && process.space.get() == self.cpu.space.get(),
            Violation::Process {
                oid,
                what: "it is current, and not ready, or not in its own space"
            }
        );
        Ok(())
    }
}

fn callers(server: &Process) -> Links {
    Links {
        before: server.first_caller.get(),
        after: server.last_caller.get(),
    }
}

fn waits_for(caller: &Process, server: &Process) -> bool {
    caller.state.get() == state::QUEUED && caller.waits_for.get() == server.frame.get()
}
