//! How frames are delivered, and what the driver must count when they are.

use dev::settings::{Receive, Strategy};
use dev::statistics::{Counter, Counters};

/// How frames are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// Copied out of the driver's buffers.
    Copy,
    /// In place: the device fills pages of the recipient's.
    InPlace,
    /// Exchanged out of pages that the recipient can't see, the rest zeroed.
    Sealed,
    /// Exchanged out of another user's pages.
    Exchange,
}

impl Delivery {
    /// All, in the order in which they are measured: for the last a second user comes, who stays.
    pub const ALL: [Delivery; 4] = [
        Delivery::Copy,
        Delivery::InPlace,
        Delivery::Sealed,
        Delivery::Exchange,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::Copy => "copy",
            Delivery::InPlace => "in_place",
            Delivery::Sealed => "sealed",
            Delivery::Exchange => "exchange",
        }
    }

    /// What is called so.
    pub fn from_name(name: &str) -> Option<Delivery> {
        Delivery::ALL.into_iter().find(|one| one.name() == name)
    }

    /// How the recipient's port receives.
    pub fn receive(self) -> Receive {
        Receive {
            strategy: match self {
                Delivery::Copy => Strategy::Copy,
                _ => Strategy::Flip,
            },
            sealed: self == Delivery::Sealed,
            ..Receive::default()
        }
    }

    /// The counter of the frames that are delivered so.
    pub const fn counter(self) -> Counter {
        match self {
            Delivery::Copy => Counter::Copied,
            Delivery::InPlace => Counter::InPlace,
            Delivery::Sealed | Delivery::Exchange => Counter::Exchanged,
        }
    }

    /// How many frames were delivered so, if all were, and `frames` came.
    pub fn is_all(self, before: &Counters, after: &Counters, frames: u64) -> bool {
        let rose = |counter| after.get(counter).wrapping_sub(before.get(counter));
        rose(Counter::ReceivedFrames) == frames && rose(self.counter()) == frames
    }
}
