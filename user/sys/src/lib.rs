//! How programs act: invocation, typed capabilities, shared memory.
//!
//! Servers are libraries over two traits. [`Sys`] is everything a program can ask of the kernel;
//! [`Mem`] is every access to memory that another party can write or revoke. `user/rt` implements
//! them with system calls and loads; the simulator (`tests/sim`) implements them over a simulated
//! kernel, and lets other actors run inside each call, which is how it interleaves them.
//!
//! - [`message`]: what travels in an invocation;
//! - [`cap`]: typed capabilities to the kernel's objects ([`object`]) and to banks ([`bank`]);
//! - [`mem`]: shared memory.
#![no_std]
#![forbid(unsafe_code)]

pub mod bank;
pub mod cap;
pub mod error;
pub mod mem;
pub mod message;
pub mod object;

pub use abi;
pub use cap::Cap;
pub use error::Error;
pub use mem::{Fault, Mem};
pub use message::{Event, Message, Reply, Request};

use abi::cap::CapAddr;
use abi::error::Status;

/// What a program can ask of the kernel.
///
/// Implementations take `&self`: a process is single-threaded, and its kernel state is not Rust's.
pub trait Sys {
    /// Invokes a capability and waits for the answer.
    fn call(&self, capability: CapAddr, message: &Message) -> Reply;

    /// Invokes a capability without an answer; never waits. A receiver that isn't ready loses the
    /// message. The status tells only whether the capability was void.
    fn send(&self, capability: CapAddr, message: &Message) -> Status;

    /// Waits for a message or a notification. `receive` names where its capabilities go. A caller
    /// still held gets `EPIPE`.
    fn wait(&self, receive: [CapAddr; 4]) -> Event;

    /// Answers the caller held, then waits. `message.receive` serves the next message.
    fn reply_and_wait(&self, status: Status, message: &Message) -> Event;

    /// Answers the caller that a `Resume` stands for; never waits.
    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status;

    /// Takes what is there, without waiting.
    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event>;

    /// Moves the caller held into a slot, as a `Resume`, to be answered later.
    fn save_caller(&self, slot: CapAddr) -> Status;
}
