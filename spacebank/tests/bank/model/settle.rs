//! Brings the model up to what the server did, and compares the two.

use std::collections::BTreeSet;

use abi::error;
use sys::bank::method;

use super::run::{Run, void};
use super::{Life, OBJECTS, PRIME_ID};
use crate::world::PRIME;

impl Run {
    pub fn reapable(&self) -> Vec<u32> {
        self.world.machine().reapable.iter().copied().collect()
    }

    /// Brings the model up to what a step did, and checks that the step was allowed to.
    pub fn settle(&mut self, reapable: Vec<u32>) {
        let moved = self.settle_moves();
        let rescinded = std::mem::take(&mut self.world.machine().rescinded);
        assert!(moved + rescinded.len() <= 64, "a step is bounded");
        for (oid, kind, limbo) in rescinded {
            self.model.voiding.remove(&oid);
            if let Some(owner) = self.model.owner_of(oid) {
                assert_eq!(self.model.bank(owner).objects.remove(&oid), Some(kind));
                if limbo {
                    let heir = self.model.heir(owner);
                    self.model.bank(heir).limbo.insert(oid);
                }
                continue;
            }
            let (id, bank) = self
                .model
                .banks
                .extract_if(.., |_, bank| bank.record == Some(oid))
                .next()
                .expect("what was rescinded is an object or a record");
            assert!(
                bank.objects.is_empty() && bank.limbo.is_empty(),
                "a bank ends empty"
            );
            assert_eq!(
                self.model.children(id).count(),
                0,
                "a bank ends without children"
            );
            assert!(
                bank.life != Life::Alive
                    || bank.parent.is_some_and(|up| self.model.top(up).is_some())
            );
            self.expected.extend(bank.waiting);
        }
        let left: BTreeSet<u32> = self.reapable().into_iter().collect();
        for oid in reapable.into_iter().filter(|oid| !left.contains(oid)) {
            let owners = self
                .model
                .banks
                .values_mut()
                .filter_map(|bank| bank.limbo.take(&oid));
            assert_eq!(owners.count(), 1, "reaped from exactly one bank");
        }
        // A sale that is neither done nor under way would be forgotten.
        for oid in &self.model.voiding {
            let entry = self.world.server.entry(*oid).expect("an object");
            assert!(entry.voiding() && self.model.owner_of(*oid).is_some());
        }
    }

    /// What a removal hands to the parent, and the limbo that a destruction leaves to the heir.
    fn settle_moves(&mut self) -> usize {
        let owner_now = |run: &Run, oid: u32| {
            run.model
                .id_of(run.world.server.entry(oid).expect("an object").owner())
        };
        let mut moves = Vec::new();
        let reaped = |oid: &&u32| {
            let entry = self.world.server.entry(**oid).expect("an object");
            entry.state() == spacebank::State::Free
        };
        for (id, bank) in &self.model.banks {
            let dying = self.model.top(*id).is_some();
            let leaving = bank.life == Life::Leaving && !dying;
            let to = if leaving {
                bank.parent
            } else {
                Some(self.model.heir(*id))
            };
            let objects = bank.objects.keys().filter(|_| leaving);
            let limbo = bank.limbo.iter().filter(|oid| !reaped(oid));
            for oid in objects.chain(limbo) {
                let now = owner_now(self, *oid);
                if now != *id {
                    assert_eq!(Some(now), to, "object {oid} went astray");
                    moves.push((*oid, *id, now));
                }
            }
            if leaving {
                for child in self.model.children(*id) {
                    let record = self.model.banks[&child]
                        .record
                        .expect("a child has a record");
                    let now = owner_now(self, record);
                    if now != *id {
                        assert_eq!(Some(now), bank.parent);
                        moves.push((record, child, now));
                    }
                }
            }
        }
        for (oid, id, now) in &moves {
            let bank = self.model.bank(*id);
            if bank.record == Some(*oid) {
                bank.parent = Some(*now);
            } else if let Some(kind) = bank.objects.remove(oid) {
                self.model.bank(*now).objects.insert(*oid, kind);
            } else {
                assert!(bank.limbo.remove(oid));
                self.model.bank(*now).limbo.insert(*oid);
            }
        }
        moves.len()
    }

    /// Model, server and kernel agree on everything.
    pub fn compare(&mut self) {
        self.world.check();
        let mut told: Vec<u64> = std::mem::take(&mut self.world.machine().told)
            .iter()
            .map(|found| found.badge)
            .collect();
        told.sort();
        self.expected.sort();
        assert_eq!(told, std::mem::take(&mut self.expected));
        for n in 0..self.badges.len() {
            let (badge, id) = (self.badges[n], self.badges[n] >> 8);
            let reply = self.call(badge, &[method::USAGE], None);
            if !self.model.banks.contains_key(&id) {
                assert_eq!(reply.status, void(), "bank {id:x} is gone");
                continue;
            }
            let (live, limbo) = (self.model.live(id), self.model.limbo(id));
            let children = self.model.children(id).count() as u64;
            let bank = self.model.bank(id);
            bank.high_water = bank.high_water.max(live + limbo);
            let expected = [bank.limit, live, limbo, bank.high_water, children, id];
            assert_eq!(
                (reply.status, reply.words),
                (error::OK, expected),
                "bank {id:x}"
            );
        }
        for (id, bank) in &self.model.banks {
            let entries = bank.objects.keys().chain(&bank.limbo);
            for oid in entries {
                let entry = self.world.server.entry(*oid).expect("an object");
                assert_eq!(self.model.id_of(entry.owner()), *id, "owner of {oid}");
            }
        }
    }

    /// In the end everything comes back.
    pub fn finish(mut self) {
        for badge in self.badges.clone() {
            if badge != PRIME && self.model.banks.contains_key(&(badge >> 8)) {
                self.destroy((badge, badge >> 8), false);
            }
        }
        for oid in std::mem::take(&mut self.pinned) {
            self.world.machine().unpin(oid);
        }
        let fake = self.world.fake.clone();
        for _ in 0..10_000 {
            let before = self.reapable();
            let bits = std::mem::take(&mut self.world.machine().bits);
            self.world.server.notified(&fake, 0, bits);
            self.settle(before);
            if !self.world.server.has_background_work() {
                break;
            }
            self.step();
        }
        self.compare();
        let census = self.world.server.audit().expect("sound");
        assert_eq!(
            (census.banks, census.ending, census.limbo, census.waiters),
            (1, 0, 0, 0)
        );
        let own = self.model.banks[&PRIME_ID].objects.len();
        assert_eq!((census.live, census.free), (own, OBJECTS - own));
    }
}
