//! The probe: counts entries into the kernel, and stops before one; looks at the whole kernel.
//!
//! It is for those who inject faults on purpose: what a revocation does at the n-th entry of a
//! transfer can be tried for every n. Only init has the capability.
//!
//! It costs nothing unless it is used: while entries are watched, the machine has them come in by
//! other ways ([`Machine::watch`]), which lead here; otherwise nothing leads here but the methods.
//!
//! A system call is put back by standing on its instruction again; a fault comes again by itself.

use core::cell::Cell;

use abi::cap::{Kind, Rights};
use abi::invoke::Op;
use abi::method::{probe as method, process::state};
use abi::probe::{Entry, How};

use crate::Kernel;
use crate::audit::{Cursor, Piece};
use crate::error::{EMPTY, INVALID, METHOD, Result};
use crate::frame::Frame;
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{Binding, Oid};
use crate::process::{Name, Process, Registers};

/// Length of the instruction `syscall`.
const SYSCALL: u64 = 2;
/// Flags: trap after each instruction; pass by a breakpoint once.
const TRAP: u64 = 1 << 8;
const RESUME: u64 = 1 << 16;

/// One process, or any.
#[derive(Clone, Copy)]
struct Subject {
    oid: Oid,
    version: u64,
}

impl Subject {
    const ANY: Subject = Subject {
        oid: Oid::NONE,
        version: 0,
    };
}

/// Where somebody was stopped.
#[derive(Clone, Copy)]
struct Place {
    name: Name,
    instruction: u64,
    entry: Entry,
    /// Who was told ran at once: whoever was stopped had done nothing since.
    at_once: bool,
}

/// What the probe has been told, and what it found.
pub(crate) struct Probe {
    /// Whose entries, or instructions, are counted; nobody's name stands for all.
    subject: Cell<Subject>,
    /// Who is told.
    told: Cell<Binding>,
    /// Where instructions are counted; empty when entries are.
    range: Cell<(u64, u64)>,
    /// Entries and instructions since it was armed.
    entries: Cell<u64>,
    instructions: Cell<u64>,
    /// The one at which it stops; 0 for none.
    stop: Cell<u64>,
    place: Cell<Option<Place>>,
    /// The longest stretch with interrupts off, and what took it.
    longest: Cell<(u64, Entry)>,
}

impl Probe {
    pub const fn new() -> Probe {
        Probe {
            subject: Cell::new(Subject::ANY),
            told: Cell::new(Binding::NONE),
            range: Cell::new((0, 0)),
            entries: Cell::new(0),
            instructions: Cell::new(0),
            stop: Cell::new(0),
            place: Cell::new(None),
            longest: Cell::new((0, Entry::NOTHING)),
        }
    }

    fn counts_instructions(&self) -> bool {
        let (first, end) = self.range.get();
        first < end
    }

    /// Counts an instruction; whether it is the one to stop at.
    fn steps(&self) -> bool {
        let count = self.instructions.get() + 1;
        self.instructions.set(count);
        count == self.stop.get()
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Methods of the `Probe`.
    #[inline(never)]
    pub(crate) fn invoke_probe(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, w3, w4, w5] = call.words();
        match method {
            method::ARM => self.set_probe(call, (0, 0), w1, Rights::INSPECT)?,
            method::STEP if w1 < w2 && w2 < abi::USER_END => {
                self.set_probe(call, (w1, w2), w3, Rights::CONTROL)?;
            }
            method::STEP => return Err(INVALID),
            method::DISARM => {
                self.end_stepping();
                self.machine.watch(false);
            }
            method::READ => {
                let reading = self.read_probe();
                if w1 & abi::probe::FORGET != 0 {
                    self.probe.longest.set((0, Entry::NOTHING));
                }
                if w1 & abi::probe::GO_ON != 0 {
                    self.end_stepping();
                    self.probe.stop.set(0);
                }
                return Ok(Answer::words(reading));
            }
            method::WHERE => {
                let place = self.probe.place.get().ok_or(EMPTY)?;
                let [first, second] = place.name.words();
                let entry = place.entry.pack();
                return Ok(Answer::words([
                    first,
                    second,
                    place.instruction,
                    entry,
                    place.at_once.into(),
                    0,
                ]));
            }
            method::AUDIT => {
                let at = Cursor::unpack([w1, w2, w3, w4, w5]).ok_or(INVALID)?;
                return Ok(match self.audit_piece(at) {
                    Ok(Piece::More(at)) => {
                        let [w1, w2, w3, w4, w5] = at.pack();
                        Answer::MoreWords([0, w1, w2, w3, w4, w5])
                    }
                    Ok(Piece::Done { compared }) => {
                        Answer::words([0, u64::from(!compared), 0, 0, 0, 0])
                    }
                    Err(violation) => Answer::words([self.tell(violation), 0, 0, 0, 0, 0]),
                });
            }
            method::CENSUS => {
                let [free, live, limbo] = self.census().map(|count| count as u64);
                return Ok(Answer::words([free, live, limbo, 0, 0, 0]));
            }
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    /// `ARM` and `STEP`.
    fn set_probe(
        &self,
        call: &Invocation,
        range: (u64, u64),
        stop: u64,
        rights: Rights,
    ) -> Result<()> {
        let probe = &self.probe;
        let told = match (call.sent(0), stop) {
            (0, 0) => Binding::NONE,
            _ => self.binding(&call.argument(self, 0)?)?,
        };
        let subject = match call.sent(1) {
            0 if range == (0, 0) => Subject::ANY,
            _ => {
                let named = call.object(self, 1, Kind::Process, rights)?;
                Subject {
                    oid: named.oid,
                    version: named.row.version.get(),
                }
            }
        };
        self.end_stepping();
        probe.told.set(told);
        probe.subject.set(subject);
        probe.range.set(range);
        probe.stop.set(stop);
        probe.entries.set(0);
        probe.instructions.set(0);
        probe.place.set(None);
        if probe.counts_instructions() {
            self.machine.set_breakpoint(Some(range.0));
        }
        self.machine.watch(true);
        Ok(())
    }

    /// Nobody traps any more: without the probe, a trap would be a fault of the process's own.
    fn end_stepping(&self) {
        self.machine.set_breakpoint(None);
        let stepped = self.probe.subject.get().oid;
        if self.probe.counts_instructions()
            && let Some(process) = self.live_process(stepped).filter(|it| self.is_subject(it))
        {
            for registers in [&process.preserved, &process.fault_preserved] {
                let mut preserved = registers.get();
                preserved.rflags &= !TRAP;
                registers.set(preserved);
            }
        }
        self.probe.range.set((0, 0));
    }

    fn read_probe(&self) -> [u64; 6] {
        let probe = &self.probe;
        let (longest, entry) = probe.longest.get();
        [
            probe.entries.get(),
            probe.instructions.get(),
            u64::from(probe.place.get().is_some()),
            longest,
            entry.pack(),
            0,
        ]
    }

    /// A system call, while entries are watched. As [`Kernel::system_call`].
    pub fn watched_system_call(&self, registers: &mut Registers) -> Option<&Process> {
        let begun = self.machine.ticks();
        let entry = self.entry_by_call(registers);
        if entry.kind != Kind::Probe as u8 && self.counts_to_stop() {
            if let Some(process) = self.current() {
                let mut preserved = process.preserved.get();
                preserved.rip = preserved.rip.wrapping_sub(SYSCALL);
                process.preserved.set(preserved);
                process.message.set(*registers);
                process.full.set(1);
            }
            return self.stop_for_probe(entry, registers);
        }
        let next = self.system_call(registers);
        self.measure(begun, entry);
        next
    }

    /// An interrupt or fault, while entries are watched; all of the current process's registers are
    /// saved. `serve` does with it what is done otherwise.
    pub fn watched_interrupt<'k>(
        &'k self,
        vector: u8,
        registers: &mut Registers,
        serve: impl FnOnce(&mut Registers) -> Option<&'k Process>,
    ) -> Option<&'k Process> {
        /// From here on vectors are interrupts, not faults.
        const INTERRUPTS: u8 = 32;
        let begun = self.machine.ticks();
        let entry = Entry {
            how: How::Interrupt,
            number: vector,
            ..Entry::NOTHING
        };
        let stops = self.counts_to_stop();
        if stops && vector < INTERRUPTS {
            self.interrupted();
            return self.stop_for_probe(entry, registers);
        }
        let next = serve(registers);
        self.measure(begun, entry);
        match stops {
            true => self.stop_for_probe(entry, registers),
            false => next,
        }
    }

    /// An interrupt while nobody runs, and entries are watched. Who runs is decided afterwards.
    pub fn watched_idle(&self, vector: u8, serve: impl FnOnce()) {
        let begun = self.machine.ticks();
        let entry = Entry {
            how: How::Idle,
            number: vector,
            ..Entry::NOTHING
        };
        if self.counts_to_stop() {
            self.note_place(entry, false);
            self.notify(self.probe.told.get());
        }
        serve();
        self.measure(begun, entry);
    }

    /// A debug trap of the current process, all of whose registers are saved, while entries are watched.
    /// `single`: after an instruction; otherwise at the breakpoint. Outer `None`: it isn't the probe's.
    pub fn watched_step(
        &self,
        single: bool,
        registers: &mut Registers,
    ) -> Option<Option<&Process>> {
        let probe = &self.probe;
        let process = self.current()?;
        let ours = probe.counts_instructions() && self.is_subject(process);
        if !ours && single {
            return None;
        }
        self.interrupted();
        let mut preserved = process.preserved.get();
        let (first, end) = probe.range.get();
        let inside = ours && (first..end).contains(&preserved.rip);
        let stops = inside && probe.steps();
        preserved.rflags &= !TRAP;
        if !stops {
            // The breakpoint would hold it where it stands for ever.
            preserved.rflags |= RESUME;
        }
        if inside && !stops {
            preserved.rflags |= TRAP;
        }
        process.preserved.set(preserved);
        if !stops {
            return Some(Some(process));
        }
        self.end_stepping();
        let entry = Entry {
            how: How::Instruction,
            ..Entry::NOTHING
        };
        Some(self.stop_for_probe(entry, registers))
    }

    /// What a system call asks for.
    fn entry_by_call(&self, registers: &Registers) -> Entry {
        let op = registers.rax as u8;
        let invokes = op == Op::Call as u8 || op == Op::Send as u8;
        let address = u16::try_from(registers.rdi).ok();
        let kind = self
            .current()
            .zip(address.filter(|_| invokes))
            .and_then(|(process, address)| self.capability(process, address).kind());
        Entry {
            how: How::Call,
            number: op,
            kind: kind.map_or(0, |kind| kind as u8),
            method: if invokes { registers.rsi as u32 } else { 0 },
        }
    }

    fn is_subject(&self, process: &Process) -> bool {
        let subject = self.probe.subject.get();
        let oid = process.oid.get();
        oid == subject.oid
            && self
                .row(oid)
                .is_some_and(|row| row.version.get() == subject.version)
    }

    /// Counts an entry, if it is one to be counted; whether it is the one to stop at.
    fn counts_to_stop(&self) -> bool {
        let probe = &self.probe;
        let counted = match self.current() {
            Some(process) if process.oid.get() == probe.told.get().process => false,
            Some(process) => probe.subject.get().oid == Oid::NONE || self.is_subject(process),
            None => probe.subject.get().oid == Oid::NONE,
        };
        if !counted {
            return false;
        }
        let count = probe.entries.get() + 1;
        probe.entries.set(count);
        !probe.counts_instructions() && count == probe.stop.get()
    }

    fn note_place(&self, entry: Entry, at_once: bool) {
        let process = self.current();
        self.probe.place.set(Some(Place {
            name: process.map_or(Name::KERNEL, Process::name),
            instruction: process.map_or(0, |process| process.preserved.get().rip),
            entry,
            at_once,
        }));
    }

    /// Tells whom it is to tell, who runs next if it waits. The process that was to run goes on afterwards;
    /// its message registers are `registers`, unless they are saved.
    fn stop_for_probe(&self, entry: Entry, registers: &mut Registers) -> Option<&Process> {
        let told = self.probe.told.get();
        let waits = |process: &&Process| process.state.get() == state::WAITING;
        let waiting = self.live_process(told.process).filter(waits);
        let is_told = self.notify(told);
        let runs = waiting.filter(|process| is_told && process.state.get() == state::READY);
        self.note_place(entry, runs.is_some());
        match runs {
            Some(process) => self.run_out_of_turn(process, registers),
            None => self.reschedule(registers),
        }
    }

    /// Runs a process that is ready before everybody else, whoever is more urgent.
    fn run_out_of_turn<'k>(
        &'k self,
        process: &'k Process,
        registers: &mut Registers,
    ) -> Option<&'k Process> {
        self.account();
        if let Some(current) = self.current() {
            self.cpu.current.set(Frame::NONE);
            if current.full.get() == 0 {
                current.message.set(*registers);
            }
            self.enqueue_first(current);
        }
        self.dequeue(process);
        self.cpu.current.set(process.frame.get());
        self.load_space_of(process);
        if process.full.get() == 0 {
            *registers = process.message.get();
        }
        Some(process)
    }

    /// Notes how long an entry took, if none took longer.
    fn measure(&self, begun: u64, entry: Entry) {
        let took = self.machine.ticks().wrapping_sub(begun);
        if took > self.probe.longest.get().0 {
            self.probe.longest.set((took, entry));
        }
    }
}
