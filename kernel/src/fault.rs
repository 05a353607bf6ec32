//! Faults of processes: first to the process's own fault entry, then to its keeper.

use abi::fault::{Access, Cause};

use crate::Kernel;
use crate::machine::Machine;
use crate::process::{Preserved, Process, Registers, USER_FLAGS};

impl<M: Machine> Kernel<'_, M> {
    /// The current process, all of whose registers are saved, faulted. Answers who runs now.
    pub fn fault(
        &self,
        cause: Cause,
        access: Access,
        address: u64,
        registers: &mut Registers,
    ) -> Option<&Process> {
        let process = self.current()?;
        self.count(abi::count::Event::Traps, 1);
        let instruction = process.preserved.get().rip;
        process.full.set(1);
        process.cause.set(cause as u8);
        process.access.set(access.bits());
        process.fault_address.set(address);
        process.fault_instruction.set(instruction);
        process.fault_invocation.set(process.last_invocation());
        if process.is_armed() {
            process.in_fault.set(1);
            process.fault_preserved.set(process.preserved.get());
            process.fault_message.set(process.message.get());
            process.preserved.set(Preserved {
                rip: process.fault_entry.get(),
                rsp: process.fault_stack.get(),
                rflags: USER_FLAGS,
                ..Preserved::default()
            });
            process.message.set(Registers {
                rdi: address,
                rsi: instruction,
                rdx: u64::from(cause as u8) | u64::from(access.bits()) << 8,
                ..Registers::default()
            });
        } else {
            // Of two faults, one inside the other's entry, the second is told, with its registers.
            process.in_fault.set(0);
            self.suspend(process, cause);
        }
        self.reschedule(registers)
    }

    /// The timer's interrupt, or one that only wakes the CPU up. Answers who runs now.
    pub fn tick(&self, registers: &mut Registers) -> Option<&Process> {
        let now = self.machine.ticks();
        self.cpu.timer.set(u64::MAX);
        self.fire_timers(now);
        self.tend_console(now);
        if now >= self.cpu.slice_end.get() {
            self.take_turns(registers)
        } else {
            self.set_timer_by(self.cpu.slice_end.get());
            self.reschedule(registers)
        }
    }

    /// The timer's interrupt while nobody runs. Who runs is decided afterwards.
    pub fn idle_tick(&self) {
        self.cpu.timer.set(u64::MAX);
        let now = self.machine.ticks();
        self.fire_timers(now);
        self.tend_console(now);
    }

    /// Who runs after a device's interrupt.
    pub fn after_interrupt(&self, registers: &mut Registers) -> Option<&Process> {
        self.reschedule(registers)
    }

    /// Marks the current process as interrupted: all its registers are saved.
    pub fn interrupted(&self) {
        if let Some(process) = self.current() {
            self.count(abi::count::Event::Traps, 1);
            process.full.set(1);
        }
    }
}
