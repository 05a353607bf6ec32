//! Time: the kernel's clock, read without the kernel.

use core::arch::x86_64::_rdtsc;

use abi::boot::slot;
use sys::object::Clock as ClockObject;
use sys::{Cap, Error};

use crate::invoke::Kernel;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

const CLOCK: Cap<ClockObject> = Cap::at(slot::CLOCK);

/// The time-stamp counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: the kernel lets programs read it, and says so by answering `Clock::NOW` with it.
    unsafe { _rdtsc() }
}

/// A clock that was set by the kernel's once and goes by the time-stamp counter since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    nanoseconds: u64,
    ticks: u64,
    /// Nanoseconds a tick, times 2^32.
    scale: u64,
}

impl Clock {
    /// Sets a clock.
    ///
    /// # Errors
    /// The program has no `Clock` capability.
    pub fn new() -> Result<Clock, Error> {
        let time = CLOCK.now(&Kernel)?;
        let scale = (u128::from(SECOND) << 32) / u128::from(time.frequency.max(1));
        let scale = u64::try_from(scale).unwrap_or(u64::MAX);
        Ok(Clock {
            nanoseconds: time.nanoseconds,
            ticks: time.ticks,
            scale,
        })
    }

    /// Nanoseconds since boot.
    #[inline]
    pub fn now(&self) -> u64 {
        let passed = ticks().saturating_sub(self.ticks);
        self.nanoseconds + ((u128::from(passed) * u128::from(self.scale)) >> 32) as u64
    }

    /// Sets the process's one timer: at `deadline` (nanoseconds since boot; one that has passed counts
    /// as now) the notification bit is set.
    ///
    /// # Errors
    /// `EINVAL`: no such bit.
    pub fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        // Zero would disarm.
        CLOCK.arm(&Kernel, deadline.max(1), bit)
    }

    /// Stops the timer.
    ///
    /// # Errors
    /// The program has no `Clock` capability.
    pub fn disarm(&self) -> Result<(), Error> {
        CLOCK.arm(&Kernel, 0, 0)
    }
}
