//! Processes: single-threaded protection domains.
//!
//! A process is one frame: its registers, its place in the scheduler's and a server's queues, its
//! notification bits. `arch` saves and restores registers here directly, at the offsets asserted
//! below. `registers` says which they are, `methods` what can be asked of a process.

mod methods;
mod registers;

use core::cell::Cell;

use abi::NOTIFY_BITS;
use abi::cap::Kind;
use abi::fault::Cause;
use abi::method::process::state;

pub use registers::{Preserved, Registers, USER_FLAGS};

use crate::Kernel;
use crate::error::{INVALID, Result};
use crate::frame::{Frame, View};
use crate::machine::Machine;
use crate::object::{Binding, Oid, Parent};

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

    /// Has a process run from where it is.
    pub(crate) fn start(&self, process: &Process) -> Result<()> {
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
}
