//! Sending: deficit round robin over sessions (Shreedhar and Varghese, 1995).
//!
//! A turn earns a session its share in bytes; it sends while what it earned lasts, what it did not
//! spend stays for the next turn, and who has nothing to send keeps nothing. What a session costs
//! counts, refused frames too, so nobody gains by sending rubbish.

use dev::Program;
use dev::statistics::Counter;

use crate::close::Landed;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::flight::Borrowed;
use crate::frame::{LONGEST_SENT, MOST_PARTS, Source, Stretch};
use crate::misbehaviour::End;
use crate::multicast::MOST_FANOUTS;
use crate::outlet::{From, Outlet, Sent};
use crate::per_frame::next_pinned;
use crate::port::State;
use crate::receive::{Origin, deliver};
use crate::session::Session;
use crate::transport::Transport;

/// Frames looked at in a round.
const ROUND: u32 = 64;
/// What a turn earns a session of share 1, in bytes: a full frame.
const QUANTUM: i64 = 1536;
/// What a frame costs at least: looking at it takes time, however short it is.
pub(crate) const LEAST_COST: u32 = 64;

/// How a turn ends.
enum Turn {
    /// The session has nothing more to send.
    Empty,
    /// It had nothing to send.
    Vain,
    /// It has more, and has used up what it earned.
    Rotate,
    /// It has more, and is held back until then.
    Throttled(u64),
    /// The device takes no more.
    Blocked,
    /// The round is over.
    Spent,
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
                Ok(Turn::Vain) => match self.hold_back(number) {
                    Some(wake) => self.schedule.throttle(wake),
                    None => self.schedule.drop_current(),
                },
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

    /// A session had the driver look, and there was nothing: who does so too often is looked at again when
    /// it has earned that, and not before, whatever it tells. Answers when.
    #[cold]
    fn hold_back(&mut self, number: PortNumber) -> Option<u64> {
        let now = self.program.now();
        let port = self.ports.get_mut(number as usize)?.as_deref_mut()?;
        let State::Open(session) = &mut port.state else {
            return None;
        };
        // The look that was owed to it counts as one, too.
        session.held_back = false;
        let wake = port.vain.take(1, now).err()?;
        (session.held_back, session.scheduled) = (true, true);
        port.counters.count(Counter::HeldBack);
        Some(wake)
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
        let before = *left;
        let limit = self.information.frame_limit.min(LONGEST_SENT);
        let mut earned = begins as i64 * QUANTUM;
        loop {
            let Some(port) = self
                .ports
                .get_mut(number as usize)
                .and_then(Option::as_deref_mut)
            else {
                return Ok(Turn::Empty);
            };
            let State::Open(session) = &mut port.state else {
                return Ok(Turn::Empty);
            };
            if earned > 0 {
                // It brings less than a frame along from the turn before: turns are not saved up.
                earned *= port.settings.rate.share as i64;
                session.deficit = session.deficit.min(limit as i64) + earned;
                earned = 0;
            }
            let mut outlet = Outlet {
                pool: &self.pool,
                buffers: &self.buffers,
                flights: &mut self.flights,
                transport: &mut self.transport,
                demux: &mut self.demux,
                fanout: &mut self.fanout,
                limit,
                pieces: self.information.pieces,
            };
            let mut from = From {
                number,
                mac: port.settings.mac,
                bindings: &port.bindings,
                counters: &mut port.counters,
            };
            Self::touch(&mut self.dirty, number, session);
            // Until a frame is for another session, which needs the other port too.
            let (recipient, head, rest) = loop {
                if session.fanouts as usize >= MOST_FANOUTS {
                    return Ok(Turn::Rotate);
                }
                let next = match session.frame_pins {
                    None => next_frame(session)?,
                    Some(_) => next_pinned(
                        &self.program,
                        &port.window,
                        session,
                        from.counters,
                        next_frame,
                    )?,
                };
                if !next {
                    let vain = begins && *left == before;
                    return Ok(if vain { Turn::Vain } else { Turn::Empty });
                }
                let cost = session.outgoing.length.min(limit).max(LEAST_COST);
                let token = outlet.flights.next();
                let stop = match token {
                    _ if *left == 0 => Some(Turn::Spent),
                    _ if session.deficit < cost as i64 => Some(Turn::Rotate),
                    None => Some(Turn::Blocked),
                    Some(_) if port.bucket.is_limited() => port
                        .bucket
                        .take(cost as u64, self.program.now())
                        .err()
                        .map(Turn::Throttled),
                    Some(_) => None,
                };
                let (None, Some(token)) = (&stop, token) else {
                    session.pending = true;
                    let throttled = matches!(stop, Some(Turn::Throttled(_)));
                    from.counters.add(Counter::Throttled, throttled as u64);
                    return Ok(stop.unwrap_or(Turn::Blocked));
                };
                *left -= 1;
                match outlet.send(&mut from, session, token)? {
                    Sent::Done(extra) => session.deficit -= cost as i64 + extra,
                    Sent::Switched {
                        recipient,
                        head,
                        rest,
                    } => {
                        session.deficit -= cost as i64;
                        break (recipient, head, rest);
                    }
                    Sent::Blocked => {
                        session.pending = true;
                        return Ok(Turn::Blocked);
                    }
                }
            };
            let rest_memory = session.transmit_memory.clone();
            let head = Stretch {
                memory: self.pool.memory(),
                part: head,
            };
            let mut stretches = [head; 1 + MOST_PARTS];
            for (to, part) in stretches[1..].iter_mut().zip(rest.parts()) {
                *to = Stretch {
                    memory: &rest_memory,
                    part: *part,
                };
            }
            let source = Source::new(&stretches[..1 + rest.parts().len()]);
            let delivered = deliver(
                &mut self.ports,
                &mut self.dirty,
                &mut self.deliveries,
                recipient,
                &source,
                Origin::Session,
            );
            if let Err(end) = delivered {
                self.end(recipient, end);
            }
        }
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
                    self.jobs.push(number);
                }
            }
            State::Idle | State::Attaching(_) => {}
        }
    }
}

/// Takes the next frame that a session wants to send. `false`: there is none, and it wakes the driver
/// when there is.
#[inline]
fn next_frame<P: Program>(session: &mut Session<P>) -> Result<bool, End> {
    if core::mem::take(&mut session.pending) {
        return Ok(true);
    }
    loop {
        if session.next_outgoing()? {
            return Ok(true);
        }
        if session.transmit.refresh(&session.transmit_memory)? > 0 {
            continue;
        }
        if !session
            .transmit
            .ask(&session.receive, &session.transmit_memory)?
        {
            session.deficit = session.deficit.min(0);
            session.scheduled = false;
            return Ok(false);
        }
    }
}
