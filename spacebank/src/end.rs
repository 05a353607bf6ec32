//! How banks end: `DESTROY` and `REMOVE`, in bounded steps.
//!
//! **Destroy.** The first step marks the bank, and from then on it and everything below it refuses
//! (each request asks whether an ancestor is marked: nothing has to be told to the descendants, so
//! nothing can slip through). The topmost marked bank alone does the work, whoever asks for a step, so
//! nobody changes a subtree under its cursor. The cursor goes through the subtree once for each of the
//! kinds that go first (what runs, then what maps, from the root of the address space down) and a last
//! time from the leaves up: the rest, what is in limbo, the bank's record. An object that a pin holds
//! back is charged to the nearest living ancestor from then on, which is the parent of the topmost
//! marked bank.
//!
//! **Remove.** What the bank has goes to its parent, from the heads of its lists, until there is
//! nothing left. Totals include descendants, so the parent's don't change. The children live on
//! throughout.
//!
//! Whatever was begun stands in the reaper's queue until it is done, whether somebody drives it or not.

use abi::batch::LIMIT;
use sys::{Error, Mem, Request, Sys};

use crate::entry::NIL;
use crate::kernel::Fate;
use crate::owner::Owner;
use crate::record::{EARLY, Life, List, ORDER, Records};
use crate::refusal::Refusal;
use crate::server::{Answer, Server, has_argument};

/// Most objects that one step deals with.
pub const STEP_OBJECTS: usize = LIMIT;
/// Most banks that one step looks at.
pub const STEP_BANKS: usize = 64;
/// How often the kernel may say in one step that it wants to be called again. It does a bounded
/// number of entries or frames in one call (16 pages, say, or the better part of a full table).
pub const STEP_PIECES: usize = 4;

/// What is left of a step's bounds.
struct Budget {
    objects: usize,
    banks: usize,
    pieces: usize,
}

impl Budget {
    const STEP: Budget = Budget {
        objects: STEP_OBJECTS,
        banks: STEP_BANKS,
        pieces: STEP_PIECES,
    };

    fn spent(&self) -> bool {
        self.objects == 0 || self.banks == 0 || self.pieces == 0
    }
}

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// `DESTROY`. Without a notification it does a step, and answers `MORE` until the bank is gone.
    /// With one it answers at once and leaves all steps to the reaper: the caller may live inside
    /// what it destroys, and could not be told any other way.
    pub(crate) fn destroy(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        if bank == Owner::PRIME {
            return Err(Refusal::Prime);
        }
        let serial = self.ledger.record(bank).serial();
        if has_argument(request) {
            if !self.ledger.may_wait(bank) {
                return Err(Refusal::Share);
            }
            let slot = self.waiters.vacancy().ok_or(Refusal::Waiters)?;
            self.kernel(sys).keep_argument(slot)?;
            self.waiters.enter(slot, serial);
            self.ledger.waits(bank);
            self.mark_dying(bank);
            return Ok(Answer::default());
        }
        self.mark_dying(bank);
        let top = self.ledger.topmost_dying(bank).unwrap_or(bank);
        self.destroy_step(sys, top)?;
        Ok(Answer::step(self.ledger.find(serial).is_none()))
    }

    fn mark_dying(&mut self, bank: Owner) {
        self.enqueue(bank);
        let record = self.ledger.record_mut(bank);
        if record.life() != Life::Dying {
            record.set_life(Life::Dying);
            record.cursor = bank.raw();
            record.phase = 0;
        }
    }

    /// `REMOVE`.
    pub(crate) fn remove(&mut self, sys: &impl Sys, bank: Owner) -> Result<Answer, Refusal> {
        if self.ledger.topmost_dying(bank).is_some() {
            return Err(Refusal::Void);
        }
        if bank == Owner::PRIME {
            return Err(Refusal::Prime);
        }
        if self.ledger.record(bank).opaque() {
            return Err(Refusal::Opaque);
        }
        self.enqueue(bank);
        self.ledger.record_mut(bank).set_life(Life::Leaving);
        Ok(Answer::step(self.remove_step(sys, bank)?))
    }

    /// One step of what a bank in the reaper's queue is up to.
    pub(crate) fn step(&mut self, sys: &impl Sys, bank: Owner) -> Result<(), Error> {
        match self.ledger.topmost_dying(bank) {
            Some(top) => self.destroy_step(sys, top),
            None => self.remove_step(sys, bank).map(|_| ()),
        }
    }

    /// Moves up to [`STEP_OBJECTS`] objects and children to the parent. Answers whether that was all.
    fn remove_step(&mut self, sys: &impl Sys, bank: Owner) -> Result<bool, Error> {
        let Some(parent) = self.ledger.parent(bank) else {
            return Ok(true);
        };
        let lists = ORDER
            .map(List::Of)
            .into_iter()
            .chain([List::Children, List::Limbo]);
        let mut left = STEP_OBJECTS;
        for list in lists {
            let mut oids = [0; STEP_OBJECTS];
            let n = self
                .ledger
                .objects
                .first(self.ledger.record(bank).head(list), &mut oids[..left]);
            for oid in &oids[..n] {
                self.ledger.hand_up(bank, list, *oid, parent);
            }
            left -= n;
        }
        if left == 0 || !self.ledger.record(bank).is_empty() {
            return Ok(false);
        }
        self.end(sys, bank, parent)
    }

    /// One step of the destruction of `top` and everything below.
    fn destroy_step(&mut self, sys: &impl Sys, top: Owner) -> Result<(), Error> {
        let Some(heir) = self.ledger.parent(top) else {
            return Ok(());
        };
        let mut budget = Budget::STEP;
        while !budget.spent() {
            let record = self.ledger.record(top);
            let (bank, phase) = (Owner::from_raw(record.cursor), record.phase as usize);
            let go_on = if phase < EARLY {
                self.destroy_early(sys, top, bank, phase, heir, &mut budget)?
            } else {
                self.destroy_late(sys, top, bank, heir, &mut budget)?
            };
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    fn point(&mut self, top: Owner, bank: Owner) {
        self.ledger.record_mut(top).cursor = bank.raw();
    }

    /// One kind of the bank at the cursor, on the way down through the subtree.
    fn destroy_early(
        &mut self,
        sys: &impl Sys,
        top: Owner,
        bank: Owner,
        phase: usize,
        heir: Owner,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let list = List::Of(ORDER[phase]);
        if self.ledger.record(bank).head(list) != NIL {
            return self.destroy_some(sys, bank, phase, heir, budget);
        }
        budget.banks -= 1;
        match self.ledger.next_in_subtree(top, bank) {
            Some(next) => self.point(top, next),
            None => {
                self.point(top, top);
                self.ledger.record_mut(top).phase += 1;
            }
        }
        Ok(true)
    }

    /// All that is left of the bank at the cursor, after its children. Answers whether to go on.
    fn destroy_late(
        &mut self,
        sys: &impl Sys,
        top: Owner,
        bank: Owner,
        heir: Owner,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let record = self.ledger.record(bank);
        let child = record.head(List::Children);
        if child != NIL {
            budget.banks -= 1;
            self.point(top, Owner::of_record(child));
            return Ok(true);
        }
        for (phase, kind) in ORDER.iter().enumerate() {
            if record.head(List::Of(*kind)) != NIL {
                return self.destroy_some(sys, bank, phase, heir, budget);
            }
        }
        let limbo = record.head(List::Limbo);
        if limbo != NIL {
            budget.objects -= 1;
            self.ledger.bequeath(bank, limbo, heir);
            return Ok(true);
        }
        budget.objects -= 1;
        budget.banks -= 1;
        let Some(parent) = self.ledger.parent(bank) else {
            return Ok(false);
        };
        if bank != top {
            self.point(top, parent);
        }
        if !self.end(sys, bank, heir)? {
            self.point(top, bank);
            return Ok(false);
        }
        Ok(bank != top)
    }

    /// Rescinds as many objects of a kind as the budget allows.
    fn destroy_some(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        phase: usize,
        heir: Owner,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let mut oids = [0; STEP_OBJECTS];
        let head = self.ledger.record(bank).head(List::Of(ORDER[phase]));
        let n = self.ledger.objects.first(head, &mut oids[..budget.objects]);
        let voided = self.void(sys, bank, ORDER[phase], &oids[..n], heir)?;
        budget.objects -= voided.done;
        budget.pieces -= usize::from(voided.more);
        Ok(true)
    }

    /// Gives an empty bank's record back to its parent; `heir` is charged if something holds it. Tells
    /// who waited for it. Answers whether the kernel is done with it.
    fn end(&mut self, sys: &impl Sys, bank: Owner, heir: Owner) -> Result<bool, Error> {
        let (Some(oid), Some(parent)) = (bank.record_object(), self.ledger.parent(bank)) else {
            return Err(Error::new(abi::error::EPERM));
        };
        let serial = self.ledger.record(bank).serial();
        let queued = self.dequeue(bank);
        // The kernel rescinds a page in one piece: while it is not done, the record is still there.
        let rescinded = self.kernel(sys).rescind(&[oid]);
        if !rescinded
            .as_ref()
            .is_ok_and(|rescinded| rescinded.done == 1)
        {
            if queued {
                self.enqueue(bank);
            }
            return rescinded.map(|_| false);
        }
        self.ledger.records.discard(oid);
        match rescinded?.fates[0] {
            Fate::Freed => {
                self.ledger.freed(parent, List::Children, oid);
                self.ledger.discharge(parent, 1, 0, heir);
            }
            Fate::Limbo => {
                self.ledger.suspended(parent, List::Children, oid, heir);
                self.ledger.discharge(parent, 0, 1, heir);
            }
        }
        let mut told = 0;
        while let Some(slot) = self.waiters.leave(serial) {
            self.kernel(sys).tell(slot);
            told += 1;
        }
        self.ledger.waited(parent, told);
        Ok(true)
    }
}
