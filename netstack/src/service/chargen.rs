//! The character source (RFC 864): lines of 72 printing characters, each begun one further.

/// Bytes of a line, with its end.
pub const LINE: usize = 74;
/// Characters of a line.
const WIDTH: usize = 72;
/// The printing characters.
const CHARACTERS: usize = 95;
/// Longest datagram (RFC 864).
const LONGEST: usize = 512;

/// The printing characters, and again as many as a line that begins with the last one needs.
static RING: [u8; CHARACTERS + WIDTH] = {
    let mut ring = [0; CHARACTERS + WIDTH];
    let mut n = 0;
    while n < ring.len() {
        ring[n] = b' ' + (n % CHARACTERS) as u8;
        n += 1;
    }
    ring
};

/// Writes the part of the endless text that begins at a place.
pub fn fill(place: u64, into: &mut [u8]) {
    let mut line = (place / LINE as u64 % CHARACTERS as u64) as usize;
    let mut column = (place % LINE as u64) as usize;
    let mut rest = into;
    while !rest.is_empty() {
        let mut text = [b'\r', b'\n'].as_slice();
        if column < WIDTH {
            text = &RING[line + column..line + WIDTH];
        } else {
            text = &text[column - WIDTH..];
        }
        let length = text.len().min(rest.len());
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(&text[..length]);
        rest = later;
        column += length;
        if column == LINE {
            column = 0;
            line = (line + 1) % CHARACTERS;
        }
    }
}

/// How long the answer to a datagram of some length is: one line, or as long as the question up to
/// 512 bytes. So an answer on the wire is at most twice its question, and nobody gains by having us
/// send to somebody else.
pub fn datagram_length(question: usize) -> usize {
    question.clamp(LINE, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn lines_are_those_of_the_standard() {
        let mut text = vec![0; LINE * 200];
        fill(0, &mut text);
        assert!(text.starts_with(br##" !"#$%&'()*+,-./0123456789:;<=>?@ABC"##));
        for (n, line) in text.chunks(LINE).enumerate() {
            assert_eq!(&line[WIDTH..], b"\r\n");
            for (column, &byte) in line[..WIDTH].iter().enumerate() {
                assert_eq!(usize::from(byte), 32 + (n + column) % CHARACTERS);
            }
        }
    }

    #[test]
    fn any_part_is_the_same_text() {
        let mut text = vec![0; LINE * 100];
        fill(0, &mut text);
        for place in 0..LINE * 96 {
            let mut part = [0; 150];
            fill(place as u64, &mut part);
            assert_eq!(part, text[place..place + 150], "{place}");
        }
    }
}
