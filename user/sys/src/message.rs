//! What travels in an invocation.

use abi::cap::CapAddr;
use abi::error::{self, Status};
use abi::invoke::{CAPS, WORDS};

use crate::Error;

/// A message as its sender makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Six words; in a request the first is the method.
    pub words: [u64; WORDS],
    /// Addresses of the capabilities to send; 0 for none.
    pub caps: [CapAddr; CAPS],
    /// Where the capabilities of the answer (or of the next message) go; 0 refuses.
    pub receive: [CapAddr; CAPS],
}

impl Message {
    /// A message of words; those not given are zero.
    pub fn new(words: &[u64]) -> Message {
        let mut message = Message::default();
        for (to, from) in message.words.iter_mut().zip(words) {
            *to = *from;
        }
        message
    }

    /// The same message with capabilities; at most four count.
    pub fn with_caps(mut self, caps: &[CapAddr]) -> Message {
        for (to, from) in self.caps.iter_mut().zip(caps) {
            *to = *from;
        }
        self
    }

    /// The same message with places for the answer's capabilities; at most four count.
    pub fn receiving(mut self, receive: &[CapAddr]) -> Message {
        for (to, from) in self.receive.iter_mut().zip(receive) {
            *to = *from;
        }
        self
    }
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: Status,
    /// Words.
    pub words: [u64; WORDS],
    /// Bit *n*: the *n*-th capability arrived.
    pub received: u8,
}

impl Reply {
    /// The words, if the status is success.
    pub fn ok(&self) -> Result<[u64; WORDS], Error> {
        Error::check(self.status).map(|()| self.words)
    }

    /// Whether the operation wants to be invoked again, and the words; or the error.
    pub fn more(&self) -> Result<(bool, [u64; WORDS]), Error> {
        if self.status == error::MORE {
            return Ok((true, self.words));
        }
        self.ok().map(|words| (false, words))
    }
}

/// A message as its receiver gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The badge of the `Start` capability that it came through.
    pub badge: u64,
    /// Words.
    pub words: [u64; WORDS],
    /// Bit *n*: the *n*-th capability arrived. Bit 4 + *n*: it was a `Start` of this very process,
    /// and arrived as its badge, in `own_badge`.
    pub received: u8,
    /// The badge of the first `Start` of this very process among the capabilities sent: how a server
    /// recognises what it handed out itself. Zero when bits 4 to 7 of `received` are clear.
    pub own_badge: u64,
    /// Whether a reply is owed.
    pub call: bool,
}

/// What a wait brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Request(Request),
    /// Notification bits: `group * 64 + n` for each bit *n* of `bits`.
    Notified {
        /// Group of 64 bits.
        group: u16,
        /// The bits that were set, now clear.
        bits: u64,
    },
}
