//! Time: the time-stamp counter, measured once against the programmable interval timer, and the
//! local APIC's timer, measured with it.
//!
//! Intel 8254 data sheet; the gate of its channel 2 is on port 0x61.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

use super::apic;

/// Ticks of the interval timer in a second.
const INTERVAL_TIMER: u64 = 1_193_182;
/// How long is measured: a hundredth of a second.
const MEASURED: u64 = INTERVAL_TIMER / 100;

static FREQUENCY: AtomicU64 = AtomicU64::new(1_000_000_000);
/// Ticks of the APIC's timer in 2^32 ticks of the time-stamp counter.
static APIC_RATIO: AtomicU64 = AtomicU64::new(1 << 32);

/// The time-stamp counter.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: `rdtsc` reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Its ticks in a second.
#[inline(always)]
pub fn frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// Nanoseconds on the time-stamp counter.
pub fn nanoseconds() -> u64 {
    (u128::from(ticks()) * 1_000_000_000 / u128::from(frequency())) as u64
}

/// Measures both clocks. Takes 10 ms.
pub fn calibrate() {
    let mut gate = Port::<u8>::new(0x61);
    let mut mode = Port::<u8>::new(0x43);
    let mut data = Port::<u8>::new(0x42);
    // SAFETY: channel 2 of the interval timer drives nothing but the speaker, which stays off.
    unsafe {
        let rest = gate.read() & !3;
        gate.write(rest);
        // Channel 2, low byte then high byte, mode 0: the output rises at the end of the count.
        mode.write(0xb0);
        data.write(MEASURED as u8);
        data.write((MEASURED >> 8) as u8);
        apic::start_timer(u32::MAX);
        let start = ticks();
        gate.write(rest | 1);
        // Ended by the count; a machine without this timer must not hang here.
        let mut polls = 0u32;
        while gate.read() & 0x20 == 0 && polls < 10_000_000 {
            core::hint::spin_loop();
            polls += 1;
        }
        let (end, left) = (ticks(), apic::timer_left());
        apic::start_timer(0);
        gate.write(rest);
        let passed = end.wrapping_sub(start).max(1);
        FREQUENCY.store(
            (passed * INTERVAL_TIMER / MEASURED).max(1),
            Ordering::Relaxed,
        );
        let counted = u64::from(u32::MAX - left);
        let ratio = (u128::from(counted) << 32) / u128::from(passed);
        APIC_RATIO.store((ratio as u64).max(1), Ordering::Relaxed);
    }
}

/// Has the timer fire at a tick, or as near to it as its counter reaches; `u64::MAX` for never.
pub fn set_timer(tick: u64) {
    if tick == u64::MAX {
        return apic::start_timer(0);
    }
    let ahead = u128::from(tick.saturating_sub(ticks()));
    let counts = (ahead * u128::from(APIC_RATIO.load(Ordering::Relaxed))) >> 32;
    apic::start_timer(counts.clamp(1, u128::from(u32::MAX)) as u32);
}
