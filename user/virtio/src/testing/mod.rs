//! The device's side, for the tests of drivers.
//!
//! - [`memory`]: memory that both sides see;
//! - [`device`]: the device's side of a queue, honest or not;
//! - [`function`]: the registers of a PCI function, with a driver's mistakes noticed.
//!
//! What a driver does wrong panics here, with what it was: these are tests' own.

pub mod device;
pub mod function;
pub mod memory;

pub use device::{Chain, FakeDevice};
pub use function::{Ailment, FakeFunction};
pub use memory::{FakeMemory, queue_areas};
