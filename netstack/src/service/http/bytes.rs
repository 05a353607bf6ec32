//! The content of `/bytes/N`: lines of 16 bytes, each the offset at which it begins, in 15
//! hexadecimal digits, and a line feed.
//!
//! So any piece of it says where it belongs, which makes a byte lost, doubled or out of place show.

/// Most bytes that one request can ask for: 16 TiB.
pub const MOST: u64 = 1 << 44;

/// Bytes of a line.
const LINE: usize = 16;
/// Lines that differ in one digit only.
const GROUP: usize = 16 * LINE;

const DIGITS: [u8; 16] = *b"0123456789abcdef";

fn line(offset: u64) -> [u8; LINE] {
    let mut line = [b'\n'; LINE];
    for (n, byte) in line[..LINE - 1].iter_mut().enumerate() {
        *byte = DIGITS[(offset >> (4 * (LINE - 2 - n))) as usize & 15];
    }
    line
}

/// Writes the part that begins at a place.
pub fn fill(mut place: u64, into: &mut [u8]) {
    let before = (place.next_multiple_of(GROUP as u64) - place) as usize;
    let (head, rest) = into.split_at_mut(before.min(into.len()));
    slowly(place, head);
    place += head.len() as u64;
    let mut groups = rest.chunks_exact_mut(GROUP);
    for group in &mut groups {
        let mut text = line(place);
        // The last digit of a line's offset is zero; the one before it counts the lines.
        for (digit, into) in DIGITS.iter().zip(group.chunks_exact_mut(LINE)) {
            text[LINE - 3] = *digit;
            into.copy_from_slice(&text);
        }
        place += GROUP as u64;
    }
    slowly(place, groups.into_remainder());
}

fn slowly(mut place: u64, mut into: &mut [u8]) {
    while !into.is_empty() {
        let from = (place % LINE as u64) as usize;
        let text = &line(place - from as u64)[from..];
        let length = text.len().min(into.len());
        let (now, later) = core::mem::take(&mut into).split_at_mut(length);
        now.copy_from_slice(&text[..length]);
        into = later;
        place += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_part_is_lines_of_offsets(place in 0..MOST, length in 0usize..3000) {
            let first = place / 16;
            let last = (place + length as u64) / 16;
            let text: String = (first..=last).map(|n| format!("{:015x}\n", n * 16)).collect();
            let begin = (place % 16) as usize;
            let mut bytes = vec![0; length];
            fill(place, &mut bytes);
            prop_assert_eq!(&bytes[..], &text.as_bytes()[begin..begin + length]);
        }
    }
}
