//! A copier: stands between the ethernet driver and a user's stack, so that the driver never comes near
//! the stack's memory.
//!
//! Towards the driver it is a client with memory of its own, which the driver maps and pins. Towards the
//! stack it serves the port as the driver would: same messages, same rings, same refusals. Neither knows
//! of it. The stack's transmit pages are mapped, never pinned: the stack may take them back at any byte
//! of a copy, and loses its session, nothing else. (The idea is sDDF's.)
//!
//! The stack is taken for hostile, with the driver's own checks; the driver for reliable, as by every
//! client. When the driver dies, the stack's session goes on: frames wait until the copier has attached
//! again. The user's bank pays for all of it, and takes it along when it is destroyed.
//!
//! | file | what |
//! | --- | --- |
//! | [`copier`] | parts, rounds, loop |
//! | `serve` | messages of the stack's; sessions begin and end |
//! | `pair` | a session with either side |
//! | `inward` | frames from the driver to the stack |
//! | `outward` | frames from the stack to the driver |
//! | [`grant`] | what init gives the copier |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod copier;
pub mod grant;
mod inward;
mod outward;
mod pair;
mod serve;

pub use copier::Copier;
