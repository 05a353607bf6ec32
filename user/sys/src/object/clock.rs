//! Time and timers.

use abi::method::clock as method;

use crate::{Cap, Error, Message, Sys};

/// A reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since boot.
    pub nanoseconds: u64,
    /// The time-stamp counter.
    pub ticks: u64,
    /// Its ticks a second.
    pub frequency: u64,
}

/// Time and timers.
pub enum Clock {}

impl Cap<Clock> {
    /// The time.
    pub fn now(self, sys: &impl Sys) -> Result<Time, Error> {
        let words = self.invoke(sys, &Message::new(&[method::NOW]))?;
        Ok(Time {
            nanoseconds: words[0],
            ticks: words[1],
            frequency: words[2],
        })
    }

    /// Sets the invoking process's timer; 0 disarms.
    pub fn arm(self, sys: &impl Sys, nanoseconds: u64, bit: u64) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::ARM, nanoseconds, bit]))
    }
}
