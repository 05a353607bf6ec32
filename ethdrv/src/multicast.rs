//! Frames for many: handed to one member of their group after the other, in bounded pieces.
//!
//! A frame waits where it lies, in a receive buffer or in transmission, until the last member has it.
//! How many may wait is bounded for the wire and for each sender; each recipient keeps a quarter of
//! its pages, and of its ring, for frames that are for it alone.

use alloc::collections::VecDeque;

use dev::statistics::Counter;
use dev::{Mac, Program};
use ring::CAPACITY;

use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::frame::{Part, Source};
use crate::misbehaviour::End;
use crate::receive::{Origin, deliver};
use crate::transport::Transport;

/// Copies made in a round.
const ROUND: usize = 32;
/// Frames from the wire that may wait. They lie in receive buffers, of which there are more.
const MOST_FROM_WIRE: usize = 16;

/// Which session sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its port.
    pub port: PortNumber,
    /// Its serial number: another session may have followed.
    pub session: u64,
}

/// A frame on its way to the members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The group.
    pub group: Mac,
    /// Which session sent it; `None`: the wire.
    pub sender: Option<Sender>,
    /// The token of the receive buffer, or of the frame in transmission.
    pub token: u16,
    /// Where it begins, in the driver's pool.
    pub head: Part,
    /// Where it goes on, in the sender's window.
    pub rest: Part,
    /// Who got it last.
    pub last: Option<PortNumber>,
}

/// All frames on their way to groups.
#[derive(Debug, Default)]
pub struct Fanout {
    items: VecDeque<Item>,
    from_wire: usize,
}

impl Fanout {
    /// None.
    pub fn new() -> Fanout {
        Fanout::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A frame for a group.
    pub fn add(&mut self, item: Item) {
        self.from_wire += item.sender.is_none() as usize;
        self.items.push_back(item);
    }

    fn finish(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.from_wire -= item.sender.is_none() as usize;
        }
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// A frame for a group came from the wire. `true`: its buffer is still needed.
    pub(crate) fn fan_out_received(&mut self, group: Mac, token: u16, head: Part) -> bool {
        if self.demux.members(group) == 0 {
            self.counters.count(Counter::Nobody);
            return false;
        }
        if self.fanout.from_wire >= MOST_FROM_WIRE {
            self.counters.count(Counter::DeviceMulticast);
            return false;
        }
        self.fanout.add(Item {
            group,
            sender: None,
            token,
            head,
            rest: Part::default(),
            last: None,
        });
        true
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
                    if item.sender.is_none_or(|sender| sender.port != member) {
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
        let Some(sender) = item.sender else {
            self.post(item.token);
            return;
        };
        if let Some(session) = session(&mut self.ports, sender.port)
            && session.serial == sender.session
        {
            session.fanouts -= 1;
        }
        let borrowed = self.flights.handed_out(item.token);
        self.restore(borrowed);
        self.schedule.unblock();
    }

    fn hand_to(&mut self, member: PortNumber, item: &Item) {
        let rest_memory = match item.sender {
            // Its window stays until the frame is handed out.
            Some(sender) if item.rest.length > 0 => self
                .ports
                .get(sender.port as usize)
                .and_then(Option::as_ref)
                .map(|port| port.window.memory().clone()),
            _ => None,
        };
        let delivered = match self.has_quota(member, item.head.length + item.rest.length) {
            Ok(true) => {
                let source = Source {
                    head_memory: self.pool.memory(),
                    head: item.head,
                    rest_memory: rest_memory.as_ref().unwrap_or(self.pool.memory()),
                    rest: item.rest,
                };
                deliver(
                    &mut self.ports,
                    &mut self.dirty,
                    member,
                    &source,
                    Origin::Group,
                )
            }
            Ok(false) => Ok(()),
            Err(end) => Err(end),
        };
        if let Err(end) = delivered {
            self.end(member, end);
        }
    }

    /// Whether a session has room for a group's frame beyond what is kept for its own.
    fn has_quota(&mut self, member: PortNumber, length: u32) -> Result<bool, End> {
        let Some(session) = session(&mut self.ports, member) else {
            return Ok(false);
        };
        let few_pages = |session: &crate::session::Session<P>| {
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
        if let Some(port) = self.ports.get_mut(member as usize).and_then(Option::as_mut) {
            port.counters.count(Counter::MulticastQuota);
        }
        Ok(false)
    }
}
