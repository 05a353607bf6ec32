//! Sending: deficit round robin over sessions (Shreedhar and Varghese, 1995).
//!
//! A turn earns a session its share in bytes; it sends while what it earned lasts, what it did not
//! spend stays for the next turn, and who has nothing to send keeps nothing. What a session costs
//! counts, refused frames too, so nobody gains by sending rubbish.
//!
//! The first bytes of each frame are copied into the driver's pool; *the copy* is checked, and the
//! copy is what leaves. The rest goes straight from the client's page, which is pinned.

use abi::PAGE_SIZE;
use dev::Program;
use dev::layout::COPIED;
use dev::statistics::Counter;
use sys::Mem;

use crate::check;
use crate::close::Landed;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::flight::Borrowed;
use crate::frame::{HEADER, Header, Part, Source};
use crate::misbehaviour::End;
use crate::multicast::{Item, Sender};
use crate::port::State;
use crate::receive::{Origin, deliver};
use crate::session::Outgoing;
use crate::transport::{Piece, Transport};

/// Frames looked at in a round.
const ROUND: u32 = 64;
/// What a turn earns a session of share 1, in bytes: a full frame.
const QUANTUM: i64 = 1536;
/// What a frame costs at least: looking at it takes time, however short it is.
const LEAST_COST: u32 = 64;
/// Multicast frames of one session that may be on their way to others.
const MOST_FANOUTS: u32 = 4;

/// How a turn ends.
enum Turn {
    /// The session has nothing more to send.
    Empty,
    /// It has more, and has used up what it earned.
    Rotate,
    /// It has more, and is held back until then.
    Throttled(u64),
    /// The device takes no more.
    Blocked,
    /// The round is over.
    Spent,
}

/// What became of a frame.
enum Sent {
    /// It left, or was refused and counted; so many bytes beyond its own length are charged.
    Done(i64),
    /// The device takes no more.
    Blocked,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Sends for the sessions in turn.
    pub(crate) fn send(&mut self) {
        let mut left = ROUND;
        while left > 0 && self.schedule.is_busy() {
            let Some((number, begins)) = self.schedule.current() else {
                break;
            };
            match self.take_turn(number, begins, &mut left) {
                Ok(Turn::Empty) => self.schedule.drop_current(),
                Ok(Turn::Rotate) => self.schedule.rotate(),
                Ok(Turn::Throttled(wake)) => self.schedule.throttle(wake),
                Ok(Turn::Blocked) => self.schedule.block(),
                Ok(Turn::Spent) => break,
                Err(end) => {
                    self.schedule.drop_current();
                    self.end(number, end);
                }
            }
        }
    }

    /// A session may have something to send.
    pub(crate) fn activate(&mut self, number: PortNumber) {
        if let Some(session) = session(&mut self.ports, number)
            && !session.scheduled
        {
            session.scheduled = true;
            self.schedule.add(number);
        }
    }

    /// Those that their rate held back may go on when it is time.
    pub(crate) fn wake_throttled(&mut self) {
        if self.schedule.next_wake().is_some() {
            self.schedule.wake(self.program.now());
        }
    }

    fn take_turn(&mut self, number: PortNumber, begins: bool, left: &mut u32) -> Result<Turn, End> {
        // A turn that comes to nothing counts too: the round is bounded.
        *left -= 1;
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return Ok(Turn::Empty);
        };
        let State::Open(session) = &mut port.state else {
            return Ok(Turn::Empty);
        };
        if begins {
            session.deficit += QUANTUM * port.settings.rate.share as i64;
        }
        loop {
            let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
                return Ok(Turn::Empty);
            };
            let State::Open(session) = &mut port.state else {
                return Ok(Turn::Empty);
            };
            if session.fanouts >= MOST_FANOUTS {
                return Ok(Turn::Rotate);
            }
            let frame = match session.pending.take() {
                Some(frame) => frame,
                None => match session.next_outgoing()? {
                    Some(frame) => frame,
                    None if session.transmit.refresh(&session.transmit_memory)? > 0 => continue,
                    None if session
                        .transmit
                        .ask(&session.receive, &session.transmit_memory)? =>
                    {
                        continue;
                    }
                    None => {
                        session.deficit = session.deficit.min(0);
                        session.scheduled = false;
                        return Ok(Turn::Empty);
                    }
                },
            };
            let cost = frame.length.max(LEAST_COST);
            if *left == 0 {
                session.pending = Some(frame);
                return Ok(Turn::Spent);
            }
            if session.deficit < cost as i64 {
                session.pending = Some(frame);
                return Ok(Turn::Rotate);
            }
            let Some(token) = self.flights.next() else {
                session.pending = Some(frame);
                return Ok(Turn::Blocked);
            };
            if port.bucket.is_limited()
                && let Err(wake) = port.bucket.take(cost as u64, self.program.now())
            {
                session.pending = Some(frame);
                port.counters.count(Counter::Throttled);
                return Ok(Turn::Throttled(wake));
            }
            *left -= 1;
            session.deficit -= cost as i64;
            match self.send_frame(number, token, &frame)? {
                Sent::Done(0) => {}
                Sent::Done(extra) => {
                    if let Some(session) = crate::driver::session(&mut self.ports, number) {
                        session.deficit -= extra;
                    }
                }
                Sent::Blocked => {
                    if let Some(session) = crate::driver::session(&mut self.ports, number) {
                        session.pending = Some(frame);
                        session.deficit += cost as i64;
                    }
                    return Ok(Turn::Blocked);
                }
            }
        }
    }

    /// Copies, checks and sends one frame.
    #[inline]
    fn send_frame(
        &mut self,
        number: PortNumber,
        token: u16,
        frame: &Outgoing,
    ) -> Result<Sent, End> {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return Ok(Sent::Done(0));
        };
        let State::Open(session) = &mut port.state else {
            return Ok(Sent::Done(0));
        };
        let length = frame.length;
        let at = self.buffers.copy(token);
        let copied = length.min(COPIED as u32);
        let checked = if length < HEADER {
            Err(Counter::Runt)
        } else if length > self.information.frame_limit {
            Err(Counter::TooLong)
        } else {
            session.transmit_memory.copy_to(
                frame.offset,
                self.pool.memory(),
                at,
                copied as usize,
            )?;
            let header = Header::read(self.pool.memory(), at);
            let mac = port.settings.mac;
            check::header(&header, mac, length)
                .and_then(|()| {
                    if port.bindings.is_empty() {
                        return Ok(());
                    }
                    let mut bytes = [0; COPIED];
                    let bytes = &mut bytes[..copied as usize];
                    if self.pool.memory().read(at, bytes).is_err() {
                        return Err(Counter::Malformed);
                    }
                    check::addresses(&port.bindings, mac, header.kind, bytes, length)
                })
                .map(|()| header.destination)
        };
        let destination = match checked {
            Ok(destination) => destination,
            Err(counter) => {
                port.counters.count(counter);
                session.finish(frame.sequence);
                Self::touch(&mut self.dirty, number, session);
                return Ok(Sent::Done(0));
            }
        };
        let head = Part {
            offset: at,
            length: copied,
        };
        let rest = Part {
            offset: frame.offset + copied as usize,
            length: length - copied,
        };
        let mut group_members = 0;
        if destination.is_group() {
            let own = destination == dev::Mac::BROADCAST || session.groups.contains(&destination);
            group_members = self.demux.members(destination) - own as usize;
        } else if let Some(recipient) = self.demux.station(destination)
            && recipient != number
        {
            let rest_memory = session.transmit_memory.clone();
            let source = Source {
                head_memory: self.pool.memory(),
                head,
                rest_memory: &rest_memory,
                rest,
            };
            port.counters.count(Counter::SentFrames);
            port.counters.add(Counter::SentBytes, length as u64);
            port.counters.count(Counter::SentSwitched);
            session.finish(frame.sequence);
            Self::touch(&mut self.dirty, number, session);
            let delivered = deliver(
                &mut self.ports,
                &mut self.dirty,
                recipient,
                &source,
                Origin::Session,
            );
            if let Err(end) = delivered {
                self.end(recipient, end);
            }
            return Ok(Sent::Done(0));
        }
        let page = session.transmit_pages.get(frame.page as usize);
        let pieces = [
            self.buffers.copy_piece(token, copied),
            Piece {
                address: page.map_or(0, |page| page.address) + (rest.offset % PAGE_SIZE) as u64,
                view: ((number as u64 + 1) << 21) + rest.offset as u64,
                length: rest.length,
            },
        ];
        let used = if rest.length > 0 { 2 } else { 1 };
        if self.transport.transmit(&pieces[..used], token).is_err() {
            return Ok(Sent::Blocked);
        }
        port.counters.count(Counter::SentFrames);
        port.counters.add(Counter::SentBytes, length as u64);
        let borrowed = if rest.length > 0 {
            Some(session.lend(number, frame))
        } else {
            session.finish(frame.sequence);
            Self::touch(&mut self.dirty, number, session);
            None
        };
        let fanout = group_members > 0;
        self.flights.begin(true, fanout, borrowed);
        if destination.is_group() {
            port.counters.count(Counter::SentMulticast);
        }
        if fanout {
            session.fanouts += 1;
            self.fanout.add(Item {
                group: destination,
                sender: Some(Sender {
                    port: number,
                    session: session.serial,
                }),
                token,
                head,
                rest,
                last: None,
            });
        }
        Ok(Sent::Done(
            length.max(LEAST_COST) as i64 * group_members as i64,
        ))
    }

    /// Gives back what a frame in transmission borrowed.
    #[inline]
    pub(crate) fn restore(&mut self, borrowed: Option<Borrowed>) {
        let Some(borrowed) = borrowed else {
            return;
        };
        let number = borrowed.port;
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        match &mut port.state {
            State::Open(session) => {
                session.restore(&borrowed);
                Self::touch(&mut self.dirty, number, session);
            }
            State::Closing(closing) => {
                let landed = closing.landed();
                self.awaiting_flights -= (landed != Landed::One) as u32;
                if landed == Landed::Resume {
                    self.jobs.push_back(number);
                }
            }
            State::Idle | State::Attaching(_) => {}
        }
    }
}
