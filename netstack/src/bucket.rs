//! A limit on answers that nobody has a right to.

use smoltcp::time::Instant;

/// Answers that come out of nothing that the peer established (errors, resets, replies to groups) a
/// second, so that nobody can use us to bury somebody.
const ANSWERS_PER_SECOND: u32 = 200;
/// How many of them at once.
const ANSWERS_AT_ONCE: u32 = 100;

/// A token bucket.
#[derive(Debug)]
pub struct Bucket {
    tokens: u32,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Instant) -> Bucket {
        Bucket {
            tokens: ANSWERS_AT_ONCE,
            filled: now,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let since = (now.total_micros() - self.filled.total_micros()).max(0) as u64;
        let new = since.saturating_mul(ANSWERS_PER_SECOND.into()) / 1_000_000;
        if new > 0 {
            self.filled = now;
            self.tokens = ANSWERS_AT_ONCE.min(self.tokens.saturating_add(new.min(1000) as u32));
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fill_with_time() {
        let mut bucket = Bucket::new(Instant::ZERO);
        let burst = (0..1000).filter(|_| bucket.take(Instant::ZERO)).count();
        assert_eq!(burst, ANSWERS_AT_ONCE as usize);
        let later = Instant::from_millis(100);
        let more = (0..1000).filter(|_| bucket.take(later)).count();
        assert_eq!(more, ANSWERS_PER_SECOND as usize / 10);
    }
}
