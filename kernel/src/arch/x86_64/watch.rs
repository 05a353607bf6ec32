//! What is done otherwise while entries are watched, for the probe.
//!
//! Entries then come in by a table of interrupts and an entry of system calls of their own: those who
//! aren't watched don't pay for it.

use core::arch::asm;

use kernel::process::{Process, Registers};
use x86_64::registers::debug::{
    BreakpointCondition, BreakpointSize, DebugAddressRegister, DebugAddressRegisterNumber, Dr0,
    Dr7, Dr7Flags, Dr7Value,
};

use super::entry::{acknowledge, pointer, serve};
use super::panic::KernelTrap;

/// The vector of debug traps.
const DEBUG: u64 = 1;
/// Debug status: the trap came after an instruction (Intel SDM vol. 3B, 17.2.3).
const SINGLE_STEP: u64 = 1 << 14;

/// Has processes trap at an address, or nowhere any more.
pub fn set_breakpoint(address: Option<u64>) {
    let mut control = Dr7Value::from_bits_truncate(0);
    if let Some(address) = address {
        Dr0::write(address);
        let number = DebugAddressRegisterNumber::Dr0;
        control.set_condition(number, BreakpointCondition::InstructionExecution);
        control.set_size(number, BreakpointSize::Length1B);
        control.insert_flags(Dr7Flags::global_breakpoint_enable(number));
    }
    Dr7::write(control);
}

/// Reads the debug status, and clears it: the CPU only ever sets bits.
fn take_debug_status() -> u64 {
    /// What the reserved bits are.
    const CLEAR: u64 = 0xffff_0ff0;
    let status: u64;
    // SAFETY: nothing else reads or writes this register.
    unsafe {
        asm!(
            "mov {0}, dr6",
            "mov dr6, {1}",
            out(reg) status,
            in(reg) CLEAR,
            options(nomem, nostack, preserves_flags)
        );
    }
    status
}

/// A system call came in.
pub extern "sysv64" fn on_watched_system_call(registers: &mut Registers) -> *const Process {
    crate::with_kernel(|kernel| pointer(kernel.watched_system_call(registers)))
}

/// An interrupt or fault came while a user process ran; its registers are saved.
pub extern "sysv64" fn on_watched_interrupt(
    vector: u64,
    error: u64,
    registers: &mut Registers,
) -> *const Process {
    crate::with_kernel(|kernel| {
        if vector == DEBUG {
            let single = take_debug_status() & SINGLE_STEP != 0;
            if let Some(next) = kernel.watched_step(single, registers) {
                return pointer(next);
            }
        }
        pointer(
            kernel.watched_interrupt(vector as u8, registers, |registers| {
                serve(kernel, vector, error, registers)
            }),
        )
    })
}

/// An interrupt or fault came while the kernel ran: an interrupt only when idle.
pub extern "sysv64" fn on_watched_kernel_interrupt(trap: &KernelTrap) {
    if trap.vector < 32 && trap.vector != 2 {
        panic!("{trap}");
    }
    if trap.vector >= 32 {
        crate::with_kernel(|kernel| {
            kernel.watched_idle(trap.vector as u8, || {
                if acknowledge(kernel, trap.vector) {
                    kernel.idle_tick();
                }
            });
        });
    }
}
