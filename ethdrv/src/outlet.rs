//! One frame out: copied, checked, and on its way to the device, to another session, or to a group.
//!
//! The first bytes of a frame are copied into the driver's pool; *the copy* is checked, and the copy
//! is what leaves. The rest goes straight from the client's page, which is pinned.

use abi::PAGE_SIZE;
use dev::layout::COPIED;
use dev::pool::Pool;
use dev::statistics::{Counter, Counters};
use dev::{Mac, Program};
use sys::Mem;

use crate::bound::Bindings;
use crate::buffers::Buffers;
use crate::check;
use crate::demux::{Demux, PortNumber, Side};
use crate::flight::Flights;
use crate::frame::{HEADER, Header, Part, Rest};
use crate::misbehaviour::End;
use crate::multicast::{Fanout, Item, Sender, Where};
use crate::session::{Outgoing, Session};
use crate::transmit::LEAST_COST;
use crate::transport::{Piece, Transport};

/// What a frame passes through.
pub(crate) struct Outlet<'a, P: Program, T> {
    pub(crate) pool: &'a Pool<P>,
    pub(crate) buffers: &'a Buffers,
    pub(crate) flights: &'a mut Flights,
    pub(crate) transport: &'a mut T,
    pub(crate) demux: &'a mut Demux,
    pub(crate) fanout: &'a mut Fanout,
    /// Longest frame.
    pub(crate) limit: u32,
}

/// The port that a frame comes from.
pub(crate) struct From<'a> {
    pub(crate) number: PortNumber,
    pub(crate) mac: Mac,
    pub(crate) bindings: &'a Bindings,
    pub(crate) counters: &'a mut Counters,
}

/// What became of a frame.
pub(crate) enum Sent {
    /// It left, or was refused and counted; its sender pays so much beyond its own length.
    Done(i64),
    /// It is for another session: to be delivered now, while its memory stays what it is.
    Switched {
        recipient: PortNumber,
        head: Part,
        rest: Rest,
    },
    /// The device takes no more.
    Blocked,
}

impl<P: Program, T: Transport> Outlet<'_, P, T> {
    /// Sends a frame, with the next free token.
    ///
    /// # Errors
    /// The client's memory is not what it was pinned as.
    #[inline]
    pub(crate) fn send(
        &mut self,
        from: &mut From<'_>,
        session: &mut Session<P>,
        token: u16,
        frame: &Outgoing,
    ) -> Result<Sent, End> {
        let at = self.buffers.copy(token);
        let head = Part {
            offset: at,
            length: frame.length.min(COPIED as u32),
        };
        let mut rest = Rest::default();
        if frame.length > head.length {
            rest.push(Part {
                offset: frame.offset + head.length as usize,
                length: frame.length - head.length,
            });
        }
        let destination = match self.check(from, session, frame, head)? {
            Ok(destination) => destination,
            Err(counter) => {
                from.counters.count(counter);
                session.finish(frame.sequence);
                return Ok(Sent::Done(0));
            }
        };
        let mut others = 0;
        if destination.is_group() {
            let member = destination == Mac::BROADCAST || session.groups.contains(&destination);
            others = self.demux.members(destination) - member as usize;
        } else if let Some(recipient) = self.demux.station(destination, Side::Sessions)
            && recipient != from.number
        {
            count(from.counters, frame.length);
            from.counters.count(Counter::SentSwitched);
            session.finish(frame.sequence);
            return Ok(Sent::Switched {
                recipient,
                head,
                rest,
            });
        }
        if !self.queue(from.number, session, token, frame, head, &rest) {
            return Ok(Sent::Blocked);
        }
        count(from.counters, frame.length);
        let borrowed = if !rest.parts().is_empty() {
            Some(session.lend(from.number, frame))
        } else {
            session.finish(frame.sequence);
            None
        };
        self.flights.begin(true, others > 0, borrowed);
        if !destination.is_group() {
            return Ok(Sent::Done(0));
        }
        from.counters.count(Counter::SentMulticast);
        if others > 0 {
            session.fanouts += 1;
            self.fanout.add(Item {
                group: destination,
                frame: Where::Sent {
                    sender: Sender {
                        port: from.number,
                        session: session.serial,
                    },
                    token,
                    head,
                    rest,
                },
                last: None,
            });
        }
        let each = frame.length.max(LEAST_COST) as i64;
        Ok(Sent::Done(each * others as i64))
    }

    /// Copies a frame's first bytes and checks the copy; answers to whom it is.
    #[inline]
    fn check(
        &self,
        from: &From<'_>,
        session: &Session<P>,
        frame: &Outgoing,
        head: Part,
    ) -> Result<Result<Mac, Counter>, End> {
        if frame.length < HEADER {
            return Ok(Err(Counter::Runt));
        }
        if frame.length > self.limit {
            return Ok(Err(Counter::TooLong));
        }
        let memory = self.pool.memory();
        session
            .transmit_memory
            .copy_to(frame.offset, memory, head.offset, head.length as usize)?;
        let header = Header::read(memory, head.offset);
        if let Err(counter) = check::header(&header, from.mac, frame.length) {
            return Ok(Err(counter));
        }
        if !from.bindings.is_empty() {
            let mut bytes = [0; COPIED];
            let bytes = &mut bytes[..head.length as usize];
            memory.read(head.offset, bytes)?;
            let checked =
                check::addresses(from.bindings, from.mac, header.kind, bytes, frame.length);
            if let Err(counter) = checked {
                return Ok(Err(counter));
            }
        }
        Ok(Ok(header.destination))
    }

    /// Queues a frame's pieces. `false`: the device takes no more.
    #[inline]
    fn queue(
        &mut self,
        number: PortNumber,
        session: &Session<P>,
        token: u16,
        frame: &Outgoing,
        head: Part,
        rest: &Rest,
    ) -> bool {
        let head = self.buffers.copy_piece(token, head.length);
        let queued = if let [rest] = rest.parts() {
            let page = session.transmit_pages.get(frame.page as usize);
            let rest = Piece {
                address: page.map_or(0, |page| page.address) + (rest.offset % PAGE_SIZE) as u64,
                view: ((number as u64 + 1) << 21) + rest.offset as u64,
                length: rest.length,
            };
            self.transport.transmit(&[head, rest], token)
        } else {
            self.transport.transmit(&[head], token)
        };
        queued.is_ok()
    }
}

#[inline]
fn count(counters: &mut Counters, length: u32) {
    counters.count(Counter::SentFrames);
    counters.add(Counter::SentBytes, length as u64);
}
