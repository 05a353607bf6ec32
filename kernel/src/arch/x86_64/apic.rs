//! The local APIC, in xAPIC mode.
//!
//! Intel SDM vol. 3A, chapter 11.

use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{SPURIOUS_VECTOR, TIMER_VECTOR};
use super::memory::{is_mapped, physical};

/// Registers of the local APIC: byte offsets.
mod register {
    pub const ID: u64 = 0x20;
    pub const TASK_PRIORITY: u64 = 0x80;
    pub const END_OF_INTERRUPT: u64 = 0xb0;
    pub const SPURIOUS: u64 = 0xf0;
    pub const TIMER: u64 = 0x320;
    pub const LINT0: u64 = 0x350;
    pub const LINT1: u64 = 0x360;
    pub const ERROR: u64 = 0x370;
    pub const INITIAL_COUNT: u64 = 0x380;
    pub const CURRENT_COUNT: u64 = 0x390;
    pub const DIVIDE: u64 = 0x3e0;
}

const MASKED: u32 = 1 << 16;

static LOCAL: AtomicU64 = AtomicU64::new(0);

fn read(register: u64) -> u32 {
    let address = physical(LOCAL.load(Ordering::Relaxed) + register).cast::<u32>();
    // SAFETY: a register of the local APIC, mapped uncached; see `initialise`.
    unsafe { address.read_volatile() }
}

fn write(register: u64, value: u32) {
    let address = physical(LOCAL.load(Ordering::Relaxed) + register).cast::<u32>();
    // SAFETY: as in `read`; interrupts are off, so nothing happens in between.
    unsafe { address.write_volatile(value) };
}

/// Switches the local APIC on, everything masked. False where it isn't mapped.
pub fn initialise(address: u64) -> bool {
    if !is_mapped(address) {
        return false;
    }
    LOCAL.store(address, Ordering::Relaxed);
    write(register::TASK_PRIORITY, 0);
    for line in [register::LINT0, register::LINT1, register::ERROR] {
        write(line, MASKED);
    }
    // Divide by one; one shot.
    write(register::DIVIDE, 0b1011);
    write(register::TIMER, u32::from(TIMER_VECTOR));
    write(register::SPURIOUS, 1 << 8 | u32::from(SPURIOUS_VECTOR));
    true
}

/// This CPU's identity for interrupt messages.
pub fn identity() -> u8 {
    (read(register::ID) >> 24) as u8
}

/// Acknowledges an interrupt.
pub fn end_of_interrupt() {
    write(register::END_OF_INTERRUPT, 0);
}

/// Starts the timer: it fires once after so many of its ticks; 0 stops it.
pub fn start_timer(ticks: u32) {
    write(register::INITIAL_COUNT, ticks);
}

/// Ticks that the timer has left.
pub fn timer_left() -> u32 {
    read(register::CURRENT_COUNT)
}
