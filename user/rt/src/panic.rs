//! Panics: where, what, how the program came there; then it gives up, and its keeper is told.

use core::arch::asm;
use core::fmt::Write;
use core::panic::PanicInfo;

use crate::invoke::Kernel;
use crate::{backtrace, logging};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (frame, instruction): (u64, u64);
    // SAFETY: reads two registers.
    unsafe {
        asm!(
            "mov {frame}, rbp",
            "lea {instruction}, [rip]",
            frame = lateout(reg) frame,
            instruction = lateout(reg) instruction,
            options(nomem, nostack, preserves_flags),
        );
    }
    give_up(info, instruction, frame)
}

/// Prints a last message and a backtrace, and gives up.
pub(crate) fn give_up(message: &dyn core::fmt::Display, instruction: u64, frame: u64) -> ! {
    {
        let mut out = logging::report();
        let _ = writeln!(out, "{message}");
        let _ = backtrace::print(&mut out, instruction, frame);
    }
    Kernel.decline()
}
