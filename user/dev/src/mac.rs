//! Addresses of stations.

/// A MAC address in a word: its first byte is the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(u64);

impl Mac {
    /// All stations.
    pub const BROADCAST: Mac = Mac(0xffff_ffff_ffff);

    /// From its bytes, in the order of the wire.
    pub const fn new(bytes: [u8; 6]) -> Mac {
        let [a, b, c, d, e, f] = bytes;
        Mac(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// From the low 48 bits of a word.
    #[inline]
    pub const fn from_word(word: u64) -> Mac {
        Mac(word & 0xffff_ffff_ffff)
    }

    /// As a word.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Its bytes, in the order of the wire.
    pub const fn bytes(self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.0.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Whether it is a group's (multicast or broadcast).
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it is a group that no bridge forwards (IEEE 802.1Q, 8.6.3: 01-80-C2-00-00-00 to -0F): what
    /// bridges and their neighbours say to each other about the link, spanning tree and PAUSE among it.
    #[inline]
    pub const fn is_link_control(self) -> bool {
        const FIRST: u64 = Mac::new([1, 0x80, 0xc2, 0, 0, 0]).0;
        const REST: u64 = Mac::new([0, 0, 0, 0, 0, 0x0f]).0;
        self.0 & !REST == FIRST
    }
}

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.bytes();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl core::fmt::Debug for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_groups_control_the_link() {
        let controls = |bytes| Mac::new(bytes).is_link_control();
        assert!((0..16).all(|n| controls([1, 0x80, 0xc2, 0, 0, n])));
        assert!((16..=255).all(|n| !controls([1, 0x80, 0xc2, 0, 0, n])));
        assert!(!controls([1, 0x80, 0xc2, 0, 1, 0]));
        assert!(!controls([0, 0x80, 0xc2, 0, 0, 0]));
        assert!(!Mac::BROADCAST.is_link_control());
    }
}
