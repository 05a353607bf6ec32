//! The shared ethernet driver: policy.
//!
//! Many users share one device, and none trusts another. A user's stack attaches to its *port* and
//! pays, out of its own bank, for the pages that it receives into; the driver decides how they are
//! mapped. The stack may destroy that bank at any instant: it loses its session, and nobody else
//! anything. The driver takes every client, and the device, for hostile: whatever they say is read
//! once, checked, and then used.
//!
//! The library is generic over the program that links it (`dev::Program`: the kernel, each access to
//! shared memory, time) and over the device ([`transport`]), so that all of it runs on the host.
//!
//! | file | what |
//! | --- | --- |
//! | [`driver`] | parts, rounds, loop |
//! | `serve`, `administer`, [`attach`], `close`, [`jobs`] | messages; sessions begin and end, a piece at a time |
//! | [`reception`] | messages as such: slots, callers, answers |
//! | [`port`], [`session`], [`pages`] | what a user was granted, and what came of it |
//! | `receive`, [`assembly`], [`demux`], [`members`], [`flood`], [`respite`], [`strategy`], [`deliveries`], [`multicast`] | from the device to sessions |
//! | [`slots`], [`posting`], [`receiving`], `switch` | pages of sessions that the device fills |
//! | `transmit`, [`outgoing`], `outlet`, [`check`], [`bound`], [`schedule`], [`bucket`], [`flight`] | from sessions to the device |
//! | [`buffers`], [`frame`], [`transport`] | the driver's own memory, frames, the device |
//! | [`threshold`] | from which length on `hybrid` flips where nobody says |
//! | [`pulse`] | signs of life: the driver's, and the device's |
//! | [`virtio_net`] | a virtio-net device as the transport |
//! | [`wire`] | a process that stands in for device and network, as the transport: for benches |
//! | [`grant`] | what init gives the driver |
//! | [`port_set`], [`holdings`] | what it tells of itself: where sessions came and went, how much it holds |
//! | [`misbehaviour`] | what ends a session |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod administer;
pub mod assembly;
pub mod attach;
pub mod bound;
pub mod bucket;
pub mod buffers;
pub mod check;
mod close;
pub mod deliveries;
pub mod demux;
pub mod driver;
pub mod flight;
pub mod flood;
pub mod frame;
pub mod grant;
pub mod holdings;
pub mod jobs;
pub mod members;
pub mod misbehaviour;
pub mod multicast;
pub mod outgoing;
mod outlet;
pub mod pages;
pub mod per_frame;
#[cfg(feature = "planted-faults")]
pub mod planted;
#[cfg(not(feature = "planted-faults"))]
mod planted;
pub mod port;
pub mod port_set;
pub mod posting;
pub mod pulse;
mod receive;
pub mod receiving;
pub mod reception;
pub mod reserve;
pub mod respite;
pub mod schedule;
mod serve;
pub mod session;
pub mod slots;
pub mod strategy;
pub mod switch;
pub mod threshold;
mod transmit;
pub mod transport;
pub mod virtio_net;
pub mod wire;

pub use driver::Driver;
