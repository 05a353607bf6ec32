//! Random numbers that a seed gives back, fast enough not to be noticed beside a system call.

/// xorshift64* (Vigna, *An experimental exploration of Marsaglia's xorshift generators*, 2016).
#[derive(Clone, Debug)]
pub struct Sequence(u64);

impl Sequence {
    /// A sequence for a seed. Neighbouring seeds begin far apart.
    pub const fn new(seed: u64) -> Sequence {
        // The finaliser of SplitMix64.
        let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Zero would stay zero.
        Sequence((z ^ z >> 31) | 1)
    }

    /// 64 random bits.
    pub const fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub const fn below(&mut self, limit: u32) -> u32 {
        (((self.word() >> 32) * limit as u64) >> 32) as u32
    }

    /// True once in so many times; never for 0.
    pub const fn one_in(&mut self, times: u32) -> bool {
        times != 0 && self.below(times) == 0
    }

    /// One of these.
    ///
    /// # Panics
    /// There are none.
    pub const fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// Often small, sometimes near a bound, sometimes anything.
    pub const fn wild(&mut self) -> u64 {
        const BOUNDS: [u64; 18] = [
            63,
            64,
            65,
            127,
            128,
            255,
            256,
            511,
            512,
            513,
            4095,
            4096,
            1 << 16,
            1 << 32,
            1 << 47,
            1 << 63,
            (1 << 32) - 1,
            u64::MAX,
        ];
        match self.below(8) {
            0 => self.word(),
            1 | 2 => self.pick(&BOUNDS),
            3 => 1 << self.below(64),
            4 => self.below(600) as u64,
            _ => self.below(10) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_sequence_back() {
        let words = |seed| {
            let mut sequence = Sequence::new(seed);
            [(); 8].map(|()| sequence.word())
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
    }

    #[test]
    fn numbers_are_below_their_limit() {
        let mut sequence = Sequence::new(1);
        assert_eq!(sequence.below(0), 0);
        for limit in [1, 2, 3, 512, u32::MAX] {
            assert!((0..100).all(|_| sequence.below(limit) < limit));
        }
    }
}
