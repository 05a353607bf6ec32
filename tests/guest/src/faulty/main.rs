//! Faults in every way.
//!
//! Without an argument it lets children fault, one after the other, and compares what their keeper
//! learns with what was done. With the name of a fault as its argument it faults itself so, for tests
//! of who reports that.
#![no_std]
#![no_main]

mod children;
mod codes;
mod own;

use guest::say;

rt::entry!(main);

fn main() {
    // Run as init, it finds init's boot page there: no name of a fault.
    let argument = core::str::from_utf8(rt::arguments::bytes())
        .unwrap_or("")
        .trim();
    match own::find(argument) {
        Some(fault) => {
            say!("faulty: {argument}");
            fault();
            say!("FAILED {argument}: nothing happened");
            guest::report::stop(guest::report::FAILED)
        }
        None if argument.is_empty() || argument.starts_with("initboot") => children::run(),
        None => {
            say!("faulty: no fault {argument}; there are: {}", own::Names);
            guest::report::stop(guest::report::FAILED)
        }
    }
}
