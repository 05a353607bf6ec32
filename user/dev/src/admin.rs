//! The administration of the ethernet driver: how init makes ports and looks at them.
//!
//! Notation as in [`abi::method`]. A failure to name a port that there is answers `ENOENT`.

use core::net::IpAddr;

use abi::cap::CapAddr;
use abi::error::EIO;
use sys::object::{Aperture, Notify, Table};
use sys::{Cap, Error, Message, Sys};

use crate::hybrid::Choice;
use crate::mac::Mac;
use crate::port::{Port, capability, words_only};
use crate::refusal::Refusal;
use crate::settings::{PortSettings, Rate, Receive, address_words};
use crate::statistics::{COUNTERS, Counter, Counters};

/// Methods of the administration. *Port* is the number that `ADD_PORT` answered.
pub mod method {
    /// `w1` MAC address (first byte low), `w2` rate in bytes a second (0: none), `w3` burst in bytes,
    /// `w4` share (bits 0–15), most transmit pages (16–31), most receive pages (32–47), pinning
    /// (48–55), `w5` how it receives, as [`Receive`](crate::settings::Receive) packs it; `c0` an aperture bound to the device's
    /// function, with its window set, `c1` that window, with `READ` and `WRITE` → `w0` port, `c0` the
    /// port's capability. `EEXIST`: the address is another port's.
    pub const ADD_PORT: u64 = 1;
    /// `w1` port, `w2` 4 or 6, `w3`, `w4` an IP address (first byte low): the port may send from it,
    /// and from now on only from addresses so bound. `EMFILE`: eight are bound.
    pub const BIND_ADDRESS: u64 = 2;
    /// `w1` port: ends its session, then the port: answers when nothing of it is left. Its capability is
    /// void from the first moment. Sent without asking for an answer, it only begins that.
    pub const REMOVE_PORT: u64 = 3;
    /// `w1` port ([`DEVICE`](super::DEVICE): the device's own), `w2` first counter → six counters from
    /// it on, as [`Counter`](crate::statistics::Counter) orders them; those beyond are zero.
    pub const STATISTICS: u64 = 4;
    /// `w1` port, `w2` how it receives from now on, as [`Receive`](crate::settings::Receive) packs it.
    /// No frame is lost by it; a session that can't go over at once does so by and by.
    pub const SET_RECEIVE: u64 = 5;
    /// `w1` port, `w2` rate, `w3` burst, `w4` share.
    pub const SET_RATE: u64 = 6;
    /// `w1` port → `w0` state ([`PortState`](super::PortState)), `w1` session's serial number, or
    /// without a session why attaching failed last ([`Refusal`](crate::refusal::Refusal), 0: it did not), `w2`
    /// transmit pages, `w3` receive pages, `w4` receive pages to spare, `w5` frames in transmission;
    /// `c0` the session's bank, to destroy it, if there is a session.
    pub const INSPECT: u64 = 7;
    /// `c0` a `Notify`: signalled when a session began or ended; `NEXT_CHANGE` says where.
    pub const SET_NOTIFY: u64 = 8;
    /// → `w0` MAC address of the device, `w1` longest frame, `w2` 1 if the link is up, `w3` ports.
    pub const DEVICE: u64 = 9;
    /// `c0` an aperture bound to the device's function, with its window set, `c1` that window, with
    /// `READ` and `WRITE`: 512 more slots for the pages that ports receive into. They are the driver's
    /// for good, and serve all ports; a port for which there are none is served by copying. `EMFILE`:
    /// enough are there.
    pub const ADD_APERTURE: u64 = 10;
    /// → what `hybrid` goes by where nobody names a threshold, as
    /// [`Choice`](crate::hybrid::Choice::words) packs it.
    pub const HYBRID: u64 = 11;
    /// → `w0` 1 if a session began or ended at a port since this last answered it, `w1` that port. Each is
    /// answered once, however often it changed, and may be gone.
    pub const NEXT_CHANGE: u64 = 12;
}

/// In place of a port: the device itself.
pub const DEVICE: u64 = u64::MAX;

capability! {
    /// The administration.
    Admin
}

/// What a port is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PortState {
    /// Nobody is attached.
    Idle = 0,
    /// Somebody attaches.
    Attaching = 1,
    /// There is a session.
    Open = 2,
    /// A session ends; what it pinned is still in use.
    Closing = 3,
}

impl PortState {
    /// The state that a word stands for, if any.
    pub const fn from_word(word: u64) -> Option<PortState> {
        Some(match word {
            0 => PortState::Idle,
            1 => PortState::Attaching,
            2 => PortState::Open,
            3 => PortState::Closing,
            _ => return None,
        })
    }
}

/// What the administration tells of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it is doing.
    pub state: PortState,
    /// Serial number of the session, if there is one.
    pub session: u64,
    /// Why attaching failed last, if there is no session and it did.
    pub refusal: Option<Refusal>,
    /// Transmit pages of the session.
    pub transmit_pages: u64,
    /// Receive pages of the session.
    pub receive_pages: u64,
    /// Receive pages to spare.
    pub spare_pages: u64,
    /// Frames in transmission.
    pub in_flight: u64,
}

/// What the administration tells of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDescription {
    /// Its own address.
    pub mac: Mac,
    /// Longest frame, without check sequence.
    pub frame_limit: u32,
    /// Whether the link is up.
    pub link: bool,
    /// Ports there are.
    pub ports: u64,
}

impl Admin {
    /// Makes a port; answers its number. Aperture and window become the driver's.
    ///
    /// # Errors
    /// `EEXIST`, `EINVAL`, `EMSGSIZE`, `EMFILE`; those of the invocation.
    pub fn add_port(
        self,
        sys: &impl Sys,
        settings: &PortSettings,
        aperture: Cap<Aperture>,
        window: Cap<Table>,
        into: Port,
    ) -> Result<u64, Error> {
        let [a, b, c, d, e] = settings.to_words();
        let message = Message::new(&[method::ADD_PORT, a, b, c, d, e])
            .with_caps(&[aperture.address(), window.address()])
            .receiving(&[into.address()]);
        sys.call(self.address(), &message)
            .ok()
            .map(|words| words[0])
    }

    /// Gives the driver 512 more slots for pages that ports receive into. Aperture and window become
    /// the driver's.
    ///
    /// # Errors
    /// `EMFILE`: there are enough; those of the invocation.
    pub fn add_aperture(
        self,
        sys: &impl Sys,
        aperture: Cap<Aperture>,
        window: Cap<Table>,
    ) -> Result<(), Error> {
        let message = Message::new(&[method::ADD_APERTURE])
            .with_caps(&[aperture.address(), window.address()]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }

    /// Binds an IP address to a port.
    ///
    /// # Errors
    /// `ENOENT`: no such port; `EMFILE`; those of the invocation.
    pub fn bind_address(self, sys: &impl Sys, port: u64, address: IpAddr) -> Result<(), Error> {
        let [family, low, high] = address_words(address);
        let words = [method::BIND_ADDRESS, port, family, low, high];
        words_only(sys, self.address(), &words).map(|_| ())
    }

    /// Removes a port; answers when nothing of it is left.
    ///
    /// # Errors
    /// `ENOENT`: no such port; those of the invocation.
    pub fn remove_port(self, sys: &impl Sys, port: u64) -> Result<(), Error> {
        words_only(sys, self.address(), &[method::REMOVE_PORT, port]).map(|_| ())
    }

    /// Begins to remove a port, and waits for nothing. [`Admin::inspect`] answers `ENOENT` when nothing of
    /// it is left. A driver that isn't listening loses the message: send it again if it is still there.
    pub fn begin_remove_port(self, sys: &impl Sys, port: u64) {
        let message = Message::new(&[method::REMOVE_PORT, port]);
        // The status tells only whether the driver is gone, and with it the port.
        let _ = sys.send(self.address(), &message);
    }

    /// All counters of a port, or of the device ([`DEVICE`]).
    ///
    /// # Errors
    /// `ENOENT`: no such port; those of the invocation.
    pub fn statistics(self, sys: &impl Sys, port: u64) -> Result<Counters, Error> {
        let mut counters = Counters::new();
        for first in (0..COUNTERS).step_by(6) {
            let words = [method::STATISTICS, port, first as u64];
            let reply = words_only(sys, self.address(), &words)?;
            for (counter, value) in Counter::ALL[first..].iter().zip(reply.words) {
                counters.set(*counter, value);
            }
        }
        Ok(counters)
    }

    /// One counter of a port, or of the device ([`DEVICE`]).
    ///
    /// # Errors
    /// As for [`Admin::statistics`].
    pub fn counter(self, sys: &impl Sys, port: u64, counter: Counter) -> Result<u64, Error> {
        let words = [method::STATISTICS, port, counter as u64];
        words_only(sys, self.address(), &words).map(|reply| reply.words[0])
    }

    /// Changes how a port receives, while frames come.
    ///
    /// # Errors
    /// `ENOENT`: no such port; those of the invocation.
    pub fn set_receive(self, sys: &impl Sys, port: u64, receive: Receive) -> Result<(), Error> {
        let words = [method::SET_RECEIVE, port, receive.word()];
        words_only(sys, self.address(), &words).map(|_| ())
    }

    /// Changes how fast a port sends.
    ///
    /// # Errors
    /// `ENOENT`: no such port; `EINVAL`, `EMSGSIZE`; those of the invocation.
    pub fn set_rate(self, sys: &impl Sys, port: u64, rate: Rate) -> Result<(), Error> {
        let words = [
            method::SET_RATE,
            port,
            rate.bytes_per_second,
            rate.burst,
            rate.share as u64,
        ];
        words_only(sys, self.address(), &words).map(|_| ())
    }

    /// What a port is doing; its session's bank goes to `bank`, if there is a session.
    ///
    /// # Errors
    /// `ENOENT`: no such port; `EIO`: an answer that makes no sense; those of the invocation.
    pub fn inspect(self, sys: &impl Sys, port: u64, bank: CapAddr) -> Result<Inspection, Error> {
        let message = Message::new(&[method::INSPECT, port]).receiving(&[bank]);
        let words = sys.call(self.address(), &message).ok()?;
        let state = PortState::from_word(words[0]).ok_or(Error::new(EIO))?;
        let open = state == PortState::Open;
        Ok(Inspection {
            state,
            session: if open { words[1] } else { 0 },
            refusal: (!open && words[1] != 0).then(|| Refusal::from_word(words[1])),
            transmit_pages: words[2],
            receive_pages: words[3],
            spare_pages: words[4],
            in_flight: words[5],
        })
    }

    /// Names who is told when a session began or ended.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn set_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        let message = Message::new(&[method::SET_NOTIFY]).with_caps(&[notify.address()]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }

    /// What `hybrid` goes by where nobody names a threshold, and why.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn hybrid(self, sys: &impl Sys) -> Result<Choice, Error> {
        let reply = words_only(sys, self.address(), &[method::HYBRID])?;
        let [first, copy, byte, exchange, ..] = reply.words;
        Ok(Choice::from_words([first, copy, byte, exchange]))
    }

    /// A port at which a session began or ended, if there is one that was not answered yet.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn next_change(self, sys: &impl Sys) -> Result<Option<u64>, Error> {
        let reply = words_only(sys, self.address(), &[method::NEXT_CHANGE])?;
        Ok((reply.words[0] != 0).then_some(reply.words[1]))
    }

    /// What the device is like.
    ///
    /// # Errors
    /// Those of the invocation.
    pub fn device(self, sys: &impl Sys) -> Result<DeviceDescription, Error> {
        let reply = words_only(sys, self.address(), &[method::DEVICE])?;
        let words = reply.words;
        Ok(DeviceDescription {
            mac: Mac::from_word(words[0]),
            frame_limit: words[1].min(u32::MAX as u64) as u32,
            link: words[2] == 1,
            ports: words[3],
        })
    }
}
