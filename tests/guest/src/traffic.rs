//! Frames of the crossover bench: what the wire sends and the recipient expects.

/// Bytes of a frame's head: addresses, type, six bytes of nothing, and its number.
pub const HEAD: usize = 28;
/// The type: one of those that are left for experiments (IEEE Std 802, local experimental ethertypes).
const KIND: [u8; 2] = [0x88, 0xb5];
/// Who sends.
const FROM: [u8; 6] = [2, 0, 0, 0, 1, 1];

/// What the recipient is told to do, by notification bits.
pub mod bit {
    /// Its session has something.
    pub const SESSION: u64 = 0;
    /// From now on: read nothing of a frame.
    pub const NONE: u64 = 1;
    /// From now on: read its headers.
    pub const HEADER: u64 = 2;
    /// From now on: read all of it.
    pub const ALL: u64 = 3;
    /// From now on: compare all of it with what it should be.
    pub const CHECK: u64 = 4;
}

/// Bytes that a recipient reads who looks at headers only: two cache lines.
pub const HEADERS: usize = 128;

/// The first bytes of frame `number` to this address.
pub fn head(to: [u8; 6], number: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..6].copy_from_slice(&to);
    head[6..12].copy_from_slice(&FROM);
    head[12..14].copy_from_slice(&KIND);
    head[20..28].copy_from_slice(&number.to_le_bytes());
    head
}

/// The number of the frame that begins so.
pub fn number(head: &[u8; HEAD]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&head[20..]);
    u64::from_le_bytes(bytes)
}

/// The byte of a frame at a place behind its head.
pub const fn byte(number: u64, at: usize) -> u8 {
    (number as u8)
        .wrapping_mul(31)
        .wrapping_add((at as u8).wrapping_mul(7))
        .wrapping_add((at >> 8) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_its_number() {
        for at in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(number(&head([2, 0, 0, 0, 0, 7], at)), at);
        }
    }

    #[test]
    fn bytes_a_page_or_a_frame_apart_differ() {
        assert_ne!(byte(1, 100), byte(2, 100));
        assert_ne!(byte(1, 100), byte(1, 100 + 4080));
        assert_ne!(byte(1, 100), byte(1, 100 + 4096));
        assert_ne!(byte(1, 100), byte(1, 101));
    }
}
