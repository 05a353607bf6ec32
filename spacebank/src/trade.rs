//! Buying and selling objects, and what a transparent bank shows of what it sold.

use abi::TABLE_ENTRIES;
use abi::batch::LIMIT;
use abi::cap::{Kind, Rights};
use sys::{Error, Mem, Request, Sys};

use crate::entry::{NIL, State};
use crate::kernel::{ARGUMENT, Fate};
use crate::owner::Owner;
use crate::record::{List, ORDER, Records};
use crate::refusal::Refusal;
use crate::server::{Answer, Server, has_argument, kind_of};

/// Calls to the kernel that a sale makes to finish one object, before the reaper takes over. A
/// table takes fewer; only a process that many others wait for can take more.
const SELL_PIECES: usize = 16;

/// What became of the first objects of a list.
pub(crate) struct Voided {
    /// How many are void and no longer live.
    pub done: usize,
    /// Whether the kernel wants to be called again for the next.
    pub more: bool,
}

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// `BUY`. Prompt: one invocation of the kernel, two for an opaque bank. All or nothing: the kernel
    /// fills all places or none, and nothing is counted until it did.
    pub(crate) fn buy(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let [_, kind, count, first, rights, _] = request.words;
        let kind = kind_of(kind)?;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| (1..=LIMIT).contains(count))
            .ok_or(Refusal::Argument)?;
        let first = u16::try_from(first)
            .ok()
            .filter(|first| usize::from(*first) + count <= TABLE_ENTRIES)
            .ok_or(Refusal::Argument)?;
        let rights = u8::try_from(rights).map_err(|_| Refusal::Argument)?;
        if !has_argument(request) {
            return Err(Refusal::Kind);
        }
        let kernel = self.kernel(sys);
        // The kernel checks the destination; only what it is must be known here, and only for this.
        if self.ledger.record(bank).opaque() && kernel.identify()?.1 == Kind::CapTable {
            return Err(Refusal::PlacesOnly);
        }
        self.ledger
            .room(bank, count as u64)
            .map_err(|level| Refusal::Quota { level })?;
        let mut oids = [0; LIMIT];
        let oids = &mut oids[..count];
        if self.ledger.objects.peek_free(oids) < count {
            return Err(Refusal::Exhausted);
        }
        kernel.mint_into(
            ARGUMENT,
            oids,
            kind,
            Rights::from_bits_retain(rights),
            first,
        )?;
        self.ledger.sold(bank, kind, oids);
        self.ledger.charge(bank, count as u64);
        Ok(Answer::default())
    }

    /// `SELL`. When it answers, the object is void; what the kernel has not finished with by then
    /// stays charged until the reaper has seen to it.
    pub(crate) fn sell(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        if !has_argument(request) {
            return Err(Refusal::Kind);
        }
        let (oid, kind, rights) = self.kernel(sys).identify()?;
        let entry = *self
            .ledger
            .objects
            .get(oid.into())
            .ok_or(Refusal::Foreign)?;
        if entry.state() != State::Live || entry.owner() != bank || entry.kind() != kind {
            return Err(Refusal::Foreign);
        }
        if rights != Rights::FULL {
            return Err(Refusal::Weak);
        }
        for piece in 1.. {
            if self.void(sys, bank, kind, &[oid], bank)?.done == 1 {
                break;
            }
            if piece >= SELL_PIECES && self.reaper.finish_later(oid) {
                self.ledger.objects.entry_mut(oid).set_voiding(true);
                break;
            }
        }
        Ok(Answer::default())
    }

    /// Rescinds objects of one kind of a bank, as many as the kernel does in one call. Those that go
    /// into limbo are charged to `heir`.
    pub(crate) fn void(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        kind: Kind,
        oids: &[u32],
        heir: Owner,
    ) -> Result<Voided, Error> {
        let rescinded = self.kernel(sys).rescind(oids)?;
        let (mut freed, mut limbo) = (0, 0);
        for (oid, fate) in oids.iter().zip(rescinded.fates).take(rescinded.done) {
            match fate {
                Fate::Freed => {
                    self.ledger.freed(bank, List::Of(kind), *oid);
                    freed += 1;
                }
                Fate::Limbo => {
                    self.ledger.suspended(bank, List::Of(kind), *oid, heir);
                    limbo += 1;
                }
            }
        }
        self.ledger.discharge(bank, freed, limbo, heir);
        Ok(Voided {
            done: rescinded.done,
            more: rescinded.more,
        })
    }

    /// `INSPECT`. A cursor is the number of the object to be shown, plus one. Objects that are bought
    /// meanwhile stand before it; that the one it names is sold meanwhile is an error.
    ///
    /// Records of child banks are not shown (who had one could make himself any bank), nor what the
    /// kernel made before spacebank ran (spacebank is among it).
    pub(crate) fn inspect(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        if self.ledger.record(bank).opaque() {
            return Err(Refusal::Opaque);
        }
        let oid = match request.words[1] {
            0 => self.first_shown(bank, &ORDER).ok_or(Refusal::Empty)?,
            cursor => {
                let oid = cursor - 1;
                let entry = self.ledger.objects.get(oid).ok_or(Refusal::Argument)?;
                let sold = entry.state() == State::Live && entry.owner() == bank;
                if !sold || entry.genesis() || entry.voiding() {
                    return Err(Refusal::Stale);
                }
                oid as u32
            }
        };
        let entry = *self.ledger.objects.entry(oid);
        let kind = entry.kind();
        let next = self.shown_from(entry.next).or_else(|| {
            let later = ORDER.iter().skip_while(|other| **other != kind).skip(1);
            later
                .into_iter()
                .find_map(|kind| self.first_of(bank, *kind))
        });
        self.kernel(sys).mint_again(oid, kind)?;
        let cursor = next.map_or(0, |oid| u64::from(oid) + 1);
        Ok(Answer::words(&[cursor, kind as u64]).with_capability())
    }

    fn first_shown(&self, bank: Owner, kinds: &[Kind]) -> Option<u32> {
        kinds.iter().find_map(|kind| self.first_of(bank, *kind))
    }

    fn first_of(&self, bank: Owner, kind: Kind) -> Option<u32> {
        self.shown_from(self.ledger.record(bank).head(List::Of(kind)))
    }

    /// The first object from here on that inspection shows. Bounded: only as many objects as the
    /// reaper has to finish are passed over, and what the kernel made stands behind all that was
    /// bought.
    fn shown_from(&self, mut oid: u32) -> Option<u32> {
        while oid != NIL {
            let entry = self.ledger.objects.entry(oid);
            if entry.genesis() {
                return None;
            }
            if !entry.voiding() {
                return Some(oid);
            }
            oid = entry.next;
        }
        None
    }
}
