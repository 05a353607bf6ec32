//! What a client sends: entries of the `transmit` ring, checked, and which of its memory is in
//! transmission.

use abi::PAGE_SIZE;
use dev::Program;
use dev::layout::{FIRST_TRANSMIT_PAGE, MORE};
use ring::{CAPACITY, Descriptor};
use sys::Mem;

use crate::flight::Borrowed;
use crate::frame::{MOST_PARTS, Part, Rest};
use crate::misbehaviour::{BadRun, End, Kind};
use crate::session::Session;

/// Pieces of this many bytes are what a frame in transmission occupies of its page.
const PIECE_BITS: u32 = 8;

/// A transmit page.
#[derive(Clone, Copy, Debug)]
pub struct TransmitPage {
    /// Where the device reaches it, while it is pinned.
    pub address: u64,
    /// Pieces of it in transmission, one bit each.
    pub busy: u16,
}

/// A frame that a client wants to send, checked: each of its parts lies in a transmit page, within it,
/// in memory that is not in transmission; and none is empty, unless it is all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Index in the `transmit` ring of the entry that it begins with.
    pub sequence: u32,
    /// Where it lies in the window, an entry each.
    pub parts: Rest,
    /// Transmit page of each entry, counted from 0, and pieces of it, one bit each.
    pub pieces: [(u16, u16); MOST_PARTS],
    /// Bytes.
    pub length: u32,
}

impl Outgoing {
    /// The transmit page of each entry, and pieces of it.
    #[inline]
    pub fn needed(&self) -> &[(u16, u16)] {
        &self.pieces[..self.parts.parts().len()]
    }

    /// Entries that it takes in the ring.
    #[inline]
    pub fn entries(&self) -> u8 {
        self.parts.parts().len() as u8
    }
}

impl<P: Program, M: Mem> Session<P, M> {
    /// Takes the next frame to send out of the ring, checked. It is [`Session::outgoing`] then: filled
    /// in where it stays, because it is large. `false`: there is none, as far as is known.
    ///
    /// # Errors
    /// The client misbehaves.
    #[inline]
    pub fn next_outgoing(&mut self) -> Result<bool, End> {
        let sequence = self.transmit.head();
        let Some(entry) = self.transmit.pop(&self.transmit_memory)? else {
            return Ok(false);
        };
        self.outgoing.sequence = sequence;
        self.outgoing.parts.clear();
        self.outgoing.length = 0;
        let mut more = self.check(entry).map_err(End::Misbehaved)?;
        while more {
            // All entries of a frame are published at once.
            let entry = self
                .transmit
                .pop(&self.transmit_memory)?
                .ok_or(End::Misbehaved(Kind::TransmitUnfinished))?;
            if entry.length == 0 {
                let page = entry.page;
                return Err(End::Misbehaved(Kind::TransmitRun {
                    page,
                    what: BadRun::Empty,
                }));
            }
            more = self.check(entry).map_err(End::Misbehaved)?;
        }
        Ok(true)
    }

    /// Checks an entry and adds it to its frame. `true`: the frame goes on.
    #[inline]
    fn check(&mut self, entry: Descriptor) -> Result<bool, Kind> {
        let frame = &mut self.outgoing;
        let page = transmit_page(&entry, self.transmit_pages.len())?;
        let Descriptor {
            page: place,
            offset,
            length,
            flags,
        } = entry;
        if flags & !MORE != 0 {
            return Err(Kind::TransmitFlags(flags));
        }
        let more = flags & MORE != 0;
        if more && length == 0 {
            return Err(Kind::TransmitRun {
                page: place,
                what: BadRun::Empty,
            });
        }
        if more && offset + length != PAGE_SIZE as u32 {
            // A part that others follow fills its page.
            let what = BadRun::Short { offset, length };
            return Err(Kind::TransmitRun { page: place, what });
        }
        let pieces = pieces(offset, length);
        let others = &frame.pieces[..frame.parts.parts().len()];
        let own = others
            .iter()
            .any(|(other, busy)| *other == page && busy & pieces != 0);
        let busy = self.transmit_pages.get(page as usize).map(|page| page.busy);
        if own || busy.is_none_or(|busy| busy & pieces != 0) {
            return Err(Kind::TransmitTwice {
                page: place,
                offset,
            });
        }
        let number = frame.parts.parts().len();
        let part = Part {
            offset: place as usize * PAGE_SIZE + offset as usize,
            length,
        };
        if !frame.parts.push(part) {
            return Err(Kind::TransmitUnfinished);
        }
        frame.pieces[number] = (page, pieces);
        frame.length += length;
        Ok(more)
    }

    /// The first part of the outgoing frame that lies in memory in transmission.
    pub fn overlap(&self) -> Option<Part> {
        let frame = &self.outgoing;
        let busy = |(page, pieces): &(u16, u16)| {
            let page = self.transmit_pages.get(*page as usize);
            page.is_some_and(|page| page.busy & pieces != 0)
        };
        let number = frame.needed().iter().position(busy)?;
        frame.parts.parts().get(number).copied()
    }

    /// Lends the outgoing frame's memory to the device, or to a frame on its way to other sessions.
    #[inline]
    pub fn lend(&mut self, port: u16) -> Borrowed {
        let frame = &self.outgoing;
        let entries = frame.entries();
        for (page, pieces) in &frame.pieces[..entries as usize] {
            if let Some(page) = self.transmit_pages.get_mut(*page as usize) {
                page.busy |= pieces;
            }
        }
        self.in_flight += 1;
        Borrowed {
            port,
            sequence: frame.sequence,
            entries,
            pieces: frame.pieces,
        }
    }

    /// Gets a frame's memory back.
    #[inline]
    pub fn restore(&mut self, borrowed: &Borrowed) {
        for (page, pieces) in borrowed.pieces.iter().take(borrowed.entries as usize) {
            if let Some(page) = self.transmit_pages.get_mut(*page as usize) {
                page.busy &= !pieces;
            }
        }
        self.in_flight -= 1;
        if let Some(pins) = &mut self.frame_pins {
            pins.release(&borrowed.pieces[..borrowed.entries as usize]);
        }
        self.finish_all(borrowed.sequence, borrowed.entries);
    }

    /// The outgoing frame's memory, which was not lent, is no longer needed.
    #[inline]
    pub fn finish_frame(&mut self) {
        let frame = &self.outgoing;
        if let Some(pins) = &mut self.frame_pins {
            pins.release(frame.needed());
        }
        self.finish_all(frame.sequence, frame.entries());
    }

    /// The entries of a frame are no longer needed.
    #[inline]
    pub fn finish_all(&mut self, sequence: u32, entries: u8) {
        for n in 0..entries as u32 {
            self.finish(sequence.wrapping_add(n));
        }
    }

    /// The memory of an entry is no longer needed: it is released when all before it are.
    #[inline]
    fn finish(&mut self, sequence: u32) {
        let oldest = self.transmit.head().wrapping_sub(self.transmit.held());
        let bit = |index: u32| ((index % CAPACITY / 64) as usize, 1u64 << (index % 64));
        if sequence != oldest {
            let (word, bit) = bit(sequence);
            self.done[word] |= bit;
            return;
        }
        self.transmit.release(1);
        let mut next = oldest.wrapping_add(1);
        while self.transmit.held() > 0 {
            let (word, bit) = bit(next);
            if self.done[word] & bit == 0 {
                break;
            }
            self.done[word] &= !bit;
            self.transmit.release(1);
            next = next.wrapping_add(1);
        }
    }
}

/// The transmit page that an entry names, counted from 0: of so many, and the bytes lie within it.
///
/// # Errors
/// The client misbehaves.
#[inline]
pub fn transmit_page(entry: &Descriptor, pages: usize) -> Result<u16, Kind> {
    let page = entry.page.wrapping_sub(FIRST_TRANSMIT_PAGE);
    if page as usize >= pages {
        return Err(Kind::TransmitPage(entry.page));
    }
    match entry.offset.checked_add(entry.length) {
        // No segment has more pages than a `u16` counts.
        Some(end) if end <= PAGE_SIZE as u32 => Ok(page as u16),
        _ => Err(Kind::TransmitRange {
            offset: entry.offset,
            length: entry.length,
        }),
    }
}

/// The pieces of a page that some bytes of it touch.
#[inline]
const fn pieces(offset: u32, length: u32) -> u16 {
    if length == 0 {
        return 0;
    }
    let first = offset >> PIECE_BITS;
    let last = (offset + length - 1) >> PIECE_BITS;
    ((1u32 << (last + 1)) - (1u32 << first)) as u16
}

const _: () = assert!(PAGE_SIZE >> PIECE_BITS == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_is_touched() {
        assert_eq!(pieces(0, 0), 0);
        assert_eq!(pieces(0, 1), 1);
        assert_eq!(pieces(255, 1), 1);
        assert_eq!(pieces(255, 2), 3);
        assert_eq!(pieces(0, 4096), 0xffff);
        assert_eq!(pieces(4095, 1), 0x8000);
        assert_eq!(pieces(2048, 1514), 0x3f00);
    }
}
