//! How a frame reaches a session's pages.
//!
//! By the port's settings a frame is [copied](copy) or [flipped](flip); `hybrid` decides by its length.
//! Where flipping can't be done (the frame doesn't lie in a page that can be exchanged, or not yet, or
//! no longer) it is copied, whatever the settings say.

pub mod copy;
pub mod flip;

use crate::misbehaviour::End;
use dev::statistics::Counter;

/// Why a frame wasn't delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It is dropped and counted against the recipient.
    Dropped(Counter),
    /// The recipient's session can't go on.
    End(End),
}

impl From<End> for Undelivered {
    fn from(end: End) -> Undelivered {
        Undelivered::End(end)
    }
}

impl From<ring::Error> for Undelivered {
    fn from(error: ring::Error) -> Undelivered {
        Undelivered::End(error.into())
    }
}

impl From<sys::Fault> for Undelivered {
    fn from(fault: sys::Fault) -> Undelivered {
        Undelivered::End(fault.into())
    }
}

/// How a frame came to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All of it stayed where the device put it, in pages of the recipient's.
    InPlace,
    /// Pages were exchanged for it.
    Exchanged,
    /// Some of it, or all, was copied.
    Copied,
}

impl Way {
    /// The way of a frame of which one piece came so and the rest as `other`.
    #[inline]
    pub const fn and(self, other: Way) -> Way {
        if self as u8 > other as u8 {
            self
        } else {
            other
        }
    }

    /// What counts it.
    #[inline]
    pub const fn counter(self) -> Counter {
        match self {
            Way::InPlace => Counter::InPlace,
            Way::Exchanged => Counter::Exchanged,
            Way::Copied => Counter::Copied,
        }
    }
}
