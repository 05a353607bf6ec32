//! Places for connections: who gets one, who waits, and who has to go.
//!
//! Buffers are made when they are first wanted and used again; where the memory set aside is used up,
//! those that one service doesn't use go to another. Where all are in use, a connection that is over
//! gives way to a new one, then one that never came about, then one that waits for nothing.

use alloc::vec::Vec;

use smoltcp::time::{Duration, Instant};

use super::Tcp;
use super::connection::Connection;
use super::port::{Port, interface};
use crate::link::{Link, RESERVE};
use crate::node::Node;
use crate::service::Kind;

/// A connection younger than this, or idle for less, doesn't give way to a new one.
const GRACE: Duration = Duration::from_secs(1);
/// Looking for one that gives way goes through them all; how often, when there is none.
const SEARCH_INTERVAL: Duration = Duration::from_millis(20);

/// Why a connection wasn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many as are allowed, or as fit into the memory set aside, are there, and busy.
    Full,
    /// The heap has no memory for one more.
    NoMemory,
    /// It isn't a segment that opens a connection.
    Malformed,
}

impl Tcp {
    /// A connection that listens.
    pub(super) fn accept<L: Link>(
        &mut self,
        node: &mut Node<L>,
        kind: Kind,
        number: u32,
    ) -> Result<u16, Refusal> {
        // What follows hides from the next segment that addresses came or went.
        self.sync(node);
        let n = self.obtain(node, kind)?;
        // smoltcp's sequence numbers come out of a generator that one can compute backwards; with a
        // seed of its own for each connection there is nothing to compute.
        self.interface = interface(node);
        self.generation = node.addresses.generation;
        let connection = &mut self.connections[usize::from(n)];
        connection.begin(node.now, &self.limits, number);
        self.live[kind as usize] += 1;
        Ok(n)
    }

    /// A connection that nobody uses, with buffers.
    fn obtain<L: Link>(&mut self, node: &mut Node<L>, kind: Kind) -> Result<u16, Refusal> {
        if self.live[kind as usize] >= self.most[kind as usize] {
            self.make_way(node, Some(kind)).ok_or(Refusal::Full)?;
        }
        if let Some(n) = self.free[kind as usize].pop() {
            return Ok(n);
        }
        let size = Connection::size(kind, &self.limits);
        while self.memory + size > self.limits.memory as usize {
            // Buffers that another service doesn't use now, or else those of a connection that can go.
            if !self.hollow_one() {
                self.make_way(node, None).ok_or(Refusal::Full)?;
                if let Some(n) = self.free[kind as usize].pop() {
                    return Ok(n);
                }
            }
        }
        let connection = Connection::new(kind, &self.limits).ok_or(Refusal::NoMemory)?;
        self.memory += size;
        match self.hollow.pop() {
            Some(n) => {
                let place = &mut self.connections[usize::from(n)];
                // It may still stand in the queue.
                let queued = place.queued;
                *place = connection;
                place.queued = queued;
                Ok(n)
            }
            None => {
                self.connections.push(connection);
                Ok((self.connections.len() - 1) as u16)
            }
        }
    }

    /// Gives up the buffers of a connection that nobody uses; whether there was one.
    fn hollow_one(&mut self) -> bool {
        let Some(n) = self.free.iter_mut().find_map(Vec::pop) else {
            return false;
        };
        let connection = &mut self.connections[usize::from(n)];
        connection.hollow();
        self.memory -= Connection::size(connection.kind, &self.limits);
        self.hollow.push(n);
        true
    }

    /// Drops the connection, of a kind or any, that should give way to a new one, if there is one, and
    /// tells its peer.
    fn make_way<L: Link>(&mut self, node: &mut Node<L>, kind: Option<Kind>) -> Option<()> {
        let victim = self.find_victim(kind, node.now)?;
        let connection = &mut self.connections[usize::from(victim)];
        if connection.socket().is_active() {
            connection.socket_mut().abort();
            let now = node.now;
            let mut port = Port { packet: None, node };
            self.interface
                .poll_egress(now, &mut port, &mut connection.sockets);
        }
        self.release(victim);
        Some(())
    }

    /// A connection of a kind that is over and done with.
    fn find_over(&self, kind: Kind) -> Option<u16> {
        let over = |other: &Connection| {
            other.live && other.kind == kind && !other.queued && other.is_past()
        };
        self.connections.iter().position(over).map(|n| n as u16)
    }

    /// The connection that should give way to a new one: one that is over, then one that never came
    /// about, then one that waits for nothing in particular; the longest first.
    fn find_victim(&mut self, kind: Option<Kind>, now: Instant) -> Option<u16> {
        if now < self.search {
            return None;
        }
        let candidates = self
            .connections
            .iter()
            .enumerate()
            .filter_map(|(n, other)| {
                // One that was not looked at yet may owe its peer an answer.
                let rank =
                    (other.live && !other.queued && kind.is_none_or(|kind| kind == other.kind))
                        .then(|| other.expendable(now, GRACE))
                        .flatten()?;
                Some((rank, n as u16))
            });
        let victim = candidates.max().map(|(_, n)| n);
        if victim.is_none() {
            self.search = now + SEARCH_INTERVAL;
        }
        victim
    }

    /// A connection is over: others may use it.
    pub(super) fn release(&mut self, n: u16) {
        let connection = &mut self.connections[usize::from(n)];
        if !connection.live {
            return;
        }
        connection.end();
        let kind = connection.kind as usize;
        self.flows.remove(n);
        self.timers.set(n, None);
        self.live[kind] -= 1;
        self.free[kind].push(n);
    }

    /// Opens connections for segments that waited for a place.
    pub(super) fn admit<L: Link>(&mut self, node: &mut Node<L>) {
        self.search = node.now;
        while node.link.room() > RESERVE {
            let places = Kind::ALL.map(|kind| {
                let full = self.live[kind as usize] >= self.most[kind as usize];
                !full || self.find_over(kind).is_some()
            });
            let waiting = self.backlog.next(node.now, |kind| places[kind as usize]);
            let Some(waiting) = waiting else {
                self.admit = false;
                break;
            };
            let whole = waiting.whole();
            let segment = &whole[waiting.start..];
            if self.flows.find(&waiting.flow).is_some() {
                continue;
            }
            match self.open(node, waiting.kind, waiting.flow, segment, whole) {
                Ok(()) => {}
                Err(Refusal::Full) => {
                    self.backlog.put_back(waiting);
                    self.admit = false;
                    break;
                }
                Err(Refusal::NoMemory | Refusal::Malformed) => node.counters.refused += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;

    use crate::config::{Config, Services};
    use crate::link::Need;

    /// A link on which nothing happens.
    struct Quiet;

    impl Link for Quiet {
        fn mtu(&self) -> usize {
            1500
        }

        fn receive(&mut self, _into: &mut [u8]) -> Option<usize> {
            None
        }

        fn room(&mut self) -> usize {
            0
        }

        fn buffer(&mut self, _length: usize) -> Option<&mut [u8]> {
            None
        }

        fn send(&mut self, _length: usize) {}

        fn flush(&mut self) {}

        fn subscribe(&mut self, _group: [u8; 6], _wanted: bool) {}

        fn arm(&mut self, _need: Need) -> bool {
            false
        }

        fn counters(&self, _visit: &mut dyn FnMut(&'static str, u64)) {}
    }

    #[test]
    fn a_new_connection_hides_from_no_other_that_addresses_went() {
        let mut config = Config::new("alice", [2, 0, 0, 0, 0, 1]);
        config.services = Services::ALL;
        let random = Box::new(|| 7);
        let mut node = Node::new(Quiet, config.mac, random, Instant::from_millis(1));
        let mut tcp = Tcp::new(&config, &mut node);
        let old = tcp.accept(&mut node, Kind::Echo, 1).expect("room for one");
        assert!(!tcp.is_ready());
        node.addresses.changed();
        let new = tcp.accept(&mut node, Kind::Echo, 1).expect("room for two");
        assert_ne!(old, new);
        assert_eq!(tcp.ready, [old]);
    }
}
