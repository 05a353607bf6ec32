//! Hashing of addresses and ports, keyed, so that a peer can't aim at one bucket.

use core::net::IpAddr;

/// The key of a table's hash.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl From<u64> for Seed {
    fn from(random: u64) -> Seed {
        Seed(random | 1)
    }
}

impl Seed {
    /// The hash of an address.
    pub fn address(self, address: IpAddr) -> u64 {
        match address {
            IpAddr::V4(address) => self.mix(u64::from(address.to_bits()), 4),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.mix(bits as u64, self.mix((bits >> 64) as u64, 6))
            }
        }
    }

    /// The hash of two words.
    pub fn mix(self, a: u64, b: u64) -> u64 {
        fold(fold(a ^ self.0) ^ b ^ self.0.rotate_left(32))
    }
}

/// The halves of a product, folded: every bit of the word bears on every bit of the outcome.
fn fold(word: u64) -> u64 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(word) * ODD;
    ((product >> 64) as u64) ^ (product as u64)
}
