//! What delivering a frame costs: counts of events, times what a CPU charges for each.
//!
//! The arithmetic of the crossover bench, by itself: integers only, no allocation, no `std`. So the
//! report on the host and a driver that chooses its threshold at boot ask the same model. Profiles,
//! vectors in files and everything that is drawn are the `crossover` crate's.
//!
//! - [`Events`]: what a frame cost in events, a mean, in millionths.
//! - [`Path`]: the events of one strategy by frame size.
//! - [`Prices`]: what a CPU charges, in thousandths of a tick; [`Ranges`]: the same with its doubt.
//! - [`Comparison`]: copying against flipping; [`Comparison::crossover`] says from where flipping pays.
//!
//! A sum is exact: thousandths of a tick times millionths of an event, in 128 bits. Inputs are
//! bounded ([`MOST_EVENTS`], [`MOST_TICKS`]) so that no sum can overflow.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod comparison;
mod demand;
mod events;
mod fit;
mod modern;
mod path;
mod price;
mod situation;

#[cfg(test)]
mod tests;

pub use comparison::{Bound, Comparison, Mismatch, default_threshold};
pub use demand::{Delivery, Demand};
pub use events::{EVENTS, Event, Events, MOST_EVENTS, TooMany, UNIT};
pub use fit::{Line, fit};
pub use modern::MODERN;
pub use path::{Path, PathError, Point};
pub use price::{MILLI, MOST_TICKS, PRICES, Price, Prices, Ranges};
pub use situation::{HEADER, Situation, Source, Touched};

/// A cost or a difference of costs: millionths of thousandths of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(pub i128);

impl Cost {
    /// How many of its units make a tick.
    pub const TICK: i128 = UNIT as i128 * MILLI as i128;

    /// In ticks, rounded down.
    pub const fn ticks(self) -> i128 {
        self.0.div_euclid(Cost::TICK)
    }
}
