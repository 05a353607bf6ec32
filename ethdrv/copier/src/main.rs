//! The copier's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use copier::{Copier, grant};
use core::fmt;
use dev::bare::This;
use dev::port::Port;
use sys::Cap;

rt::entry!(run);

/// Why the copier can't start.
struct Failure(&'static str, sys::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

fn run() -> Result<(), Failure> {
    let this = This::new().map_err(|error| Failure("reading the clock", error))?;
    let (port, verifier) = (Port::at(grant::PORT), Cap::at(grant::VERIFIER));
    Copier::begin(this, port, verifier)
        .map_err(|error| Failure("beginning", error))?
        .run()
}
