//! Frames that the device spreads over several buffers, put together.
//!
//! One frame is put together at a time: the device hands on the buffers of a frame one after the other.
//! A frame that is longer than the link carries, or is spread over more buffers than it can need, is
//! passed over to its end and counted once.

use alloc::vec::Vec;

use dev::statistics::Counter;

use crate::buffers::{Buffer, Fragment};
use crate::frame::{HEADER, LONGEST, LONGEST_SENT, Part};

/// Most buffers of a frame: those of the longest, if each holds as little as the device may put into
/// one, and one more.
pub const MOST: usize = most(LONGEST);
/// The same of a frame as long as networks have them.
pub const USUAL: usize = most(LONGEST_SENT);

const fn most(length: u32) -> usize {
    length as usize / 1024 + 2
}

/// Fragments of one frame that is kept: one of those that networks have.
#[derive(Clone, Copy, Debug)]
pub struct Fragments {
    list: [Fragment; USUAL],
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
        }; USUAL],
        count: 0,
    };

    /// These. `None`: they are too many.
    pub fn of(fragments: &[Fragment]) -> Option<Fragments> {
        let mut all = Fragments::NONE;
        all.list
            .get_mut(..fragments.len())?
            .copy_from_slice(fragments);
        all.count = fragments.len();
        Some(all)
    }

    /// The fragments.
    #[inline]
    pub fn list(&self) -> &[Fragment] {
        &self.list[..self.count]
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
    /// Room for [`MOST`] from the beginning.
    fragments: Vec<Fragment>,
    length: u32,
    /// The rest of the frame is passed over.
    skipping: bool,
}

impl Assembly {
    /// None.
    pub fn new() -> Assembly {
        Assembly {
            fragments: Vec::with_capacity(MOST),
            length: 0,
            skipping: false,
        }
    }

    /// Takes in a buffer. `sound`: it lies where it can.
    #[inline]
    pub fn take(&mut self, fragment: Fragment, sound: bool, more: bool, limit: u32) -> Next {
        if !more && !self.skipping && self.fragments.is_empty() {
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
        let runt = self.fragments.is_empty() && fragment.part.length < HEADER;
        self.length = self.length.saturating_add(fragment.part.length);
        let counter = if !sound || runt {
            Counter::DeviceRunt
        } else if self.length > limit || self.fragments.len() == MOST {
            Counter::DeviceGiant
        } else {
            self.fragments.push(fragment);
            return if more { Next::Part } else { Next::Complete };
        };
        self.skipping = more;
        Next::Drop(Some(counter))
    }

    /// Takes out what was kept. The list is to be [put back](Assembly::put_back).
    pub fn complete(&mut self) -> Vec<Fragment> {
        self.length = 0;
        core::mem::take(&mut self.fragments)
    }

    /// The list serves for the next frame.
    pub fn put_back(&mut self, mut fragments: Vec<Fragment>) {
        fragments.clear();
        self.fragments = fragments;
    }
}

impl Default for Assembly {
    fn default() -> Assembly {
        Assembly::new()
    }
}
