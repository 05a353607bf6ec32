//! The states of a session's receive pages.
//!
//! Each page is in one state, known to the driver alone: *spare*, *open* (frames are being packed into
//! it) or *held(n)* (n frames in it are the client's). An open page is held too. A return names a page
//! and a count; the client gets nowhere by naming more than it holds.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use dev::layout::FIRST_RECEIVE_PAGE;

/// Frames in a page start at multiples of this: whole cache lines, so that two frames share none.
const ALIGNMENT: u32 = 64;

/// No page is open.
const NONE: u16 = u16::MAX;

/// A place for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Place of the page in the receive segment.
    pub page: u32,
    /// First byte in the page.
    pub offset: u32,
}

/// Why a return was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReturn {
    /// Not a receive page.
    Page(u32),
    /// More frames than the client holds in that page, or none.
    Count(u32),
}

/// All receive pages of a session.
#[derive(Debug)]
pub struct ReceivePages {
    /// Frames that the client holds in each page.
    held: Vec<u16>,
    /// Pages in which it holds none, but the open one.
    spare: Vec<u16>,
    /// The open page.
    open: u16,
    /// Bytes used of the open page.
    used: u32,
}

impl ReceivePages {
    /// `count` spare pages.
    pub fn new(count: u16) -> ReceivePages {
        ReceivePages {
            held: (0..count).map(|_| 0).collect(),
            // The last is taken first: begin with the first page.
            spare: (0..count).rev().collect(),
            open: NONE,
            used: 0,
        }
    }

    /// How many pages there are.
    pub fn total(&self) -> usize {
        self.held.len()
    }

    /// Pages to spare.
    #[inline]
    pub fn spare(&self) -> usize {
        self.spare.len()
    }

    /// Whether a frame fits without a spare page.
    #[inline]
    pub fn fits_open(&self, length: u32) -> bool {
        self.open != NONE && self.used + length <= PAGE_SIZE as u32
    }

    /// Finds room for a frame of at most a page: in the open page, or else in a spare one, which is
    /// opened. `None`: no page to spare. The room stays free until [`ReceivePages::hold`].
    #[inline]
    pub fn room(&mut self, length: u32) -> Option<Room> {
        if !self.fits_open(length) {
            if length > PAGE_SIZE as u32 {
                return None;
            }
            let next = self.spare.pop()?;
            self.close_open();
            self.open = next;
            self.used = 0;
        }
        Some(Room {
            page: FIRST_RECEIVE_PAGE + self.open as u32,
            offset: self.used,
        })
    }

    /// The frame for which there was [room](ReceivePages::room) is the client's now.
    #[inline]
    pub fn hold(&mut self, length: u32) {
        if let Some(held) = self.held.get_mut(self.open as usize) {
            *held += 1;
            self.used = (self.used + length).next_multiple_of(ALIGNMENT);
        }
    }

    /// The client gives back `count` frames of a page.
    ///
    /// # Errors
    /// It can't.
    #[inline]
    pub fn give_back(&mut self, page: u32, count: u32) -> Result<(), BadReturn> {
        let index = page.wrapping_sub(FIRST_RECEIVE_PAGE) as usize;
        let held = self.held.get_mut(index).ok_or(BadReturn::Page(page))?;
        if count == 0 || count > *held as u32 {
            return Err(BadReturn::Count(count));
        }
        *held -= count as u16;
        if *held == 0 {
            if index == self.open as usize {
                self.used = 0;
            } else {
                self.spare.push(index as u16);
            }
        }
        Ok(())
    }

    /// The open page is full: it is spare again when all in it has been given back.
    fn close_open(&mut self) {
        if self.held.get(self.open as usize) == Some(&0) {
            self.spare.push(self.open);
        }
        self.open = NONE;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_frames_share_a_page_and_large_ones_find_another() {
        let mut pages = ReceivePages::new(2);
        let mut place = |length| {
            let room = pages.room(length);
            if room.is_some() {
                pages.hold(length);
            }
            room
        };
        assert_eq!(place(60), Some(Room { page: 2, offset: 0 }));
        assert_eq!(
            place(100),
            Some(Room {
                page: 2,
                offset: 64
            })
        );
        assert_eq!(
            place(1514),
            Some(Room {
                page: 2,
                offset: 192
            })
        );
        assert_eq!(
            place(1514),
            Some(Room {
                page: 2,
                offset: 1728
            })
        );
        assert_eq!(place(1514), Some(Room { page: 3, offset: 0 }));
        assert_eq!(place(4096), None);
        assert_eq!(
            place(1514),
            Some(Room {
                page: 3,
                offset: 1536
            })
        );
        assert_eq!(
            place(1024),
            Some(Room {
                page: 3,
                offset: 3072
            }),
            "to the last byte"
        );
        assert_eq!(place(1), None);
        assert_eq!(pages.give_back(2, 4), Ok(()));
        assert_eq!(pages.room(4096), Some(Room { page: 2, offset: 0 }));
    }

    #[test]
    fn an_open_page_given_back_whole_starts_anew() {
        let mut pages = ReceivePages::new(1);
        for _ in 0..100 {
            for n in 0..2 {
                assert_eq!(pages.room(1000).map(|room| room.offset), Some(n * 1024));
                pages.hold(1000);
            }
            assert_eq!(pages.give_back(2, 1), Ok(()));
            assert_eq!(pages.give_back(2, 1), Ok(()));
        }
    }

    #[test]
    fn pitfall_20_a_return_of_more_than_is_held_is_refused() {
        let mut pages = ReceivePages::new(3);
        pages.room(60);
        pages.hold(60);
        for page in [0, 1, 5, u32::MAX] {
            assert_eq!(pages.give_back(page, 1), Err(BadReturn::Page(page)));
        }
        assert_eq!(pages.give_back(2, 0), Err(BadReturn::Count(0)));
        assert_eq!(pages.give_back(2, 2), Err(BadReturn::Count(2)));
        assert_eq!(pages.give_back(3, 1), Err(BadReturn::Count(1)));
        assert_eq!(pages.give_back(2, 1), Ok(()));
        assert_eq!(pages.give_back(2, 1), Err(BadReturn::Count(1)), "twice");
    }

    proptest! {
        /// No two frames that the client holds overlap, whatever it gives back; no page is lost.
        #[test]
        fn held_frames_never_overlap(steps in proptest::collection::vec((1u32..4097, any::<u16>()), 1..300)) {
            let mut pages = ReceivePages::new(4);
            let mut held: BTreeMap<(u32, u32), u32> = BTreeMap::new();
            for (length, choice) in steps {
                if choice & 1 == 0 {
                    if let Some(room) = pages.room(length) {
                        pages.hold(length);
                        prop_assert!(room.offset + length <= PAGE_SIZE as u32);
                        for ((page, offset), other) in &held {
                            prop_assert!(
                                *page != room.page
                                    || offset + other <= room.offset
                                    || room.offset + length <= *offset
                            );
                        }
                        held.insert((room.page, room.offset), length);
                    }
                } else if !held.is_empty() {
                    let key = *held.keys().nth((choice >> 1) as usize % held.len()).unwrap();
                    held.remove(&key);
                    prop_assert_eq!(pages.give_back(key.0, 1), Ok(()));
                }
            }
            for (page, _) in held.into_keys() {
                prop_assert_eq!(pages.give_back(page, 1), Ok(()));
            }
            for _ in 0..4 {
                prop_assert!(pages.room(4096).is_some());
                pages.hold(4096);
            }
            prop_assert!(pages.room(1).is_none());
        }
    }
}
