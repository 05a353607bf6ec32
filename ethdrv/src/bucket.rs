//! A token bucket: so much a second in the long run, so much at once.

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// What is left to spend, and how fast it grows again.
///
/// It is kept as a time: the instant at which the bucket will be full. Nothing has to be done while
/// nothing is spent, and there is nothing to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    per_second: u64,
    burst: u64,
    /// When it is full again, in nanoseconds.
    full: u64,
}

impl Bucket {
    /// A full bucket. A rate of 0 means that nothing is ever refused.
    pub const fn new(per_second: u64, burst: u64) -> Bucket {
        Bucket {
            per_second,
            burst,
            full: 0,
        }
    }

    /// Whether it ever refuses.
    #[inline]
    pub const fn is_limited(&self) -> bool {
        self.per_second != 0
    }

    /// Takes `count` at the time `now`.
    ///
    /// # Errors
    /// When there is enough, if it is not now. More than the burst is never there: it counts as the
    /// burst.
    #[inline]
    pub fn take(&mut self, count: u64, now: u64) -> Result<(), u64> {
        if self.per_second == 0 {
            return Ok(());
        }
        let count = count.min(self.burst);
        let full = self.full.max(now).saturating_add(self.time(count));
        let affordable = now.saturating_add(self.time(self.burst));
        if full > affordable {
            return Err(now.saturating_add(full - affordable));
        }
        self.full = full;
        Ok(())
    }

    /// How long it takes to earn so much, rounded up: never more than the rate.
    const fn time(&self, count: u64) -> u64 {
        let nanoseconds = (count as u128 * SECOND as u128).div_ceil(self.per_second as u128);
        if nanoseconds > u64::MAX as u128 {
            u64::MAX
        } else {
            nanoseconds as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_nothing_is_refused() {
        let mut bucket = Bucket::new(0, 0);
        for _ in 0..10 {
            assert_eq!(bucket.take(u64::MAX, 0), Ok(()));
        }
    }

    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(1000, 3000);
        let start = 7 * SECOND;
        for _ in 0..3 {
            assert_eq!(bucket.take(1000, start), Ok(()));
        }
        assert_eq!(bucket.take(1000, start), Err(start + SECOND));
        assert_eq!(bucket.take(500, start), Err(start + SECOND / 2));
        assert_eq!(bucket.take(1000, start + SECOND - 1), Err(start + SECOND));
        assert_eq!(bucket.take(1000, start + SECOND), Ok(()));
        assert_eq!(
            bucket.take(1, start + SECOND),
            Err(start + SECOND + SECOND / 1000)
        );
    }

    #[test]
    fn it_never_holds_more_than_the_burst() {
        let mut bucket = Bucket::new(1000, 3000);
        assert_eq!(bucket.take(3000, 1_000_000 * SECOND), Ok(()));
        assert!(bucket.take(1, 1_000_000 * SECOND).is_err());
    }

    #[test]
    fn extremes_neither_overflow_nor_stick() {
        let mut bucket = Bucket::new(1, u64::MAX);
        assert_eq!(bucket.take(u64::MAX, u64::MAX), Ok(()));
        let mut bucket = Bucket::new(u64::MAX, u64::MAX);
        assert_eq!(bucket.take(u64::MAX, 0), Ok(()));
        assert_eq!(bucket.take(u64::MAX, SECOND), Ok(()));
        // A frame larger than the burst is late, not stuck.
        let mut bucket = Bucket::new(10, 5);
        assert_eq!(bucket.take(1000, 0), Ok(()));
        let wait = bucket.take(1000, 0).unwrap_err();
        assert_eq!(bucket.take(1000, wait), Ok(()));
    }
}
