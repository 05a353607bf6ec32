//! Says hello, and what memory its bank has left.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use rt::Kernel;
use sys::{Cap, Error};

rt::entry!(main);

fn main() -> Result<(), Error> {
    let squares: Vec<u64> = (1..=5).map(|n| n * n).collect();
    log::info!("hello; the first squares are {squares:?}");
    let usage = Cap::<sys::bank::Bank>::at(abi::boot::slot::BANK).usage(&Kernel)?;
    log::info!(
        "bank {}: {} of {} objects bought",
        usage.id,
        usage.bought,
        usage.limit
    );
    Ok(())
}
