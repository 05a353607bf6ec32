//! Errors of invocations.

use abi::error::{self, Status};

/// A status other than success, as an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(
    /// The status; never `OK`.
    pub Status,
);

impl Error {
    /// The invoked capability is void.
    pub const VOID: Error = Error(error::VOID);

    /// An errno value of `redox_syscall` as an error.
    pub const fn new(errno: i32) -> Error {
        Error(error::status(errno))
    }

    /// `Ok` for success, the error otherwise.
    pub const fn check(status: Status) -> Result<(), Error> {
        if status == error::OK {
            Ok(())
        } else {
            Err(Error(status))
        }
    }

    /// Whether this is the errno value.
    pub const fn is(self, errno: i32) -> bool {
        self.0 == error::status(errno)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (status {})", error::explain(self.0), self.0)
    }
}

impl core::fmt::Debug for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}
