//! Makes every wrong invocation that there is a name for, and compares the status with the one that
//! `abi::method` (or `sys::bank::method`) promises.
//!
//! Each case has a bank of its own and begins with nothing bought; what it leaves behind goes with
//! its bank. At the end it invokes at random, and sees that all is still there.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod bed;
mod cases;
mod random;

use alloc::format;
use alloc::string::String;

use abi::error::{Status, explain};
use bed::Bed;
use guest::report::Tally;
use sys::Error;

rt::entry!(main);

/// A wrong invocation, and what is promised for it.
pub struct Case {
    /// What is wrong.
    name: &'static str,
    /// The status promised.
    expected: Status,
    /// Prepares, invokes, and answers the status.
    act: fn(&Bed) -> Result<Status, Error>,
}

/// A case whose status is an errno value.
const fn case(name: &'static str, errno: i32, act: fn(&Bed) -> Result<Status, Error>) -> Case {
    Case {
        name,
        expected: abi::error::status(errno),
        act,
    }
}

/// A case whose status is one of the project's own.
const fn own(name: &'static str, expected: Status, act: fn(&Bed) -> Result<Status, Error>) -> Case {
    Case {
        name,
        expected,
        act,
    }
}

fn main() {
    let mut tally = Tally::default();
    for group in cases::GROUPS {
        for case in *group {
            tally.note(case.name, run(case));
        }
    }
    tally.note("random invocations leave everything whole", random::run());
    tally.finish("invoker")
}

fn run(case: &Case) -> Result<(), String> {
    let bed = Bed::new().map_err(|error| format!("no bank: {error}"))?;
    match (case.act)(&bed) {
        Ok(status) if status == case.expected => Ok(()),
        Ok(status) => Err(format!(
            "expected {} ({}), got {} ({})",
            case.expected,
            explain(case.expected),
            status,
            explain(status)
        )),
        Err(error) => Err(format!("could not be prepared: {error}")),
    }
}
