//! Programs that init looks after: whether they died, why, and when they run again.

pub mod backoff;
pub mod report;

use abi::fault::Cause;
use abi::method::process::state;
use sys::object::Process;
use sys::{Cap, Error, Sys};

/// Whether a process stopped for good: it faulted or gave up, or is gone.
pub fn has_stopped(sys: &impl Sys, process: Cap<Process>) -> bool {
    match process.info(sys) {
        Ok(info) => info.state == state::STOPPED && Cause::from_u8(info.fault as u8) != Cause::None,
        Err(error) => error == Error::VOID,
    }
}
