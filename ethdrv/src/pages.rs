//! The states of a session's receive pages.
//!
//! Each page is in one state, known to the driver alone: *spare*, *open* (frames are being packed into
//! it), *held(n)* (n frames in it are the client's), or *away*: lent to the device, or in the driver's
//! hands after it came back with a frame. An open page is held too. A return names a page and a count;
//! the client gets nowhere by naming more than it holds, and an away page holds nothing of it.
//!
//! Beside its state a page has the slot that its present frame is pinned in, if it is, and its *own*
//! bytes: those of frames that the client was given in it. In a page that is not *clean* the others may
//! be somebody else's, who had the frame before.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use dev::burst::{self, ALIGNMENT};
use dev::layout::FIRST_RECEIVE_PAGE;

use crate::slots::SlotNumber;

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

/// A receive page.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// Frames that the client holds in it.
    held: u16,
    /// Its own bytes: first, and first beyond.
    own: (u16, u16),
    /// All bytes are its own, or zero.
    clean: bool,
    slot: Option<SlotNumber>,
}

/// All receive pages of a session.
#[derive(Debug)]
pub struct ReceivePages {
    pages: Vec<Page>,
    /// Pages in which the client holds nothing, but the open one and those that are away.
    spare: Vec<u16>,
    /// The open page.
    open: u16,
    /// Bytes used of the open page.
    used: u32,
    /// So many to spare are few.
    scarce: u16,
    /// Most that are lent to the device.
    most_lent: u16,
}

impl ReceivePages {
    /// `count` spare pages, fresh and not pinned. `None`: there is no memory to keep their states in.
    pub fn new(count: u16) -> Option<ReceivePages> {
        let mut pages = Vec::new();
        pages.try_reserve_exact(count as usize).ok()?;
        pages.resize(
            count as usize,
            Page {
                held: 0,
                own: (0, 0),
                clean: true,
                slot: None,
            },
        );
        let mut spare = Vec::new();
        spare.try_reserve_exact(count as usize).ok()?;
        // The last is taken first: begin with the first page.
        spare.extend((0..count).rev());
        Some(ReceivePages {
            pages,
            spare,
            open: NONE,
            used: 0,
            scarce: burst::scarce(count),
            most_lent: burst::most_lent(count),
        })
    }

    /// The place of a page in the receive segment.
    #[inline]
    pub const fn place(number: u16) -> u32 {
        FIRST_RECEIVE_PAGE + number as u32
    }

    /// How many pages there are.
    pub fn total(&self) -> usize {
        self.pages.len()
    }

    /// Pages to spare.
    #[inline]
    pub fn spare(&self) -> usize {
        self.spare.len()
    }

    /// With so many to spare, or fewer, frames [have to share](dev::burst) pages, and none is lent.
    #[inline]
    pub const fn scarce(&self) -> usize {
        self.scarce as usize
    }

    /// How many of them are [lent](dev::burst) to the device at most.
    #[inline]
    pub const fn most_lent(&self) -> usize {
        self.most_lent as usize
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
            page: Self::place(self.open),
            offset: self.used,
        })
    }

    /// Bytes behind a frame of the open page, up to the next, that may be somebody else's: where they
    /// begin, and how many. None in a clean page.
    #[inline]
    pub fn gap(&self, length: u32) -> Option<(u32, u32)> {
        let page = self.pages.get(self.open as usize)?;
        let end = self.used + length;
        let gap = end.next_multiple_of(ALIGNMENT) - end;
        (!page.clean && gap > 0).then_some((end, gap))
    }

    /// The frame for which there was [room](ReceivePages::room) is the client's now.
    #[inline]
    pub fn hold(&mut self, length: u32) {
        if let Some(page) = self.pages.get_mut(self.open as usize) {
            page.held += 1;
            self.used = (self.used + length).next_multiple_of(ALIGNMENT);
            page.own = (0, self.used as u16);
        }
    }

    /// Takes a spare page: for a frame that gets all of it, or to be lent to the device.
    #[inline]
    pub fn take(&mut self) -> Option<u16> {
        self.spare.pop()
    }

    /// A page that was [taken](ReceivePages::take) is spare again.
    #[inline]
    pub fn put_back(&mut self, number: u16) {
        self.spare.push(number);
    }

    /// A page that was [taken](ReceivePages::take) holds one frame, which is the client's now; `clean`
    /// if the rest of the page is the client's own, or zero.
    #[inline]
    pub fn hold_whole(&mut self, number: u16, offset: u32, length: u32, clean: bool) {
        if let Some(page) = self.pages.get_mut(number as usize) {
            page.held = 1;
            page.own = (offset as u16, (offset + length) as u16);
            page.clean = clean;
        }
    }

    /// The same for a frame that was copied into the page: the rest of it is as clean as it was.
    #[inline]
    pub fn hold_copied(&mut self, number: u16, offset: u32, length: u32) {
        let clean = self
            .pages
            .get(number as usize)
            .is_some_and(|page| page.clean);
        self.hold_whole(number, offset, length, clean);
    }

    /// What a page that was away came back with may be anybody's.
    #[inline]
    pub fn soil(&mut self, number: u16) {
        if let Some(page) = self.pages.get_mut(number as usize) {
            page.own = (0, 0);
            page.clean = false;
        }
    }

    /// A page has a fresh frame, all zero.
    #[inline]
    pub fn renew(&mut self, number: u16) {
        if let Some(page) = self.pages.get_mut(number as usize) {
            page.own = (0, 0);
            page.clean = true;
        }
    }

    /// The slot that a page's frame is pinned in.
    #[inline]
    pub fn slot(&self, number: u16) -> Option<SlotNumber> {
        self.pages.get(number as usize)?.slot
    }

    /// A page's frame is pinned in that slot now.
    #[inline]
    pub fn set_slot(&mut self, number: u16, slot: Option<SlotNumber>) {
        if let Some(page) = self.pages.get_mut(number as usize) {
            page.slot = slot;
        }
    }

    /// The bytes of a page that are its client's own: first, and first beyond. `None`: all others are
    /// zero anyway. From now on it counts as clean.
    pub fn cleanse(&mut self, number: u16) -> Option<(u32, u32)> {
        let page = self.pages.get_mut(number as usize)?;
        if core::mem::replace(&mut page.clean, true) {
            return None;
        }
        Some(match page.held > 0 || number == self.open {
            true => (page.own.0 as u32, page.own.1 as u32),
            false => (0, 0),
        })
    }

    /// The client gives back `count` frames of a page.
    ///
    /// # Errors
    /// It can't.
    #[inline]
    pub fn give_back(&mut self, page: u32, count: u32) -> Result<(), BadReturn> {
        let index = page.wrapping_sub(FIRST_RECEIVE_PAGE) as usize;
        let page = self.pages.get_mut(index).ok_or(BadReturn::Page(page))?;
        if count == 0 || count > page.held as u32 {
            return Err(BadReturn::Count(count));
        }
        page.held -= count as u16;
        if page.held == 0 {
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
        if self.pages.get(self.open as usize).map(|page| page.held) == Some(0) {
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
        let mut pages = ReceivePages::new(2).unwrap();
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
        let mut pages = ReceivePages::new(1).unwrap();
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
        let mut pages = ReceivePages::new(3).unwrap();
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
            let mut pages = ReceivePages::new(4).unwrap();
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
