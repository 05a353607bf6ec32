//! The room that a receiver has: what is on its way to it, and what it has not given back.
//!
//! A frame that a steady receiver has no room for would be lost, and rightly so. So whoever sends to one
//! first asks here. Frames of a sender whose session is over may never come; they are forgotten once the
//! receiver has found its ring empty after that.

use std::collections::BTreeMap;

use super::groups;
use super::stamp::Party;

/// Receive pages of a session.
pub const RECEIVE_PAGES: u16 = 16;
/// Pages of frames that there is room for: half of what a receiver has, because the others may be the
/// device's, without the one that small frames are packed into.
const ROOM: u32 = RECEIVE_PAGES as u32 / 2 - 1;
/// The same while a frame for a group is on its way. The driver keeps a quarter of the pages for frames
/// that are for the receiver alone.
const GROUP_ROOM: u32 = ROOM - RECEIVE_PAGES as u32 / 4;

/// What a frame is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who sent it.
    pub from: Party,
    /// To whom, or to which group.
    pub to: Party,
    /// In which life of the driver.
    pub epoch: u32,
    /// As the how-manieth of its flow.
    pub sequence: u32,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    pages: u32,
    /// It comes before this moment, or not at all.
    doomed: Option<u64>,
}

/// A receiver's room.
#[derive(Clone, Debug, Default)]
pub struct Room {
    under_way: BTreeMap<Key, UnderWay>,
    held: u32,
}

impl Room {
    fn taken(&self) -> u32 {
        let under_way = self.under_way.values();
        self.held + under_way.map(|frame| frame.pages).sum::<u32>()
    }

    /// Whether there is room for a frame of so many pages.
    pub fn has(&self, to: Party, pages: u32) -> bool {
        let grouped =
            groups::is_group(to) || self.under_way.keys().any(|key| groups::is_group(key.to));
        let limit = if grouped { GROUP_ROOM } else { ROOM };
        self.taken() + pages <= limit
    }

    /// A frame is sent.
    pub fn send(&mut self, key: Key, pages: u32) {
        let doomed = None;
        self.under_way.insert(key, UnderWay { pages, doomed });
    }

    /// A frame came, of so many pages; one of which nobody knew, perhaps.
    pub fn take_in(&mut self, key: Option<Key>, pages: u32) {
        if let Some(key) = key {
            self.under_way.remove(&key);
        }
        self.held += pages;
    }

    /// So many pages were given back.
    pub fn give_back(&mut self, pages: u32) {
        self.held = self.held.saturating_sub(pages);
    }

    /// What a sender has sent until this moment will not come later.
    pub fn doom(&mut self, moment: u64, whose: impl Fn(Party) -> bool) {
        for (key, frame) in &mut self.under_way {
            if frame.doomed.is_none() && whose(key.from) {
                frame.doomed = Some(moment);
            }
        }
    }

    /// The receiver found nothing more, and looked after this moment.
    pub fn drain(&mut self, moment: u64) {
        self.under_way
            .retain(|_, frame| frame.doomed.is_none_or(|doomed| doomed > moment));
    }

    /// The session is over.
    pub fn close(&mut self) {
        self.drain(u64::MAX);
        self.held = 0;
    }
}
