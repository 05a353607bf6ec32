//! Where all decisions come from: one seed.

use std::cell::RefCell;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator that decides. Two with the same seed decide the same, on every machine.
pub struct Dice(RefCell<ChaCha8Rng>);

impl Dice {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(RefCell::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// 64 random bits.
    pub fn word(&self) -> u64 {
        self.0.borrow_mut().next_u64()
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub fn below(&self, limit: u64) -> u64 {
        let bits = u64::from(self.0.borrow_mut().next_u32());
        match u32::try_from(limit) {
            Ok(limit) => (bits * u64::from(limit)) >> 32,
            Err(_) => ((self.word() as u128 * limit as u128) >> 64) as u64,
        }
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in so many times; never for 0.
    pub fn one_in(&self, times: u32) -> bool {
        times != 0 && self.below(u64::from(times)) == 0
    }

    /// One of these.
    ///
    /// # Panics
    /// There are none.
    pub fn pick<'t, T>(&self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Changes the order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n as u64 + 1) as usize);
        }
    }
}
