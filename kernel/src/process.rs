//! Processes: single-threaded protection domains.
//!
//! A process is one frame: its registers, its place in the scheduler's and a server's queues, its
//! notification bits. `arch` saves and restores registers here directly, at the offsets asserted
//! below.

use core::cell::Cell;

use abi::cap::{Kind, Rights};
use abi::fault::Cause;
use abi::method::process::{self as method, state};
use abi::{NOTIFY_BITS, PRIORITIES, USER_END};

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{BUSY, FAULT, INVALID, METHOD, PARENTS, PERMISSION, Result, Status};
use crate::frame::{Frame, View, Words};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{Binding, Oid, Parent};

/// The registers of an invocation, in the order in which the entry code pushes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "these are the registers of the same names")]
pub struct Registers {
    pub rax: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r10: u64,
    pub r8: u64,
    pub r9: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
}

impl Registers {
    /// The six words.
    #[inline(always)]
    pub fn words(&self) -> [u64; 6] {
        [self.rsi, self.rdx, self.r10, self.r8, self.r9, self.r12]
    }

    /// A status, and nothing else: no words, and no capabilities received.
    pub fn status(status: Status) -> Registers {
        Registers {
            rax: u64::from(status),
            ..Registers::default()
        }
    }

    /// Replaces the six words.
    pub fn set_words(&mut self, words: [u64; 6]) {
        [self.rsi, self.rdx, self.r10, self.r8, self.r9, self.r12] = words;
    }
}

/// Registers that no message passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "these are the registers of the same names")]
pub struct Preserved {
    pub rip: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub rbx: u64,
    pub rbp: u64,
    pub r15: u64,
    pub rcx: u64,
    pub r11: u64,
}

/// Links of a process in one queue: the scheduler's, or a server's callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Links {
    /// The process before it.
    pub before: Frame,
    /// The process after it.
    pub after: Frame,
}

/// A process's frame.
#[repr(C)]
pub struct Process {
    /// Preserved registers; all of them count when `full` is set, the first six otherwise.
    pub preserved: Cell<Preserved>,
    /// Message registers, when they are not in flight.
    pub message: Cell<Registers>,
    /// Capability address of the last invocation.
    pub last_capability: Cell<u64>,
    /// Its first word.
    pub last_method: Cell<u64>,
    /// Nonzero: every register must be restored (it was interrupted, not in a system call).
    pub full: Cell<u8>,
    /// State, as `abi::method::process::state`.
    pub state: Cell<u8>,
    /// Priority, below 64.
    pub priority: Cell<u8>,
    /// Nonzero while in the fault entry: disarmed.
    pub in_fault: Cell<u8>,
    /// Cause of the last fault.
    pub cause: Cell<u8>,
    /// Access of the last fault.
    pub access: Cell<u8>,
    /// What the last wait took, so that neither notifications nor callers starve the other: 1 a
    /// notification.
    pub turn: Cell<u8>,
    /// Nonzero once configured.
    pub configured: Cell<u8>,
    /// Its number.
    pub oid: Cell<Oid>,
    /// Its frame.
    pub frame: Cell<Frame>,
    /// Frame of its root `CapTable`; `NONE` when it has none.
    pub root: Cell<Frame>,
    /// Frame of its level-4 table; `NONE` when it has none.
    pub space: Cell<Frame>,
    /// The root `CapTable`.
    pub root_oid: Cell<Oid>,
    /// The level-4 table.
    pub space_oid: Cell<Oid>,
    /// The caller that it serves; `NONE` when there is none.
    pub caller: Cell<Oid>,
    /// Its position in the timer heap + 1; 0 when not armed.
    pub timer: Cell<u32>,
    /// Token of that caller's call.
    pub caller_token: Cell<u64>,
    /// Token of its own call while it waits for the answer, else 0. Tokens are never reused.
    pub token: Cell<u64>,
    /// Where the capabilities of the next message (or of the answer) go.
    pub receive: Cell<u64>,
    /// Place in the ready queue of its priority, or in a server's queue of callers.
    pub links: Cell<Links>,
    /// The server in whose queue it waits.
    pub waits_for: Cell<Frame>,
    /// First of its callers in the queue.
    pub first_caller: Cell<Frame>,
    /// Last of them.
    pub last_caller: Cell<Frame>,
    /// PCI function + 1 whose DMA it drives, or 0.
    pub drives: Cell<u32>,
    /// Cycles it ran.
    pub cycles: Cell<u64>,
    /// How often a CPU switched to its address space from another.
    pub switches: Cell<u64>,
    /// Tick at which its timer fires.
    pub deadline: Cell<u64>,
    /// Bit that its timer sets.
    pub timer_bit: Cell<u64>,
    /// Tick at which the lines that it logged would have been due, at the rate that it may log.
    pub lines_due: Cell<u64>,
    /// Highest priority that it may give.
    pub ceiling: Cell<u64>,
    /// Instruction pointer of the fault entry; 0 for none.
    pub fault_entry: Cell<u64>,
    /// Stack pointer of the fault entry.
    pub fault_stack: Cell<u64>,
    /// Address of the last fault.
    pub fault_address: Cell<u64>,
    /// Instruction pointer of the last fault.
    pub fault_instruction: Cell<u64>,
    /// Last invocation before the fault, packed as `INFO` tells it.
    pub fault_invocation: Cell<u64>,
    /// Registers at the fault, while in the fault entry.
    pub fault_preserved: Cell<Preserved>,
    /// Message registers at the fault.
    pub fault_message: Cell<Registers>,
    /// Who is told when it faults for good: version, process and bit.
    pub keeper_version: Cell<u64>,
    /// The keeper's process.
    pub keeper: Cell<Oid>,
    /// The keeper's bit.
    pub keeper_bit: Cell<u32>,
    /// Name, padded with zeros.
    pub name: Cell<[u8; 16]>,
    /// Groups with notification bits set.
    pub groups: Cell<u64>,
    /// Notification bits, by groups of 64.
    pub bits: [Cell<u64>; NOTIFY_BITS / 64],
}

// SAFETY: `repr(C)`, cells of integers and of `repr(transparent)`/`repr(C)` structures of integers;
// any bytes are valid; below 4,096 bytes (asserted).
unsafe impl View for Process {}

const _: () = {
    assert!(size_of::<Process>() <= abi::PAGE_SIZE);
    assert!(core::mem::offset_of!(Process, preserved) == 0);
    assert!(core::mem::offset_of!(Process, message) == 64);
    assert!(core::mem::offset_of!(Process, last_capability) == 144);
    assert!(core::mem::offset_of!(Process, full) == 160);
};

/// Flags register of user code: interrupts on.
pub const USER_FLAGS: u64 = 0x202;

impl Process {
    /// Makes a zeroed frame a process.
    pub(crate) fn initialise(&self, oid: Oid, frame: Frame) {
        self.oid.set(oid);
        self.frame.set(frame);
        self.root_oid.set(Oid::NONE);
        self.space_oid.set(Oid::NONE);
        self.caller.set(Oid::NONE);
        self.keeper.set(Oid::NONE);
    }

    /// Its name, for people.
    pub fn name(&self) -> Name {
        Name(self.name.get())
    }

    /// Its last invocation: capability address, and first word from bit 32.
    pub(crate) fn last_invocation(&self) -> u64 {
        self.last_capability.get() & 0xffff | self.last_method.get() << 32
    }

    /// Whether the fault entry may be used now.
    pub(crate) fn is_armed(&self) -> bool {
        self.fault_entry.get() != 0 && self.in_fault.get() == 0
    }

    fn keeper(&self) -> Binding {
        Binding {
            process: self.keeper.get(),
            bit: self.keeper_bit.get(),
            version: self.keeper_version.get(),
        }
    }
}

/// A process's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name([u8; 16]);

impl Name {
    /// The kernel's own.
    pub(crate) const KERNEL: Name = Name(*b"kernel\0\0\0\0\0\0\0\0\0\0");

    /// Its bytes as two words, little-endian, as `SET_NAME` takes them.
    pub(crate) fn words(self) -> [u64; 2] {
        let word = |at: usize| {
            let bytes = self.0[at..at + 8].iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        [word(0), word(8)]
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        if self.0[0] == 0 {
            return f.pad("(unnamed)");
        }
        for byte in self.0.iter().take_while(|byte| **byte != 0) {
            f.write_char(if byte.is_ascii_graphic() {
                *byte as char
            } else {
                '?'
            })?;
        }
        Ok(())
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// The process whose frame this is.
    #[inline(always)]
    pub(crate) fn process(&self, frame: Frame) -> &Process {
        self.view(frame)
    }

    /// The process that a number names, if it is one and lives.
    #[inline]
    pub fn live_process(&self, oid: Oid) -> Option<&Process> {
        self.live(oid, Kind::Process)
            .map(|row| self.process(row.frame.get()))
    }

    /// Methods of a `Process`.
    pub(crate) fn invoke_process(&self, call: &Invocation) -> Result<Answer> {
        let row = self.object(&call.capability)?;
        let process = self.process(row.frame.get());
        let [method, w1, w2, w3, w4, _] = call.words();
        let needed = match method {
            method::MAKE_START | method::MAKE_NOTIFY | method::SET_FAULT_ENTRY => Rights::MANAGE,
            method::INFO => Rights::INSPECT,
            method::CONFIGURE..=method::SET_CEILING => Rights::CONTROL,
            _ => return Err(METHOD),
        };
        call.capability.needs(needed)?;
        match method {
            method::CONFIGURE => self.configure(call, process, [w1, w2, w3, w4])?,
            method::START => self.start(process)?,
            method::STOP => self.stop(process),
            method::MAKE_START | method::MAKE_NOTIFY => {
                let kind = if method == method::MAKE_START {
                    Kind::Start
                } else {
                    Kind::Notify
                };
                if kind == Kind::Notify && w1 >= NOTIFY_BITS as u64 {
                    return Err(INVALID);
                }
                let made =
                    Capability::new(kind, Rights::FULL, process.oid.get(), row.version.get());
                return Ok(Answer::capability(made.badged(w1)));
            }
            method::SET_FAULT_ENTRY => {
                if w1 >= USER_END || w2 >= USER_END {
                    return Err(INVALID);
                }
                process.fault_entry.set(w1);
                process.fault_stack.set(w2);
            }
            method::INFO => return Ok(Answer::words(self.process_info(process))),
            method::REGISTERS => return registers(process, w1).map(Answer::words),
            method::READ_MEMORY => return self.read_memory(process, w1).map(Answer::words),
            method::SET_NAME => {
                let mut name = [0; 16];
                name[..8].copy_from_slice(&w1.to_le_bytes());
                name[8..].copy_from_slice(&w2.to_le_bytes());
                process.name.set(name);
            }
            method::SET_PRIORITY => self.set_priority(call.invoker, process, w1)?,
            _ => {
                may_give(call.invoker, w1)?;
                process.ceiling.set(w1);
            }
        }
        Ok(Answer::NOTHING)
    }

    fn configure(&self, call: &Invocation, process: &Process, start: [u64; 4]) -> Result<()> {
        let [instruction, stack, priority, argument] = start;
        if process.state.get() != state::STOPPED {
            return Err(BUSY);
        }
        if instruction >= USER_END || stack >= USER_END {
            return Err(INVALID);
        }
        may_give(call.invoker, priority)?;
        let (root, space) = (call.argument(self, 0)?, call.argument(self, 1)?);
        let root_row = self.object_of(&root, Kind::CapTable)?;
        let space_row = self.object_of(&space, Kind::Table4)?;
        root.needs(Rights::MANAGE)?;
        space.needs(Rights::MANAGE)?;
        let keeper = match call.sent(2) {
            0 => Binding::NONE,
            _ => self.binding(&call.argument(self, 2)?)?,
        };
        self.leave_spaces(process);
        let parent = Parent {
            holder: process.oid.get(),
            index: Parent::PROCESS,
        };
        if !root_row.add_parent(parent, 0) {
            return Err(PARENTS);
        }
        if !space_row.add_parent(parent, 0) {
            root_row.remove_parent(parent);
            return Err(PARENTS);
        }
        process.root.set(root_row.frame.get());
        process.root_oid.set(root.oid());
        process.space.set(space_row.frame.get());
        process.space_oid.set(space.oid());
        process.keeper.set(keeper.process);
        process.keeper_bit.set(keeper.bit);
        process.keeper_version.set(keeper.version);
        process.priority.set(priority as u8);
        process.ceiling.set(priority);
        process.preserved.set(Preserved {
            rip: instruction,
            rsp: stack,
            rflags: USER_FLAGS,
            ..Preserved::default()
        });
        process.message.set(Registers {
            rdi: argument,
            ..Registers::default()
        });
        process.full.set(1);
        process.in_fault.set(0);
        process.fault_entry.set(0);
        process.cause.set(Cause::None as u8);
        process.configured.set(1);
        Ok(())
    }

    /// Forgets a process's root table and address space.
    pub(crate) fn leave_spaces(&self, process: &Process) {
        let parent = Parent {
            holder: process.oid.get(),
            index: Parent::PROCESS,
        };
        for oid in [
            process.root_oid.replace(Oid::NONE),
            process.space_oid.replace(Oid::NONE),
        ] {
            if let Some(row) = self.row(oid) {
                row.remove_parent(parent);
            }
        }
        process.root.set(Frame::NONE);
        process.space.set(Frame::NONE);
        process.configured.set(0);
    }

    fn start(&self, process: &Process) -> Result<()> {
        let whole = process.root.get() != Frame::NONE && process.space.get() != Frame::NONE;
        if process.configured.get() == 0 || !whole {
            return Err(INVALID);
        }
        if process.state.get() == state::STOPPED {
            process.cause.set(Cause::None as u8);
            process.state.set(state::READY);
            self.enqueue(process);
        }
        Ok(())
    }

    /// Stops a process wherever it is; a wait or call that it was in ends with `EPIPE`.
    pub(crate) fn stop(&self, process: &Process) {
        let was = process.state.replace(state::STOPPED);
        match was {
            state::READY => self.dequeue(process),
            state::QUEUED => self.leave_queue(process),
            _ => {}
        }
        if matches!(was, state::QUEUED | state::CALLING | state::WAITING) {
            process.token.set(0);
            self.answer(process, crate::error::ABANDONED);
        }
    }

    /// Ends a process's run because of a fault; its keeper is told.
    pub(crate) fn suspend(&self, process: &Process, cause: Cause) {
        if process.state.get() != state::STOPPED {
            self.stop(process);
        }
        process.cause.set(cause as u8);
        if !self.notify(process.keeper()) {
            self.report_fault(process);
            self.end_without(process);
        }
    }

    fn set_priority(&self, invoker: &Process, process: &Process, priority: u64) -> Result<()> {
        may_give(invoker, priority)?;
        let queued = process.state.get() == state::READY && !self.is_current(process);
        if queued {
            self.dequeue(process);
        }
        process.priority.set(priority as u8);
        if queued {
            self.enqueue(process);
        }
        Ok(())
    }

    fn process_info(&self, process: &Process) -> [u64; 6] {
        self.account();
        [
            u64::from(process.state.get())
                | u64::from(process.priority.get()) << 8
                | process.switches.get() << 16,
            process.cycles.get(),
            u64::from(process.cause.get()) | u64::from(process.access.get()) << 8,
            process.fault_address.get(),
            process.fault_instruction.get(),
            match process.cause.get() {
                0 => process.last_invocation(),
                _ => process.fault_invocation.get(),
            },
        ]
    }

    /// Six words of a process's memory, as it would read them.
    fn read_memory(&self, process: &Process, address: u64) -> Result<[u64; 6]> {
        if !address.is_multiple_of(8) {
            return Err(INVALID);
        }
        let mut words = [0; 6];
        for (n, word) in words.iter_mut().enumerate() {
            let address = address.checked_add(n as u64 * 8).ok_or(FAULT)?;
            let (frame, offset) = self.translate(process.space.get(), address).ok_or(FAULT)?;
            *word = self.view::<Words>(frame).get(offset / 8);
        }
        Ok(words)
    }
}

/// Whether a process may give a priority, as its own ceiling or another's priority. Anybody with a
/// bank can make processes: that must not let him pass by those who serve everybody.
fn may_give(invoker: &Process, priority: u64) -> Result<()> {
    if priority >= PRIORITIES as u64 {
        Err(INVALID)
    } else if priority > invoker.ceiling.get() {
        Err(PERMISSION)
    } else {
        Ok(())
    }
}

fn registers(process: &Process, group: u64) -> Result<[u64; 6]> {
    let (p, m) = match process.in_fault.get() {
        0 => (process.preserved.get(), process.message.get()),
        _ => (process.fault_preserved.get(), process.fault_message.get()),
    };
    match group {
        0 => Ok([p.rip, p.rsp, p.rbp, p.rflags, m.rax, p.rbx]),
        1 => Ok([p.rcx, m.rdx, m.rsi, m.rdi, m.r8, m.r9]),
        2 => Ok([m.r10, p.r11, m.r12, m.r13, m.r14, p.r15]),
        _ => Err(INVALID),
    }
}
