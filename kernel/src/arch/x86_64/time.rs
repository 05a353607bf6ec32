//! Time: the time-stamp counter, measured once against the programmable interval timer, and the
//! local APIC's timer, measured with it.
//!
//! Intel 8254 data sheet; the gate of its channel 2 is on port 0x61.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::calibration::{INTERVAL_TIMER, PRECISION, Rates, Reading, by_crystal};
use x86_64::instructions::port::Port;

use super::apic;

/// Ports of the interval timer: channel 2, commands, and its gate and output.
const CHANNEL: u16 = 0x42;
const COMMAND: u16 = 0x43;
const GATE: u16 = 0x61;
/// The output, in what is read from the gate's port.
const OUTPUT: u8 = 0x20;

/// How long is measured: a hundredth of a second.
const MEASURED: u16 = (INTERVAL_TIMER / 100) as u16;
/// Measurements at most.
const ATTEMPTS: u32 = 3;
/// Readings at each end of a measurement.
const READINGS: u32 = 16;
/// Readings in between at most.
const POLLS: u32 = 1_000_000;

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

/// Measures both clocks, in 10 ms, or in 30 if the CPU was elsewhere at each wrong moment. False
/// where nothing tells their rates.
pub fn calibrate() -> bool {
    let mut best: Option<Rates> = None;
    for _ in 0..ATTEMPTS {
        let Some(rates) = measure() else { continue };
        let rates = best.map_or(rates, |best| best.better(rates));
        best = Some(rates);
        if rates.precision >= PRECISION {
            break;
        }
    }
    let Some(rates) = best else {
        return false;
    };
    // What is known need not be measured; the ratio of two measured clocks is as good as either.
    let frequency = told_frequency().unwrap_or(rates.frequency);
    FREQUENCY.store(frequency, Ordering::Relaxed);
    APIC_RATIO.store(rates.apic_ratio, Ordering::Relaxed);
    true
}

/// The time-stamp counter's rate where CPUID tells it exactly: KVM's and VMware's leaf of clock rates
/// (kHz), or the CPU's own.
fn told_frequency() -> Option<u64> {
    const HYPERVISOR: u32 = 0x4000_0000;
    const RATES: u32 = HYPERVISOR + 0x10;
    const CRYSTAL: u32 = 0x15;
    if __cpuid(1).ecx & 1 << 31 != 0 {
        // An emulator's counter need not be that of the CPU which it shows.
        let leaf = __cpuid(HYPERVISOR);
        let name = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes);
        let known = matches!(name.as_flattened(), b"KVMKVMKVM\0\0\0" | b"VMwareVMware");
        let told = known && leaf.eax >= RATES;
        let kilohertz = if told { __cpuid(RATES).eax } else { 0 };
        return (kilohertz > 0).then_some(u64::from(kilohertz) * 1000);
    }
    if __cpuid(0).eax < CRYSTAL {
        return None;
    }
    let leaf = __cpuid(CRYSTAL);
    by_crystal(leaf.eax, leaf.ebx, leaf.ecx)
}

/// Measures for [`MEASURED`]. `None` where the interval timer doesn't count, or had counted to its end
/// before the CPU was there to look.
fn measure() -> Option<Rates> {
    let mut gate = Port::<u8>::new(GATE);
    // SAFETY: channel 2 of the interval timer drives nothing but the speaker, which stays off.
    let rest = unsafe {
        let rest = gate.read() & !3;
        gate.write(rest);
        // Channel 2, low byte then high byte, mode 0: the output rises at the end of the count.
        Port::<u8>::new(COMMAND).write(0xb0);
        let mut data = Port::<u8>::new(CHANNEL);
        data.write(0xff);
        data.write(0xff);
        gate.write(rest | 1);
        rest
    };
    apic::start_timer(u32::MAX);
    let first = narrowest();
    let mut polls = 0;
    // Ended by the count; a machine without this timer must not hang here.
    while first.interval.wrapping_sub(read().interval) < MEASURED && polls < POLLS {
        core::hint::spin_loop();
        polls += 1;
    }
    let last = narrowest();
    apic::start_timer(0);
    // SAFETY: as above.
    let ended = unsafe {
        let ended = gate.read() & OUTPUT != 0;
        gate.write(rest);
        ended
    };
    if ended || polls == POLLS {
        return None;
    }
    Rates::between(&first, &last)
}

/// The narrowest of some readings.
fn narrowest() -> Reading {
    (1..READINGS).fold(read(), |best, _| best.narrower(read()))
}

/// Reads all clocks.
fn read() -> Reading {
    let mut data = Port::<u8>::new(CHANNEL);
    // SAFETY: as in `measure`. The command holds channel 2's count until both bytes are read.
    unsafe {
        let before = ticks();
        Port::<u8>::new(COMMAND).write(0x80);
        let apic = apic::timer_left();
        let after = ticks();
        Reading {
            before,
            after,
            interval: u16::from_le_bytes([data.read(), data.read()]),
            apic,
        }
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
