//! The protocol of the ethernet driver, as its clients see it.
//!
//! Three kinds of capability, all `Start` to the driver, are told apart by their
//! [badges](crate::badge):
//!
//! - a **port** ([`Port`]): init gives it to a user; it can attach;
//! - a **session** ([`Link`]): attaching answers it;
//! - the **[administration](crate::admin)**: init's, it makes and removes ports.
//!
//! Who asks a port or a session for something more often than a thousand times a second, beyond 256 at
//! once, is answered `EAGAIN` until a later time. Attaching has a measure of its own, ten times a second,
//! and detaching none. Notifications are never refused: who tells the driver to look when there is nothing
//! more often than 10,000 times a second is looked at twice as often at most, and what it told meanwhile is
//! found then.
//!
//! Notation as in [`abi::method`].

use abi::cap::CapAddr;
use sys::bank::Bank;
use sys::object::{Notify, Table};
use sys::{Cap, Error, Message, Reply, Sys};

use crate::layout::MOST_PAGES;
use crate::mac::Mac;
use crate::refusal::Refusal;

/// Methods of a port.
pub mod on_port {
    /// `w1` transmit pages (in the places from 3 on of `c1`), `w2` receive pages wanted; `c0` a space
    /// bank with the right `BUY`, `c1` a segment with `READ` and `PIN`, set up as
    /// [`layout`](crate::layout) says, `c2` a `Notify` of the client's → `w0` receive pages, `w1` MAC
    /// address (first byte low), `w2` longest frame; `c0` the receive segment, with `READ` alone, `c1`
    /// the session, `c2` a `Notify` that tells the driver to look, `c3` the session's bank, to destroy
    /// it. A session that the port had is ended first. On errors `w0` says more, as
    /// [`Refusal`](crate::refusal::Refusal).
    pub const ATTACH: u64 = 1;
    /// → `w0` MAC address (first byte low), `w1` longest frame, `w2` most transmit pages, `w3` most
    /// receive pages, `w4` 1 if the link is up.
    pub const DESCRIBE: u64 = 2;
}

/// Methods of a session.
pub mod on_session {
    /// Ends the session: answers when its bank is destroyed and nothing of the client's is pinned.
    pub const DETACH: u64 = 1;
    /// Writes the counters of the port into the receive segment.
    pub const STATISTICS: u64 = 2;
    /// `w1` MAC address of a group (first byte low). Broadcast comes without. `EMFILE`: too many;
    /// `ENOMEM`: the driver has no memory for it; `EINVAL`: not a group's, or
    /// one that controls the link (01-80-C2-00-00-00 to -0F). A group subscribed to twice is subscribed to once.
    pub const SUBSCRIBE: u64 = 3;
    /// `w1` MAC address of a group. `ENOENT`: not subscribed to.
    pub const UNSUBSCRIBE: u64 = 4;
}

/// Declares a typed capability to the driver.
macro_rules! capability {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// As [`Cap`] does, it says which methods make sense, not what lies at the address.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(abi::cap::CapAddr);

        impl $name {
            /// The capability at an address.
            pub const fn at(address: abi::cap::CapAddr) -> $name {
                $name(address)
            }

            /// Its address.
            pub const fn address(self) -> abi::cap::CapAddr {
                self.0
            }
        }
    };
}
pub(crate) use capability;

capability! {
    /// A port.
    Port
}

capability! {
    /// A session.
    Link
}

/// What a client offers to attach with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Pays for the receive pages.
    pub bank: Cap<Bank>,
    /// The transmit segment, set up.
    pub segment: Cap<Table>,
    /// Where the driver notifies.
    pub notify: Cap<Notify>,
    /// Pages in the transmit segment from place 3 on.
    pub transmit_pages: u16,
    /// Receive pages wanted.
    pub receive_pages: u16,
}

/// Where what attaching answers goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Into {
    /// The receive segment.
    pub segment: Cap<Table>,
    /// The session.
    pub link: Link,
    /// The notification that wakes the driver.
    pub kick: Cap<Notify>,
    /// The session's bank.
    pub bank: Cap<Bank>,
}

/// What attaching tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Receive pages there are.
    pub receive_pages: u16,
    /// The port's address.
    pub mac: Mac,
    /// Longest frame, without check sequence.
    pub frame_limit: u32,
}

/// Why attaching failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachError {
    /// The status.
    pub status: Error,
    /// What the driver says of it.
    pub refusal: Refusal,
}

impl core::fmt::Display for AttachError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.refusal {
            Refusal::Unknown => self.status.fmt(f),
            refusal => write!(f, "{refusal}: {}", self.status),
        }
    }
}

impl core::error::Error for AttachError {}

/// What a port is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortDescription {
    /// Its address.
    pub mac: Mac,
    /// Longest frame, without check sequence.
    pub frame_limit: u32,
    /// Most transmit pages.
    pub transmit_pages: u16,
    /// Most receive pages.
    pub receive_pages: u16,
    /// Whether the link is up.
    pub link: bool,
}

impl Port {
    /// Attaches. Waits until the session is there, or refused.
    ///
    /// # Errors
    /// The driver's refusal, or that of the invocation.
    pub fn attach(
        self,
        sys: &impl Sys,
        offer: &Offer,
        into: &Into,
    ) -> Result<Attached, AttachError> {
        let message = Message::new(&[
            on_port::ATTACH,
            offer.transmit_pages as u64,
            offer.receive_pages as u64,
        ])
        .with_caps(&[
            offer.bank.address(),
            offer.segment.address(),
            offer.notify.address(),
        ])
        .receiving(&[
            into.segment.address(),
            into.link.address(),
            into.kick.address(),
            into.bank.address(),
        ]);
        let reply = sys.call(self.address(), &message);
        match reply.ok() {
            Ok(words) => Ok(Attached {
                receive_pages: words[0].min(MOST_PAGES as u64) as u16,
                mac: Mac::from_word(words[1]),
                frame_limit: words[2].min(u32::MAX as u64) as u32,
            }),
            Err(status) => Err(AttachError {
                status,
                refusal: Refusal::from_word(reply.words[0]),
            }),
        }
    }

    /// What the port is like.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn describe(self, sys: &impl Sys) -> Result<PortDescription, Error> {
        let words = sys
            .call(self.address(), &Message::new(&[on_port::DESCRIBE]))
            .ok()?;
        Ok(PortDescription {
            mac: Mac::from_word(words[0]),
            frame_limit: words[1].min(u32::MAX as u64) as u32,
            transmit_pages: words[2].min(MOST_PAGES as u64) as u16,
            receive_pages: words[3].min(MOST_PAGES as u64) as u16,
            link: words[4] == 1,
        })
    }
}

/// Invokes with words only.
pub(crate) fn words_only(
    sys: &impl Sys,
    capability: CapAddr,
    words: &[u64],
) -> Result<Reply, Error> {
    let reply = sys.call(capability, &Message::new(words));
    reply.ok().map(|_| reply)
}

impl Link {
    /// Ends the session.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn detach(self, sys: &impl Sys) -> Result<(), Error> {
        words_only(sys, self.address(), &[on_session::DETACH]).map(|_| ())
    }

    /// Has the counters written into the receive segment.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn statistics(self, sys: &impl Sys) -> Result<(), Error> {
        words_only(sys, self.address(), &[on_session::STATISTICS]).map(|_| ())
    }

    /// Receives frames to a group.
    ///
    /// # Errors
    /// `EMFILE`, `EINVAL`; those of the invocation.
    pub fn subscribe(self, sys: &impl Sys, group: Mac) -> Result<(), Error> {
        words_only(sys, self.address(), &[on_session::SUBSCRIBE, group.word()]).map(|_| ())
    }

    /// Receives frames to a group no longer.
    ///
    /// # Errors
    /// `ENOENT`; those of the invocation.
    pub fn unsubscribe(self, sys: &impl Sys, group: Mac) -> Result<(), Error> {
        words_only(
            sys,
            self.address(),
            &[on_session::UNSUBSCRIBE, group.word()],
        )
        .map(|_| ())
    }
}
