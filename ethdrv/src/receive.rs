//! Receiving: from the device to sessions.

use alloc::boxed::Box;
use alloc::vec::Vec;

use dev::Program;
use dev::statistics::Counter;

use crate::demux::{PortNumber, Side};
use crate::driver::Driver;
use crate::frame::{HEADER, Header, Part, Source};
use crate::misbehaviour::End;
use crate::port::{Port, State};
use crate::strategy::{self, Undelivered};
use crate::transport::{Received, Transport};

/// Frames taken from the device in a round.
const ROUND: usize = 64;

/// What comes with a frame beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The wire sent it to this station.
    Wire,
    /// Another session did.
    Session,
    /// It is a group's.
    Group,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Takes frames from the device. `true`: there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        for _ in 0..ROUND {
            let (pool, buffers) = (self.pool.memory(), &self.buffers);
            let headroom = |token, offset| buffers.headroom(pool, token, offset);
            match self.transport.receive(headroom) {
                Ok(None) => return false,
                Ok(Some(received)) => self.received(&received),
                Err(_) => self.counters.count(Counter::DeviceFault),
            }
        }
        true
    }

    /// Lends the device a buffer.
    pub(crate) fn post(&mut self, token: u16) {
        if let Some(piece) = self.buffers.post(token)
            && self.transport.post(piece, token).is_err()
        {
            // It takes no more than it said; the buffer is lost to it until the driver starts anew.
            self.buffers.take(token);
            self.counters.count(Counter::DeviceFault);
        }
    }

    #[inline]
    fn received(&mut self, received: &Received) {
        let Some((start, room)) = self.buffers.take(received.token) else {
            self.counters.count(Counter::DeviceLie);
            return;
        };
        if !self.look_at(received, start, room) {
            self.post(received.token);
        }
    }

    /// Looks at a filled buffer. `true`: it is still needed.
    #[inline]
    fn look_at(&mut self, received: &Received, start: usize, room: u32) -> bool {
        if received.more || self.giant {
            if !self.giant {
                self.counters.count(Counter::DeviceGiant);
            }
            self.giant = received.more;
            return false;
        }
        let length = received.length;
        let fits = received
            .offset
            .checked_add(length)
            .is_some_and(|end| end <= room);
        if length < HEADER || !fits {
            self.counters.count(Counter::DeviceRunt);
            return false;
        }
        let part = Part {
            offset: start + received.offset as usize,
            length,
        };
        let destination = Header::destination(self.pool.memory(), part.offset);
        if destination.is_group() {
            return self.fan_out_received(destination, received.token, part);
        }
        match self.demux.station(destination, Side::Wire) {
            None => self.counters.count(Counter::Nobody),
            Some(number) => {
                let source = Source::whole(self.pool.memory(), part);
                let delivered = deliver(
                    &mut self.ports,
                    &mut self.dirty,
                    number,
                    &source,
                    Origin::Wire,
                );
                if let Err(end) = delivered {
                    self.end(number, end);
                }
            }
        }
        false
    }
}

/// Delivers a frame to a port, or drops and counts it.
///
/// # Errors
/// The recipient's session must end.
#[inline]
pub(crate) fn deliver<P: Program>(
    ports: &mut [Option<Box<Port<P>>>],
    dirty: &mut Vec<PortNumber>,
    number: PortNumber,
    frame: &Source<'_, P::Own>,
    origin: Origin,
) -> Result<(), End> {
    let Some(port) = ports.get_mut(number as usize).and_then(Option::as_mut) else {
        return Ok(());
    };
    let State::Open(session) = &mut port.state else {
        port.counters.count(Counter::NoSession);
        return Ok(());
    };
    match strategy::deliver(port.settings.receive.strategy, session, frame) {
        Ok(()) => {
            port.counters.count(Counter::ReceivedFrames);
            port.counters
                .add(Counter::ReceivedBytes, frame.length() as u64);
            port.counters.count(Counter::Copied);
            match origin {
                Origin::Wire => {}
                Origin::Session => port.counters.count(Counter::ReceivedSwitched),
                Origin::Group => port.counters.count(Counter::ReceivedMulticast),
            }
            if !session.dirty {
                session.dirty = true;
                dirty.push(number);
            }
            Ok(())
        }
        Err(Undelivered::Dropped(counter)) => {
            port.counters.count(counter);
            Ok(())
        }
        Err(Undelivered::End(end)) => Err(end),
    }
}
