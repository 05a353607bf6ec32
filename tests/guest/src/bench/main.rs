//! Prints figures of kernel and spacebank: `figure NAME VALUE UNIT`.
//!
//! A tick of the time-stamp counter is an instruction when QEMU counts them (`-icount shift=0`); only
//! then are the figures what their unit says, and the same in every run. Each is the mean over all
//! rounds, everything included that lies between its two readings of the counter: the stubs of
//! `user/rt`, the loop, the kernel, and the other process where there is one. Nothing is subtracted.
//! `NAME.least` is the best single round, its own reading of the counter included.
#![no_std]
#![no_main]

mod buy;
mod exchange;
mod ipc;
mod map;
mod pin;

use core::fmt::Display;

use guest::report;
use guest::say;
use guest::statistics::Statistics;
use rt::Kernel;
use rt::clock::ticks;

rt::entry!(main);

/// Rounds of everything that is quick.
const ROUNDS: u64 = 256;

fn main() {
    print("syscall.null", rounds(ROUNDS, || Kernel.null()));
    let results = [
        ("ipc", ipc::run().map_err(show)),
        ("page", map::run().map_err(show)),
        ("bank", buy::run().map_err(show)),
        ("pin", pin::run().map_err(show)),
        ("exchange", exchange::run().map_err(show)),
    ];
    let mut code = 0;
    for (name, result) in results {
        if let Err(()) = result {
            say!("bench: no figures of {name}");
            code = report::FAILED;
        }
    }
    report::stop(code)
}

fn show(error: impl Display) {
    say!("bench: {error}");
}

/// Measures `rounds` rounds: all together for the mean, and each by itself for the least.
fn rounds(rounds: u64, mut round: impl FnMut()) -> (Statistics, Statistics) {
    // The first rounds find nobody waiting yet.
    for _ in 0..8 {
        round();
    }
    let (mut all, mut single) = (Statistics::new(), Statistics::new());
    let begin = ticks();
    for _ in 0..rounds {
        round();
    }
    all.add(ticks() - begin, rounds);
    for _ in 0..rounds {
        let begin = ticks();
        round();
        single.add(ticks() - begin, 1);
    }
    (all, single)
}

/// Prints a figure: the mean, and beside it the least.
fn print(name: &str, (all, single): (Statistics, Statistics)) {
    say!("figure {name} {} instructions", all.mean());
    say!(
        "figure {name}.least {} instructions ungated",
        single.least()
    );
}
