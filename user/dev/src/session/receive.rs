//! The client's receiving side: the `filled` ring, frames where they lie, and what is given back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use abi::PAGE_SIZE;
use ring::{Consumer, Descriptor, MORE, Producer};
use sys::{Fault, Mem};

use super::Lost;
use crate::layout::{FILLED, FIRST_RECEIVE_PAGE, RETURNED};

/// Most pieces of a frame. The longest that there is fills sixteen pages, and each piece may begin a
/// little way into its page.
const MOST_PIECES: usize = 17;

/// A piece of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    page: u32,
    offset: u16,
    length: u16,
}

impl Piece {
    const fn start(&self) -> usize {
        self.page as usize * PAGE_SIZE + self.offset as usize
    }
}

/// A received frame, until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    first: Piece,
    length: u32,
    /// Those after the first. Nearly no frame has any, and it should be short.
    others: Option<Box<Others>>,
}

/// The pieces of a frame after its first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Others {
    pieces: [Piece; MOST_PIECES - 1],
    count: usize,
}

impl Frame {
    /// Most pieces that a frame has.
    pub const MOST_PIECES: usize = MOST_PIECES;

    /// Where its first piece starts in the receive segment: all of it, if there is no other.
    #[inline]
    pub const fn offset(&self) -> usize {
        self.first.start()
    }

    /// Its bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it has no bytes; the driver delivers no such frame.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn others(&self) -> &[Piece] {
        match &self.others {
            Some(others) => &others.pieces[..others.count],
            None => &[],
        }
    }

    /// Its pieces, in order: where each starts in the receive segment, and its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, usize)> {
        core::iter::once(&self.first)
            .chain(self.others())
            .map(|piece| (piece.start(), piece.length.into()))
    }

    /// Copies it out of the receive segment: as much of it as fits.
    ///
    /// # Errors
    /// The memory vanished; some of it may have been copied.
    #[inline]
    pub fn read(&self, memory: &impl Mem, into: &mut [u8]) -> Result<(), Fault> {
        if self.others.is_some() {
            return self.read_pieces(memory, into);
        }
        let length = into.len().min(self.len());
        memory.read(self.offset(), &mut into[..length])
    }

    #[cold]
    fn read_pieces(&self, memory: &impl Mem, into: &mut [u8]) -> Result<(), Fault> {
        let mut rest = into;
        for (start, length) in self.pieces() {
            let (piece, left) = rest.split_at_mut(length.min(rest.len()));
            memory.read(start, piece)?;
            rest = left;
        }
        Ok(())
    }
}

/// The two rings of what is received.
pub(super) struct Receiver {
    filled: Consumer,
    returned: Producer,
    /// Returns that aren't in the ring yet: page and count, merged by page where they meet.
    owed: VecDeque<(u32, u32)>,
    pages: u32,
    frame_limit: u32,
}

impl Receiver {
    /// Rings that are empty. How much the driver may say is known [later](Self::bound).
    pub(super) fn new() -> Receiver {
        Receiver {
            filled: Consumer::new(FILLED, 0),
            returned: Producer::new(RETURNED, 0),
            owed: VecDeque::new(),
            pages: 0,
            frame_limit: 0,
        }
    }

    /// Makes the rings empty, before the driver knows of them.
    pub(super) fn begin(&self, own: &impl Mem) -> Result<(), Lost> {
        self.filled.begin(own)?;
        Ok(self.returned.begin(own)?)
    }

    /// There are so many receive pages, and frames of up to so many bytes.
    pub(super) const fn bound(&mut self, pages: u32, frame_limit: u32) {
        self.pages = pages;
        self.frame_limit = frame_limit;
    }

    /// Receive pages there are.
    pub(super) const fn pages(&self) -> u32 {
        self.pages
    }

    /// The next received frame.
    #[inline]
    pub(super) fn receive(&mut self, peer: &impl Mem) -> Result<Option<Frame>, Lost> {
        if self.filled.available() == 0 && self.filled.refresh(peer)? == 0 {
            return Ok(None);
        }
        let (first, more) = self.piece(peer)?;
        let mut frame = Frame {
            first,
            length: first.length.into(),
            others: None,
        };
        if more {
            self.rest(peer, &mut frame)?;
        }
        Ok(Some(frame))
    }

    /// The other pieces of a frame. They were published with the first.
    #[cold]
    fn rest(&mut self, peer: &impl Mem, frame: &mut Frame) -> Result<(), Lost> {
        let mut others = Others::default();
        let mut last = frame.first;
        loop {
            let full = usize::from(last.offset) + usize::from(last.length) == PAGE_SIZE;
            let Some(place) = others.pieces.get_mut(others.count) else {
                return Err(Lost::Broken);
            };
            if !full {
                return Err(Lost::Broken);
            }
            let more;
            (*place, more) = self.piece(peer)?;
            last = *place;
            frame.length += u32::from(last.length);
            others.count += 1;
            if !more {
                break;
            }
        }
        frame.others = Some(Box::new(others));
        match frame.length <= self.frame_limit {
            true => Ok(()),
            false => Err(Lost::Broken),
        }
    }

    /// The next piece, and whether its frame goes on. It must be there.
    #[inline]
    fn piece(&mut self, peer: &impl Mem) -> Result<(Piece, bool), Lost> {
        let Some(entry) = self.filled.pop(peer)? else {
            return Err(Lost::Broken);
        };
        self.filled.release(1);
        let Descriptor {
            page,
            offset,
            length,
            flags,
        } = entry;
        let fits = offset as usize <= PAGE_SIZE && length as usize <= PAGE_SIZE - offset as usize;
        if !fits || page.wrapping_sub(FIRST_RECEIVE_PAGE) >= self.pages || flags & !MORE != 0 {
            return Err(Lost::Broken);
        }
        // Neither is more than a page.
        let (offset, length) = (offset as u16, length as u16);
        let piece = Piece {
            page,
            offset,
            length,
        };
        Ok((piece, flags != 0))
    }

    /// Gives a frame's memory back.
    #[inline]
    pub(super) fn give_back(&mut self, frame: &Frame) {
        self.owe(frame.first.page);
        for piece in frame.others() {
            self.owe(piece.page);
        }
    }

    #[inline]
    fn owe(&mut self, page: u32) {
        // Frames of one page come one after the other, and mostly go so.
        match self.owed.back_mut() {
            Some((last, count)) if *last == page => *count += 1,
            _ => self.owed.push_back((page, 1)),
        }
    }

    /// Shows the driver what was read and given back.
    pub(super) fn publish(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<(), Lost> {
        if self.filled.unpublished() {
            self.filled.publish(own)?;
        }
        while let Some((page, count)) = self.owed.front().copied() {
            if self.returned.room() == 0 && self.returned.refresh(peer)? == 0 {
                break;
            }
            let descriptor = Descriptor {
                page,
                length: count,
                ..Descriptor::default()
            };
            self.returned.push(own, descriptor)?;
            self.owed.pop_front();
        }
        if self.returned.unpublished() {
            self.returned.publish(own)?;
        }
        Ok(())
    }

    /// Asks to be notified when a frame comes. `true`: one is there already.
    pub(super) fn ask(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Lost> {
        Ok(self.filled.ask(own, peer)?)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use virtio::testing::FakeMemory;

    use super::*;

    const FIRST: u32 = FIRST_RECEIVE_PAGE;
    const PAGES: u32 = 8;

    /// A receiver, and the driver's side of `filled`.
    struct Pair {
        receiver: Receiver,
        own: FakeMemory,
        peer: FakeMemory,
        filled: Producer,
        returned: Consumer,
    }

    impl Pair {
        fn new() -> Pair {
            let mut receiver = Receiver::new();
            let own = FakeMemory::new(3 * PAGE_SIZE);
            let peer = FakeMemory::new((FIRST + PAGES) as usize * PAGE_SIZE);
            receiver.begin(&own).unwrap();
            receiver.bound(PAGES, 9014);
            let (filled, returned) = (Producer::new(FILLED, 0), Consumer::new(RETURNED, 0));
            filled.begin(&peer).unwrap();
            returned.begin(&peer).unwrap();
            Pair {
                receiver,
                own,
                peer,
                filled,
                returned,
            }
        }

        /// The driver delivers pieces: page counted from the first, offset, length, flags.
        fn deliver(&mut self, pieces: &[(u32, u32, u32, u32)]) {
            for &(page, offset, length, flags) in pieces {
                let entry = Descriptor {
                    page: FIRST.wrapping_add(page),
                    offset,
                    length,
                    flags,
                };
                self.filled.push(&self.peer, entry).unwrap();
            }
            self.filled.publish(&self.peer).unwrap();
        }

        fn receive(&mut self) -> Result<Option<Frame>, Lost> {
            self.receiver.receive(&self.peer)
        }
    }

    #[test]
    fn a_frame_of_one_piece_is_read_and_given_back() {
        let mut pair = Pair::new();
        let start = (FIRST + 1) as usize * PAGE_SIZE + 64;
        pair.peer.write(start, b"a frame").unwrap();
        pair.deliver(&[(1, 64, 7, 0)]);
        let frame = pair.receive().unwrap().unwrap();
        assert_eq!((frame.offset(), frame.len()), (start, 7));
        let mut bytes = [0; 7];
        frame.read(&pair.peer, &mut bytes).unwrap();
        assert_eq!(&bytes, b"a frame");
        let mut less = [0; 3];
        frame.read(&pair.peer, &mut less).unwrap();
        assert_eq!(&less, b"a f");
        assert_eq!(pair.receive(), Ok(None));
    }

    #[test]
    fn a_frame_of_several_pages_is_put_together_and_given_back_page_by_page() {
        let mut pair = Pair::new();
        let bytes: Vec<u8> = (0..9014u32).map(|n| (n * 7) as u8).collect();
        // Not side by side, nor in order.
        let pieces = [(5, 16, 4080, MORE), (2, 4, 4092, MORE), (7, 0, 842, 0)];
        let mut rest = &bytes[..];
        for (page, offset, length, _) in pieces {
            let (piece, left) = rest.split_at(length as usize);
            let start = (FIRST + page) as usize * PAGE_SIZE + offset as usize;
            pair.peer.write(start, piece).unwrap();
            rest = left;
        }
        pair.deliver(&pieces);
        pair.deliver(&[(0, 0, 60, 0)]);
        let frame = pair.receive().unwrap().unwrap();
        assert_eq!(frame.len(), 9014);
        for length in [9014, 4080, 4081, 100, 0] {
            let mut read = alloc::vec![0; length];
            frame.read(&pair.peer, &mut read).unwrap();
            assert_eq!(read, bytes[..length]);
        }
        assert_eq!(pair.receive().unwrap().unwrap().len(), 60);
        pair.receiver.give_back(&frame);
        pair.receiver.publish(&pair.own, &pair.peer).unwrap();
        pair.returned.refresh(&pair.own).unwrap();
        for page in [5, 2, 7] {
            let entry = pair.returned.pop(&pair.own).unwrap().unwrap();
            assert_eq!((entry.page, entry.length), (FIRST + page, 1));
        }
        assert_eq!(pair.returned.pop(&pair.own), Ok(None));
    }

    #[test]
    fn what_no_driver_says_ends_the_session() {
        let full = |page| (page, 0, 4096, MORE);
        for pieces in [
            &[(PAGES, 0, 60, 0)][..],
            &[(u32::MAX, 0, 60, 0)],
            &[(0, 4000, 97, 0)],
            &[(0, u32::MAX, 97, 0)],
            &[(0, 0, u32::MAX, 0)],
            &[(0, 0, 60, 2)],
            // A frame that isn't published whole.
            &[full(0)],
            &[full(0), full(1)],
            // A gap in the middle.
            &[(0, 0, 4095, MORE), (1, 0, 60, 0)],
            // Longer than the link carries, in few pieces and in many.
            &[full(0), full(1), (2, 0, 823, 0)],
            &[
                full(0),
                full(1),
                full(2),
                full(3),
                full(4),
                full(5),
                full(6),
            ],
        ] {
            let mut pair = Pair::new();
            pair.deliver(pieces);
            assert_eq!(pair.receive(), Err(Lost::Broken), "{pieces:?}");
        }
    }
}
