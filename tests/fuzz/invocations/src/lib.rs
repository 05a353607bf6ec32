//! Hostile processes: what they invoke, and what they must not come by.
//!
//! - [`grammar`]: the next thing that a process does, from a seed and from what came of the last:
//!   mostly methods that there are, with capabilities of the right kind and arguments that are nearly
//!   right; some wild;
//! - [`invocation`]: what it can do, as data; [`methods`]: what there is to invoke, as data;
//!   [`plans`]: what takes several steps;
//! - [`slots`]: what a process believes to have where; [`sequence`]: random numbers;
//! - [`reach`]: everything that processes can come by, out of the kernel's own tables, and whether it
//!   is theirs.
//!
//! It runs on the bare machine and in the simulator, the same from the same seed.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod grammar;
pub mod invocation;
pub mod methods;
pub mod plans;
pub mod reach;
pub mod sequence;
pub mod slots;

pub use grammar::Grammar;
pub use invocation::{Action, Invocation};
pub use sequence::Sequence;
