//! Frames for many: handed to one member of their group after the other, in bounded pieces.
//!
//! A frame waits where it lies, in a receive buffer or in transmission, until the last member has it.
//! How many may wait is bounded for the wire and for each sender; each recipient keeps a quarter of
//! its pages, and of its ring, for frames that are for it alone.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use dev::statistics::Counter;
use dev::{Mac, Program};
use ring::CAPACITY;

use crate::assembly::{Fragments, USUAL};
use crate::buffers::Fragment;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::frame::{Part, Rest, Source, Stretch};
use crate::misbehaviour::End;
use crate::port::Port;
use crate::receive::{Origin, deliver, mark_private, memory};
use crate::session::Session;
use crate::transport::Transport;

/// Copies made in a round.
const ROUND: usize = 32;
/// Frames from the wire that may wait. They lie in receive buffers, of which there are more.
const MOST_FROM_WIRE: usize = 16;

/// Multicast frames of one session that may be on their way to others.
pub(crate) const MOST_FANOUTS: usize = 4;

/// Which session sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its port.
    pub port: PortNumber,
    /// Its serial number: another session may have followed.
    pub session: u64,
}

/// Where a frame for a group lies.
#[expect(
    clippy::large_enum_variant,
    reason = "few are kept at a time, and nothing is allocated for them while frames come"
)]
#[derive(Clone, Copy, Debug)]
pub enum Where {
    /// In buffers that the device filled.
    Received(Fragments),
    /// In transmission.
    Sent {
        /// Who sent it.
        sender: Sender,
        /// The frame's token.
        token: u16,
        /// Where it begins, in the driver's pool.
        head: Part,
        /// Where it goes on, in the sender's window.
        rest: Rest,
    },
}

/// A frame on its way to the members of a group.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The group.
    pub group: Mac,
    /// Where it lies.
    pub frame: Where,
    /// Who got it last.
    pub last: Option<PortNumber>,
}

impl Item {
    const fn is_from_wire(&self) -> bool {
        matches!(self.frame, Where::Received(_))
    }
}

/// All frames on their way to groups.
#[derive(Debug, Default)]
pub struct Fanout {
    items: VecDeque<Item>,
    from_wire: usize,
}

impl Fanout {
    /// None; there is room for those from the wire, and for a sender's.
    pub fn new() -> Fanout {
        Fanout {
            items: VecDeque::with_capacity(MOST_FROM_WIRE + MOST_FANOUTS),
            from_wire: 0,
        }
    }

    /// Makes room for the frames of so many senders. `false`: there is no memory.
    pub fn reserve(&mut self, senders: usize) -> bool {
        let wanted = MOST_FROM_WIRE + senders * MOST_FANOUTS;
        let more = wanted.saturating_sub(self.items.len());
        self.items.try_reserve(more).is_ok()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// A frame for a group.
    pub fn add(&mut self, item: Item) {
        self.from_wire += item.is_from_wire() as usize;
        self.items.push_back(item);
    }

    fn finish(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.from_wire -= item.is_from_wire() as usize;
        }
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// A frame for a group came from the wire.
    pub(crate) fn fan_out_received(&mut self, group: Mac, fragments: &[Fragment]) {
        if group != Mac::BROADCAST {
            // It may be for sealed ports alone.
            mark_private(&mut self.slots, fragments);
        }
        let taken = if self.demux.members(group) == 0 {
            Err(Counter::Nobody)
        } else if self.fanout.from_wire >= MOST_FROM_WIRE {
            Err(Counter::DeviceMulticast)
        } else {
            Fragments::of(fragments).ok_or(Counter::DeviceGiant)
        };
        match taken {
            Ok(fragments) => self.fanout.add(Item {
                group,
                frame: Where::Received(fragments),
                last: None,
            }),
            Err(counter) => {
                self.deliveries.dropped += 1;
                self.counters.count(counter);
                self.release_all(fragments);
            }
        }
    }

    /// Hands frames to members of their groups.
    pub(crate) fn hand_out(&mut self) {
        let mut left = ROUND;
        while left > 0
            && let Some(item) = self.fanout.items.front().copied()
        {
            match self.demux.next_member(item.group, item.last) {
                Some(member) => {
                    left -= 1;
                    if let Some(front) = self.fanout.items.front_mut() {
                        front.last = Some(member);
                    }
                    let own =
                        matches!(item.frame, Where::Sent { sender, .. } if sender.port == member);
                    if !own {
                        self.hand_to(member, &item);
                    }
                }
                None => {
                    self.fanout.finish();
                    self.handed_out(&item);
                }
            }
        }
    }

    /// Everybody has the frame.
    fn handed_out(&mut self, item: &Item) {
        let (sender, token) = match &item.frame {
            Where::Received(fragments) => return self.release_all(fragments.list()),
            Where::Sent { sender, token, .. } => (sender, *token),
        };
        if let Some(session) = session(&mut self.ports, sender.port)
            && session.serial == sender.session
        {
            session.fanouts -= 1;
        }
        let borrowed = self.flights.handed_out(token);
        self.restore(borrowed);
        self.schedule.unblock();
    }

    fn hand_to(&mut self, member: PortNumber, item: &Item) {
        let rest_memory = match &item.frame {
            // Its window stays until the frame is handed out.
            Where::Sent { sender, .. } => self
                .ports
                .get(sender.port as usize)
                .and_then(Option::as_ref)
                .map(|port| port.window.memory().clone()),
            Where::Received(_) => None,
        };
        let nothing = Stretch {
            memory: self.pool.memory(),
            part: Part::default(),
        };
        let mut stretches = [nothing; USUAL];
        let count = match &item.frame {
            Where::Received(fragments) => {
                for (to, fragment) in stretches.iter_mut().zip(fragments.list()) {
                    *to = Stretch {
                        memory: memory(&self.pool, &self.slots, fragment.buffer),
                        part: fragment.part,
                    };
                }
                fragments.list().len()
            }
            Where::Sent { head, rest, .. } => {
                stretches[0].part = *head;
                let memory = rest_memory.as_ref().unwrap_or(self.pool.memory());
                for (to, part) in stretches[1..].iter_mut().zip(rest.parts()) {
                    *to = Stretch {
                        memory,
                        part: *part,
                    };
                }
                1 + rest.parts().len()
            }
        };
        let source = Source::new(&stretches[..count.min(USUAL)]);
        let delivered = match has_quota(&mut self.ports, member, source.length()) {
            Ok(true) => deliver(
                &mut self.ports,
                &mut self.dirty,
                &mut self.deliveries,
                member,
                &source,
                Origin::Group,
            ),
            Ok(false) => Ok(()),
            Err(end) => Err(end),
        };
        if let Err(end) = delivered {
            self.end(member, end);
        }
    }
}

/// Whether a session has room for a group's frame beyond what is kept for its own.
fn has_quota<P: Program>(
    ports: &mut [Option<Box<Port<P>>>],
    member: PortNumber,
    length: u32,
) -> Result<bool, End> {
    let Some(session) = session(ports, member) else {
        return Ok(false);
    };
    let few_pages = |session: &Session<P>| {
        !session.pages.fits_open(length) && session.pages.spare() * 4 <= session.pages.total()
    };
    if session.filled.room() <= CAPACITY / 4 {
        session.filled.refresh(&session.transmit_memory)?;
    }
    if few_pages(session) {
        session.collect_returns()?;
    }
    if session.filled.room() > CAPACITY / 4 && !few_pages(session) {
        return Ok(true);
    }
    if let Some(port) = ports.get_mut(member as usize).and_then(Option::as_mut) {
        port.counters.count(Counter::MulticastQuota);
    }
    Ok(false)
}
