//! Random numbers: ChaCha20, seeded by the CPU's own generator.

use core::cell::RefCell;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use x86_64::instructions::random::RdRand;

/// The kernel's generator.
pub struct Random(RefCell<ChaCha20Rng>);

impl Random {
    /// A generator, and whether its seed came from hardware. Without, only the time of boot is in
    /// it, which can be guessed.
    pub fn new() -> (Random, bool) {
        let mut seed = [0; 32];
        let source = RdRand::new();
        let mut genuine = source.is_some();
        for word in seed.chunks_exact_mut(8) {
            // Intel SDM vol. 1, 7.3.17: ten tries, then the generator is broken.
            let hardware = (0..10).find_map(|_| source.and_then(RdRand::get_u64));
            genuine &= hardware.is_some();
            let value = hardware.unwrap_or(0) ^ super::time::ticks().rotate_left(32);
            word.copy_from_slice(&value.to_le_bytes());
        }
        (Random(RefCell::new(ChaCha20Rng::from_seed(seed))), genuine)
    }

    /// A random word.
    pub fn next(&self) -> u64 {
        self.0.borrow_mut().next_u64()
    }
}
