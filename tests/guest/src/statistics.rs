//! What remains of many measurements.

use core::fmt;

/// Measurements of one thing, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    least: u64,
    sum: u64,
    count: u64,
}

impl Statistics {
    /// None yet.
    pub const fn new() -> Statistics {
        Statistics {
            least: u64::MAX,
            sum: 0,
            count: 0,
        }
    }

    /// One that took `ticks` in all for `count` things.
    pub fn add(&mut self, ticks: u64, count: u64) {
        if let Some(each) = ticks.checked_div(count) {
            self.least = self.least.min(each);
            self.sum += ticks;
            self.count += count;
        }
    }

    /// The mean, exact to a tenth.
    pub fn mean(&self) -> Tenths {
        Tenths(
            (self.sum * 10 + self.count / 2)
                .checked_div(self.count)
                .unwrap_or(0),
        )
    }

    /// The least.
    pub fn least(&self) -> u64 {
        self.least
    }
}

impl Default for Statistics {
    fn default() -> Statistics {
        Statistics::new()
    }
}

/// A number of tenths; printed as a decimal fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenths(pub u64);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_all_things_and_rounded_to_tenths() {
        let mut all = Statistics::new();
        all.add(100, 10);
        all.add(3, 1);
        all.add(7, 0);
        assert_eq!((all.mean(), all.least()), (Tenths(94), 3));
        assert_eq!(Statistics::new().mean(), Tenths(0));
    }
}
