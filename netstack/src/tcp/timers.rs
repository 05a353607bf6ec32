//! When each connection wants to be looked at: a heap that holds each of them at most once.

use alloc::vec::Vec;

use smoltcp::time::Instant;

const NOWHERE: u16 = u16::MAX;

/// Instants by connection. Bounded by the connections there are; nothing in it grows with traffic.
#[derive(Debug, Default)]
pub struct Timers {
    heap: Vec<(Instant, u16)>,
    /// Where in the heap each connection is.
    places: Vec<u16>,
}

impl Timers {
    /// Room for as many connections.
    pub fn new(connections: u16) -> Timers {
        Timers {
            heap: Vec::with_capacity(connections.into()),
            places: alloc::vec![NOWHERE; connections.into()],
        }
    }

    /// A connection wants to be looked at no later than this, or never.
    ///
    /// A later instant than the one before leaves the earlier one standing: looking too early does no
    /// harm, and a busy connection puts its retransmission off with each segment.
    pub fn set(&mut self, connection: u16, at: Option<Instant>) {
        let place = self.places[usize::from(connection)];
        match at {
            None if place == NOWHERE => {}
            None => self.remove(place.into()),
            Some(at) if place == NOWHERE => {
                self.heap.push((at, connection));
                self.rise(self.heap.len() - 1);
            }
            Some(at) if at < self.heap[usize::from(place)].0 => {
                self.heap[usize::from(place)].0 = at;
                self.rise(place.into());
            }
            Some(_) => {}
        }
    }

    /// The earliest of them.
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// A connection whose time has come; it has none then.
    pub fn due(&mut self, now: Instant) -> Option<u16> {
        let &(at, connection) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(0);
        Some(connection)
    }

    fn remove(&mut self, place: usize) {
        let (_, connection) = self.heap.swap_remove(place);
        self.places[usize::from(connection)] = NOWHERE;
        if place < self.heap.len() {
            self.note(place);
            self.sink(place);
            self.rise(place);
        }
    }

    fn note(&mut self, place: usize) {
        let connection = self.heap[place].1;
        self.places[usize::from(connection)] = place as u16;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].0 <= self.heap[place].0 {
                break;
            }
            self.heap.swap(parent, place);
            self.note(place);
            place = parent;
        }
        self.note(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            let children = left..(left + 2).min(self.heap.len());
            let least = children.min_by_key(|&child| self.heap[child].0);
            match least {
                Some(child) if self.heap[child].0 < self.heap[place].0 => {
                    self.heap.swap(child, place);
                    self.note(place);
                    place = child;
                }
                _ => break,
            }
        }
        self.note(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u16, Option<i64>),
        Due(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u16..20, prop::option::of(0i64..1000)).prop_map(|(c, at)| Step::Set(c, at)),
            (0i64..1000).prop_map(Step::Due),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_list(steps in prop::collection::vec(step(), 0..300)) {
            let mut timers = Timers::new(20);
            let mut list = [None::<i64>; 20];
            for step in steps {
                match step {
                    Step::Set(c, at) => {
                        timers.set(c, at.map(Instant::from_millis));
                        let entry = &mut list[usize::from(c)];
                        *entry = match (*entry, at) {
                            (Some(old), Some(new)) => Some(old.min(new)),
                            (_, at) => at,
                        };
                    }
                    Step::Due(now) => {
                        let least = list.iter().flatten().min().copied();
                        prop_assert_eq!(timers.next(), least.map(Instant::from_millis));
                        let due = timers.due(Instant::from_millis(now));
                        prop_assert_eq!(due.is_some(), least.is_some_and(|at| at <= now));
                        if let Some(c) = due {
                            prop_assert_eq!(list[usize::from(c)].take(), least);
                        }
                    }
                }
            }
        }
    }
}
