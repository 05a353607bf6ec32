//! Attaching again after the session was lost: when, and how much is said about it.
//!
//! While the driver is being started again there is nobody to attach to, and each attempt fails in the
//! same way. That is no news: it is said once, and the attempts are for whoever debugs.

use dev::port::AttachError;
use log::{debug, info};
use sys::Error;

/// How soon attaching is tried again, at first and at last, in nanoseconds.
const RETRY: (u64, u64) = (50_000_000, 2_000_000_000);

/// What a failed attempt calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    /// That there is nobody to attach to.
    Waits,
    /// The error: somebody refused.
    Refused,
    /// Nothing new.
    Nothing,
}

/// A stack's attempts to attach again.
#[derive(Clone, Copy, Debug)]
pub struct Reattach {
    at: u64,
    retry: u64,
    waits: bool,
}

impl Default for Reattach {
    fn default() -> Reattach {
        Reattach {
            at: 0,
            retry: RETRY.0,
            waits: false,
        }
    }
}

impl Reattach {
    /// The session is lost: attaching is due at once.
    pub fn lost(&mut self, now: u64) {
        self.at = now;
    }

    /// When to try, in nanoseconds.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        info!("attached again");
        *self = Reattach::default();
    }

    /// An attempt failed; the next one is later.
    pub fn failed(&mut self, now: u64, error: &AttachError) {
        match self.next(now, error.status == Error::VOID) {
            Say::Waits => info!("waits for the driver"),
            Say::Refused => info!("attaching to the port: {error}"),
            Say::Nothing => debug!("attaching to the port: {error}"),
        }
    }

    fn next(&mut self, now: u64, nobody: bool) -> Say {
        self.at = now.saturating_add(self.retry);
        self.retry = (self.retry * 2).min(RETRY.1);
        match (nobody, self.waits) {
            (true, false) => {
                self.waits = true;
                Say::Waits
            }
            (true, true) => Say::Nothing,
            (false, _) => Say::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_says_once_that_it_waits_for_the_driver() {
        let mut reattach = Reattach::default();
        reattach.lost(7);
        assert_eq!(reattach.at(), 7);
        let said: [Say; 5] = core::array::from_fn(|_| reattach.next(reattach.at(), true));
        assert_eq!(said[0], Say::Waits);
        assert!(said[1..].iter().all(|say| *say == Say::Nothing), "{said:?}");
        // Somebody who refuses is another matter, each time.
        assert_eq!(reattach.next(0, false), Say::Refused);
        reattach.succeeded();
        assert_eq!(reattach.next(0, true), Say::Waits);
    }

    #[test]
    fn attempts_become_rarer_up_to_a_limit() {
        let mut reattach = Reattach::default();
        let mut gaps = [0; 10];
        for gap in &mut gaps {
            let now = reattach.at();
            reattach.next(now, true);
            *gap = reattach.at() - now;
        }
        assert_eq!(gaps[..3], [RETRY.0, RETRY.0 * 2, RETRY.0 * 4]);
        assert_eq!(gaps[9], RETRY.1);
        // A clock that runs out stops at its end.
        reattach.next(u64::MAX - 1, true);
        assert_eq!(reattach.at(), u64::MAX);
    }
}
