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
use crate::transport::{Piece, Refused, Transport};

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
    /// Sends a session's outgoing frame, with the next free token.
    ///
    /// # Errors
    /// The client's memory is not what it was pinned as.
    #[inline]
    pub(crate) fn send(
        &mut self,
        from: &mut From<'_>,
        session: &mut Session<P>,
        token: u16,
    ) -> Result<Sent, End> {
        let at = self.buffers.copy(token);
        let length = session.outgoing.length;
        let head = Part {
            offset: at,
            length: length.min(COPIED as u32),
        };
        let destination = match self.check(from, session, head)? {
            Ok(destination) => destination,
            Err(counter) => {
                from.counters.count(counter);
                session.finish_frame();
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
            count(from.counters, length);
            from.counters.count(Counter::SentSwitched);
            let rest = Behind::of(&session.outgoing, head.length).rest();
            session.finish_frame();
            return Ok(Sent::Switched {
                recipient,
                head,
                rest,
            });
        }
        match self.queue(from.number, session, token, head) {
            Ok(()) => {}
            // Only what the device has can make room: without that, it would be waited for in vain.
            Err(Refused::Full) if self.flights.device_has_any() => return Ok(Sent::Blocked),
            Err(_) => {
                from.counters.count(Counter::Untaken);
                session.finish_frame();
                return Ok(Sent::Done(0));
            }
        }
        count(from.counters, length);
        let borrowed = if length > head.length {
            Some(session.lend(from.number))
        } else {
            session.finish_frame();
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
                    rest: Behind::of(&session.outgoing, head.length).rest(),
                },
                last: None,
            });
        }
        let each = length.max(LEAST_COST) as i64;
        Ok(Sent::Done(each * others as i64))
    }

    /// Copies a frame's first bytes and checks the copy; answers to whom it is.
    #[inline]
    fn check(
        &self,
        from: &From<'_>,
        session: &Session<P>,
        head: Part,
    ) -> Result<Result<Mac, Counter>, End> {
        let frame = &session.outgoing;
        if frame.length < HEADER {
            return Ok(Err(Counter::Runt));
        }
        if frame.length > self.limit {
            return Ok(Err(Counter::TooLong));
        }
        if Behind::of(frame, head.length).parts.len() >= self.pieces as usize {
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

    /// Queues a frame's pieces.
    ///
    /// # Errors
    /// The device doesn't take it now, or never.
    #[inline]
    fn queue(
        &mut self,
        number: PortNumber,
        session: &Session<P>,
        token: u16,
        head: Part,
    ) -> Result<(), Refused> {
        let rest = Behind::of(&session.outgoing, head.length);
        let head = self.buffers.copy_piece(token, head.length);
        let piece = |part: Part| {
            let page = (part.offset / PAGE_SIZE).wrapping_sub(FIRST_TRANSMIT_PAGE as usize);
            let page = session.transmit_pages.get(page);
            Piece {
                address: page.map_or(0, |page| page.address) + (part.offset % PAGE_SIZE) as u64,
                view: ((number as u64 + 1) << 21) + part.offset as u64,
                length: part.length,
            }
        };
        match rest.parts {
            [] => self.transport.transmit(&[head], token),
            [part] => {
                let pieces = [head, piece(behind(*part, rest.skip))];
                self.transport.transmit(&pieces, token)
            }
            parts => {
                let mut pieces = [head; 1 + MOST_PARTS];
                for (to, part) in pieces[1..].iter_mut().zip(rest.iter()) {
                    *to = piece(part);
                }
                self.transport.transmit(&pieces[..1 + parts.len()], token)
            }
        }
    }
}

/// What of a frame lies behind its first bytes.
struct Behind<'a> {
    /// The parts of which something does.
    parts: &'a [Part],
    /// Bytes of the first of them that don't.
    skip: u32,
}

impl<'a> Behind<'a> {
    #[inline]
    fn of(frame: &'a Outgoing, first: u32) -> Self {
        let (mut parts, mut skip) = (frame.parts.parts(), first);
        while let [part, others @ ..] = parts
            && skip >= part.length
        {
            skip -= part.length;
            parts = others;
        }
        Behind { parts, skip }
    }

    fn iter(&self) -> impl Iterator<Item = Part> {
        let skips = core::iter::once(self.skip).chain(core::iter::repeat(0));
        let parts = self.parts.iter().zip(skips);
        parts.map(|(part, skip)| behind(*part, skip))
    }

    /// The same by itself.
    #[inline(never)]
    fn rest(&self) -> Rest {
        let mut rest = Rest::default();
        for part in self.iter() {
            rest.push(part);
        }
        rest
    }
}

/// What of a part lies behind so many bytes.
#[inline]
const fn behind(part: Part, skip: u32) -> Part {
    Part {
        offset: part.offset + skip as usize,
        length: part.length - skip,
    }
}

#[inline]
fn count(counters: &mut Counters, length: u32) {
    counters.count(Counter::SentFrames);
    counters.add(Counter::SentBytes, length as u64);
}
