//! What drivers and their clients share.
//!
//! - [`program`]: what a program has besides invocation: places in its address space, capability
//!   slots, a page for batches, time. `bare` is the real one.
//! - [`window`]: apertures and the windows over what they pin; a pinned slot is a type of its own.
//! - [`pool`]: a driver's own memory for DMA.
//! - [`activity`]: what a driver is doing, for who watches it in a simulation.
//!
//! The ethernet driver and its clients:
//!
//! - [`layout`]: who writes what in the two segments of a session.
//! - [`port`], [`admin`]: the protocol, for clients and for init, with [`badge`], [`refusal`],
//!   [`settings`], [`mac`].
//! - [`burst`]: how many frames a session takes at once.
//! - [`statistics`]: what is counted; [`hybrid`]: from which length on frames are flipped, and why.
//! - [`session`]: the client's side of a session, with its [`segment`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod activity;
pub mod admin;
pub mod badge;
#[cfg(all(feature = "bare", target_os = "none"))]
pub mod bare;
pub mod burst;
pub mod hybrid;
pub mod layout;
pub mod mac;
pub mod pool;
pub mod port;
pub mod program;
pub mod refusal;
pub mod segment;
pub mod session;
pub mod settings;
pub mod statistics;
#[cfg(test)]
mod tests;
pub mod window;

pub use activity::Activity;
pub use mac::Mac;
pub use program::Program;
