//! Who owns what, and what it counts for: bookkeeping without the kernel.
//!
//! Totals of a bank include its descendants', so that a limit is checked by one walk from the bank to
//! the root, at most [`MAX_DEPTH`] steps, and moving storage from a bank to its parent changes nothing
//! above the bank.

use abi::cap::Kind;

use crate::entry::{NIL, State};
use crate::objects::Objects;
use crate::owner::{Owner, Serial};
use crate::record::{Life, List, Record, Records};
use crate::waiters::share;

/// Most banks from the prime bank down to any bank: bounds every walk up the tree.
pub const MAX_DEPTH: usize = 64;

/// The entries, the records, and the rules that keep them in step.
pub(crate) struct Ledger<'a, R> {
    pub objects: Objects<'a>,
    prime: Record,
    pub records: R,
}

impl<'a, R: Records> Ledger<'a, R> {
    /// All objects free, and a prime bank that may have them all.
    pub fn new(objects: Objects<'a>, records: R) -> Ledger<'a, R> {
        let limit = objects.len() as u64;
        Ledger {
            objects,
            prime: Record::new(Serial::PRIME, limit, false),
            records,
        }
    }

    pub fn record(&self, owner: Owner) -> &Record {
        match owner.record_object() {
            None => &self.prime,
            Some(oid) => self.records.get(oid),
        }
    }

    pub fn record_mut(&mut self, owner: Owner) -> &mut Record {
        match owner.record_object() {
            None => &mut self.prime,
            Some(oid) => self.records.get_mut(oid),
        }
    }

    /// The parent; `None` for the prime bank.
    pub fn parent(&self, owner: Owner) -> Option<Owner> {
        owner
            .record_object()
            .map(|oid| self.objects.entry(oid).owner())
    }

    /// The bank that a serial number names, if it still exists.
    pub fn find(&self, serial: Serial) -> Option<Owner> {
        if serial == Serial::PRIME {
            return Some(Owner::PRIME);
        }
        let (oid, generation) = serial.parts();
        let entry = self.objects.get(oid.into())?;
        let alive = entry.state() == State::Record && u64::from(entry.generation) == generation;
        alive.then_some(Owner::of_record(oid))
    }

    /// The bank and its ancestors, up to the prime bank.
    fn line(&self, owner: Owner) -> impl Iterator<Item = Owner> {
        core::iter::successors(Some(owner), |owner| self.parent(*owner))
    }

    /// Banks from the prime bank down to this one, both counted.
    pub fn depth(&self, owner: Owner) -> usize {
        self.line(owner).count()
    }

    /// The topmost of the bank and its ancestors that is being destroyed.
    pub fn topmost_dying(&self, owner: Owner) -> Option<Owner> {
        self.line(owner)
            .filter(|owner| self.record(*owner).life() == Life::Dying)
            .last()
    }

    /// Whether a bank does what it is asked: neither it nor an ancestor is being destroyed, and it
    /// is not being removed.
    pub fn serves(&self, owner: Owner) -> bool {
        self.record(owner).life() == Life::Alive && self.topmost_dying(owner).is_none()
    }

    /// Whether the bank and all its ancestors have room for `n` more; otherwise how many levels
    /// above the bank the first stands that has not.
    pub fn room(&self, owner: Owner, n: u64) -> Result<(), usize> {
        match self
            .line(owner)
            .position(|owner| !self.record(owner).has_room(n))
        {
            None => Ok(()),
            Some(level) => Err(level),
        }
    }

    /// Whether one more client may wait for the end of this bank: neither the bank nor an ancestor has
    /// its share of those who wait.
    pub fn may_wait(&self, owner: Owner) -> bool {
        let depth = self.depth(owner);
        self.line(owner)
            .enumerate()
            .all(|(n, owner)| self.record(owner).waiters < share(depth - n) as u64)
    }

    /// Counts one more client who waits for the end of a bank.
    pub fn waits(&mut self, owner: Owner) {
        self.climb(owner, |_, record| {
            record.waiters = record.waiters.saturating_add(1)
        });
    }

    /// Counts `n` clients less who wait for the end of one of a bank's descendants.
    pub fn waited(&mut self, owner: Owner, n: u64) {
        self.climb(owner, |_, record| {
            record.waiters = record.waiters.saturating_sub(n)
        });
    }

    fn climb(&mut self, owner: Owner, mut visit: impl FnMut(Owner, &mut Record)) {
        let mut next = Some(owner);
        while let Some(owner) = next {
            visit(owner, self.record_mut(owner));
            next = self.parent(owner);
        }
    }

    /// Counts `n` more live objects.
    pub fn charge(&mut self, owner: Owner, n: u64) {
        self.climb(owner, |_, record| {
            record.live = record.live.saturating_add(n);
            record.high_water = record
                .high_water
                .max(record.live.saturating_add(record.limbo));
        });
    }

    /// Counts `freed` and `limbo` live objects of `owner` less; those in limbo are from now on
    /// charged to `heir`, the bank itself or an ancestor.
    pub fn discharge(&mut self, owner: Owner, freed: u64, limbo: u64, heir: Owner) {
        let mut reached = false;
        self.climb(owner, |bank, record| {
            record.live = record.live.saturating_sub(freed + limbo);
            reached |= bank == heir;
            if reached {
                record.limbo = record.limbo.saturating_add(limbo);
            }
        });
    }

    /// Puts an object that is in no list into one of a bank's.
    pub fn put(&mut self, owner: Owner, list: List, oid: u32) {
        let Ledger {
            objects,
            prime,
            records,
        } = self;
        let record = owner
            .record_object()
            .map_or(prime, |oid| records.get_mut(oid));
        objects.push(&mut record.heads[list.index()], oid);
        record.counts[list.index()] += 1;
        objects.entry_mut(oid).set_owner(owner);
    }

    /// Takes an object out of one of its bank's lists.
    pub fn take(&mut self, owner: Owner, list: List, oid: u32) {
        let Ledger {
            objects,
            prime,
            records,
        } = self;
        let record = owner
            .record_object()
            .map_or(prime, |oid| records.get_mut(oid));
        objects.unlink(&mut record.heads[list.index()], oid);
        record.counts[list.index()] -= 1;
    }

    /// Hands the first free objects, which are these, to a bank, without charging it.
    pub fn sold(&mut self, owner: Owner, kind: Kind, oids: &[u32]) {
        let Ledger {
            objects,
            prime,
            records,
        } = self;
        let record = owner
            .record_object()
            .map_or(prime, |oid| records.get_mut(oid));
        let list = List::Of(kind).index();
        objects.acquire_run(oids, &mut record.heads[list]);
        record.counts[list] += oids.len() as u32;
        for oid in oids {
            objects.entry_mut(*oid).set(State::Live, kind, owner);
        }
    }

    /// An object of a bank's became free.
    pub fn freed(&mut self, owner: Owner, list: List, oid: u32) {
        self.take(owner, list, oid);
        self.objects.release(oid);
    }

    /// An object of a bank's went into limbo, charged to `heir`.
    pub fn suspended(&mut self, owner: Owner, list: List, oid: u32, heir: Owner) {
        self.take(owner, list, oid);
        let kind = self.objects.entry(oid).kind();
        self.objects.entry_mut(oid).set(State::Limbo, kind, heir);
        self.put(heir, List::Limbo, oid);
    }

    /// A limbo ended. Answers whether there was one.
    pub fn returned(&mut self, oid: u32) -> bool {
        let Some(entry) = self.objects.get(oid.into()) else {
            return false;
        };
        if entry.state() != State::Limbo {
            return false;
        }
        let owner = entry.owner();
        self.freed(owner, List::Limbo, oid);
        self.climb(owner, |_, record| {
            record.limbo = record.limbo.saturating_sub(1)
        });
        true
    }

    /// Moves an object in limbo from a bank to an ancestor, the heir.
    pub fn bequeath(&mut self, owner: Owner, oid: u32, heir: Owner) {
        self.take(owner, List::Limbo, oid);
        self.put(heir, List::Limbo, oid);
        let mut reached = false;
        self.climb(owner, |bank, record| {
            reached |= bank == heir;
            if !reached {
                record.limbo = record.limbo.saturating_sub(1);
            }
        });
    }

    /// Moves an object, or a child with all that it has, from a bank to its parent.
    pub fn hand_up(&mut self, owner: Owner, list: List, oid: u32, parent: Owner) {
        self.take(owner, list, oid);
        self.put(parent, list, oid);
        let (live, limbo, waiters) = match list {
            List::Children => {
                let child = self.record(Owner::of_record(oid));
                (child.live.saturating_add(1), child.limbo, child.waiters)
            }
            List::Of(_) => (1, 0, 0),
            List::Limbo => (0, 1, 0),
        };
        let record = self.record_mut(owner);
        record.waiters = record.waiters.saturating_sub(waiters);
        record.live = record.live.saturating_sub(live);
        record.limbo = record.limbo.saturating_sub(limbo);
    }

    /// The bank after this one in the subtree of `top`, parents before their children.
    pub fn next_in_subtree(&self, top: Owner, owner: Owner) -> Option<Owner> {
        let child = self.record(owner).head(List::Children);
        if child != NIL {
            return Some(Owner::of_record(child));
        }
        let mut bank = owner;
        while bank != top {
            let oid = bank.record_object()?;
            let sibling = self.objects.entry(oid).next;
            if sibling != NIL {
                return Some(Owner::of_record(sibling));
            }
            bank = self.objects.entry(oid).owner();
        }
        None
    }
}
