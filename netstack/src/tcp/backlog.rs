//! Segments that open connections for which there is no place yet.
//!
//! A peer whose segment is dropped tries again only after a second. One that is kept for a moment
//! costs its few bytes, and is answered as soon as another connection ends.

use alloc::collections::VecDeque;

use smoltcp::time::{Duration, Instant};

use super::flow::Flow;
use crate::packet::Packet;
use crate::service::Kind;

/// Most segments that wait.
pub const MOST: usize = 64;
/// How long one waits. After that its peer has tried again.
const LONGEST: Duration = Duration::from_millis(900);
/// Bytes of the longest packet that opens a connection: headers with all options.
const LENGTH: usize = 120;

/// A segment that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    since: Instant,
    /// The service that it wants.
    pub kind: Kind,
    /// Its connection.
    pub flow: Flow,
    /// Where the segment begins in the packet.
    pub start: usize,
    bytes: [u8; LENGTH],
    length: usize,
}

impl Waiting {
    /// The packet, from its IP header on.
    pub fn whole(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// All that wait, the oldest first.
#[derive(Debug)]
pub struct Backlog {
    waiting: VecDeque<Waiting>,
}

impl Backlog {
    /// Nobody waits.
    pub fn empty() -> Backlog {
        Backlog {
            waiting: VecDeque::with_capacity(MOST),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a segment; whether it is kept. One that comes again takes the place of the one before;
    /// where there is no place, the oldest gives way.
    pub fn keep(
        &mut self,
        kind: Kind,
        flow: Flow,
        packet: &Packet,
        whole: &[u8],
        now: Instant,
    ) -> bool {
        let mut bytes = [0; LENGTH];
        let Some(into) = bytes.get_mut(..whole.len()) else {
            return false;
        };
        into.copy_from_slice(whole);
        self.waiting.retain(|other| other.flow != flow);
        if self.waiting.len() >= MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            since: now,
            kind,
            flow,
            start: packet.start,
            bytes,
            length: whole.len(),
        });
        true
    }

    /// One that was taken waits on.
    pub fn put_back(&mut self, waiting: Waiting) {
        if self.waiting.len() < MOST {
            self.waiting.push_front(waiting);
        }
    }

    /// The one that waits longest for a service that has a place, as `wanted` says.
    pub fn next(&mut self, now: Instant, wanted: impl Fn(Kind) -> bool) -> Option<Waiting> {
        self.waiting.retain(|other| now < other.since + LONGEST);
        let place = self.waiting.iter().position(|other| wanted(other.kind))?;
        self.waiting.remove(place)
    }
}
