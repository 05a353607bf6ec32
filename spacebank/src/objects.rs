//! The array of entries, and lists through it.

use abi::cap::Kind;

use crate::entry::{Entry, NIL, State};
use crate::owner::Owner;

/// All objects. Lists are doubly linked by object number, so that anything leaves its list at once.
///
/// The free list has two ends: objects that can hold another bank's record are taken and put at its
/// front, those that can't stand behind. So its first object can hold a record unless none can.
pub(crate) struct Objects<'a> {
    entries: &'a mut [Entry],
    free_head: u32,
    free_tail: u32,
    free_count: usize,
}

impl<'a> Objects<'a> {
    /// All objects free, lowest first.
    pub fn new(entries: &'a mut [Entry]) -> Objects<'a> {
        let mut objects = Objects {
            entries,
            free_head: NIL,
            free_tail: NIL,
            free_count: 0,
        };
        for oid in (0..objects.entries.len() as u32).rev() {
            objects.release(oid);
        }
        objects
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn free_count(&self) -> usize {
        self.free_count
    }

    /// The entry of an object that somebody else named.
    pub fn get(&self, oid: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(oid).ok()?)
    }

    /// The entry of an object that spacebank's own lists name.
    pub fn entry(&self, oid: u32) -> &Entry {
        &self.entries[oid as usize]
    }

    pub fn entry_mut(&mut self, oid: u32) -> &mut Entry {
        &mut self.entries[oid as usize]
    }

    pub fn free_head(&self) -> u32 {
        self.free_head
    }

    /// The first free objects, as many as fit or as there are; they stay free.
    pub fn peek_free(&self, into: &mut [u32]) -> usize {
        let mut oid = self.free_head;
        for (n, to) in into.iter_mut().enumerate() {
            if oid == NIL {
                return n;
            }
            *to = oid;
            oid = self.entry(oid).next;
        }
        into.len()
    }

    /// Moves the first objects of the free list, which are these, to the front of another, as they are
    /// linked already. Each still has to be told what it is.
    pub fn acquire_run(&mut self, oids: &[u32], head: &mut u32) {
        let (Some(first), Some(last)) = (oids.first(), oids.last()) else {
            return;
        };
        debug_assert_eq!(self.free_head, *first);
        let left = self.entry(*last).next;
        self.free_head = left;
        if left == NIL {
            self.free_tail = NIL;
        } else {
            self.entry_mut(left).prev = NIL;
        }
        self.free_count -= oids.len();
        self.entry_mut(*last).next = *head;
        if *head != NIL {
            self.entry_mut(*head).prev = *last;
        }
        *head = *first;
    }

    /// Takes an object out of the free list.
    pub fn acquire(&mut self, oid: u32) {
        let Entry { next, prev, .. } = *self.entry(oid);
        if prev == NIL {
            self.free_head = next;
        } else {
            self.entry_mut(prev).next = next;
        }
        if next == NIL {
            self.free_tail = prev;
        } else {
            self.entry_mut(next).prev = prev;
        }
        self.free_count -= 1;
    }

    /// Puts an object that is in no list into the free list.
    pub fn release(&mut self, oid: u32) {
        self.entry_mut(oid)
            .set(State::Free, Kind::Void, Owner::PRIME);
        let fresh = self.entry(oid).fresh();
        let (prev, next) = if fresh {
            (NIL, self.free_head)
        } else {
            (self.free_tail, NIL)
        };
        let entry = self.entry_mut(oid);
        (entry.prev, entry.next) = (prev, next);
        if prev == NIL {
            self.free_head = oid;
        } else {
            self.entry_mut(prev).next = oid;
        }
        if next == NIL {
            self.free_tail = oid;
        } else {
            self.entry_mut(next).prev = oid;
        }
        self.free_count += 1;
    }

    /// Puts an object that is in no list at the front of one.
    pub fn push(&mut self, head: &mut u32, oid: u32) {
        let next = *head;
        let entry = self.entry_mut(oid);
        (entry.prev, entry.next) = (NIL, next);
        if next != NIL {
            self.entry_mut(next).prev = oid;
        }
        *head = oid;
    }

    /// Takes an object out of a list.
    pub fn unlink(&mut self, head: &mut u32, oid: u32) {
        let Entry { next, prev, .. } = *self.entry(oid);
        if prev == NIL {
            *head = next;
        } else {
            self.entry_mut(prev).next = next;
        }
        if next != NIL {
            self.entry_mut(next).prev = prev;
        }
    }

    /// The first objects of a list, as many as fit or as there are.
    pub fn first(&self, head: u32, into: &mut [u32]) -> usize {
        let mut oid = head;
        for (n, to) in into.iter_mut().enumerate() {
            if oid == NIL {
                return n;
            }
            *to = oid;
            oid = self.entry(oid).next;
        }
        into.len()
    }
}
