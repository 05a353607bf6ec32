//! Causes of a process's fault, as its fault entry and its keeper see them.
//!
//! The fault entry starts with `rdi` = address, `rsi` = instruction pointer, `rdx` = cause (low 8
//! bits) and [`Access`] bits (from bit 8), `rsp` = the stack named when it was armed. It leaves by
//! `Op::FaultReturn` or `Op::FaultDecline`; until then it is disarmed.

use bitflags::bitflags;

/// Why a process stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// It did not fault.
    None = 0,
    /// Access to memory that isn't mapped, or not with that right.
    Page = 1,
    /// Undefined instruction; floating point and SIMD among them.
    Instruction = 2,
    /// General protection fault (a privileged instruction, a non-canonical address), stack fault.
    Protection = 3,
    /// Division by zero or overflow.
    Divide = 4,
    /// Alignment check, bound, debug or breakpoint trap.
    Trap = 5,
    /// Its address space or its root capability table was rescinded.
    Space = 6,
    /// It declined its own fault (a panic, for instance).
    Declined = 7,
}

impl Cause {
    /// The cause that a byte stands for; an unknown one is a trap.
    pub const fn from_u8(value: u8) -> Cause {
        match value {
            0 => Cause::None,
            1 => Cause::Page,
            2 => Cause::Instruction,
            3 => Cause::Protection,
            4 => Cause::Divide,
            6 => Cause::Space,
            7 => Cause::Declined,
            _ => Cause::Trap,
        }
    }

    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::None => "no fault",
            Cause::Page => "page fault",
            Cause::Instruction => "invalid or forbidden instruction",
            Cause::Protection => "protection fault",
            Cause::Divide => "division error",
            Cause::Trap => "trap",
            Cause::Space => "address space or capability table revoked",
            Cause::Declined => "gave up",
        }
    }
}

bitflags! {
    /// How memory was accessed when a page fault came.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u8 {
        /// The page was present; the access lacked a right.
        const PRESENT = 1;
        /// It was a write.
        const WRITE = 2;
        /// It was an instruction fetch.
        const FETCH = 4;
    }
}
