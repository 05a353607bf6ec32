//! The internet checksum (RFC 1071), eight bytes a step.
//!
//! Sums are kept in the byte order of memory, which the ones' complement sum doesn't care about, so
//! nothing is swapped until a checksum is written, and then it is written as it lies in memory.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A ones' complement sum of 16-bit words, in the byte order of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(u32);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Sum = Sum(0);

    /// The sum of bytes; the last one of an odd number counts as if a zero followed.
    pub fn of(bytes: &[u8]) -> Sum {
        let mut sum = Wide(0);
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            sum.add_all(words);
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            sum.add(*word);
        }
        sum.add_tail(rest);
        sum.fold()
    }

    /// The pseudo-header of RFC 768, 9293 and 8200. Source and destination must be of one family;
    /// if they aren't, no checksum matches.
    pub fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Sum {
        // Lengths fit in 16 bits (there are no jumbograms), and then both families sum alike.
        let length = Sum::word((length as u16).to_be_bytes()).and(Sum::word([0, protocol]));
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                length.and(Sum::ipv4(source)).and(Sum::ipv4(destination))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                length.and(Sum::ipv6(source)).and(Sum::ipv6(destination))
            }
            _ => length,
        }
    }

    /// The sum of one word.
    pub fn word(bytes: [u8; 2]) -> Sum {
        Sum(u16::from_ne_bytes(bytes).into())
    }

    fn ipv4(address: Ipv4Addr) -> Sum {
        let bits = u32::from_ne_bytes(address.octets());
        Sum((bits & 0xffff) + (bits >> 16))
    }

    fn ipv6(address: Ipv6Addr) -> Sum {
        let bits = u128::from_ne_bytes(address.octets());
        let mut sum = Wide(0);
        sum.add((bits as u64).to_ne_bytes());
        sum.add(((bits >> 64) as u64).to_ne_bytes());
        sum.fold()
    }

    /// Both sums together. The second must begin at an even place of what is summed.
    pub fn and(self, other: Sum) -> Sum {
        let sum = self.0 + other.0;
        Sum((sum & 0xffff) + (sum >> 16))
    }

    fn folded(self) -> u16 {
        let sum = (self.0 & 0xffff) + (self.0 >> 16);
        ((sum & 0xffff) + (sum >> 16)) as u16
    }

    /// Whether this sum, of something that holds its own checksum, says that it is intact.
    pub fn is_intact(self) -> bool {
        self.folded() == 0xffff
    }

    /// The checksum field's two bytes, for what was summed with a zero in that field.
    pub fn checksum(self) -> [u8; 2] {
        (!self.folded()).to_ne_bytes()
    }

    /// The same, where a zero means that there is no checksum (UDP).
    pub fn checksum_never_zero(self) -> [u8; 2] {
        match self.checksum() {
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        }
    }
}

/// The sum while it runs, of 64-bit words: each carry comes back in at the low end.
struct Wide(u64);

impl Wide {
    #[inline(always)]
    fn add(&mut self, word: [u8; 8]) {
        let (sum, carry) = self.0.overflowing_add(u64::from_ne_bytes(word));
        // Where there is a carry, the sum has room for it.
        self.0 = sum.wrapping_add(carry.into());
    }

    /// Adds words whose carries go from one to the next.
    #[inline(always)]
    fn add_all(&mut self, words: &[[u8; 8]]) {
        let mut carry = false;
        for word in words {
            (self.0, carry) = self.0.carrying_add(u64::from_ne_bytes(*word), carry);
        }
        // A sum that came with a carry is at most 2^64 - 2: so is the next, whatever is added.
        self.0 = self.0.wrapping_add(carry.into());
    }

    /// Adds fewer than eight bytes.
    #[inline(always)]
    fn add_tail(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.add(word);
        }
    }

    fn fold(self) -> Sum {
        // 2^16 and 2^32 are both 1 modulo 2^16 - 1.
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
        Sum(((sum & 0xffff) + (sum >> 16)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// RFC 1071, section 4.1, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn matches_the_naive_sum(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            prop_assert_eq!(Sum::of(&bytes).checksum(), naive(&bytes).to_be_bytes());
        }

        #[test]
        fn sums_add_up_at_even_places(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            place in 0usize..300,
        ) {
            let place = (place * 2).min(bytes.len() & !1);
            let parts = Sum::of(&bytes[..place]).and(Sum::of(&bytes[place..]));
            prop_assert_eq!(parts.checksum(), naive(&bytes).to_be_bytes());
        }

        #[test]
        fn pseudo_headers_match(
            source: [u8; 16],
            destination: [u8; 16],
            protocol: u8,
            length in 0u16..,
        ) {
            let mut header = Vec::new();
            header.extend(source);
            header.extend(destination);
            header.extend(u32::from(length).to_be_bytes());
            header.extend([0, 0, 0, protocol]);
            let (a, b) = (IpAddr::from(source), IpAddr::from(destination));
            let sum = Sum::pseudo(a, b, protocol, length.into());
            prop_assert_eq!(sum.checksum(), naive(&header).to_be_bytes());

            let mut header = Vec::new();
            header.extend(&source[..4]);
            header.extend(&destination[..4]);
            header.extend([0, protocol]);
            header.extend(length.to_be_bytes());
            let four = |bytes: [u8; 16]| IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let sum = Sum::pseudo(four(source), four(destination), protocol, length.into());
            prop_assert_eq!(sum.checksum(), naive(&header).to_be_bytes());
        }
    }

    #[test]
    fn carries_survive_all_ones() {
        // Where each addition but the first carries, of whole blocks and what is left of one.
        for length in 1..300 {
            let bytes = vec![0xff; length];
            assert_eq!(Sum::of(&bytes).checksum(), naive(&bytes).to_be_bytes());
        }
        let bytes = vec![0xff; 65_535];
        assert_eq!(Sum::of(&bytes).checksum(), naive(&bytes).to_be_bytes());
        assert_eq!(Sum::of(&[]).checksum(), [0xff, 0xff]);
        assert_eq!(Sum::of(&[0xff, 0xff]).checksum(), [0, 0]);
        assert_eq!(Sum::of(&[0xff, 0xff]).checksum_never_zero(), [0xff, 0xff]);
        assert!(Sum::of(&[0xff, 0xff]).is_intact());
    }
}
