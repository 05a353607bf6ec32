//! When a program that died is started again.
//!
//! The wait doubles with each death, from [`FIRST`] to [`LONGEST`], so that a program that can't
//! run costs next to nothing; after [`HEALTHY`] without a death it starts over.

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// The first wait.
pub const FIRST: u64 = SECOND;
/// The longest wait.
pub const LONGEST: u64 = 64 * SECOND;
/// So many deaths in a row are enough: after two minutes, what was wrong still is.
pub const MOST: u32 = 8;
/// How long a program has to run before its earlier deaths are forgotten.
pub const HEALTHY: u64 = 60 * SECOND;

/// One program's back-off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    /// The last wait, 0 for none.
    wait: u64,
    started: u64,
    deaths: u32,
    /// Deaths since it was last healthy.
    in_a_row: u32,
}

impl BackOff {
    /// Notes that the program was started.
    pub fn started(&mut self, now: u64) {
        self.started = now;
    }

    /// Notes that it died (or could not be started); answers when it is to be started again.
    pub fn died(&mut self, now: u64) -> u64 {
        if now.saturating_sub(self.started) >= HEALTHY {
            self.wait = 0;
            self.in_a_row = 0;
        }
        self.wait = match self.wait {
            0 => FIRST,
            wait => wait.saturating_mul(2).min(LONGEST),
        };
        self.deaths = self.deaths.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        now.saturating_add(self.wait)
    }

    /// Whether it died so often in a row, never healthy between, that another try is no use.
    pub fn is_hopeless(&self) -> bool {
        self.in_a_row >= MOST
    }

    /// How often it died.
    pub fn deaths(&self) -> u32 {
        self.deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_to_a_cap() {
        let mut off = BackOff::default();
        let mut now = 5 * SECOND;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            off.started(now);
            now += SECOND;
            let again = off.died(now);
            assert_eq!(again - now, seconds * SECOND);
            now = again;
        }
        assert_eq!(off.deaths(), 9);
        assert!(off.is_hopeless());
    }

    #[test]
    fn only_deaths_in_a_row_are_hopeless() {
        let mut off = BackOff::default();
        let mut now = 0;
        for death in 1..100 {
            off.started(now);
            now += if death % (MOST as u64 - 1) == 0 {
                HEALTHY
            } else {
                SECOND
            };
            off.died(now);
            assert!(!off.is_hopeless(), "{death}");
        }
        for _ in 0..MOST {
            off.started(now);
            off.died(now + 1);
        }
        assert!(off.is_hopeless());
    }

    #[test]
    fn a_minute_of_health_is_forgiven() {
        let mut off = BackOff::default();
        off.started(0);
        off.died(1);
        off.started(2);
        assert_eq!(off.died(3), 3 + 2 * FIRST);
        off.started(10);
        assert_eq!(off.died(10 + HEALTHY), 10 + HEALTHY + FIRST);
    }

    proptest! {
        #[test]
        fn never_at_once_and_never_too_late(times in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut off = BackOff::default();
            for now in times {
                off.started(now);
                let again = off.died(now);
                prop_assert!(again == u64::MAX || (FIRST..=LONGEST).contains(&(again - now)));
            }
        }
    }
}
