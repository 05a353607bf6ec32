//! Who runs: fixed priorities, round robin among equals, time charged to who uses it.
//!
//! A turn belongs to a priority and ends at a time. Who is interrupted by somebody more urgent goes on
//! with the same turn, and so do those who call each other and answer at once: nobody gets a new turn
//! out of being interrupted, or out of calling, while equals wait.

use core::cell::Cell;

use abi::PRIORITIES;
use abi::count::Event;
use abi::method::process::state;

use crate::Kernel;
use crate::frame::Frame;
use crate::machine::Machine;
use crate::process::{Links, Process, Registers};

/// How long a process runs before an equal gets its turn: 10 ms, in parts of a second.
const SLICES_A_SECOND: u64 = 100;

/// A priority's turn.
#[derive(Clone, Copy)]
struct Turn {
    /// Whose it is; `NONE` when the next one who runs begins another.
    holder: Frame,
    /// The tick at which it ends.
    end: u64,
}

impl Turn {
    const NONE: Turn = Turn {
        holder: Frame::NONE,
        end: 0,
    };
}

/// One CPU's state.
pub struct Cpu {
    /// The process that runs; `NONE` when idle.
    pub current: Cell<Frame>,
    /// The level-4 table that the CPU has loaded.
    pub space: Cell<Frame>,
    /// Tick since when the current process runs.
    pub since: Cell<u64>,
    /// Priorities at which a process is ready.
    pub ready: Cell<u64>,
    /// Tick at which the current process's turn ends.
    pub slice_end: Cell<u64>,
    /// Tick that the timer is set to.
    pub timer: Cell<u64>,
    queues: [Cell<Links>; PRIORITIES],
    turns: [Cell<Turn>; PRIORITIES],
}

impl Cpu {
    /// An idle CPU in the kernel's own space.
    pub fn new(space: Frame) -> Cpu {
        let empty = Links {
            before: Frame::NONE,
            after: Frame::NONE,
        };
        Cpu {
            current: Cell::new(Frame::NONE),
            space: Cell::new(space),
            since: Cell::new(0),
            ready: Cell::new(0),
            slice_end: Cell::new(0),
            timer: Cell::new(u64::MAX),
            queues: [const {
                Cell::new(Links {
                    before: Frame::NONE,
                    after: Frame::NONE,
                })
            }; PRIORITIES]
                .map(|_| Cell::new(empty)),
            turns: [const { Cell::new(Turn::NONE) }; PRIORITIES],
        }
    }

    /// The ends of a priority's queue.
    pub(crate) fn queue_of(&self, priority: usize) -> Links {
        self.queues[priority % PRIORITIES].get()
    }

    fn queue(&self, process: &Process) -> &Cell<Links> {
        &self.queues[usize::from(process.priority.get()) % PRIORITIES]
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// The process that runs; `None` when idle.
    #[inline(always)]
    pub fn current(&self) -> Option<&Process> {
        match self.cpu.current.get() {
            Frame::NONE => None,
            frame => Some(self.process(frame)),
        }
    }

    /// Whether this is the process that runs.
    pub(crate) fn is_current(&self, process: &Process) -> bool {
        self.cpu.current.get() == process.frame.get()
    }

    /// Puts a ready process, which isn't running, at the end of its queue.
    pub(crate) fn enqueue(&self, process: &Process) {
        if self.is_current(process) {
            return;
        }
        let turn = &self.cpu.turns[usize::from(process.priority.get()) % PRIORITIES];
        if turn.get().holder == process.frame.get() {
            turn.set(Turn::NONE);
        }
        let queue = self.cpu.queue(process);
        let (frame, ends) = (process.frame.get(), queue.get());
        process.links.set(Links {
            before: ends.after,
            after: Frame::NONE,
        });
        if ends.after == Frame::NONE {
            queue.set(Links {
                before: frame,
                after: frame,
            });
        } else {
            self.set_after(ends.after, frame);
            queue.set(Links {
                before: ends.before,
                after: frame,
            });
        }
        let priority = process.priority.get() & 63;
        self.cpu.ready.set(self.cpu.ready.get() | 1 << priority);
        if self
            .current()
            .is_some_and(|current| current.priority.get() == priority)
        {
            self.set_timer_by(self.cpu.slice_end.get());
        }
    }

    /// Puts a process that was interrupted by a more urgent one at the head of its queue.
    pub(crate) fn enqueue_first(&self, process: &Process) {
        let queue = self.cpu.queue(process);
        let (frame, ends) = (process.frame.get(), queue.get());
        process.links.set(Links {
            before: Frame::NONE,
            after: ends.before,
        });
        if ends.before == Frame::NONE {
            queue.set(Links {
                before: frame,
                after: frame,
            });
        } else {
            self.set_before(ends.before, frame);
            queue.set(Links {
                before: frame,
                after: ends.after,
            });
        }
        self.cpu
            .ready
            .set(self.cpu.ready.get() | 1 << (process.priority.get() & 63));
    }

    /// Takes a ready process out of its queue. The running one is in none.
    pub(crate) fn dequeue(&self, process: &Process) {
        if self.is_current(process) {
            return;
        }
        let queue = self.cpu.queue(process);
        let (Links { before, after }, mut ends) = (process.links.get(), queue.get());
        match before {
            Frame::NONE => ends.before = after,
            before => self.set_after(before, after),
        }
        match after {
            Frame::NONE => ends.after = before,
            after => self.set_before(after, before),
        }
        queue.set(ends);
        if ends.before == Frame::NONE {
            self.cpu
                .ready
                .set(self.cpu.ready.get() & !(1 << (process.priority.get() & 63)));
        }
    }

    /// Sets the forward link of a process in a queue.
    pub(crate) fn set_after(&self, of: Frame, after: Frame) {
        let process = self.process(of);
        process.links.set(Links {
            after,
            ..process.links.get()
        });
    }

    /// Sets the backward link of a process in a queue.
    pub(crate) fn set_before(&self, of: Frame, before: Frame) {
        let process = self.process(of);
        process.links.set(Links {
            before,
            ..process.links.get()
        });
    }

    /// Charges the time until now to the process that runs.
    pub(crate) fn account(&self) {
        let now = self.machine.ticks();
        if let Some(process) = self.current() {
            let ran = now.wrapping_sub(self.cpu.since.get());
            process.cycles.set(process.cycles.get().wrapping_add(ran));
        } else {
            let ran = now.wrapping_sub(self.cpu.since.get());
            self.idle_ticks.set(self.idle_ticks.get().wrapping_add(ran));
        }
        self.cpu.since.set(now);
    }

    /// Decides who runs after the kernel did something for (or to) the current process, whose
    /// message registers are `registers`; on return these are the chosen one's. `None`: nobody.
    pub(crate) fn reschedule(&self, registers: &mut Registers) -> Option<&Process> {
        let ready = self.cpu.ready.get();
        if let Some(current) = self.current() {
            let goes_on = current.state.get() == state::READY;
            if goes_on && (ready >> (current.priority.get() & 63)) >> 1 == 0 {
                return Some(current);
            }
            self.account();
            self.cpu.current.set(Frame::NONE);
            let kept = goes_on || current.state.get() == state::STOPPED;
            if kept && current.full.get() == 0 {
                current.message.set(*registers);
            }
            if goes_on {
                self.enqueue_first(current);
            }
        } else {
            self.account();
        }
        self.run_next(registers)
    }

    /// Ends the current process's turn, in favour of its equals.
    pub(crate) fn take_turns(&self, registers: &mut Registers) -> Option<&Process> {
        if let Some(current) = self.current()
            && current.state.get() == state::READY
        {
            self.account();
            self.cpu.current.set(Frame::NONE);
            if current.full.get() == 0 {
                current.message.set(*registers);
            }
            self.enqueue(current);
            return self.run_next(registers);
        }
        self.reschedule(registers)
    }

    /// Runs the most urgent ready process.
    fn run_next(&self, registers: &mut Registers) -> Option<&Process> {
        let ready = self.cpu.ready.get();
        if ready == 0 {
            return None;
        }
        let priority = 63 - ready.leading_zeros() as usize;
        let next = self.next_of(priority);
        self.dequeue(next);
        self.cpu.current.set(next.frame.get());
        self.now_runs(next);
        self.load_space_of(next);
        if self.cpu.ready.get() >> priority & 1 != 0 {
            self.set_timer_by(self.cpu.slice_end.get());
        }
        if next.full.get() == 0 {
            *registers = next.message.get();
        }
        Some(next)
    }

    /// Who of a priority runs next, and until when: the first, but for who comes back from having been
    /// interrupted when its turn is over and others wait.
    fn next_of(&self, priority: usize) -> &Process {
        let (queue, turn) = (&self.cpu.queues[priority], &self.cpu.turns[priority]);
        let now = self.cpu.since.get();
        let mut next = self.process(queue.get().before);
        let Turn { holder, end } = turn.get();
        if holder == next.frame.get() {
            if now < end {
                self.cpu.slice_end.set(end);
                return next;
            }
            self.dequeue(next);
            self.enqueue(next);
            next = self.process(queue.get().before);
        }
        let end = now.wrapping_add(self.machine.frequency() / SLICES_A_SECOND);
        let holder = next.frame.get();
        turn.set(Turn { holder, end });
        self.cpu.slice_end.set(end);
        next
    }

    pub(crate) fn load_space_of(&self, process: &Process) {
        let space = process.space.get();
        if space != self.cpu.space.get() {
            let switches = &process.switches;
            switches.set(switches.get().wrapping_add(1));
            self.cpu.space.set(space);
            self.machine.load_space(space);
            self.count(Event::Switches, 1);
        }
    }

    /// Has the timer fire at this tick, or earlier.
    pub(crate) fn set_timer_by(&self, tick: u64) {
        if tick < self.cpu.timer.get() {
            self.cpu.timer.set(tick);
            self.machine.set_timer(tick);
        }
    }
}
