//! Numbered frames: what the host sends to the program `checker`, and what that answers.
//!
//! Every frame tells whose it is, byte by byte, so that whoever finds a piece of it knows. A frame is an
//! ethernet header of [`TYPE`] between the host and a user whose MAC address ends in a number, the
//! *recipient*; then a head of [`HEAD`] bytes; then a pattern. Head and pattern are made of the bytes
//! 0x30 to 0x5f alone, so that they can be told from addresses, tables and code.
//!
//! | head | bytes |
//! | --- | --- |
//! | kind | 1: a capital letter |
//! | recipient | 2 digits |
//! | epoch | 8: which stream of numbers it belongs to |
//! | number | 8: from 0 on |
//! | length | 4: of the frame |
//! | checksum | 8: FNV-1a over the head before it, and the pattern |
//!
//! A digit is half a byte, as 0x30 to 0x3f. The pattern is made of blocks of 8 bytes: [`MARK`], the
//! recipient, the frame's number and the block's place in the frame.

/// The ethernet type (IEEE 802, local experimental).
pub const TYPE: [u8; 2] = [0x88, 0xb5];
/// Bytes of the ethernet header.
pub const ETHERNET: usize = 14;
/// Bytes of the head.
pub const HEAD: usize = 31;
/// Bytes before the pattern.
pub const START: usize = ETHERNET + HEAD;
/// Shortest frame.
pub const SHORTEST: usize = 60;
/// The host's MAC address.
pub const HOST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// What each block of a frame's pattern begins with.
pub const MARK: [u8; 2] = *b"XY";
/// What each block of memory begins with that no frame comes from: nobody may ever find it.
pub const PRIVATE: [u8; 2] = *b"PQ";

/// What a frame is for.
pub mod kind {
    /// One of a stream; its number counts.
    pub const NUMBERED: u8 = b'N';
    /// A stream of this epoch begins; answered by a report.
    pub const HELLO: u8 = b'H';
    /// Asks for a report.
    pub const QUERY: u8 = b'Q';
    /// Asks for a search of the receive memory, and a report.
    pub const SEARCH: u8 = b'S';
    /// Asks for a storm: for so many milliseconds the user does nothing but wake the driver and ask it
    /// things. Not answered.
    pub const STORM: u8 = b'T';
    /// A report: as many numbers of 8 digits as there are [fields](super::Report).
    pub const REPORT: u8 = b'R';
    /// So many frames of the stream came: the number says it.
    pub const ACK: u8 = b'A';
}

/// The MAC address of a recipient.
pub const fn mac(recipient: u8) -> [u8; 6] {
    [0x02, 0x75, 0x73, 0, 0, recipient]
}

/// Whether a byte can be one of a head or a pattern.
pub const fn is_text(byte: u8) -> bool {
    byte >= 0x30 && byte <= 0x5f
}

/// The first three bytes of each block of a recipient's pattern, or of its private memory.
pub const fn block_start(mark: [u8; 2], recipient: u8) -> [u8; 3] {
    [mark[0], mark[1], 0x40 | recipient & 0xf]
}

/// A byte of a frame's pattern.
#[inline]
pub const fn pattern(recipient: u8, number: u32, at: usize) -> u8 {
    let block = (at / 8) as u32;
    match at % 8 {
        0 => MARK[0],
        1 => MARK[1],
        2 => 0x40 | recipient & 0xf,
        3 => 0x40 | (number & 0xf) as u8,
        4 => 0x40 | (number >> 4 & 0xf) as u8,
        5 => 0x40 | (number >> 8 & 0xf) as u8,
        6 => 0x40 | (block & 0xf) as u8,
        _ => 0x40 | (block >> 4 & 0xf) as u8,
    }
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it is for: one of [`kind`].
    pub kind: u8,
    /// Whose it is: the user, whichever way the frame goes.
    pub recipient: u8,
    /// The stream.
    pub epoch: u32,
    /// Its number in the stream.
    pub number: u32,
    /// Bytes of the frame.
    pub length: usize,
}

/// Puts a number down in digits.
fn put(into: &mut [u8], value: u32) {
    let count = into.len();
    for (n, digit) in into.iter_mut().enumerate() {
        *digit = 0x30 | (value >> (4 * (count - 1 - n)) & 0xf) as u8;
    }
}

/// Reads digits.
fn get(from: &[u8]) -> Option<u32> {
    from.iter().try_fold(0u32, |value, digit| {
        (digit & 0xf0 == 0x30).then_some(value << 4 | u32::from(digit & 0xf))
    })
}

/// FNV-1a.
fn sum(parts: [&[u8]; 2]) -> u32 {
    let bytes = parts.into_iter().flatten();
    bytes.fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Writes a frame, `head.length` bytes of `frame`, whose pattern is in place already.
fn seal(frame: &mut [u8], to: [u8; 6], from: [u8; 6], head: &Head) {
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&TYPE);
    let (text, pattern) = frame[ETHERNET..].split_at_mut(HEAD);
    text[0] = head.kind;
    put(&mut text[1..3], head.recipient.into());
    put(&mut text[3..11], head.epoch);
    put(&mut text[11..19], head.number);
    put(&mut text[19..23], head.length as u32);
    let checksum = sum([&text[..23], pattern]);
    put(&mut text[23..], checksum);
}

/// Makes a frame from the host to its recipient, in as many bytes as it shall have; at least
/// [`SHORTEST`].
pub fn write(frame: &mut [u8], kind: u8, recipient: u8, epoch: u32, number: u32) {
    let length = frame.len();
    for (at, byte) in frame[START..].iter_mut().enumerate() {
        *byte = pattern(recipient, number, at);
    }
    let head = Head {
        kind,
        recipient,
        epoch,
        number,
        length,
    };
    seal(frame, mac(recipient), HOST, &head);
}

/// Makes a frame from a user to the host that tells these numbers.
pub fn write_answer(frame: &mut [u8], kind: u8, recipient: u8, number: u32, fields: &[u32]) {
    let length = frame.len();
    let room = &mut frame[START..];
    room.fill(0x30);
    for (digits, field) in room.chunks_exact_mut(8).zip(fields) {
        put(digits, *field);
    }
    let head = Head {
        kind,
        recipient,
        epoch: 0,
        number,
        length,
    };
    seal(frame, HOST, mac(recipient), &head);
}

/// Reads a frame's head, if it is a frame of this kind: checksum and length are right.
pub fn read(frame: &[u8]) -> Option<Head> {
    if frame.get(12..14)? != TYPE {
        return None;
    }
    let (text, pattern) = frame.get(ETHERNET..)?.split_at_checked(HEAD)?;
    let head = Head {
        kind: text[0],
        recipient: u8::try_from(get(&text[1..3])?).ok()?,
        epoch: get(&text[3..11])?,
        number: get(&text[11..19])?,
        length: get(&text[19..23])? as usize,
    };
    let right = head.length == frame.len() && get(&text[23..])? == sum([&text[..23], pattern]);
    right.then_some(head)
}

/// Whether the pattern is the one that the head promises.
pub fn is_unaltered(frame: &[u8], head: &Head) -> bool {
    let bytes = frame.get(START..).unwrap_or_default();
    let mut bytes = bytes.iter().enumerate();
    bytes.all(|(at, byte)| *byte == pattern(head.recipient, head.number, at))
}

/// Declares the fields of a report.
macro_rules! report {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a checker tells.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Report { $($(#[$doc])* pub $name: u32,)* }

        impl Report {
            /// How many fields there are.
            pub const FIELDS: usize = [$(stringify!($name)),*].len();

            /// All fields.
            pub const fn fields(&self) -> [u32; Self::FIELDS] {
                [$(self.$name),*]
            }

            /// Out of an answer; with what it answers, as its number.
            pub fn read(frame: &[u8]) -> Option<(u32, Report)> {
                let head = read(frame).filter(|head| head.kind == kind::REPORT)?;
                let mut fields = frame.get(START..)?.chunks_exact(8).map(get);
                Some((head.number, Report { $($name: fields.next()??,)* }))
            }
        }
    };
}

report! {
    /// The stream.
    epoch,
    /// Frames of it that came.
    received,
    /// The number that should come next.
    next,
    /// Numbers that were left out when a later one came.
    missing,
    /// Numbers that came again, or after later ones.
    again,
    /// Frames of this type that are not what was sent: head, checksum, length or pattern.
    altered,
    /// Frames of somebody else's.
    foreign,
    /// Frames of other streams.
    stale,
    /// Sessions that began.
    sessions,
    /// Frames that the driver dropped for this user, by whatever it counts as a reason.
    dropped,
    /// Frames that the driver copied.
    copied,
    /// Frames that it delivered in place.
    in_place,
    /// Frames that it exchanged pages for.
    exchanged,
    /// Times that it woke the driver for nothing.
    kicks,
    /// Searched: pieces of other users' frames.
    others,
    /// Searched: pieces of memory that no frame comes from.
    private,
    /// Searched: bytes that belong to no frame.
    unexplained,
    /// Searched: bytes looked at.
    searched,
}

/// Bytes of a report's frame.
pub const REPORT_BYTES: usize = START + 8 * Report::FIELDS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for length in [SHORTEST, 61, 1514, 9014] {
            let mut frame = std::vec![0; length];
            write(&mut frame, kind::NUMBERED, 3, 7, 0x1234_5678);
            let head = read(&frame).unwrap();
            assert_eq!((head.recipient, head.epoch), (3, 7));
            assert_eq!((head.number, head.length), (0x1234_5678, length));
            assert!(is_unaltered(&frame, &head));
            assert!(frame[ETHERNET..].iter().all(|byte| is_text(*byte)));
        }
    }

    #[test]
    fn every_altered_byte_shows() {
        let mut frame = [0; 120];
        write(&mut frame, kind::NUMBERED, 3, 7, 9);
        for at in 12..frame.len() {
            frame[at] ^= 1;
            let head = read(&frame);
            assert!(!head.is_some_and(|head| is_unaltered(&frame, &head)));
            frame[at] ^= 1;
        }
        assert_eq!(read(&frame[..119]), None);
    }

    #[test]
    fn a_report_arrives_as_it_was() {
        let report = Report {
            received: 5,
            unexplained: u32::MAX,
            searched: 9,
            ..Report::default()
        };
        let mut frame = [0; REPORT_BYTES];
        write_answer(&mut frame, kind::REPORT, 2, 77, &report.fields());
        assert_eq!(Report::read(&frame), Some((77, report)));
    }
}
