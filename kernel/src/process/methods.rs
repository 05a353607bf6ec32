//! Methods of a `Process`.

use abi::cap::{Kind, Rights};
use abi::fault::Cause;
use abi::method::process::{self as method, state};
use abi::{NOTIFY_BITS, PRIORITIES, USER_END};

use super::{Preserved, Process, Registers, USER_FLAGS};
use crate::Kernel;
use crate::cap::Capability;
use crate::error::{BUSY, FAULT, INVALID, METHOD, PARENTS, PERMISSION, Result};
use crate::frame::Words;
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::object::{Binding, Parent};
use crate::planted::Fault;

impl<M: Machine> Kernel<'_, M> {
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
                let [spacebank, _] = self.vital.get();
                let (oid, row) = match self.has(Fault::StartOther) {
                    true => (spacebank, self.row(spacebank).unwrap_or(row)),
                    false => (process.oid.get(), row),
                };
                let made = Capability::new(kind, Rights::FULL, oid, row.version.get());
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
