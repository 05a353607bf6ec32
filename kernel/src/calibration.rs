//! The rates of the CPU's clocks, from readings beside a timer whose rate is known.
//!
//! A virtual CPU can lose its host's CPU at any time, for any time. While it has none, all clocks go
//! on; so that does no harm between two readings, and only spoils a reading that it falls into: the
//! clocks in that one aren't of the same moment. Each reading is therefore bracketed by the
//! time-stamp counter, and of several that were taken close together the narrowest is used. How wide
//! it still is bounds the error, so that a bad measurement is known to be one.

/// Ticks of the interval timer in a second (Intel 8254 as the PC clocks it).
pub const INTERVAL_TIMER: u64 = 1_193_182;

/// An error of one part in so many is good enough: what crystals keep is an order better, what
/// anybody asks of timers an order worse.
pub const PRECISION: u64 = 2_000;

/// All clocks, read at nearly one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The time-stamp counter before the others were read.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// The interval timer, which counts down.
    pub interval: u16,
    /// The local APIC's timer, which counts down.
    pub apic: u32,
}

impl Reading {
    /// Ticks within which the others were read.
    pub const fn width(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }

    /// The one of both whose clocks are nearer to one moment.
    pub const fn narrower(self, other: Reading) -> Reading {
        if other.width() < self.width() {
            other
        } else {
            self
        }
    }

    const fn middle(&self) -> u64 {
        self.before.wrapping_add(self.width() / 2)
    }
}

/// What two readings tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Ticks of the time-stamp counter in a second.
    pub frequency: u64,
    /// Ticks of the APIC's timer in 2^32 of the time-stamp counter.
    pub apic_ratio: u64,
    /// How many parts of the frequency its error is one of, at most.
    pub precision: u64,
}

impl Rates {
    /// Rates from two readings between which the interval timer did not come round; `None` if a clock
    /// stood still.
    pub fn between(first: &Reading, last: &Reading) -> Option<Rates> {
        let ticks = last.middle().wrapping_sub(first.middle());
        let interval = u64::from(first.interval.wrapping_sub(last.interval));
        let counted = u64::from(first.apic.wrapping_sub(last.apic));
        if interval == 0 || counted == 0 || ticks == 0 || ticks >> 63 != 0 {
            return None;
        }
        let frequency = u128::from(ticks) * u128::from(INTERVAL_TIMER) / u128::from(interval);
        let ratio = (u128::from(counted) << 32) / u128::from(ticks);
        // Half a bracket on each side, and the tick in which the interval timer was read.
        let brackets = (first.width() + last.width()) / 2;
        let doubt = brackets + ticks / interval;
        Some(Rates {
            frequency: u64::try_from(frequency).ok().filter(|rate| *rate > 0)?,
            apic_ratio: u64::try_from(ratio).ok().filter(|ratio| *ratio > 0)?,
            precision: ticks / doubt.max(1),
        })
    }

    /// The better of both.
    pub const fn better(self, other: Rates) -> Rates {
        if other.precision > self.precision {
            other
        } else {
            self
        }
    }
}

/// The time-stamp counter's rate by CPUID's leaf 0x15: the crystal's rate (`ecx`) times `ebx` / `eax`.
/// `None` where the CPU doesn't say all three.
pub fn by_crystal(eax: u32, ebx: u32, ecx: u32) -> Option<u64> {
    let rate = u64::from(ecx) * u64::from(ebx);
    rate.checked_div(eax.into()).filter(|rate| *rate > 0)
}
