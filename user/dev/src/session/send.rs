//! The client's sending side: buffers used in a circle, and the `transmit` ring.
//!
//! Each buffer holds the longest frame: half a page, a page, or as many pages as it takes, which lie
//! side by side in the segment. Where there would be too few such buffers, frames are kept shorter
//! than the link carries. What was sent comes back in order, so the buffers need no list.

use alloc::collections::VecDeque;

use abi::PAGE_SIZE;
use ring::{CAPACITY, Descriptor, MORE, Producer};
use sys::Mem;

use super::Lost;
use crate::layout::{FIRST_TRANSMIT_PAGE, TRANSMIT};

/// Buffers that there are at least, if the pages allow for it at all: while one is on its way, others
/// must be there to be filled.
const FEWEST_BUFFERS: u32 = 8;

/// Transmit buffers and their ring.
pub(super) struct Sender {
    ring: Producer,
    frame_limit: u32,
    /// Bytes of a buffer, and pages that it lies in.
    bytes: u32,
    pages: u32,
    /// How many there are, and the next one.
    buffers: u32,
    next: u32,
    /// Where longest frames are of one piece: nothing. Otherwise for each frame under way the index
    /// after its last piece.
    ends: VecDeque<u32>,
}

impl Sender {
    /// Buffers in so many pages for frames of up to `frame_limit` bytes, or as long as fit.
    pub(super) fn new(pages: u16, frame_limit: u32) -> Sender {
        let page = PAGE_SIZE as u32;
        // Whole pages each, or two to a page.
        let longest = u32::from(pages) / FEWEST_BUFFERS * page;
        let bytes = match frame_limit.next_multiple_of(page).min(longest) {
            _ if frame_limit <= page / 2 => page / 2,
            0 => page / 2,
            bytes => bytes,
        };
        let frame_limit = frame_limit.min(bytes);
        let buffers = u32::from(pages) * page / bytes;
        let ends = match bytes > page {
            true => VecDeque::with_capacity(buffers as usize),
            false => VecDeque::new(),
        };
        Sender {
            ring: Producer::new(TRANSMIT, 0),
            frame_limit,
            bytes,
            pages: bytes.div_ceil(page),
            buffers,
            next: 0,
            ends,
        }
    }

    /// Makes the ring empty, before the driver knows of it.
    pub(super) fn begin(own: &impl Mem) -> Result<(), Lost> {
        Ok(Producer::new(TRANSMIT, 0).begin(own)?)
    }

    /// Longest frame that can be sent.
    pub(super) const fn frame_limit(&self) -> u32 {
        self.frame_limit
    }

    /// Frames that can be sent, as far as is known.
    #[inline]
    fn known_room(&self) -> u32 {
        let room = self.ring.room();
        if self.pages > 1 {
            return self.known_room_of_pages();
        }
        let held = CAPACITY - room;
        room.min(self.buffers.saturating_sub(held))
    }

    /// The same where a frame can take several entries.
    #[cold]
    fn known_room_of_pages(&self) -> u32 {
        let held = self.ends.len() as u32;
        (self.ring.room() / self.pages).min(self.buffers.saturating_sub(held))
    }

    /// How many frames can be sent now, however long.
    #[inline]
    pub(super) fn room(&mut self, peer: &impl Mem) -> Result<u32, Lost> {
        match self.known_room() {
            0 => self.refresh(peer),
            room => Ok(room),
        }
    }

    #[cold]
    fn refresh(&mut self, peer: &impl Mem) -> Result<u32, Lost> {
        self.ring.refresh(peer)?;
        self.settle();
        Ok(self.known_room())
    }

    /// Forgets frames that are back, as far as the ring has seen.
    fn settle(&mut self) {
        let released = self.ring.released();
        while let Some(end) = self.ends.front()
            && released.wrapping_sub(*end) as i32 >= 0
        {
            self.ends.pop_front();
        }
    }

    /// Where the next frame's buffer lies in the transmit segment.
    #[inline]
    pub(super) const fn buffer(&self) -> usize {
        FIRST_TRANSMIT_PAGE as usize * PAGE_SIZE + self.next as usize * self.bytes as usize
    }

    /// Sends the first `length` bytes of the buffer, once it is published. `false`: there is no room,
    /// or the frame is too long.
    #[inline]
    pub(super) fn send(&mut self, own: &impl Mem, length: u32) -> Result<bool, Lost> {
        if self.known_room() == 0 || length > self.frame_limit {
            return Ok(false);
        }
        let start = self.buffer();
        let piece = Descriptor {
            page: (start / PAGE_SIZE) as u32,
            offset: (start % PAGE_SIZE) as u32,
            length,
            flags: 0,
        };
        match self.pages {
            1 => self.ring.push(own, piece)?,
            _ => self.push_pages(own, piece)?,
        }
        self.next += 1;
        if self.next == self.buffers {
            self.next = 0;
        }
        Ok(true)
    }

    /// Pushes a frame that may be longer than a page, and begins with one.
    #[cold]
    fn push_pages(&mut self, own: &impl Mem, mut piece: Descriptor) -> Result<(), Lost> {
        let page = PAGE_SIZE as u32;
        while piece.length > page {
            let full = Descriptor {
                length: page,
                flags: MORE,
                ..piece
            };
            self.ring.push(own, full)?;
            piece.page += 1;
            piece.length -= page;
        }
        self.ring.push(own, piece)?;
        self.ends.push_back(self.ring.tail());
        Ok(())
    }

    /// Shows the driver what was sent. `true`: it wants to be woken.
    #[inline]
    pub(super) fn publish(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Lost> {
        if !self.ring.unpublished() {
            return Ok(false);
        }
        self.ring.publish(own)?;
        Ok(self.ring.must_notify(own, peer)?)
    }

    /// Asks to be notified when half of what is under way has left. `true`: it has already.
    pub(super) fn ask(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Lost> {
        let held = CAPACITY - self.ring.room();
        let ready = self.ring.ask(own, peer, held / 2)?;
        // It looked again.
        self.settle();
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use ring::Consumer;
    use virtio::testing::FakeMemory;

    use super::*;

    /// A sender, and who takes what it sends.
    struct Pair {
        sender: Sender,
        own: FakeMemory,
        peer: FakeMemory,
        consumer: Consumer,
    }

    impl Pair {
        fn new(pages: u16, frame_limit: u32) -> Pair {
            let sender = Sender::new(pages, frame_limit);
            let (own, peer) = (FakeMemory::new(3 * PAGE_SIZE), FakeMemory::new(PAGE_SIZE));
            let consumer = Consumer::new(TRANSMIT, 0);
            Sender::begin(&own).unwrap();
            consumer.begin(&peer).unwrap();
            Pair {
                sender,
                own,
                peer,
                consumer,
            }
        }

        fn room(&mut self) -> u32 {
            self.sender.room(&self.peer).unwrap()
        }

        fn send(&mut self, length: u32) -> bool {
            self.sender.send(&self.own, length).unwrap()
        }

        /// What the driver sees now.
        fn seen(&mut self) -> Vec<Descriptor> {
            self.sender.publish(&self.own, &self.peer).unwrap();
            self.consumer.refresh(&self.own).unwrap();
            core::iter::from_fn(|| self.consumer.pop(&self.own).unwrap()).collect()
        }

        fn release(&mut self, count: u32) {
            self.consumer.release(count);
            self.consumer.publish(&self.peer).unwrap();
        }
    }

    fn piece(page: u32, offset: u32, length: u32, flags: u32) -> Descriptor {
        Descriptor {
            page,
            offset,
            length,
            flags,
        }
    }

    #[test]
    fn ordinary_frames_are_one_piece_in_half_a_page() {
        let mut pair = Pair::new(2, 1514);
        assert_eq!(pair.room(), 4);
        for _ in 0..4 {
            assert!(pair.send(1514));
        }
        assert!(!pair.send(60));
        let first = FIRST_TRANSMIT_PAGE;
        let expected = [(0, 0), (0, 2048), (1, 0), (1, 2048)]
            .map(|(page, offset)| piece(first + page, offset, 1514, 0));
        assert_eq!(pair.seen(), expected);
        pair.release(1);
        assert_eq!(pair.room(), 1);
        assert!(!pair.send(1515), "too long");
    }

    #[test]
    fn a_long_frame_is_a_run_of_full_pages_and_a_rest() {
        let mut pair = Pair::new(25, 9014);
        assert_eq!(pair.room(), 8);
        assert!(pair.send(9014));
        assert!(pair.send(8192));
        let first = FIRST_TRANSMIT_PAGE;
        let expected = [
            piece(first, 0, 4096, MORE),
            piece(first + 1, 0, 4096, MORE),
            piece(first + 2, 0, 822, 0),
            piece(first + 3, 0, 4096, MORE),
            piece(first + 4, 0, 4096, 0),
        ];
        assert_eq!(pair.seen(), expected);
        assert_eq!(pair.room(), 6);
        for _ in 0..6 {
            assert!(pair.send(9014));
        }
        assert!(!pair.send(60));
        assert_eq!(pair.seen().len(), 18);
        // A part of a frame that came back is none.
        pair.release(2);
        assert_eq!(pair.room(), 0);
        pair.release(1);
        assert_eq!(pair.room(), 1);
        assert!(pair.send(100));
        assert_eq!(pair.seen(), [piece(first, 0, 100, 0)]);
    }

    #[test]
    fn few_pages_are_for_shorter_frames_rather_than_for_few() {
        for (pages, limit, longest, buffers) in [
            (2, 9014, 2048, 4),
            (7, 9014, 2048, 14),
            (8, 9014, 4096, 8),
            (16, 9014, 8192, 8),
            (24, 9014, 9014, 8),
            (240, 9014, 9014, 80),
            (240, 3000, 3000, 240),
            (2, 1514, 1514, 4),
        ] {
            let mut pair = Pair::new(pages, limit);
            assert_eq!(pair.sender.frame_limit(), longest, "{pages} pages");
            assert_eq!(pair.room(), buffers, "{pages} pages");
        }
    }

    #[test]
    fn who_asked_for_room_finds_what_came_back() {
        for frame_limit in [1514, 9014] {
            let mut pair = Pair::new(48, frame_limit);
            let all = pair.room();
            for _ in 0..all - 4 {
                assert!(pair.send(60));
            }
            let sent = pair.seen().len() as u32;
            assert_eq!(pair.room(), 4);
            assert_eq!(pair.sender.ask(&pair.own, &pair.peer), Ok(false));
            pair.release(sent);
            // Some room was left, so it was not looked for before.
            assert_eq!(pair.sender.ask(&pair.own, &pair.peer), Ok(true));
            assert_eq!(pair.room(), all, "frames of up to {frame_limit}");
        }
    }

    proptest! {
        #[test]
        fn no_buffer_is_used_before_it_is_back(
            pages in 2u16..240,
            frame_limit in prop::sample::select(&[82u32, 1514, 2048, 2049, 4096, 4097, 9014][..]),
            steps in prop::collection::vec((any::<bool>(), 1u32..9015), 0..400),
        ) {
            let mut pair = Pair::new(pages, frame_limit);
            let mut out: VecDeque<Descriptor> = VecDeque::new();
            for (send, number) in steps {
                if send {
                    let length = number.min(pair.sender.frame_limit());
                    let room = pair.room();
                    prop_assert_eq!(pair.send(length), room > 0);
                    for piece in pair.seen() {
                        prop_assert!(piece.offset + piece.length <= PAGE_SIZE as u32);
                        prop_assert!(piece.page < FIRST_TRANSMIT_PAGE + u32::from(pages));
                        prop_assert!(piece.flags == 0 || piece.offset + piece.length == 4096);
                        let apart = |other: &Descriptor| {
                            other.page != piece.page || other.offset.abs_diff(piece.offset) >= 2048
                        };
                        prop_assert!(out.iter().all(apart));
                        out.push_back(piece);
                    }
                } else if !out.is_empty() {
                    let count = 1 + number % out.len() as u32;
                    out.drain(..count as usize);
                    pair.release(count);
                }
            }
        }
    }
}
