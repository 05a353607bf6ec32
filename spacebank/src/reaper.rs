//! What spacebank does unasked: it takes back what left limbo, and finishes what others began.
//!
//! Banks that end stand in a queue through their records and take turns, a step each, so that a large
//! one delays a small one by no more than as many steps as there are banks in the queue.

use sys::{Error, Mem, Sys};

use crate::entry::NIL;
use crate::owner::Owner;
use crate::record::{Life, Records};
use crate::server::Server;

/// Half-finished sales that the reaper can hold.
pub const UNFINISHED: usize = 16;

/// Calls of `REAP` in one step: ten objects each.
const REAPS: usize = 6;

/// What is to be done.
pub(crate) struct Reaper {
    head: u32,
    tail: u32,
    /// The kernel said that limbos ended.
    limbo_ended: bool,
    unfinished: [u32; UNFINISHED],
}

impl Default for Reaper {
    fn default() -> Reaper {
        Reaper {
            head: NIL,
            tail: NIL,
            limbo_ended: false,
            unfinished: [NIL; UNFINISHED],
        }
    }
}

impl Reaper {
    /// Puts down an object that was sold back but is not finished with. Answers whether there was
    /// room.
    pub fn finish_later(&mut self, oid: u32) -> bool {
        let place = self.unfinished.iter_mut().find(|place| **place == NIL);
        place.map(|place| *place = oid).is_some()
    }

    /// The kernel said that limbos ended.
    pub fn limbo_ended(&mut self) {
        self.limbo_ended = true;
    }

    pub fn has_work(&self) -> bool {
        self.limbo_ended || self.head != NIL || self.unfinished.iter().any(|oid| *oid != NIL)
    }
}

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// Whether [`background_step`](Server::background_step) has something to do.
    pub fn has_background_work(&self) -> bool {
        self.reaper.has_work()
    }

    /// Does a bounded piece of what is to be done without being asked; answers whether something is
    /// left. A failure is the kernel's; what it concerns stays to be done.
    pub fn background_step(&mut self, sys: &impl Sys) -> Result<bool, Error> {
        if self.reaper.limbo_ended {
            self.reap(sys)?;
        } else if let Some(n) = self.reaper.unfinished.iter().position(|oid| *oid != NIL) {
            self.finish(sys, n)?;
        } else if self.reaper.head != NIL {
            let bank = Owner::from_raw(self.reaper.head);
            self.dequeue(bank);
            self.enqueue(bank);
            self.step(sys, bank)?;
        }
        Ok(self.reaper.has_work())
    }

    fn reap(&mut self, sys: &impl Sys) -> Result<(), Error> {
        for _ in 0..REAPS {
            let (oids, count) = self.kernel(sys).reap()?;
            for oid in &oids[..count] {
                self.ledger.returned(*oid);
            }
            if count < oids.len() {
                self.reaper.limbo_ended = false;
                break;
            }
        }
        Ok(())
    }

    /// Goes on with a sale. The object may have been dealt with meanwhile, with its bank.
    fn finish(&mut self, sys: &impl Sys, n: usize) -> Result<(), Error> {
        let oid = self.reaper.unfinished[n];
        let entry = *self.ledger.objects.entry(oid);
        if entry.voiding() {
            let bank = entry.owner();
            let dying = self.ledger.topmost_dying(bank);
            let heir = dying
                .and_then(|top| self.ledger.parent(top))
                .unwrap_or(bank);
            if self.void(sys, bank, entry.kind(), &[oid], heir)?.done == 0 {
                // The others have their turn first.
                self.reaper.unfinished.rotate_left(1);
                return Ok(());
            }
        }
        self.reaper.unfinished[n] = NIL;
        Ok(())
    }

    /// Puts a bank that ends at the end of the queue, unless it stands in it.
    pub(crate) fn enqueue(&mut self, bank: Owner) {
        if self.is_queued(bank) {
            return;
        }
        let tail = self.reaper.tail;
        let record = self.ledger.record_mut(bank);
        (record.queue_prev, record.queue_next) = (tail, NIL);
        if tail == NIL {
            self.reaper.head = bank.raw();
        } else {
            self.ledger.record_mut(Owner::from_raw(tail)).queue_next = bank.raw();
        }
        self.reaper.tail = bank.raw();
    }

    /// Takes a bank out of the queue; answers whether it stood in it.
    pub(crate) fn dequeue(&mut self, bank: Owner) -> bool {
        if !self.is_queued(bank) {
            return false;
        }
        let record = self.ledger.record_mut(bank);
        let (prev, next) = (record.queue_prev, record.queue_next);
        (record.queue_prev, record.queue_next) = (NIL, NIL);
        if prev == NIL {
            self.reaper.head = next;
        } else {
            self.ledger.record_mut(Owner::from_raw(prev)).queue_next = next;
        }
        if next == NIL {
            self.reaper.tail = prev;
        } else {
            self.ledger.record_mut(Owner::from_raw(next)).queue_prev = prev;
        }
        true
    }

    fn is_queued(&self, bank: Owner) -> bool {
        let record = self.ledger.record(bank);
        self.reaper.head == bank.raw() || record.queue_prev != NIL
    }

    /// Banks in the queue, first to last; for the audit.
    pub(crate) fn queue(&self) -> impl Iterator<Item = Owner> {
        let owner = |raw: u32| (raw != NIL).then(|| Owner::from_raw(raw));
        core::iter::successors(owner(self.reaper.head), move |bank| {
            owner(self.ledger.record(*bank).queue_next)
        })
    }

    /// Whether a bank is on its way out.
    pub(crate) fn is_ending(&self, bank: Owner) -> bool {
        self.ledger.record(bank).life() != Life::Alive
    }
}
