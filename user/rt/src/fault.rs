//! The fault entry: recovers from what was expected, reports everything else.
//!
//! The kernel enters it, disarmed, on a stack of its own, between two instructions of the program;
//! it touches nothing that the program might have left half changed (see `single`). Registers other
//! than those that [`abi::fault`] names are as the fault left them: the frame pointer starts the
//! backtrace.

use core::arch::{asm, global_asm};
use core::fmt::Write;

use abi::boot::{layout, slot};
use abi::fault::{Access, Cause};
use abi::invoke::Op;
use sys::Cap;
use sys::object::Process;

use crate::invoke::Kernel;
use crate::start::program;
use crate::{backtrace, logging, try_access, vanish};

global_asm!(
    ".pushsection .text.rt_fault, \"ax\", @progbits",
    ".globl rt_fault_entry",
    ".hidden rt_fault_entry",
    "rt_fault_entry:",
    "mov rcx, rbp",
    "xor ebp, ebp",
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

/// Runs on the fault stack. `frame` is the frame pointer at the fault.
extern "C" fn fault(address: u64, instruction: u64, cause: u64, frame: u64) -> ! {
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
    report(address, instruction, cause, access, frame);
    Kernel.decline()
}

fn report(address: u64, instruction: u64, cause: Cause, access: Access, frame: u64) {
    let name = program().name;
    let mut out = logging::report();
    let _ = match cause {
        Cause::Page => {
            let kind = match () {
                _ if access.contains(Access::FETCH) => "executing",
                _ if access.contains(Access::WRITE) => "writing",
                _ => "reading",
            };
            let why = if access.contains(Access::PRESENT) {
                "forbidden"
            } else {
                "not mapped"
            };
            writeln!(
                out,
                "{name}: page fault at {instruction:#x}, {kind} {address:#x} ({why})"
            )
        }
        _ => writeln!(out, "{name}: {} at {instruction:#x}", cause.name()),
    };
    let bottom = backtrace::stack_bottom(address, cause, access);
    let _ = backtrace::print(&mut out, instruction, frame, bottom);
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
