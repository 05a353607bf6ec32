//! Frames that say what they are.

use abi::PAGE_SIZE;
use dev::Mac;

use super::groups;
use super::room::Key;

/// A party: a user by number, the wire, or a group of them.
pub type Party = u16;
/// The other end of the wire.
pub const WIRE: Party = 0xff;

/// Bytes before the stamp.
const HEADER: usize = 14;
/// Shortest frame with a stamp.
pub const SHORTEST: usize = HEADER + 20;
/// An ethernet type that the standard sets aside for experiments (IEEE 802, 0x88b5).
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
const MAGIC: u32 = 0x7573_7566;

/// First byte of each word of a frame behind its stamp.
pub(super) const TAG: u8 = 0xc5;

/// Most pages that a frame takes, however it is received.
pub const fn pages(length: usize) -> u32 {
    // A little of each page is headroom.
    length.div_ceil(PAGE_SIZE - 64) as u32
}

/// Two parties in a byte.
pub(super) const fn ends(from: Party, to: Party) -> u8 {
    (from as u8 & 0xf) << 4 | to as u8 & 0xf
}

/// The address of a party.
pub fn mac(party: Party) -> Mac {
    match party {
        groups::EVERYBODY => Mac::BROADCAST,
        party if groups::is_group(party) => Mac::new([3, 0, 0, 0, 1, party as u8]),
        party => Mac::new([2, 0, 0, 0, 1, party as u8]),
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Who sent it.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// In which life of the driver.
    pub epoch: u32,
    /// As the how-manieth of its flow.
    pub sequence: u32,
}

impl Stamp {
    /// What the frame is known by.
    pub const fn key(&self) -> Key {
        Key {
            from: self.from,
            to: self.to,
            epoch: self.epoch,
            sequence: self.sequence,
        }
    }

    fn words(self) -> [u32; 4] {
        let ends = u32::from(self.from) << 16 | u32::from(self.to);
        [MAGIC, ends, self.epoch, self.sequence]
    }

    /// A byte of the frame behind the stamp. Each word of it says whose it is, and each stands only
    /// where it does.
    fn pattern(self, n: usize) -> u8 {
        let (sequence, word) = (self.sequence as usize, n / 4);
        match n % 4 {
            0 => TAG,
            1 => ends(self.from, self.to),
            2 => sequence.wrapping_mul(31).wrapping_add(n >> 10) as u8,
            _ => sequence.wrapping_add(word.wrapping_mul(7)) as u8,
        }
    }

    /// The frame, of this many bytes.
    pub fn frame(self, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length.max(SHORTEST)];
        frame[..6].copy_from_slice(&mac(self.to).bytes());
        frame[6..12].copy_from_slice(&mac(self.from).bytes());
        frame[12..14].copy_from_slice(&EXPERIMENT);
        for (n, word) in self.words().into_iter().enumerate() {
            frame[HEADER + 4 * n..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let length = frame.len() as u32;
        frame[HEADER + 16..][..4].copy_from_slice(&length.to_le_bytes());
        for (n, byte) in frame.iter_mut().enumerate().skip(SHORTEST) {
            *byte = self.pattern(n);
        }
        frame
    }

    /// What a frame says of itself, if it is one of these and whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(frame: &[u8]) -> Result<Stamp, String> {
        if frame.len() < SHORTEST || frame[12..14] != EXPERIMENT {
            return Err(format!(
                "no frame of ours: {:02x?}",
                &frame[..frame.len().min(40)]
            ));
        }
        let word = |n: usize| {
            let bytes: [u8; 4] = std::array::from_fn(|m| frame[HEADER + 4 * n + m]);
            u32::from_le_bytes(bytes)
        };
        let stamp = Stamp {
            from: (word(1) >> 16) as Party,
            to: word(1) as Party,
            epoch: word(2),
            sequence: word(3),
        };
        if word(0) != MAGIC || word(4) as usize != frame.len() {
            return Err(format!("a frame cut off or altered at its head: {stamp:?}"));
        }
        let altered = (SHORTEST..frame.len()).find(|n| frame[*n] != stamp.pattern(*n));
        match altered {
            None => Ok(stamp),
            Some(n) => Err(format!("a frame altered at byte {n}: {stamp:?}")),
        }
    }
}
