//! Revokes at each instant: for each scenario and each *n*, the injector destroys a bank, or the driver,
//! at the n-th kernel entry from where the scenario begins, until the scenario is over before that.
//!
//! It stands in init's place (`init=sweep`), and is the *wire process* of [`ethdrv::wire`] and the host
//! beyond. What is real: kernel, spacebank, driver, and two clients with sessions of their own, which in
//! some scenarios are TCP/IP stacks. One of them, the *witness*, is never revoked: each of its frames must
//! come back, in order, whatever happens to the other, the *victim*. After each point the kernel is audited, storage is counted, and everybody
//! who should live is looked at; then all is as it was, for the next.
//!
//! It is less urgent than all others, so when it runs, they have done all they could: nothing here waits
//! for a time to pass. Under instruction counting everything comes out the same again.
//!
//! Words of the kernel's command line: `scenario=NAME`, `target=bank|session|driver`, `point=N` (that one
//! alone, told at length), `part=I/K` (every K-th point after I), `until=failure` (the first one ends it),
//! `try=FIRST:END` (the addresses of `try_copy` in the driver).
#![no_std]
#![no_main]

extern crate alloc;

mod datagram;
mod driver;
mod host;
mod injector;
mod options;
mod point;
mod promises;
mod relics;
mod rig;
mod scenario;
mod stack;
mod stacks;
mod start;
mod traffic;
mod user;

use core::fmt;

use guest::{report, say};
use options::Options;
use rig::Rig;

rt::entry!(main);

/// Why the sweep can't go on, or what is wrong.
pub enum Failure {
    /// Something could not be started, or asked for.
    During(&'static str, guest::children::Failed),
    /// A stack could not be started, as init would say it.
    Stack(init::failure::Failure),
    /// The wire's rings.
    Wire(ring::Error),
    /// What is wrong.
    Wrong(&'static str),
    /// What is wrong, and how many of it.
    Count(&'static str, u64, u64),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::During(what, error) => write!(f, "{what}: {error}"),
            Failure::Stack(failure) => failure.fmt(f),
            Failure::Wire(error) => write!(f, "the wire: {error}"),
            Failure::Wrong(what) => f.write_str(what),
            Failure::Count(what, found, expected) => {
                write!(f, "{what}: {found}, and should be {expected}")
            }
        }
    }
}

impl From<init::failure::Failure> for Failure {
    fn from(failure: init::failure::Failure) -> Failure {
        Failure::Stack(failure)
    }
}

impl From<ring::Error> for Failure {
    fn from(error: ring::Error) -> Failure {
        Failure::Wire(error)
    }
}

/// Says in which step an error came.
pub fn during<E: Into<guest::children::Failed>>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::During(what, error.into())
}

fn main() {
    let code = match run() {
        Ok(failures) => {
            say!("sweep: over, {failures} failures");
            if failures == 0 { 0 } else { report::FAILED }
        }
        Err(failure) => {
            say!("sweep: can't go on: {failure}");
            report::FAILED
        }
    };
    report::stop(code)
}

fn run() -> Result<u64, Failure> {
    let boot = start::boot()?;
    let options = Options::parse(&boot.command_line).map_err(Failure::Wrong)?;
    if options.list {
        for (scenario, target) in scenario::all().filter(|(one, with)| options.wants(one, *with)) {
            say!("sweep: pair {} {}", scenario.name, target.name());
        }
        return Ok(0);
    }
    let mut rig = Rig::start(&boot, &options)?;
    let mut failures = 0;
    for (scenario, target) in scenario::all() {
        if options.wants(scenario, target) {
            failures += point::sweep(&mut rig, scenario, target, &options)?;
        }
    }
    Ok(failures)
}
