//! Processes against the queues that they stand in, the timers, and those who owe them answers.

use abi::PRIORITIES;
use abi::cap::Kind;
use abi::method::process::state;

use super::{Result, Violation, demand};
use crate::Kernel;
use crate::cap::CapTable;
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};
use crate::process::{Links, Process};

/// A set of tokens, as far as one can tell sets apart by how many there are and a sum over them.
#[derive(Default, PartialEq, Eq)]
struct Tokens {
    count: u32,
    sum: u64,
}

impl Tokens {
    fn add(&mut self, process: Oid, token: u64) {
        // The finaliser of SplitMix64: different sets have different sums but for one in 2^64.
        let mut z = token.wrapping_add(u64::from(process.0) << 40);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.count += 1;
        self.sum = self.sum.wrapping_add(z ^ z >> 31);
    }
}

impl<M: Machine> Kernel<'_, M> {
    fn processes(&self) -> impl Iterator<Item = &Process> {
        let is =
            |row: &&ObjectRow| row.kind.get() == Kind::Process && row.state.get() == State::Live;
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
        self.audit_callers(process)?;
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
        Ok(())
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

    /// Walks a queue; answers how many stand in it.
    fn audit_queue(
        &self,
        ends: Links,
        belongs: impl Fn(&Process) -> bool,
    ) -> core::result::Result<usize, Violation> {
        let (mut frame, mut before, mut length) = (ends.before, Frame::NONE, 0);
        while frame != Frame::NONE {
            let oid = self.frame_row(frame).owner.get();
            let wrong = |what| Violation::Process { oid, what };
            let process = self
                .live_process(oid)
                .ok_or(wrong("in a queue, and no process"))?;
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

    fn audit_callers(&self, process: &Process) -> Result {
        let ends = Links {
            before: process.first_caller.get(),
            after: process.last_caller.get(),
        };
        let waits = |caller: &Process| {
            caller.state.get() == state::QUEUED && caller.waits_for.get() == process.frame.get()
        };
        self.audit_queue(ends, waits).map(|_| ())
    }

    /// Everybody who is ready stands in one queue, and nobody else; everybody who waits for a server
    /// stands in its queue.
    pub(super) fn audit_scheduler(&self) -> Result {
        let mut ready = 0;
        for priority in 0..PRIORITIES {
            let belongs = |process: &Process| {
                process.state.get() == state::READY
                    && usize::from(process.priority.get()) == priority
                    && !self.is_current(process)
            };
            let length = self.audit_queue(self.cpu.queue_of(priority), belongs)?;
            demand!(
                (self.cpu.ready.get() >> priority & 1 != 0) == (length != 0),
                Violation::List {
                    oid: Oid::NONE,
                    what: "the set of priorities that are ready"
                }
            );
            ready += length;
        }
        let in_state = |wanted| {
            let is =
                |process: &&Process| process.state.get() == wanted && !self.is_current(process);
            self.processes().filter(is).count()
        };
        demand!(
            ready == in_state(state::READY),
            Violation::List {
                oid: Oid::NONE,
                what: "a process is ready, and in no queue"
            }
        );
        let mut queued = 0;
        for row in self.objects {
            if row.kind.get() != Kind::Process || row.state.get() == State::Free {
                continue;
            }
            let mut caller = self.process(row.frame.get()).first_caller.get();
            while caller != Frame::NONE {
                queued += 1;
                caller = self.process(caller).links.get().after;
            }
        }
        demand!(
            queued == in_state(state::QUEUED),
            Violation::List {
                oid: Oid::NONE,
                what: "a process waits for a server, and not in its queue"
            }
        );
        self.audit_current()
    }

    fn audit_current(&self) -> Result {
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

    /// The timers are a heap of processes that know their places.
    pub(super) fn audit_timers(&self) -> Result {
        let armed = self.armed.get() as usize;
        let deadline = |frame: Frame| self.process(frame).deadline.get();
        for (place, timer) in self.timers.iter().enumerate() {
            let frame = timer.get();
            let fits = if place < armed {
                let process = self.live_process(self.frame_row(frame).owner.get());
                let known = process.is_some_and(|p| p.timer.get() as usize == place + 1);
                let above =
                    place == 0 || deadline(self.timers[(place - 1) / 2].get()) <= deadline(frame);
                known && above
            } else {
                frame == Frame::NONE
            };
            demand!(
                fits,
                Violation::Timer {
                    place: place as u32
                }
            );
        }
        let known = self.processes().filter(|p| p.timer.get() != 0).count();
        demand!(
            known == armed,
            Violation::Timer {
                place: armed as u32
            }
        );
        Ok(())
    }

    /// Each call that waits for its answer can be answered by exactly one: the server that holds the
    /// caller, or the one `Resume` that there is.
    pub(super) fn audit_calls(&self) -> Result {
        let (mut waiting, mut answers) = (Tokens::default(), Tokens::default());
        for process in self.processes() {
            if process.token.get() != 0 {
                waiting.add(process.oid.get(), process.token.get());
            }
            let (caller, token) = (process.caller.get(), process.caller_token.get());
            if self.resumable(caller, token).is_some() {
                answers.add(caller, token);
            }
        }
        for row in self.objects {
            if row.kind.get() != Kind::CapTable || row.state.get() != State::Live {
                continue;
            }
            for slot in &self.view::<CapTable>(row.frame.get()).0 {
                let capability = slot.get();
                if capability.is(Kind::Resume) && self.is_alive(&capability) {
                    answers.add(capability.oid(), capability.version);
                }
            }
        }
        demand!(
            waiting == answers,
            Violation::Calls {
                waiting: waiting.count,
                answers: answers.count
            }
        );
        Ok(())
    }
}
