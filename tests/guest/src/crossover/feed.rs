//! The wire process: puts frames into buffers that the driver posted, as a device's DMA would.
//!
//! A device may fill its buffers in any order. So the wire may pass one by for good, and that is how a
//! page of the recipient's own is kept from being filled.

use alloc::collections::VecDeque;

use ethdrv::wire::Buffer;
use guest::traffic::{self, HEAD};
use guest::wired::{Cable, Failure, System};
use sys::Mem;

use crate::RECIPIENT_MAC;

/// The wire process's state.
pub struct Feed {
    cable: Cable,
    /// Buffers that the driver posted.
    buffers: VecDeque<Buffer>,
    /// Number of the next frame.
    next: u64,
}

impl Feed {
    /// A wire without frames.
    pub const fn new(cable: Cable) -> Feed {
        Feed {
            cable,
            buffers: VecDeque::new(),
            next: 0,
        }
    }

    /// Takes what the driver has posted. Answers how many buffers there are.
    pub fn collect(&mut self) -> Result<usize, Failure> {
        while let Some(buffer) = self.cable.end.buffer()? {
            self.buffers.push_back(buffer);
        }
        Ok(self.buffers.len())
    }

    /// Never fills the buffer that was posted last.
    pub fn pass_by_last(&mut self) {
        self.buffers.pop_back();
    }

    /// Whether there are buffers for so many frames of that length.
    fn has_room(&self, count: usize, length: usize) -> bool {
        let mut buffers = self.buffers.iter();
        (0..count).all(|_| {
            let mut left = length;
            while left > 0 {
                match buffers.next() {
                    Some(buffer) => left = left.saturating_sub(buffer.span.length),
                    None => return false,
                }
            }
            true
        })
    }

    /// Frames arrive together: each as long as that; its head is written, and `whole`, all of it.
    /// `false`: there are too few buffers, and none arrives.
    pub fn frames(
        &mut self,
        system: &System,
        count: usize,
        length: usize,
        whole: bool,
    ) -> Result<bool, Failure> {
        self.collect()?;
        let room = self.has_room(count, length);
        if room {
            for _ in 0..count {
                self.frame(system, length, whole)?;
            }
            self.cable.tell()?;
        }
        Ok(room)
    }

    fn frame(&mut self, system: &System, length: usize, whole: bool) -> Result<(), Failure> {
        let number = self.next;
        self.next += 1;
        let head = traffic::head(RECIPIENT_MAC, number);
        let mut done = 0;
        while done < length {
            let buffer = self
                .buffers
                .pop_front()
                .ok_or(Failure::Wrong("the driver posts too few buffers"))?;
            let bytes = buffer.span.length.min(length - done);
            let (window, offset) = (system.window(buffer.span.window)?, buffer.span.offset);
            if whole {
                for at in 0..bytes {
                    window.store_u8(offset + at, traffic::byte(number, done + at))?;
                }
            }
            if done == 0 {
                window.write(offset, &head[..HEAD.min(bytes)])?;
            }
            done += bytes;
            match done < length {
                true => self.cable.end.part(buffer.token, bytes)?,
                false => self.cable.end.filled(buffer.token, bytes)?,
            }
        }
        Ok(())
    }
}
