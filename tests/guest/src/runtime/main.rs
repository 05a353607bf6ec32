//! Loses memory, runs out of heap and slots, waits, answers: what `user/rt` promises, on the machine.
#![no_std]
#![no_main]

extern crate alloc;

mod heap;
mod loss;
mod serving;
mod time;

use alloc::string::{String, ToString};

use guest::report::Tally;

rt::entry!(main);

/// What a check answers: nothing, or what was wrong.
type Outcome = Result<(), String>;

/// A check and its name.
type Test = (&'static str, fn() -> Outcome);

/// Whether something holds, or else this was wrong.
fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_string()) }
}

/// An error of any kind, as what was wrong.
fn show(error: impl core::fmt::Display) -> String {
    error.to_string()
}

fn main() {
    let mut tally = Tally::default();
    for (name, test) in loss::TESTS
        .iter()
        .chain(serving::TESTS)
        .chain(time::TESTS)
        .chain(heap::TESTS)
    {
        tally.note(name, test());
    }
    tally.finish("runtime")
}
