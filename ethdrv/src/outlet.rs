//! One frame out: copied, checked, and on its way to the device, to another session, or to a group.
//!
//! The first bytes of a frame are copied into the driver's pool; *the copy* is checked, and the copy
//! is what leaves. The rest goes straight from the client's page, which is pinned.

use abi::PAGE_SIZE;
use dev::layout::{COPIED, FIRST_TRANSMIT_PAGE};
use dev::pool::Pool;
use dev::statistics::{Counter, Counters};
use dev::{Mac, Program};
use sys::Mem;

use crate::bound::Bindings;
use crate::buffers::Buffers;
use crate::check;
use crate::demux::{Demux, PortNumber, Side};
use crate::flight::Flights;
use crate::frame::{HEADER, Header, MOST_PARTS, Part, Rest};
use crate::misbehaviour::End;
use crate::multicast::{Fanout, Item, Sender, Where};
use crate::outgoing::Outgoing;
use crate::session::Session;
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
    /// Most pieces of a frame that the device takes.
    pub(crate) pieces: u16,
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
        let rest = behind(frame, head.length);
        let destination = match self.check(from, session, frame, head)? {
            Ok(destination) => destination,
            Err(counter) => {
                from.counters.count(counter);
                session.finish_frame(frame);
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
            session.finish_frame(frame);
            return Ok(Sent::Switched {
                recipient,
                head,
                rest,
            });
        }
        if !self.queue(from.number, session, token, head, &rest) {
            return Ok(Sent::Blocked);
        }
        count(from.counters, frame.length);
        let borrowed = if !rest.parts().is_empty() {
            Some(session.lend(from.number, frame))
        } else {
            session.finish_frame(frame);
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
        if behind(frame, head.length).parts().len() >= self.pieces as usize {
            return Ok(Err(Counter::Scattered));
        }
        let memory = self.pool.memory();
        let mut done = 0;
        for part in frame.parts.parts() {
            let length = part.length.min(head.length - done) as usize;
            session.transmit_memory.copy_to(
                part.offset,
                memory,
                head.offset + done as usize,
                length,
            )?;
            done += length as u32;
        }
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
        head: Part,
        rest: &Rest,
    ) -> bool {
        let head = self.buffers.copy_piece(token, head.length);
        let piece = |part: &Part| {
            let page = (part.offset / PAGE_SIZE).wrapping_sub(FIRST_TRANSMIT_PAGE as usize);
            let page = session.transmit_pages.get(page);
            Piece {
                address: page.map_or(0, |page| page.address) + (part.offset % PAGE_SIZE) as u64,
                view: ((number as u64 + 1) << 21) + part.offset as u64,
                length: part.length,
            }
        };
        let queued = match rest.parts() {
            [] => self.transport.transmit(&[head], token),
            [rest] => self.transport.transmit(&[head, piece(rest)], token),
            parts => {
                let mut pieces = [head; 1 + MOST_PARTS];
                for (to, part) in pieces[1..].iter_mut().zip(parts) {
                    *to = piece(part);
                }
                self.transport.transmit(&pieces[..1 + parts.len()], token)
            }
        };
        queued.is_ok()
    }
}

/// What of a frame lies behind its first bytes.
#[inline]
fn behind(frame: &Outgoing, first: u32) -> Rest {
    let mut skip = first;
    let mut rest = Rest::default();
    for part in frame.parts.parts() {
        if skip >= part.length {
            skip -= part.length;
            continue;
        }
        rest.push(Part {
            offset: part.offset + skip as usize,
            length: part.length - skip,
        });
        skip = 0;
    }
    rest
}

#[inline]
fn count(counters: &mut Counters, length: u32) {
    counters.count(Counter::SentFrames);
    counters.add(Counter::SentBytes, length as u64);
}
