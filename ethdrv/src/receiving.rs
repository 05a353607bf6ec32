//! How a session receives at present, and the pages behind it that its client can't see.
//!
//! A session begins by copying: nothing is pinned. To flip, its pages are pinned first; to stop, those
//! that the device has must come back, what the client might see in them is scrubbed, and they are
//! unpinned. Each is done in bounded [pieces](crate::switch) while frames come; in between they are
//! copied.

use alloc::vec::Vec;

use dev::settings::{NO_THRESHOLD, Receive, Strategy};
use dev::statistics::Counter;

use crate::slots::SlotNumber;

/// How far a session is from copying to flipping, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All frames are copied, no page is pinned.
    Copying,
    /// All frames are copied; pages are being bought and pinned.
    Pinning,
    /// Frames are flipped.
    Flipping,
    /// All frames are copied; pages come back from the device, or are exchanged for the driver's own.
    Draining,
    /// All frames are copied; pages from this one on are still to be scrubbed.
    Scrubbing(u16),
    /// All frames are copied; pages are being unpinned.
    Unpinning,
}

/// Pages of a sealed session that its client can't see. The device fills them.
#[derive(Debug, Default)]
pub struct Hidden {
    /// By page: the slot that its frame is pinned in.
    pub slots: Vec<Option<SlotNumber>>,
    /// Those that are not away.
    pub spare: Vec<u16>,
    /// Pages bought; those from `slots.len()` on aren't pinned.
    pub bought: u16,
}

/// How a session receives.
#[derive(Debug)]
pub struct Receiving {
    /// How far it is.
    pub phase: Phase,
    /// The device fills hidden pages. Means nothing while it copies.
    pub sealed: bool,
    /// Its share of the buffers posted, while it flips.
    pub share: u16,
    /// Pages that are pinned, of those that the client sees.
    pub pinned: u16,
    /// Pages that are away.
    pub away: u16,
    /// What is away when it stops flipping has to come back by itself.
    pub waits: bool,
    /// It stands in the queue of those whose pages are posted.
    pub wants: bool,
    /// It stands in the queue of those that go over.
    pub working: bool,
    /// What could not be had, so that it isn't tried again.
    pub refused: Option<Receive>,
    /// Slots that have to be free before it is tried again all the same; 0 if it wasn't for these.
    pub lacks: usize,
    /// Pieces of frames that are to be pushed when a batch of exchanges is done.
    pub deferred: u32,
    /// The pages that its client can't see.
    pub hidden: Hidden,
}

impl Receiving {
    /// Copying.
    pub const fn new() -> Receiving {
        Receiving {
            phase: Phase::Copying,
            sealed: false,
            share: 0,
            pinned: 0,
            away: 0,
            waits: false,
            wants: false,
            working: false,
            refused: None,
            lacks: 0,
            deferred: 0,
            hidden: Hidden {
                slots: Vec::new(),
                spare: Vec::new(),
                bought: 0,
            },
        }
    }

    /// Whether a frame of this length is to be flipped.
    ///
    /// # Errors
    /// It is to be copied; if the port flips others, what counts the reason.
    #[inline]
    pub const fn flips(&self, settings: &Receive, length: u32) -> Result<(), Option<Counter>> {
        match settings.strategy {
            Strategy::Copy => Err(None),
            Strategy::Hybrid
                if length < settings.threshold as u32 || settings.threshold == NO_THRESHOLD =>
            {
                Err(Some(Counter::ChoseShort))
            }
            _ if !matches!(self.phase, Phase::Flipping) || self.sealed != settings.sealed => {
                Err(Some(Counter::ChoseGoing))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is on its way from where the settings want it to be, or has to go there.
    pub fn must_work(&self, settings: &Receive) -> bool {
        let wanted = settings.strategy != Strategy::Copy && self.refused != Some(*settings);
        match self.phase {
            Phase::Copying => wanted,
            Phase::Flipping => !wanted || self.sealed != settings.sealed,
            Phase::Draining => self.away == 0 || !self.waits,
            _ => true,
        }
    }
}

impl Default for Receiving {
    fn default() -> Receiving {
        Receiving::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_that_found_no_threshold_flips_no_frame_however_long() {
        let receiving = Receiving {
            phase: Phase::Flipping,
            ..Receiving::default()
        };
        let with = |threshold| Receive {
            strategy: Strategy::Hybrid,
            threshold,
            sealed: false,
        };
        for length in [60, 9_014, 65_534, 65_535, 65_536, u32::MAX] {
            let flips = receiving.flips(&with(NO_THRESHOLD), length);
            assert_eq!(flips, Err(Some(Counter::ChoseShort)), "{length}");
        }
        assert_eq!(receiving.flips(&with(9_014), 9_014), Ok(()));
    }
}
