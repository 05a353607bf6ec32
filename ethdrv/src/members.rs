//! A set of ports, in order: who receives a group's frames.
//!
//! It is asked for the next one after a port whenever a frame is handed on, and changes seldom. Room is
//! made before anything is put in, so that it can be refused.

use alloc::vec::Vec;

use crate::demux::PortNumber;

/// The set.
#[derive(Debug, Default)]
pub struct Members(Vec<PortNumber>);

impl Members {
    /// Makes room for so many in all. `false`: there is no memory.
    pub fn reserve(&mut self, members: usize) -> bool {
        let missing = members.saturating_sub(self.0.len());
        self.0.try_reserve(missing).is_ok()
    }

    /// Puts one in, for which there is [room](Members::reserve).
    pub fn insert(&mut self, port: PortNumber) {
        if let Err(place) = self.0.binary_search(&port) {
            self.0.insert(place, port);
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, port: PortNumber) {
        if let Ok(place) = self.0.binary_search(&port) {
            self.0.remove(place);
        }
    }

    /// The first one after `last`, or the first at all.
    pub fn after(&self, last: Option<PortNumber>) -> Option<PortNumber> {
        let place = match last {
            Some(last) => self.0.partition_point(|port| *port <= last),
            None => 0,
        };
        self.0.get(place).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use core::ops::Bound;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn members_are_a_set_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0u16..20), 0..200)
        ) {
            let (mut members, mut model) = (Members::default(), BTreeSet::new());
            for (comes, port) in steps {
                if comes {
                    prop_assert!(members.reserve(members.len() + 1));
                    members.insert(port);
                    model.insert(port);
                } else {
                    members.remove(port);
                    model.remove(&port);
                }
                prop_assert_eq!(members.len(), model.len());
                prop_assert_eq!(members.after(None), model.first().copied());
                let next = model.range((Bound::Excluded(port), Bound::Unbounded)).next();
                prop_assert_eq!(members.after(Some(port)), next.copied());
            }
        }
    }
}
