//! Hostile processes that invoke by a grammar, and what they come by.
//!
//! Run in init's place (`init=fuzzer`) it is the *keeper*: for each seed it makes a bank with a quota
//! and a process ([`hostile`], this same program) out of it, which is given some of everything that a
//! user may hold, and some of a victim's with too few rights to do anything with. When that has made its
//! invocations, or has ended itself, the keeper looks at what it holds ([`holdings`]), whether the
//! victim answers and what is read-only is as it was, has the kernel audit itself, destroys the bank, and
//! counts: everything must have come back.
//!
//! Words on the kernel's command line: `seed=N` the first seed, `rounds=N` how many, `invocations=N` of
//! each.
#![no_std]
#![no_main]

extern crate alloc;

mod field;
mod holdings;
mod hostile;
mod options;
mod round;

use abi::boot::slot;
use guest::report::{FAILED, stop};
use guest::say;
use rt::Kernel;
use rt::clock::{Clock, SECOND};
use sys::Cap;
use sys::object::Log;

use field::Field;
use options::Options;
use round::Sums;

rt::entry!(main);

const LOG: Cap<Log> = Cap::at(slot::LOG);
/// Nanoseconds from one line that says how far it has come to the next.
const TELL: u64 = SECOND;

fn main() {
    let arguments = rt::arguments::bytes();
    if let Some(order) = hostile::Order::read(arguments) {
        hostile::run(order);
    }
    match keep(arguments) {
        Ok(()) => stop(0),
        Err(error) => {
            say!("fuzzer: FAILED {error}");
            stop(FAILED)
        }
    }
}

fn keep(arguments: &'static [u8]) -> Result<(), round::Found> {
    let (options, archive) = Options::read(arguments)?;
    let mut field = Field::new(archive)?;
    // What hostile processes log, and how they end, is nobody's concern.
    LOG.set_level(&Kernel, 0)?;
    let clock = Clock::new()?;
    let (mut sums, mut told) = (Sums::default(), clock.now());
    for seed in options.seed..options.seed.saturating_add(options.rounds) {
        let round = field.play(&clock, seed, options.invocations);
        sums.add(&round.map_err(|found| found.with_seed(seed))?);
        if clock.now().saturating_sub(told) > TELL {
            told = clock.now();
            say!("fuzzer: {} rounds, {} invocations", sums.rounds, sums.made);
        }
    }
    say!(
        "fuzzer: {} rounds, {} invocations, {} succeeded, {} ended themselves, {} were stuck, \
         {} capabilities looked at; sound",
        sums.rounds,
        sums.made,
        sums.succeeded,
        sums.ended,
        sums.stuck,
        sums.looked_at
    );
    Ok(())
}
