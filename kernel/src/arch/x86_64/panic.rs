//! When the kernel itself is wrong: everything that helps to find out why, then halt.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use super::memory::is_mapped;
use super::serial::Serial;

/// Frames of a backtrace at most.
const DEPTH: usize = 32;

/// The registers at an exception in the kernel, as the entry code pushes them.
#[repr(C)]
#[allow(missing_docs, reason = "these are the registers of the same names")]
pub struct KernelTrap {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl fmt::Display for KernelTrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self;
        writeln!(
            f,
            "exception {} (error {:#x}) in the kernel\r",
            t.vector, t.error
        )?;
        let address = x86_64::registers::control::Cr2::read_raw();
        writeln!(
            f,
            "rip {:#018x} rsp {:#018x} rflags {:#x} cr2 {address:#x}\r",
            t.rip, t.rsp, t.rflags
        )?;
        writeln!(
            f,
            "rax {:#018x} rbx {:#018x} rcx {:#018x} rdx {:#018x}\r",
            t.rax, t.rbx, t.rcx, t.rdx
        )?;
        writeln!(
            f,
            "rsi {:#018x} rdi {:#018x} rbp {:#018x} r8  {:#018x}\r",
            t.rsi, t.rdi, t.rbp, t.r8
        )?;
        writeln!(
            f,
            "r9  {:#018x} r10 {:#018x} r11 {:#018x} r12 {:#018x}\r",
            t.r9, t.r10, t.r11, t.r12
        )?;
        writeln!(
            f,
            "r13 {:#018x} r14 {:#018x} r15 {:#018x}\r",
            t.r13, t.r14, t.r15
        )?;
        writeln!(f, "    #0 kernel {:#x}\r", t.rip)?;
        backtrace(f, t.rbp)
    }
}

/// Return addresses along the frame pointers, as long as they rise within mapped memory.
fn backtrace(to: &mut impl Write, mut frame: u64) -> fmt::Result {
    for n in 1..DEPTH {
        let physical = frame.wrapping_sub(super::memory::KERNEL_BASE);
        if !frame.is_multiple_of(8) || !is_mapped(physical) || physical > 1 << 30 {
            break;
        }
        // SAFETY: an aligned address within the kernel's mapped image; its stacks lie there.
        let (next, address) = unsafe { (*(frame as *const u64), *(frame as *const u64).add(1)) };
        if address == 0 {
            break;
        }
        writeln!(to, "    #{n} kernel {address:#x}\r")?;
        if next <= frame {
            break;
        }
        frame = next;
    }
    Ok(())
}

#[panic_handler]
fn on_panic(info: &PanicInfo) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    x86_64::instructions::interrupts::disable();
    if !PANICKING.swap(true, Ordering::Relaxed) {
        let frame: u64;
        // SAFETY: reads a register.
        unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame) };
        let _ = report(info, frame);
    }
    super::stop(super::PANICKED)
}

fn report(info: &PanicInfo, frame: u64) -> fmt::Result {
    // What led to it comes first.
    crate::flush_console();
    let mut to = Serial;
    writeln!(to, "\r\nkernel panic: {}\r", info.message())?;
    if let Some(location) = info.location() {
        writeln!(to, "at {location}\r")?;
    }
    let process = super::entry::entered();
    if !process.is_null() {
        // SAFETY: it was entered, so it is a process's frame, which is mapped for good; reading it
        // may show odd values, not more.
        let process = unsafe { &*process };
        writeln!(
            to,
            "process {}, last invoked capability {}, method {}, from {:#x}\r",
            process.name(),
            process.last_capability.get(),
            process.last_method.get(),
            process.preserved.get().rip,
        )?;
    }
    backtrace(&mut to, frame)
}
