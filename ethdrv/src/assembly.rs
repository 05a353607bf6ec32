//! Frames that the device spreads over several buffers, put together.
//!
//! One frame is put together at a time: the device hands on the buffers of a frame one after the other.
//! A frame that is longer than the link carries, or is spread over more buffers than it can need, is
//! passed over to its end and counted once.

use dev::statistics::Counter;

use crate::buffers::{Buffer, Fragment};
use crate::frame::{HEADER, LONGEST, Part};

/// Most buffers of a frame: those of the longest, if each holds as little as the device may put into
/// one, and one more.
pub const MOST: usize = LONGEST as usize / 1024 + 2;

/// Fragments of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Fragments {
    list: [Fragment; MOST],
    count: usize,
}

impl Fragments {
    /// None.
    pub const NONE: Fragments = Fragments {
        list: [Fragment {
            token: 0,
            buffer: Buffer::Pool,
            part: Part {
                offset: 0,
                length: 0,
            },
        }; MOST],
        count: 0,
    };

    /// These, as far as there may be so many.
    pub fn of(fragments: &[Fragment]) -> Fragments {
        let mut all = Fragments::NONE;
        for fragment in fragments {
            all.push(*fragment);
        }
        all
    }

    /// The fragments.
    #[inline]
    pub fn list(&self) -> &[Fragment] {
        &self.list[..self.count]
    }

    /// `false`: there are as many as there may be.
    fn push(&mut self, fragment: Fragment) -> bool {
        match self.list.get_mut(self.count) {
            Some(free) => {
                *free = fragment;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

/// What a buffer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It holds a frame by itself.
    Whole,
    /// It was kept; the frame goes on.
    Part,
    /// It was kept, and the frame is complete.
    Complete,
    /// It is of no use, nor is what was kept; the counter, if it is to be counted.
    Drop(Option<Counter>),
}

/// The frame that is being put together.
#[derive(Debug)]
pub struct Assembly {
    fragments: Fragments,
    length: u32,
    /// The rest of the frame is passed over.
    skipping: bool,
}

impl Assembly {
    /// None.
    pub const fn new() -> Assembly {
        Assembly {
            fragments: Fragments::NONE,
            length: 0,
            skipping: false,
        }
    }

    /// Takes in a buffer. `sound`: it lies where it can.
    #[inline]
    pub fn take(&mut self, fragment: Fragment, sound: bool, more: bool, limit: u32) -> Next {
        if !more && !self.skipping && self.fragments.count == 0 {
            return match fragment.part.length {
                length if !sound || length < HEADER => Next::Drop(Some(Counter::DeviceRunt)),
                length if length > limit => Next::Drop(Some(Counter::DeviceGiant)),
                _ => Next::Whole,
            };
        }
        self.take_part(fragment, sound, more, limit)
    }

    #[inline(never)]
    fn take_part(&mut self, fragment: Fragment, sound: bool, more: bool, limit: u32) -> Next {
        if self.skipping {
            self.skipping = more;
            return Next::Drop(None);
        }
        // The header is looked at where it begins.
        let runt = self.fragments.count == 0 && fragment.part.length < HEADER;
        self.length = self.length.saturating_add(fragment.part.length);
        let counter = if !sound || runt {
            Counter::DeviceRunt
        } else if self.length > limit || !self.fragments.push(fragment) {
            Counter::DeviceGiant
        } else {
            return if more { Next::Part } else { Next::Complete };
        };
        self.skipping = more;
        Next::Drop(Some(counter))
    }

    /// Takes out what was kept.
    pub fn complete(&mut self) -> Fragments {
        self.length = 0;
        core::mem::replace(&mut self.fragments, Fragments::NONE)
    }
}

impl Default for Assembly {
    fn default() -> Assembly {
        Assembly::new()
    }
}
