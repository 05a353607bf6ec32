//! Revocation fault injection: campaigns that take memory back at every instant, and what came of them.
//!
//! - [`level`]: where it is done;
//! - [`campaign`]: the simulator's processes, one a core;
//! - [`totals`]: what their lines of JSON come to;
//! - [`table`], [`picture`]: the same, for people;
//! - [`sweep`]: the boots of the sweep in QEMU, [`sweep_row`] what they say, and
//!   [`planted`] the kernel that it should find wrong;
//! - [`muster`]: all faults that can be planted, and what finds each;
//! - [`invocations`], [`vandals`], [`parsers`]: fuzzing, in QEMU and with libFuzzer; [`chunks`]: seeds on
//!   all cores; [`fuzzed`]: what came of it.

pub mod campaign;
pub mod chunks;
pub mod fuzzed;
pub mod invocations;
pub mod level;
pub mod muster;
pub mod parsers;
pub mod picture;
pub mod planted;
pub mod sweep;
pub mod sweep_row;
pub mod table;
#[cfg(test)]
mod tests;
pub mod totals;
pub mod vandals;

pub use campaign::{Campaign, Extent};
pub use level::Level;
pub use totals::{Scenario, Totals};
