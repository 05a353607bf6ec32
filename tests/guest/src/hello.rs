//! Says hello, and what memory its bank has left.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::boot::slot;
use alloc::vec::Vec;
use rt::Kernel;
use sys::bank::Bank;
use sys::{Cap, Error};

rt::entry!(main);

fn main() -> Result<(), Error> {
    let squares: Vec<u64> = (1..=5).map(|n| n * n).collect();
    log::info!("hello; the first squares are {squares:?}");
    let usage = Cap::<Bank>::at(slot::BANK).usage(&Kernel)?;
    log::info!("{} of {} objects bought", usage.bought, usage.limit);
    Ok(())
}
