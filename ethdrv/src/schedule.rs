//! Whose turn it is to send.

use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use crate::demux::PortNumber;

/// Sessions that have something to send: a queue of those whose turn comes round, and those that their
/// rate holds back.
#[derive(Debug, Default)]
pub struct Schedule {
    active: VecDeque<PortNumber>,
    /// The first of the queue has got its share for this turn.
    given: bool,
    throttled: BinaryHeap<Reverse<(u64, PortNumber)>>,
    /// The device takes no more.
    blocked: bool,
}

impl Schedule {
    /// Nobody wants to send.
    pub fn new() -> Schedule {
        Schedule::default()
    }

    /// Makes room for so many sessions. `false`: there is no memory.
    pub fn reserve(&mut self, sessions: usize) -> bool {
        let active = sessions.saturating_sub(self.active.len());
        let throttled = sessions.saturating_sub(self.throttled.len());
        self.active.try_reserve(active).is_ok() && self.throttled.try_reserve(throttled).is_ok()
    }

    /// A session wants to send. The caller sees to it that it stands here once.
    pub fn add(&mut self, port: PortNumber) {
        self.active.push_back(port);
    }

    /// Whose turn it is; `true` if the turn just begins.
    #[inline]
    pub fn current(&mut self) -> Option<(PortNumber, bool)> {
        let port = *self.active.front()?;
        Some((port, !core::mem::replace(&mut self.given, true)))
    }

    /// The turn ends; the session has more to send.
    pub fn rotate(&mut self) {
        self.given = false;
        if let Some(port) = self.active.pop_front() {
            self.active.push_back(port);
        }
    }

    /// The turn ends; the session has nothing to send.
    pub fn drop_current(&mut self) {
        self.given = false;
        self.active.pop_front();
    }

    /// The turn ends; the session may go on sending at that time.
    pub fn throttle(&mut self, wake: u64) {
        self.given = false;
        if let Some(port) = self.active.pop_front() {
            self.throttled.push(Reverse((wake, port)));
        }
    }

    /// A session is gone.
    pub fn remove(&mut self, port: PortNumber) {
        if self.active.front() == Some(&port) {
            self.given = false;
        }
        self.active.retain(|other| *other != port);
        self.throttled.retain(|Reverse((_, other))| *other != port);
    }

    /// When the first session that its rate holds back may go on.
    #[inline]
    pub fn next_wake(&self) -> Option<u64> {
        self.throttled.peek().map(|Reverse((wake, _))| *wake)
    }

    /// Puts those whose time has come back into the queue.
    pub fn wake(&mut self, now: u64) {
        while let Some(Reverse((wake, port))) = self.throttled.peek().copied()
            && wake <= now
        {
            self.throttled.pop();
            self.active.push_back(port);
        }
    }

    /// Whether anybody's turn can come.
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty() && !self.blocked
    }

    /// Whether somebody waits for the device to take more.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The device takes no more.
    pub fn block(&mut self) {
        self.blocked = true;
    }

    /// The device takes more.
    #[inline]
    pub fn unblock(&mut self) {
        self.blocked = false;
    }
}
