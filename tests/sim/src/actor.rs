//! Programs that the simulator's scenarios are played with, beside the real servers.
//!
//! - [`tenant`]: buys, uses, shares and gives back storage, and knows what it should have;
//! - [`pinner`]: a driver in miniature, that pins what others offer, and its device;
//! - [`fuzzer`]: invokes what it has with whatever comes;
//! - [`invoker`]: invokes by a grammar, [`victim`]: serves it, and has what it would like to have;
//! - [`driver`]: the real ethernet driver, over the simulated card;
//! - [`copier`]: the real copier, between the driver and a stack;
//! - [`stack`]: its clients.

pub mod copier;
pub mod driver;
pub mod fuzzer;
pub mod invoker;
pub mod pinner;
pub mod stack;
pub mod tenant;
pub mod victim;

use dev::Program as _;
use sys::{Event, Sys};

use crate::program::Program;

/// The notification bit by which programs sleep.
pub const SLEEP: u64 = 63;

/// Waits for so many nanoseconds. What comes meanwhile is lost.
pub fn sleep(program: &Program, nanoseconds: u64) {
    let until = program.now() + nanoseconds;
    if program.arm(until, SLEEP).is_err() {
        return;
    }
    while !program.context().is_gone() {
        let event = program.sys().wait([0; 4]);
        if matches!(event, Event::Notified { group: 0, bits } if bits >> SLEEP & 1 != 0) {
            return;
        }
    }
}
