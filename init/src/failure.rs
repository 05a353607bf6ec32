//! What init tried for somebody and could not do, in words for people.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Display};

use abi::batch::LIMIT;
use abi::error::{EDQUOT, EMFILE, ENOMEM};
use sys::bank::{Bank, Usage};
use sys::{Cap, Error, Sys};

use crate::host::PRIME;

/// A failure: what was tried, why it failed, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    tried: String,
    why: String,
    advice: Option<String>,
}

impl Failure {
    /// What was tried, and why it failed.
    pub fn new(tried: impl Display, why: impl Display) -> Failure {
        Failure {
            tried: tried.to_string(),
            why: why.to_string(),
            advice: None,
        }
    }

    /// What was tried, and the error of an invocation; what can be done follows from the error.
    pub fn of(tried: impl Display, error: Error) -> Failure {
        let advice = match error {
            _ if error.is(EDQUOT) => {
                Some("give the bank a higher limit, or the machine more memory; `banks` says which")
            }
            _ if error.is(ENOMEM) => Some("give the machine more memory, or revoke a user"),
            _ if error.is(EMFILE) => Some("revoke a user"),
            _ => None,
        };
        Failure {
            advice: advice.map(String::from),
            ..Failure::new(tried, error)
        }
    }

    /// What was to be bought from a bank, and why it could not be. A bank says that it or one above it
    /// is at its limit; which of them, its totals tell: where it has room itself, the machine is full.
    pub fn buying(sys: &impl Sys, bank: Cap<Bank>, tried: impl Display, error: Error) -> Failure {
        let room = |usage: Usage| usage.limit.saturating_sub(usage.bought + usage.limbo);
        let has_room = || {
            bank.usage(sys)
                .is_ok_and(|usage| room(usage) >= LIMIT as u64)
        };
        if error.is(EDQUOT) && (bank == PRIME || has_room()) {
            return Failure::of(tried, Error::new(ENOMEM));
        }
        Failure::of(tried, error)
    }

    /// With what can be done about it.
    pub fn advise(mut self, advice: impl Display) -> Failure {
        self.advice = Some(advice.to_string());
        self
    }

    /// The same, seen from further away: for whom it was tried.
    pub fn during(mut self, whole: impl Display) -> Failure {
        self.tried = format!("{whole}: {}", self.tried);
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tried, self.why)?;
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Failure {}

/// Says what was tried when an invocation fails.
pub trait Trying<T> {
    /// Turns the error into a failure of this.
    ///
    /// # Errors
    /// The failure.
    fn trying(self, what: impl Display) -> Result<T, Failure>;
}

impl<T> Trying<T> for Result<T, Error> {
    fn trying(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(what, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_why_and_what_to_do() {
        let failed: Result<(), Error> = Err(Error::new(EDQUOT));
        let failure = failed.trying("buying a page").unwrap_err().during("alice");
        assert_eq!(
            failure.to_string(),
            "alice: buying a page: the bank's limit, or an ancestor's, would be exceeded \
             (status 122) (give the bank a higher limit, or the machine more memory; `banks` says \
             which)"
        );
        assert_eq!(Failure::new("x", "y").advise("z").to_string(), "x: y (z)");
    }
}
