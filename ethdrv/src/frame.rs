//! What every frame begins with.

use dev::Mac;
use sys::{Fault, Mem};

/// Bytes of an ethernet header.
pub const HEADER: u32 = 14;
/// Longest frame that the driver takes from a device, whatever the device says. No network has frames
/// so long: the simulated wire has, to measure with.
pub const LONGEST: u32 = 1 << 16;
/// Longest frame that it sends: an MTU of 9,000.
pub const LONGEST_SENT: u32 = 9000 + HEADER;
/// Most pages that a copied frame takes.
pub const MOST_PIECES: usize = (LONGEST as usize).div_ceil(abi::PAGE_SIZE);

/// Ethernet types that are looked into.
pub mod kind {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// Address resolution.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// Control of the link between two stations, PAUSE for one (IEEE 802.3, 31.4).
    pub const CONTROL: u16 = 0x8808;
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

/// Most stretches of a sent frame behind its first bytes: as many as it has pages, and one more where it
/// begins in the midst of one.
pub const MOST_PARTS: usize = (LONGEST_SENT as usize).div_ceil(abi::PAGE_SIZE) + 1;

/// Where a frame goes on behind its first bytes: some parts, all in the same window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    parts: [Part; MOST_PARTS],
    count: u8,
}

impl Rest {
    /// The parts.
    #[inline]
    pub fn parts(&self) -> &[Part] {
        &self.parts[..self.count as usize]
    }

    /// None any more.
    #[inline]
    pub const fn clear(&mut self) {
        self.count = 0;
    }

    /// One more part; `false`: there are as many as there may be.
    #[inline]
    pub fn push(&mut self, part: Part) -> bool {
        match self.parts.get_mut(self.count as usize) {
            Some(free) => {
                *free = part;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

/// Some bytes of a frame, in memory that can't vanish.
#[derive(Debug)]
pub struct Stretch<'a, M> {
    /// The window that they lie in.
    pub memory: &'a M,
    /// Where.
    pub part: Part,
}

impl<M> Clone for Stretch<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Stretch<'_, M> {}

/// A frame in memory that can't vanish: one stretch after the other.
#[derive(Debug)]
pub struct Source<'a, M> {
    stretches: &'a [Stretch<'a, M>],
    length: u32,
}

impl<'a, M: Mem> Source<'a, M> {
    /// A frame that lies so.
    #[inline]
    pub fn new(stretches: &'a [Stretch<'a, M>]) -> Self {
        Source {
            stretches,
            length: stretches.iter().map(|stretch| stretch.part.length).sum(),
        }
    }

    /// Bytes of the frame.
    #[inline]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Copies `length` bytes of the frame, from its byte `first` on, to memory that may vanish.
    ///
    /// # Errors
    /// That memory is gone.
    #[inline]
    pub fn copy(
        &self,
        first: u32,
        to: &impl Mem,
        to_offset: usize,
        length: u32,
    ) -> Result<(), Fault> {
        if let [Stretch { memory, part }] = self.stretches {
            let count = length.min(part.length.saturating_sub(first));
            let from = part.offset + first as usize;
            return memory.copy_to(from, to, to_offset, count as usize);
        }
        self.gather(first, to, to_offset, length)
    }

    /// Copies out of several stretches.
    #[inline(never)]
    fn gather(
        &self,
        first: u32,
        to: &impl Mem,
        to_offset: usize,
        length: u32,
    ) -> Result<(), Fault> {
        let (mut skip, mut done) = (first, 0);
        for Stretch { memory, part } in self.stretches {
            if skip >= part.length {
                skip -= part.length;
                continue;
            }
            let count = (part.length - skip).min(length - done);
            if count == 0 {
                break;
            }
            memory.copy_to(
                part.offset + skip as usize,
                to,
                to_offset + done as usize,
                count as usize,
            )?;
            skip = 0;
            done += count;
        }
        Ok(())
    }
}
