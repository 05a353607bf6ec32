//! Carries operations out, and says beforehand what they must answer.

use std::collections::{BTreeMap, BTreeSet};

use abi::cap::Kind;
use abi::error::{self, Status, status};
use proptest::sample::Index;
use spacebank::{Entry, MAX_DEPTH, Serial, WAITER_SLOTS};
use sys::bank::{BankRights, method};

use super::operation::Operation;
use super::{Bank, Life, Model, OBJECTS, PRIME_ID};
use crate::fake::{Capability, INIT, INIT_TABLE, SOLD};
use crate::world::{PRIME, Reply, VERIFIER, World, bank as start};

pub struct Run {
    pub world: World,
    pub model: Model,
    /// Every bank that ever was.
    pub badges: Vec<u64>,
    /// Every capability that was ever bought.
    pub capabilities: Vec<Capability>,
    pub pinned: Vec<u32>,
    pub next_bit: u64,
    /// Notifications that must have come.
    pub expected: Vec<u64>,
}

fn rank(kind: Kind) -> usize {
    match kind {
        Kind::Process => 0,
        kind => kind.table_level().map_or(5, |level| 5 - usize::from(level)),
    }
}

pub fn void() -> Status {
    error::VOID
}

impl Run {
    pub fn new() -> Run {
        let world = World::with_entries(vec![Entry::default(); OBJECTS]);
        let objects = (0..SOLD).map(|oid| (oid, world.machine().full(oid).kind));
        let objects = objects.map(|(oid, kind)| (oid, Kind::from_u8(kind).expect("a kind")));
        let prime = Bank {
            parent: None,
            record: None,
            limit: OBJECTS as u64,
            opaque: false,
            life: Life::Alive,
            high_water: u64::from(SOLD),
            objects: objects.collect(),
            limbo: BTreeSet::new(),
            waiting: Vec::new(),
            rank: 0,
        };
        let mut model = Model::default();
        model.banks.insert(PRIME_ID, prime);
        let capabilities = vec![world.init_table()];
        world.machine().pieces = 8;
        Run {
            world,
            model,
            badges: vec![PRIME],
            capabilities,
            pinned: Vec::new(),
            next_bit: 0,
            expected: Vec::new(),
        }
    }

    /// A request without the whole check that `World::call` does each time.
    pub fn call(&mut self, badge: u64, words: &[u64], capability: Option<Capability>) -> Reply {
        self.world.call_unchecked(badge, words, capability)
    }

    fn pick(&self, bank: Index) -> (u64, u64) {
        // The newest banks are the likeliest: they are the ones that live.
        let badge = self.badges[self.badges.len() - 1 - bank.index(self.badges.len().min(12))];
        (badge, badge >> 8)
    }

    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Buy {
                bank,
                kind,
                count,
                into,
                any,
                first,
                rights,
            } => {
                let tables: Vec<_> = self
                    .capabilities
                    .iter()
                    .copied()
                    .filter(|found| *any || matches!(found.kind, 2..=6))
                    .collect();
                let into = tables[tables.len() - 1 - into.index(tables.len().min(8))];
                let kind = Kind::from_u8(*kind).expect("a kind");
                self.buy(self.pick(*bank), kind, *count, into, *first, *rights);
            }
            Operation::Sell { bank, what, own } => {
                let (badge, id) = self.pick(*bank);
                let mine = self.model.banks.get(&id).filter(|_| *own);
                let of_bank = |found: &&Capability| {
                    mine.is_none_or(|bank| bank.objects.contains_key(&found.oid))
                };
                let choice: Vec<_> = self.capabilities.iter().filter(of_bank).copied().collect();
                if !choice.is_empty() {
                    self.sell((badge, id), choice[what.index(choice.len())]);
                }
            }
            Operation::SubBank {
                bank,
                limit,
                opaque,
            } => {
                self.sub_bank(self.pick(*bank), *limit, *opaque);
            }
            Operation::Destroy { bank, notify } => self.destroy(self.pick(*bank), *notify),
            Operation::Remove { bank } => self.remove(self.pick(*bank)),
            Operation::SetLimit { bank, limit } => {
                let (badge, id) = self.pick(*bank);
                let reply = self.call(badge, &[method::SET_LIMIT, *limit], None);
                let expected = match id {
                    _ if !self.model.serves(id) => void(),
                    PRIME_ID => status(error::EPERM),
                    _ => {
                        self.model.bank(id).limit = *limit;
                        error::OK
                    }
                };
                assert_eq!(reply.status, expected);
            }
            Operation::Inspect { bank } => self.inspect(self.pick(*bank)),
            Operation::Verify { bank } => {
                let (badge, id) = self.pick(*bank);
                let asked = start(&self.world, badge & !0xff);
                let words = self.call(VERIFIER, &[method::VERIFY], Some(asked)).words;
                let expected = match self.model.serves(id) {
                    true => [1, self.model.banks[&id].opaque.into(), id],
                    false => [0; 3],
                };
                assert_eq!(words[..3], expected);
            }
            Operation::Pin { what } => {
                let pages: Vec<u32> = self
                    .model
                    .banks
                    .values()
                    .flat_map(|bank| &bank.objects)
                    .filter(|(oid, kind)| **kind == Kind::Page && **oid >= SOLD)
                    .map(|(oid, _)| *oid)
                    .collect();
                if !pages.is_empty() {
                    let oid = pages[what.index(pages.len())];
                    self.world.machine().pin(oid);
                    self.pinned.push(oid);
                }
            }
            Operation::Unpin { what } => {
                if !self.pinned.is_empty() {
                    let oid = self.pinned.swap_remove(what.index(self.pinned.len()));
                    self.world.machine().unpin(oid);
                }
            }
            Operation::Work { what, amount } => {
                let mut machine = self.world.machine();
                let processes: Vec<_> = self
                    .capabilities
                    .iter()
                    .filter(|found| found.kind == Kind::Process as u8 && machine.alive(**found))
                    .map(|found| found.oid)
                    .collect();
                if !processes.is_empty() {
                    let oid = processes[what.index(processes.len())];
                    machine.objects[oid as usize].work = *amount;
                }
            }
            Operation::Pieces { pieces } => self.world.machine().pieces = *pieces,
            Operation::ClearTable => {
                self.world.machine().objects[INIT_TABLE as usize]
                    .slots
                    .fill(None);
            }
            Operation::Background => self.step(),
            Operation::Told => {
                let before = self.reapable();
                let bits = std::mem::take(&mut self.world.machine().bits);
                let fake = self.world.fake.clone();
                self.world.server.notified(&fake, 0, bits);
                self.settle(before);
            }
        }
        self.compare();
    }

    pub fn step(&mut self) {
        let before = self.reapable();
        let fake = self.world.fake.clone();
        self.world
            .server
            .background_step(&fake)
            .expect("the kernel does its part");
        self.settle(before);
    }

    fn sell(&mut self, (badge, id): (u64, u64), capability: Capability) {
        let alive = self.world.machine().alive(capability);
        let expected = match self.model.banks.get(&id) {
            _ if !self.model.serves(id) => void(),
            _ if !alive => status(error::EBADF),
            Some(bank) if bank.objects.contains_key(&capability.oid) => error::OK,
            _ => status(error::ERANGE),
        };
        // init's own table stays.
        if capability.oid == INIT_TABLE && expected == error::OK {
            return;
        }
        let reply = self.call(badge, &[method::SELL], Some(capability));
        assert_eq!(reply.status, expected);
        if expected == error::OK {
            assert!(!self.world.machine().alive(capability));
            self.model.voiding.insert(capability.oid);
        }
        self.settle(self.reapable());
    }

    fn sub_bank(&mut self, (badge, id): (u64, u64), limit: u64, opaque: bool) {
        let expected = match self
            .model
            .serves(id)
            .then(|| self.model.refusing_level(id, 1))
        {
            None => void(),
            Some(_) if self.model.line(id).len() >= MAX_DEPTH => status(error::EMLINK),
            Some(Some(_)) => status(error::EDQUOT),
            Some(None) => error::OK,
        };
        let reply = self.call(badge, &[method::SUB_BANK, limit, opaque.into()], None);
        assert_eq!(reply.status, expected);
        let minted = std::mem::take(&mut self.world.machine().minted);
        if expected != error::OK {
            assert!(minted.is_empty());
            return;
        }
        let made = reply.capability.expect("a bank").badge;
        assert!(!self.badges.contains(&made), "a number was used again");
        assert_eq!(Serial::from_badge(made).1, BankRights::all());
        let bank = Bank {
            parent: Some(id),
            record: Some(minted[0]),
            limit,
            opaque: opaque || self.model.banks[&id].opaque,
            life: Life::Alive,
            high_water: 0,
            objects: BTreeMap::new(),
            limbo: BTreeSet::new(),
            waiting: Vec::new(),
            rank: 0,
        };
        self.model.banks.insert(made >> 8, bank);
        self.badges.push(made);
    }

    pub fn destroy(&mut self, (badge, id): (u64, u64), notify: bool) {
        let refused = match id {
            _ if !self.model.banks.contains_key(&id) => Some(void()),
            PRIME_ID => Some(status(error::EPERM)),
            _ if notify && !self.model.may_wait(id) => Some(status(error::EAGAIN)),
            _ if notify && self.model.waiting(PRIME_ID) == WAITER_SLOTS => {
                Some(status(error::EMFILE))
            }
            _ => None,
        };
        self.next_bit += 1;
        let done = notify.then(|| self.world.notify(INIT, self.next_bit));
        if refused.is_none() {
            self.model.bank(id).life = Life::Dying;
            if notify {
                let bit = self.next_bit;
                self.model.bank(id).waiting.push(bit);
            }
        }
        let top = refused.is_none().then(|| self.model.top(id).unwrap_or(id));
        let reply = self.call(badge, &[method::DESTROY], done);
        if let (Some(top), false) = (top, notify) {
            self.check_order(top);
        }
        self.settle(self.reapable());
        let expected = match refused {
            Some(status) => status,
            None if notify || !self.model.banks.contains_key(&id) => error::OK,
            None => error::MORE,
        };
        assert_eq!(reply.status, expected);
    }

    /// Processes first, then tables from the root down, then the rest, in all that the topmost dying
    /// bank takes along.
    fn check_order(&mut self, top: u64) {
        let rescinded = self.world.machine().rescinded.clone();
        let bank = self.model.bank(top);
        for (_, kind, _) in rescinded {
            assert!(rank(kind) >= bank.rank, "{kind:?} after a later kind");
            bank.rank = rank(kind);
        }
    }

    fn remove(&mut self, (badge, id): (u64, u64)) {
        let refused = match self.model.banks.get(&id) {
            None => Some(void()),
            Some(_) if self.model.top(id).is_some() => Some(void()),
            Some(bank) if id == PRIME_ID || bank.opaque => Some(status(error::EPERM)),
            Some(_) => None,
        };
        if refused.is_none() {
            self.model.bank(id).life = Life::Leaving;
        }
        let reply = self.call(badge, &[method::REMOVE], None);
        self.settle(self.reapable());
        let gone = !self.model.banks.contains_key(&id);
        assert_eq!(
            reply.status,
            refused.unwrap_or(if gone { error::OK } else { error::MORE })
        );
    }

    fn inspect(&mut self, (badge, id): (u64, u64)) {
        let first = self.call(badge, &[method::INSPECT, 0], None);
        if !self.model.serves(id) {
            return assert_eq!(first.status, void());
        }
        if self.model.banks[&id].opaque {
            return assert_eq!(first.status, status(error::EPERM));
        }
        let hidden = |oid: &u32| *oid < SOLD || self.model.voiding.contains(oid);
        let expected = self.model.banks[&id].objects.clone();
        let expected = expected
            .into_iter()
            .filter(|(oid, _)| !hidden(oid))
            .collect();
        let (mut shown, mut reply) = (BTreeMap::new(), first);
        if reply.status != status(error::ENOENT) {
            loop {
                assert_eq!(reply.status, error::OK);
                let found = reply.capability.expect("a capability");
                assert_eq!(found, self.world.machine().full(found.oid));
                let kind = Kind::from_u8(found.kind).expect("a kind");
                assert_eq!(shown.insert(found.oid, kind), None, "shown twice");
                if reply.words[0] == 0 {
                    break;
                }
                reply = self.call(badge, &[method::INSPECT, reply.words[0]], None);
            }
        }
        assert_eq!(shown, expected);
    }
}
