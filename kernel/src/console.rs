//! The console's output: a ring that processes' lines, init's bytes and the kernel's own reports wait
//! in until the console takes them.
//!
//! The kernel runs with interrupts off, so it never waits for a serial port. What one entry adds it
//! offers to the console at once, with a bounded piece of what waits already; the rest goes by the
//! timer. A port that takes nothing costs a look now and then.
//!
//! Nobody's flood is anybody else's loss. Lines of processes are held to a [`Rate`], each process's and
//! all together's, and leave half of the ring to the kernel and to init. What is dropped is counted, and
//! told in one line a second at most. Reports of faults have a rate of their own, and leave a quarter.

use core::cell::Cell;
use core::fmt::{self, Write};

use crate::Kernel;
use crate::machine::Machine;
use crate::process::{Name, Process};

/// Bytes that can wait.
pub const BYTES: usize = 1 << 14;
/// Of these, what lines of processes leave free.
const RESERVED: usize = BYTES / 2;
/// What reports of faults leave free: nothing but the kernel's other reports and init's bytes may fill
/// the ring.
const RESERVED_OF_REPORTS: usize = BYTES / 4;
/// Bytes that an entry offers to the console beyond what it adds itself.
const AT_ONCE: usize = 256;
/// First pause before the console is offered again what it didn't take, in parts of a second: a serial
/// port at 115,200 baud sends the 16 bytes that it holds in 1.4 ms.
const FIRST_PAUSE: u64 = 1000;
/// Longest pause, likewise: the pauses double while it takes nothing.
const LAST_PAUSE: u64 = 16;
/// How long the way out of the kernel waits for a console that takes nothing, likewise.
const PATIENCE: u64 = 20;

/// How much is let through: so many at once, then so many a second.
struct Rate {
    burst: u64,
    a_second: u64,
}

/// Lines of one process.
const OF_ONE: Rate = Rate {
    burst: 256,
    a_second: 64,
};
/// Lines of all processes together: a new process has a full budget of its own.
const OF_ALL: Rate = Rate {
    burst: 1024,
    a_second: 256,
};
/// Reports of faults, each with its backtrace: processes that fault can be made without end.
const OF_REPORTS: Rate = Rate {
    burst: 32,
    a_second: 4,
};

impl Rate {
    /// Whether one more may pass. `due` is when all that passed so far would have, at so many a second.
    fn admits(&self, due: &Cell<u64>, now: u64, frequency: u64) -> bool {
        let interval = (frequency / self.a_second).max(1);
        let from = due.get().max(now);
        let passes = from - now <= interval.saturating_mul(self.burst - 1);
        if passes {
            due.set(from.saturating_add(interval));
        }
        passes
    }
}

/// What waits for the console.
pub(crate) struct Console<'a> {
    ring: &'a [Cell<u8>],
    /// Positions of the first byte that waits and of the first free one, counted from boot.
    first: Cell<usize>,
    free: Cell<usize>,
    /// Tick at which the console is offered again what waits; `u64::MAX` when nothing does.
    again: Cell<u64>,
    /// Ticks from the last time to then.
    pause: Cell<u64>,
    lines_due: Cell<u64>,
    reports_due: Cell<u64>,
    /// Lines dropped and not told of yet, and whose the last one was.
    dropped: Cell<u64>,
    dropper: Cell<Name>,
    /// Tick at which they are told; `u64::MAX` when there are none.
    tell: Cell<u64>,
}

impl<'a> Console<'a> {
    pub const fn new(ring: &'a [Cell<u8>]) -> Console<'a> {
        Console {
            ring,
            first: Cell::new(0),
            free: Cell::new(0),
            again: Cell::new(u64::MAX),
            pause: Cell::new(0),
            lines_due: Cell::new(0),
            reports_due: Cell::new(0),
            dropped: Cell::new(0),
            dropper: Cell::new(Name::KERNEL),
            tell: Cell::new(u64::MAX),
        }
    }

    fn waiting(&self) -> usize {
        self.free.get() - self.first.get()
    }

    /// Adds what is written as a whole, leaving so many bytes free; or nothing. Answers how many bytes
    /// it took.
    fn add(
        &self,
        reserved: usize,
        write: impl FnOnce(&mut Addition) -> fmt::Result,
    ) -> Option<usize> {
        let room = self.ring.len().saturating_sub(self.waiting() + reserved);
        let start = self.free.get();
        let mut addition = Addition {
            console: self,
            next: start,
            end: start + room,
        };
        write(&mut addition).ok()?;
        let added = addition.next - start;
        self.free.set(addition.next);
        Some(added)
    }

    /// Copies the first bytes that wait; answers how many.
    fn look(&self, into: &mut [u8]) -> usize {
        let count = self.waiting().min(into.len());
        for (n, byte) in into[..count].iter_mut().enumerate() {
            let position = (self.first.get() + n) % self.ring.len();
            *byte = self.ring.get(position).map_or(0, Cell::get);
        }
        count
    }
}

/// Text on its way into the ring.
struct Addition<'c, 'a> {
    console: &'c Console<'a>,
    next: usize,
    end: usize,
}

impl Addition<'_, '_> {
    /// Adds bytes, or fails when there is no room for all of them.
    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        if bytes.len() > self.end - self.next {
            return Err(fmt::Error);
        }
        for byte in bytes {
            let ring = self.console.ring;
            if let Some(cell) = ring.get(self.next % ring.len()) {
                cell.set(*byte);
            }
            self.next += 1;
        }
        Ok(())
    }
}

impl Write for Addition<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes())
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Prints a line with the time: the kernel's own.
    pub fn say(&self, line: fmt::Arguments) {
        if !self.print_line(0, line) {
            self.drop_line(Name::KERNEL);
        }
    }

    /// Prints a line for a process, if its budget and everybody's allow it. Who has the console may say
    /// what he likes.
    pub(crate) fn say_for(&self, process: &Process, trusted: bool, line: fmt::Arguments) {
        let now = self.machine.ticks();
        let frequency = self.machine.frequency();
        let within = |rate: &Rate, due: &Cell<u64>| rate.admits(due, now, frequency);
        let admitted = trusted
            || (within(&OF_ONE, &process.lines_due) && within(&OF_ALL, &self.console.lines_due));
        let reserved = if trusted { 0 } else { RESERVED };
        if !admitted || !self.print_line(reserved, line) {
            self.drop_line(process.name());
        }
    }

    /// Whether a fault may be reported now; if not, the report counts as a dropped line.
    pub(crate) fn may_report(&self, process: &Process) -> bool {
        let (now, frequency) = (self.machine.ticks(), self.machine.frequency());
        let may = OF_REPORTS.admits(&self.console.reports_due, now, frequency);
        if !may {
            self.drop_line(process.name());
        }
        may
    }

    /// Prints a line of the report of a process's fault.
    pub(crate) fn say_report(&self, process: &Process, line: fmt::Arguments) {
        if !self.print_line(RESERVED_OF_REPORTS, line) {
            self.drop_line(process.name());
        }
    }

    /// Prints bytes as they are, all or none. False when there is no room for them now.
    pub(crate) fn print_bytes(&self, bytes: &[u8]) -> bool {
        self.print(0, |addition| addition.bytes(bytes))
    }

    fn print_line(&self, reserved: usize, line: fmt::Arguments) -> bool {
        let microseconds = self.nanoseconds(self.machine.ticks()) / 1000;
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
        // Someone may be editing a line: take its place, and have it drawn again below.
        let prompt = if self.log_notify.get().process == crate::object::Oid::NONE {
            ""
        } else {
            "\r\x1b[K"
        };
        let printed = self.print(reserved, |addition| {
            write!(addition, "{prompt}[{seconds:>5}.{fraction:06}] {line}\r\n")
        });
        if printed {
            self.notify(self.log_notify.get());
        }
        printed
    }

    fn print(&self, reserved: usize, write: impl FnOnce(&mut Addition) -> fmt::Result) -> bool {
        let added = self.console.add(reserved, write);
        if let Some(added) = added {
            self.offer(added + AT_ONCE);
        }
        added.is_some()
    }

    fn drop_line(&self, whose: Name) {
        let console = &self.console;
        console.dropped.set(console.dropped.get().saturating_add(1));
        console.dropper.set(whose);
        if console.tell.get() == u64::MAX {
            self.tell_later();
        }
    }

    fn tell_later(&self) {
        let second = self.machine.frequency();
        let tick = self.machine.ticks().saturating_add(second);
        self.console.tell.set(tick);
        self.set_timer_by(tick);
    }

    /// Offers the console up to so many of the bytes that wait.
    fn offer(&self, most: usize) {
        let console = &self.console;
        let (mut left, mut taken_any) = (most, false);
        while left != 0 && console.waiting() != 0 {
            let mut bytes = [0; 64];
            let limit = left.min(bytes.len());
            let count = console.look(&mut bytes[..limit]);
            let taken = self.machine.console(&bytes[..count]).min(count);
            console.first.set(console.first.get() + taken);
            taken_any |= taken != 0;
            left -= taken;
            if taken < count {
                break;
            }
        }
        if console.waiting() == 0 {
            console.again.set(u64::MAX);
            console.pause.set(0);
            return;
        }
        let second = self.machine.frequency();
        let pause = match console.pause.get() {
            longer if longer != 0 && !taken_any => (2 * longer).min(second / LAST_PAUSE),
            _ => second / FIRST_PAUSE,
        };
        console.pause.set(pause.max(1));
        let again = self.machine.ticks().saturating_add(console.pause.get());
        console.again.set(again);
        self.set_timer_by(again);
    }

    /// What the console wants of the timer: to be offered what waits, and dropped lines to be told.
    pub(crate) fn tend_console(&self, now: u64) {
        let console = &self.console;
        if console.tell.get() <= now {
            let (dropped, whose) = (console.dropped.replace(0), console.dropper.get());
            console.tell.set(u64::MAX);
            let told = self.print_line(
                0,
                format_args!("kernel: {dropped} lines dropped, the last of {whose}"),
            );
            if !told {
                console.dropped.set(dropped);
                self.tell_later();
            }
        }
        if console.again.get() <= now {
            self.offer(AT_ONCE);
        }
        self.set_timer_by(console.again.get().min(console.tell.get()));
    }

    /// Waits until the console has taken everything, or takes nothing any more: before the machine
    /// stops.
    pub fn flush_console(&self) {
        let patience = self.machine.frequency() / PATIENCE;
        let mut since = self.machine.ticks();
        while self.console.waiting() != 0 && self.machine.ticks() - since < patience {
            let before = self.console.first.get();
            self.offer(AT_ONCE);
            if self.console.first.get() != before {
                since = self.machine.ticks();
            }
            core::hint::spin_loop();
        }
    }
}
