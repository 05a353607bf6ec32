//! Ports at which something begins, ends or changes: each takes a step in its turn.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::demux::PortNumber;

/// The queue. There is room in it for every port, once.
#[derive(Debug, Default)]
pub struct Jobs {
    queue: VecDeque<PortNumber>,
    /// By port: whether it stands in the queue.
    queued: Vec<bool>,
}

impl Jobs {
    /// Makes room for so many ports. `false`: there is no memory.
    pub fn reserve(&mut self, ports: usize) -> bool {
        let more = ports.saturating_sub(self.queued.len());
        let missing = ports.saturating_sub(self.queue.len());
        if self.queued.try_reserve(more).is_err() || self.queue.try_reserve(missing).is_err() {
            return false;
        }
        self.queued.resize(ports.max(self.queued.len()), false);
        true
    }

    /// A port has a step to take; if it stands here already, it does.
    pub fn push(&mut self, port: PortNumber) {
        if let Some(queued) = self.queued.get_mut(port as usize)
            && !core::mem::replace(queued, true)
        {
            self.queue.push_back(port);
        }
    }

    /// Whose turn it is, which stands here no longer.
    pub fn pop(&mut self) -> Option<PortNumber> {
        let port = self.queue.pop_front()?;
        if let Some(queued) = self.queued.get_mut(port as usize) {
            *queued = false;
        }
        Some(port)
    }

    /// How many ports have a step to take.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nobody has a step to take.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stands_in_the_queue_once_however_often_it_is_put_there() {
        let mut jobs = Jobs::default();
        assert!(jobs.reserve(2));
        let room = jobs.queue.capacity();
        for _ in 0..1000 {
            jobs.push(1);
            jobs.push(0);
        }
        assert_eq!(jobs.queue.capacity(), room);
        assert_eq!(
            [jobs.pop(), jobs.pop(), jobs.pop()],
            [Some(1), Some(0), None]
        );
        jobs.push(0);
        assert_eq!(jobs.pop(), Some(0));
        assert!(jobs.is_empty());
    }
}
