//! Signs of life: the driver's, to who watches it, and the device's, to the driver.
//!
//! Whoever watches the driver sets its [`BEAT_BIT`](crate::grant::BEAT_BIT) a few times a second, and
//! expects [`ALIVE`](crate::grant::ALIVE) to be signalled soon. At each beat the driver looks whether
//! the device went on with what it is to send; a device that stands still for long is given up, and
//! reset by who supervises the driver. What a device should receive can't be told from a quiet wire.

use dev::Program;
use sys::Cap;
use sys::object::Notify;

use crate::driver::Driver;
use crate::grant;
use crate::transport::Transport;

/// At how many beats in a row a device with frames to send may have sent none: 10 s at two beats a
/// second. A link partner that asks for a pause holds a sender up for less.
pub const STILL_BEATS: u32 = 20;

/// Whether the device gets on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// Frames that had left at the last beat.
    left: u64,
    /// Beats in a row without any.
    still: u32,
}

impl Pulse {
    /// Looks at the device: so many frames are in transmission, and so many have left, ever.
    pub fn beat(&mut self, in_flight: usize, left: u64) {
        self.still = match in_flight > 0 && left == self.left {
            true => self.still.saturating_add(1),
            false => 0,
        };
        self.left = left;
    }

    /// Whether the device stands still.
    pub const fn is_still(&self) -> bool {
        self.still >= STILL_BEATS
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Answers a beat.
    pub(crate) fn beat(&mut self) {
        let alive: Cap<Notify> = Cap::at(grant::ALIVE);
        // Where nobody watches there is no such capability.
        let _ = alive.signal(self.program.sys());
        self.pulse
            .beat(self.flights.count(), self.flights.left_ever());
    }

    /// Whether the device stopped sending.
    pub const fn is_still(&self) -> bool {
        self.pulse.is_still()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_that_sends_nothing_of_what_it_has_stands_still() {
        let mut pulse = Pulse::default();
        for left in 0..100 {
            pulse.beat(5, left / (STILL_BEATS as u64 - 1));
            assert!(!pulse.is_still(), "slow, at {left}");
        }
        for _ in 0..100 {
            pulse.beat(0, 100);
            assert!(!pulse.is_still(), "nothing to send");
        }
        for beat in 0..STILL_BEATS {
            assert!(!pulse.is_still(), "too soon: {beat}");
            pulse.beat(1, 100);
        }
        assert!(pulse.is_still());
    }
}
