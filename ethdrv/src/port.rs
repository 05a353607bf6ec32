//! A port: what init granted a user, and what came of it.

use abi::cap::CapAddr;
use dev::Program;
use dev::admin::PortState;
use dev::badge::Badge;
use dev::refusal::Refusal;
use dev::settings::PortSettings;
use dev::statistics::Counters;
use dev::window::Window;

use crate::attach::Attaching;
use crate::bound::Bindings;
use crate::bucket::Bucket;
use crate::close::Closing;
use crate::demux::PortNumber;
use crate::grant::BEAT_BIT;
use crate::session::Session;

/// Attachments at once, and how long each takes to be earned again: a port that attaches in a loop
/// costs the others little.
const ATTACH_BURST: u64 = 4;
const ATTACHES_PER_SECOND: u64 = 10;

/// Looks at a session that has nothing to send, though it told the driver to look, and how many at once.
const VAIN_BURST: u64 = 1_000;
const VAIN_PER_SECOND: u64 = 10_000;

/// Requests at once, and how many in a second in the long run: a caller in a loop, who has the driver tell
/// the device other groups each time, costs the others little.
const REQUEST_BURST: u64 = 256;
const REQUESTS_PER_SECOND: u64 = 1_000;

/// Most ports: each has two notification bits behind the driver's own.
pub const MOST_PORTS: usize = (abi::NOTIFY_BITS - FIRST_BIT as usize) / 2;

/// First notification bit of the first port.
const FIRST_BIT: u64 = 64;

/// What is at a port.
#[expect(
    clippy::large_enum_variant,
    reason = "a port is boxed already, and another box would be one more step to each frame"
)]
pub enum State<P: Program> {
    /// Nobody.
    Idle,
    /// Somebody who attaches.
    Attaching(Attaching<P>),
    /// A session.
    Open(Session<P>),
    /// What is left of a session, or of an attempt.
    Closing(Closing<P>),
}

/// A port.
pub struct Port<P: Program> {
    /// Its serial number.
    pub serial: u64,
    /// As init made it.
    pub settings: PortSettings,
    /// IP addresses that it may send from, if it is bound to any.
    pub bindings: Bindings,
    /// What happened, over all sessions.
    pub counters: Counters,
    /// What it may send.
    pub bucket: Bucket,
    /// How often it may attach.
    pub attaches: Bucket,
    /// How often it may have the driver look for nothing.
    pub vain: Bucket,
    /// How often it and its session may ask for something.
    pub requests: Bucket,
    /// Through which its transmit pages are pinned.
    pub window: Window<P>,
    /// The window's own capability.
    pub window_cap: CapAddr,
    /// Why attaching failed last, unless it has worked since.
    pub refusal: Option<Refusal>,
    /// What is there.
    pub state: State<P>,
}

impl<P: Program> Port<P> {
    /// A port with nobody at it.
    pub fn new(
        serial: u64,
        settings: PortSettings,
        window: Window<P>,
        window_cap: CapAddr,
    ) -> Port<P> {
        Port {
            serial,
            bindings: Bindings::default(),
            counters: Counters::new(),
            bucket: Bucket::new(settings.rate.bytes_per_second, settings.rate.burst),
            attaches: Bucket::new(ATTACHES_PER_SECOND, ATTACH_BURST),
            vain: Bucket::new(VAIN_PER_SECOND, VAIN_BURST),
            requests: Bucket::new(REQUESTS_PER_SECOND, REQUEST_BURST),
            settings,
            window,
            window_cap,
            refusal: None,
            state: State::Idle,
        }
    }

    /// The session, if there is one.
    #[inline]
    pub const fn session(&mut self) -> Option<&mut Session<P>> {
        match &mut self.state {
            State::Open(session) => Some(session),
            _ => None,
        }
    }

    /// Takes the attempt to attach out, if there is one. What follows is the caller's to put in.
    pub(crate) fn take_attaching(&mut self) -> Option<Attaching<P>> {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Attaching(attaching) => Some(attaching),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Takes the session out, if there is one. What follows is the caller's to put in.
    pub(crate) fn take_session(&mut self) -> Option<Session<P>> {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Open(session) => Some(session),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Takes what is left of a session out, if anything is. What follows is the caller's to put in.
    pub(crate) fn take_closing(&mut self) -> Option<Closing<P>> {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Closing(closing) => Some(closing),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// What it is doing, for the administration.
    pub const fn describe(&self) -> PortState {
        match self.state {
            State::Idle => PortState::Idle,
            State::Attaching(_) => PortState::Attaching,
            State::Open(_) => PortState::Open,
            State::Closing(_) => PortState::Closing,
        }
    }
}

/// The notification bit by which a port's client tells the driver to look.
pub const fn kick_bit(port: PortNumber) -> u64 {
    FIRST_BIT + 2 * port as u64
}

/// The notification bit by which the kernel tells of slots whose owner is gone.
pub const fn limbo_bit(port: PortNumber) -> u64 {
    kick_bit(port) + 1
}

/// What a notification bit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bit {
    /// The device.
    Device,
    /// Time has passed.
    Timer,
    /// Somebody wants a sign of life.
    Beat,
    /// A client has work.
    Kick(PortNumber),
    /// A client's transmit memory is gone.
    Limbo(PortNumber),
    /// Somebody's receive memory is gone.
    ReceiveLimbo,
}

/// Bits of the driver itself: the device's interrupts, as many as it has; the beat; the timer.
pub const TIMER_BIT: u64 = 63;
/// By which the kernel tells of receive pages whose owner is gone.
pub const RECEIVE_LIMBO_BIT: u64 = 61;

impl Bit {
    /// What a bit is about.
    pub const fn from_number(number: u64) -> Bit {
        match number {
            TIMER_BIT => Bit::Timer,
            RECEIVE_LIMBO_BIT => Bit::ReceiveLimbo,
            BEAT_BIT => Bit::Beat,
            0..FIRST_BIT => Bit::Device,
            _ => {
                let port = ((number - FIRST_BIT) / 2) as PortNumber;
                match number & 1 {
                    0 => Bit::Kick(port),
                    _ => Bit::Limbo(port),
                }
            }
        }
    }
}

/// The badge of a port's capability.
pub const fn port_badge(port: PortNumber, serial: u64) -> u64 {
    Badge::Port(port, serial).word()
}

/// The badge of a session's capability.
pub const fn session_badge(port: PortNumber, serial: u64) -> u64 {
    Badge::Session(port, serial).word()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_tell_what_they_are_about() {
        assert_eq!(Bit::from_number(0), Bit::Device);
        assert_eq!(Bit::from_number(60), Bit::Device);
        assert_eq!(Bit::from_number(RECEIVE_LIMBO_BIT), Bit::ReceiveLimbo);
        assert_eq!(Bit::from_number(BEAT_BIT), Bit::Beat);
        assert_eq!(Bit::from_number(TIMER_BIT), Bit::Timer);
        for port in [0, 1, 31, MOST_PORTS as u16 - 1] {
            assert!(limbo_bit(port) < abi::NOTIFY_BITS as u64);
            assert_eq!(Bit::from_number(kick_bit(port)), Bit::Kick(port));
            assert_eq!(Bit::from_number(limbo_bit(port)), Bit::Limbo(port));
        }
    }
}
