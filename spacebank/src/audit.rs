//! Whether the books balance: for tests and the simulator.
//!
//! Takes time in proportion to all objects, and allocates nothing.

use abi::cap::Kind;
use sys::Mem;

use crate::entry::{Entry, NIL, State};
use crate::ledger::MAX_DEPTH;
use crate::owner::{Owner, Serial};
use crate::record::{List, ORDER, Records};
use crate::server::Server;

/// How many objects are what. They add up to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Free.
    pub free: usize,
    /// Live, records of banks among them.
    pub live: usize,
    /// In limbo.
    pub limbo: usize,
    /// Banks, the prime bank included.
    pub banks: usize,
    /// Banks that are being destroyed or removed, of their own and not only with an ancestor.
    pub ending: usize,
    /// Clients that wait for the end of a bank.
    pub waiters: usize,
}

/// What does not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// A list leads outside the array, in a circle, or its links disagree.
    List {
        /// The object at which it shows.
        oid: u32,
    },
    /// An object is in a list that its entry contradicts.
    Misplaced {
        /// The object.
        oid: u32,
    },
    /// A list does not have as many objects as are counted.
    Count {
        /// The object of the bank's record; `None` for the prime bank or the free list.
        bank: Option<u32>,
    },
    /// A bank's totals are not the sum of what it and its children have.
    Total {
        /// The object of the bank's record; `None` for the prime bank.
        bank: Option<u32>,
    },
    /// A bank's record does not name the bank.
    Record {
        /// The object that holds it.
        oid: u32,
    },
    /// A bank lies too deep, or above itself.
    Depth {
        /// The object that holds its record.
        oid: u32,
    },
    /// The queue does not hold exactly the banks that end.
    Queue,
    /// Free, live and limbo are not all objects, or not all that is charged.
    Census(Census),
}

impl core::fmt::Display for Unsound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the books don't balance: {self:?}")
    }
}

impl core::error::Error for Unsound {}

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// What an object is to the server, for comparison with the kernel and with a model.
    pub fn entry(&self, oid: u32) -> Option<&Entry> {
        self.ledger.objects.get(oid.into())
    }

    /// The object that holds the record of the bank that a badge names; `None` for the prime bank, the
    /// verifier, and banks that are no more.
    pub fn record_of(&self, badge: u64) -> Option<u32> {
        let (serial, _) = Serial::from_badge(badge);
        self.ledger.find(serial)?.record_object()
    }

    /// Checks every list, every total and the tree: each object is in exactly one place, each total is
    /// what it says, free + live + limbo = all.
    pub fn audit(&self) -> Result<Census, Unsound> {
        let objects = &self.ledger.objects;
        let mut census = Census {
            waiters: self.waiters.count(),
            ..Census::default()
        };
        census.free = self.audit_list(objects.free_head(), |_, state| state == State::Free)?;
        if census.free != objects.free_count() {
            return Err(Unsound::Count { bank: None });
        }
        self.audit_bank(Owner::PRIME, &mut census)?;
        for oid in 0..objects.len() as u32 {
            if objects.entry(oid).state() == State::Record {
                self.audit_record(oid)?;
                self.audit_bank(Owner::of_record(oid), &mut census)?;
            }
        }
        self.audit_queue(census.ending)?;
        let prime = self.ledger.record(Owner::PRIME);
        let charged = (census.live as u64, census.limbo as u64) == (prime.live, prime.limbo);
        if !charged || census.free + census.live + census.limbo != objects.len() {
            return Err(Unsound::Census(census));
        }
        Ok(census)
    }

    /// Length of a list whose objects are all in place, and whose links agree.
    fn audit_list(
        &self,
        head: u32,
        in_place: impl Fn(u32, State) -> bool,
    ) -> Result<usize, Unsound> {
        let (mut oid, mut prev, mut length) = (head, NIL, 0);
        while oid != NIL {
            let entry = self
                .ledger
                .objects
                .get(oid.into())
                .ok_or(Unsound::List { oid: prev })?;
            length += 1;
            if entry.prev != prev || length > self.ledger.objects.len() {
                return Err(Unsound::List { oid });
            }
            if !in_place(oid, entry.state()) {
                return Err(Unsound::Misplaced { oid });
            }
            (prev, oid) = (oid, entry.next);
        }
        Ok(length)
    }

    /// Lists and totals of a bank; adds what it has itself to the census.
    fn audit_bank(&self, bank: Owner, census: &mut Census) -> Result<(), Unsound> {
        let (record, name) = (self.ledger.record(bank), bank.record_object());
        let lists = ORDER
            .map(List::Of)
            .into_iter()
            .chain([List::Children, List::Limbo]);
        let (mut live, mut limbo) = (0, 0);
        for list in lists {
            let length = self.audit_list(record.head(list), |oid, state| {
                let entry = self.ledger.objects.entry(oid);
                let fits = match list {
                    List::Children => state == State::Record && entry.kind() == Kind::Page,
                    List::Of(kind) => state == State::Live && entry.kind() == kind,
                    List::Limbo => state == State::Limbo,
                };
                fits && entry.owner() == bank
            })?;
            if length != record.count(list) as usize {
                return Err(Unsound::Count { bank: name });
            }
            match list {
                List::Limbo => limbo += length,
                _ => live += length,
            }
        }
        census.live += live;
        census.limbo += limbo;
        census.banks += 1;
        census.ending += usize::from(self.is_ending(bank));
        let (mut live, mut limbo) = (live as u64, limbo as u64);
        let mut waiters = self.waiters.of(record.serial()) as u64;
        let mut child = record.head(List::Children);
        while child != NIL {
            let record = self.ledger.record(Owner::of_record(child));
            live += record.live;
            limbo += record.limbo;
            waiters += record.waiters;
            child = self.ledger.objects.entry(child).next;
        }
        let totals = (record.live, record.limbo, record.waiters);
        if totals != (live, limbo, waiters) || record.high_water < live + limbo {
            return Err(Unsound::Total { bank: name });
        }
        Ok(())
    }

    fn audit_record(&self, oid: u32) -> Result<(), Unsound> {
        let mut bank = Some(Owner::of_record(oid));
        for _ in 0..=MAX_DEPTH {
            let Some(owner) = bank else { break };
            bank = self.ledger.parent(owner);
        }
        if bank.is_some() {
            return Err(Unsound::Depth { oid });
        }
        let owner = Owner::of_record(oid);
        if self.ledger.find(self.ledger.record(owner).serial()) != Some(owner) {
            return Err(Unsound::Record { oid });
        }
        Ok(())
    }

    fn audit_queue(&self, ending: usize) -> Result<(), Unsound> {
        let length = self
            .queue()
            .take(ending + 1)
            .filter(|bank| self.is_ending(*bank))
            .count();
        if length == ending && self.queue().nth(ending).is_none() {
            Ok(())
        } else {
            Err(Unsound::Queue)
        }
    }
}
