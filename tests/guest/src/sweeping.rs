//! What the programs of the sweep say to each other: see `sweep/main.rs`.

/// What a program of `swept` is, by its arguments.
#[cfg(feature = "bare")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Role {
    /// A client of the ethernet driver's, with this address: does what its notifications say, and sends
    /// each frame back that it gets.
    Client([u8; 6]),
    /// Destroys, when it is told, the bank in [`grant::VICTIM`], and tells that it has.
    Injector,
}

/// Slots of what they are granted.
pub mod grant {
    use abi::boot::slot;

    /// A client's port.
    pub const PORT: u16 = slot::GRANT;
    /// The bank that a client offers to the driver.
    pub const PORT_BANK: u16 = slot::GRANT + 1;
    /// The bank that the injector destroys.
    pub const VICTIM: u16 = slot::GRANT;
    /// Whom the injector tells.
    pub const DONE: u16 = slot::GRANT + 1;
}

/// Notification bits.
pub mod bit {
    /// Injector: now.
    pub const NOW: u64 = 0;
    /// Client: something came.
    pub const SESSION: u64 = 0;
    /// Client: attach. A session that it has is ended first.
    pub const ATTACH: u64 = 1;
    /// Client: detach.
    pub const DETACH: u64 = 2;
    /// Client: send [`SENT`](super::SENT) frames.
    pub const SEND: u64 = 3;
}

/// Transmit pages of a client.
pub const TRANSMIT_PAGES: u16 = 8;
/// Receive pages: so many that, where both clients flip, the driver posts nothing but theirs.
pub const RECEIVE_PAGES: u16 = 64;
/// Frames that a client sends when it is told to.
pub const SENT: u64 = 4;
/// Bytes of a frame before its payload.
pub const HEADER: usize = 14;
/// Longest frame.
pub const LONGEST: usize = 1514;
/// The address of the host at the wire's other end.
pub const HOST: [u8; 6] = [2, 0, 0, 0, 1, 1];
/// The type of all frames: one for experiments (IEEE 802).
const TYPE: [u8; 2] = [0x88, 0xb5];

/// The byte at a place of the payload of the frame with a number: the number first.
fn byte(number: u64, at: usize) -> u8 {
    match at {
        0..8 => number.to_le_bytes()[at],
        _ => (number as u8).wrapping_mul(31).wrapping_add(at as u8),
    }
}

/// Writes the payload with a number: as long as `into`, and long enough for the number.
pub fn fill(into: &mut [u8], number: u64) {
    for (at, to) in into.iter_mut().enumerate() {
        *to = byte(number, at);
    }
}

/// The number of a whole payload: each byte is right.
pub fn number_of(payload: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*payload.first_chunk()?);
    let mut bytes = payload.iter().enumerate();
    bytes
        .all(|(at, value)| *value == byte(number, at))
        .then_some(number)
}

/// Writes the frame with a number: as long as `into`.
pub fn write(into: &mut [u8], to: [u8; 6], from: [u8; 6], number: u64) {
    let (header, payload) = into.split_at_mut(HEADER);
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..].copy_from_slice(&TYPE);
    fill(payload, number);
}

/// The number of a whole frame: who it is from, and to whom, is as said, and each byte is right.
pub fn read(frame: &[u8], to: [u8; 6], from: [u8; 6]) -> Option<u64> {
    let (header, payload) = frame.split_at_checked(HEADER)?;
    let addressed = header[..6] == to && header[6..12] == from && header[12..] == TYPE;
    number_of(payload).filter(|_| addressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_not_with_a_byte_changed() {
        let (to, from) = ([2, 0, 0, 0, 0, 1], HOST);
        for length in [HEADER + 8, 60, 64, LONGEST] {
            let mut frame = std::vec![0; length];
            write(&mut frame, to, from, 0x1234_5678_9abc);
            assert_eq!(read(&frame, to, from), Some(0x1234_5678_9abc));
            assert_eq!(read(&frame, from, to), None);
            frame[12] ^= 1;
            assert_eq!(read(&frame, to, from), None);
            frame[12] ^= 1;
            if length > HEADER + 8 {
                frame[length - 1] ^= 4;
                assert_eq!(read(&frame, to, from), None);
            }
        }
        assert_eq!(read(&[0; HEADER + 7], to, from), None);
    }
}
