//! What every frame begins with.

use dev::Mac;
use sys::Mem;

/// Bytes of an ethernet header.
pub const HEADER: u32 = 14;

/// Ethernet types that are looked into.
pub mod kind {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// Address resolution.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// Values below are lengths of IEEE 802.3 frames...
    pub const FIRST: u16 = 0x0600;
    /// ...of at most this many bytes.
    pub const LONGEST: u16 = 1500;
}

/// An ethernet header, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// To whom.
    pub destination: Mac,
    /// From whom, it says.
    pub source: Mac,
    /// Type, or length.
    pub kind: u16,
}

impl Header {
    /// Reads the header of a frame that starts at an offset (a multiple of 8) of memory that can't
    /// vanish. Memory that isn't there reads as zeros, which are nobody's address.
    #[inline]
    pub fn read(memory: &impl Mem, offset: usize) -> Header {
        let first = memory.load_u64(offset).unwrap_or(0);
        let second = memory.load_u64(offset + 8).unwrap_or(0);
        Header {
            destination: Mac::from_word(first),
            source: Mac::from_word(first >> 48 | second << 16),
            kind: (second >> 32) as u16,
        }
        .in_host_order()
    }

    /// Only the destination, when that is all that matters.
    #[inline]
    pub fn destination(memory: &impl Mem, offset: usize) -> Mac {
        Mac::from_word(memory.load_u64(offset).unwrap_or(0))
    }

    #[inline]
    const fn in_host_order(mut self) -> Header {
        self.kind = self.kind.swap_bytes();
        self
    }
}

/// Where some bytes of a frame lie: an offset in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub length: u32,
}

/// A frame in memory that can't vanish: its first bytes, and the rest, which may lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a, M> {
    /// Where the head lies.
    pub head_memory: &'a M,
    /// The head.
    pub head: Part,
    /// Where the rest lies.
    pub rest_memory: &'a M,
    /// The rest; of length 0 if the head is all.
    pub rest: Part,
}

impl<'a, M> Source<'a, M> {
    /// A frame in one piece.
    #[inline]
    pub const fn whole(memory: &'a M, part: Part) -> Self {
        Source {
            head_memory: memory,
            head: part,
            rest_memory: memory,
            rest: Part {
                offset: 0,
                length: 0,
            },
        }
    }

    /// Bytes of the frame.
    #[inline]
    pub const fn length(&self) -> u32 {
        self.head.length + self.rest.length
    }
}
