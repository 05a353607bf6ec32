//! The fault entry: recovers from what was expected, and declines everything else.
//!
//! The kernel enters it, disarmed, on a stack of its own, between two instructions of the program;
//! it touches nothing that the program might have left half changed (see `single`). It reports
//! nothing itself: whoever is told of a fault that was declined (the program's keeper, or else the
//! kernel) prints it, with the registers and the backtrace of the fault.

use core::arch::{asm, global_asm};

use abi::boot::{layout, slot};
use abi::fault::{Access, Cause};
use abi::invoke::Op;
use sys::Cap;
use sys::object::Process;

use crate::invoke::Kernel;
use crate::{try_access, vanish};

global_asm!(
    ".pushsection .text.rt_fault, \"ax\", @progbits",
    ".globl rt_fault_entry",
    ".hidden rt_fault_entry",
    "rt_fault_entry:",
    "call {fault}",
    "ud2",
    ".popsection",
    fault = sym fault,
);

unsafe extern "C" {
    static rt_fault_entry: u8;
}

/// Arms the fault entry.
pub(crate) fn start() {
    let process: Cap<Process> = Cap::at(slot::PROCESS);
    let entry = (&raw const rt_fault_entry).addr() as u64;
    // A process that may not set its fault entry has its faults reported by the kernel alone.
    let _ = process.set_fault_entry(&Kernel, entry, layout::FAULT_STACK_TOP);
}

/// Runs on the fault stack.
extern "C" fn fault(address: u64, instruction: u64, cause: u64) -> ! {
    let access = Access::from_bits_truncate((cause >> 8) as u8);
    let cause = Cause::from_u8(cause as u8);
    if cause == Cause::Page {
        if let Some(recovery) = try_access::recovery(address as usize, instruction as usize) {
            resume(recovery as u64);
        }
        if vanish::replace(address, access) {
            resume(0);
        }
    }
    Kernel.decline()
}

/// Leaves the fault entry; a nonzero instruction replaces the one that faulted.
fn resume(instruction: u64) -> ! {
    // SAFETY: the kernel restores the registers of the fault; nothing of this stack is used again.
    unsafe {
        asm!(
            "syscall",
            "ud2",
            in("rax") Op::FaultReturn as u64,
            in("rdi") instruction,
            options(noreturn),
        );
    }
}
