//! A session with the ethernet driver as a [`Link`].
//!
//! The driver can die, and the port can be revoked without its user: then frames neither come nor go
//! until the stack's owner attaches again ([`SessionLink::attach`]); the transmit segment stays.

use alloc::vec::Vec;

use dev::burst;
use dev::port::{AttachError, Port};
use dev::program::Program;
use dev::session::{Lost, Session, TransmitSegment};
use dev::statistics::Counter;
use log::warn;
use sys::bank::Bank;
use sys::object::Notify;
use sys::{Cap, Error, Mem};

use crate::link::{Link, Need};
use crate::packet::{ETHERNET, Mac};
use crate::text::ShowMac;

/// Counters that are shown when they are zero too: what comes and goes, and in which of the ways that
/// there are it came.
const ALWAYS_SHOWN: [Counter; 6] = [
    Counter::ReceivedFrames,
    Counter::Copied,
    Counter::InPlace,
    Counter::Exchanged,
    Counter::Recovered,
    Counter::SentFrames,
];

/// Pages of the two segments, where the port allows as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// To send from.
    pub transmit: u16,
    /// To receive into.
    pub receive: u16,
}

/// The link.
pub struct SessionLink<'a, P: Program> {
    program: &'a P,
    segment: TransmitSegment<P>,
    session: Option<Session<P>>,
    /// Why the last session ended, until somebody asks.
    lost: Option<Lost>,
    /// The frame that is being written: as long as the longest that can be sent.
    frame: Vec<u8>,
    /// Longest frame that comes.
    frame_limit: usize,
    /// Pages that frames are received into.
    receive_pages: u16,
    mac: Mac,
}

/// What a link attaches with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The port.
    pub port: Port,
    /// Pays for what is received into.
    pub bank: Cap<Bank>,
    /// Signalled when a frame came or one can be sent, if that was asked for.
    pub notify: Cap<Notify>,
    /// Pages to receive into.
    pub receive_pages: u16,
}

impl<'a, P: Program> SessionLink<'a, P> {
    /// Buys the transmit segment and attaches.
    ///
    /// # Errors
    /// The bank's or the driver's refusal. After the driver's, the segment is given up.
    pub fn open(
        program: &'a P,
        terms: &Terms,
        transmit_pages: u16,
    ) -> Result<SessionLink<'a, P>, AttachError> {
        let segment = TransmitSegment::buy(program, transmit_pages).map_err(plain)?;
        let Terms {
            port,
            bank,
            notify,
            receive_pages,
        } = *terms;
        match Session::attach(program, port, bank, &segment, receive_pages, notify) {
            Ok(session) => Ok(SessionLink {
                program,
                segment,
                mac: session.mac().bytes(),
                frame: alloc::vec![0; session.send_limit() as usize],
                frame_limit: session.frame_limit() as usize,
                receive_pages: session.receive_pages() as u16,
                session: Some(session),
                lost: None,
            }),
            Err(error) => {
                segment.release(program);
                Err(error)
            }
        }
    }

    /// Attaches again, after the session was lost. Groups must be subscribed to again.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn attach(&mut self, terms: &Terms) -> Result<(), AttachError> {
        self.detach();
        let Terms {
            port,
            bank,
            notify,
            receive_pages,
        } = *terms;
        let segment = &self.segment;
        let session = Session::attach(self.program, port, bank, segment, receive_pages, notify)?;
        if session.mac().bytes() != self.mac || session.frame_limit() as usize != self.frame_limit {
            // A port is the same one for life; a stack can't be told otherwise in its midst.
            session.detach(self.program);
            return Err(plain(Error::new(sys::abi::error::EINVAL)));
        }
        self.session = Some(session);
        Ok(())
    }

    /// Ends the session, if there is one.
    pub fn detach(&mut self) {
        if let Some(session) = self.session.take() {
            session.detach(self.program);
        }
    }

    /// The port's MAC address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Whether there is a session.
    pub fn is_attached(&self) -> bool {
        self.session.is_some()
    }

    /// Whether a session ended and nobody has asked why.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Why the session ended, once.
    pub fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    /// Does something with the session; notes if that ends it.
    #[inline]
    fn with<T>(&mut self, act: impl FnOnce(&mut Session<P>, &P) -> Result<T, Lost>) -> Option<T> {
        let session = self.session.as_mut()?;
        match act(session, self.program) {
            Ok(value) => Some(value),
            Err(lost) => {
                self.lost = Some(lost);
                self.detach();
                None
            }
        }
    }
}

fn plain(status: Error) -> AttachError {
    AttachError {
        status,
        refusal: dev::refusal::Refusal::Unknown,
    }
}

impl<P: Program> Link for SessionLink<'_, P> {
    fn mtu(&self) -> usize {
        self.frame.len().saturating_sub(ETHERNET)
    }

    fn frame_limit(&self) -> usize {
        self.frame_limit
    }

    fn burst(&self, length: usize) -> usize {
        burst::frames(self.receive_pages, length as u32) as usize
    }

    #[inline]
    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        self.with(|session, _| {
            let Some(frame) = session.receive()? else {
                return Ok(None);
            };
            let length = frame.len();
            if let Some(into) = into.get_mut(..length) {
                frame.read(session.receive_memory(), into)?;
            }
            session.give_back(frame);
            Ok(Some(length))
        })?
    }

    #[inline]
    fn room(&mut self) -> usize {
        self.with(|session, _| session.room()).unwrap_or(0) as usize
    }

    #[inline]
    fn buffer(&mut self, length: usize) -> Option<&mut [u8]> {
        let room = self.with(|session, _| session.room())?;
        match room {
            0 => None,
            _ => self.frame.get_mut(..length),
        }
    }

    #[inline]
    fn send(&mut self, length: usize) {
        self.send_with(length, &[]);
    }

    #[inline]
    fn send_with(&mut self, length: usize, rest: &[u8]) {
        let SessionLink {
            session: Some(session),
            frame,
            ..
        } = self
        else {
            return;
        };
        let whole = length + rest.len();
        let Some(first) = frame.get(..length).filter(|_| whole <= frame.len()) else {
            return;
        };
        // The segment is our own, and the buffer lies in it; were it otherwise, nothing would go out.
        let (memory, at) = (session.transmit_memory(), session.buffer());
        let mut written = memory.write(at, first);
        if !rest.is_empty() {
            written = written.and_then(|()| memory.write(at + length, rest));
        }
        if written.is_ok() {
            self.with(|session, _| session.send(whole as u32));
        }
    }

    fn flush(&mut self) {
        self.with(|session, program| session.flush(program));
    }

    fn subscribe(&mut self, group: [u8; 6], wanted: bool) {
        let Some(session) = &self.session else {
            return;
        };
        let outcome = session.subscribe(self.program, dev::Mac::new(group), wanted);
        if let Err(error) = outcome {
            warn!("group {}: {error}", ShowMac(group));
        }
    }

    fn arm(&mut self, need: Need) -> bool {
        let ready = self.with(|session, program| match need {
            Need::Frame => session.ask(program, false),
            Need::Room => session.ask_room(program),
        });
        ready.unwrap_or(false)
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        let Some(session) = &self.session else {
            return;
        };
        let Ok(counters) = session.statistics(self.program) else {
            return;
        };
        for counter in Counter::ALL {
            let value = counters.get(*counter);
            if value > 0 || ALWAYS_SHOWN.contains(counter) {
                visit(counter.name(), value);
            }
        }
    }
}
