//! Why there is no driver.

use sys::Error;

use crate::buffers::PoolTooSmall;

/// Why a driver can't begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginError {
    /// The kernel, or the driver's bank, refused something.
    Sys(Error),
    /// The pool has too few pages for the device.
    Pool(PoolTooSmall),
}

impl From<Error> for BeginError {
    fn from(error: Error) -> BeginError {
        BeginError::Sys(error)
    }
}

impl From<PoolTooSmall> for BeginError {
    fn from(error: PoolTooSmall) -> BeginError {
        BeginError::Pool(error)
    }
}

impl core::fmt::Display for BeginError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BeginError::Sys(error) => error.fmt(f),
            BeginError::Pool(_) => f.write_str("the pool has too few pages for the device"),
        }
    }
}

impl core::error::Error for BeginError {}
