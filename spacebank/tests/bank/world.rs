//! A server on the fake kernel, and clients' ways to call it.

use std::cell::RefMut;

use abi::cap::{Kind, Rights};
use abi::error::{self, Status, status};
use spacebank::{ANSWER, ARGUMENT, Entry, Server};
use sys::bank::{BankRights, method};

use crate::fake::{BatchPage, Capability, Fake, FakeRecords, INIT_TABLE, Machine, SOLD, State};

/// Objects of a usual test machine.
pub const OBJECTS: usize = 700;

/// An answer as a client gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: Status,
    pub words: [u64; 6],
    pub capability: Option<Capability>,
}

pub struct World {
    pub fake: Fake,
    pub server: Server<'static, FakeRecords, BatchPage>,
}

pub const PRIME: u64 = abi::boot::badge::PRIME;
pub const VERIFIER: u64 = abi::boot::badge::VERIFIER;

impl World {
    pub fn new() -> World {
        World::with_entries(vec![Entry::default(); OBJECTS])
    }

    /// A machine with as many objects as there are entries.
    pub fn with_entries(entries: Vec<Entry>) -> World {
        let fake = Fake::new(entries.len());
        let records = FakeRecords {
            fake: fake.clone(),
            records: Default::default(),
        };
        let server = Server::start(&fake, entries.leak(), SOLD, records, fake.batch.clone());
        let world = World {
            fake,
            server: server.expect("the server starts"),
        };
        world.check();
        world
    }

    pub fn machine(&self) -> RefMut<'_, Machine> {
        self.fake.machine.borrow_mut()
    }

    /// Calls with a badge; the books are checked afterwards.
    pub fn call(&mut self, badge: u64, words: &[u64], capability: Option<Capability>) -> Reply {
        let reply = self.call_unchecked(badge, words, capability);
        self.check();
        reply
    }

    /// Calls with a badge.
    pub fn call_unchecked(
        &mut self,
        badge: u64,
        words: &[u64],
        capability: Option<Capability>,
    ) -> Reply {
        let mut all = [0; 6];
        all[..words.len()].copy_from_slice(words);
        let request = self
            .machine()
            .deliver([ARGUMENT, 0, 0, 0], badge, all, capability, true);
        let answer = self.server.handle(&self.fake, &request);
        assert!(answer.capability == 0 || answer.capability == ANSWER);
        let capability = self.machine().get(answer.capability);
        Reply {
            status: answer.status,
            words: answer.words,
            capability,
        }
    }

    /// Server and kernel agree on every object, and the books balance.
    pub fn check(&self) {
        let census = self
            .server
            .audit()
            .unwrap_or_else(|fault| panic!("{fault}"));
        let machine = self.machine();
        // A limbo that ended is the server's to learn of.
        let told = machine.reapable.len();
        let (free, live, limbo) = machine.census();
        assert_eq!(
            (census.free, census.live, census.limbo),
            (free - told, live, limbo + told)
        );
        for (oid, object) in machine.objects.iter().enumerate() {
            let entry = self
                .server
                .entry(oid as u32)
                .expect("an entry for each object");
            let known = match entry.state() {
                spacebank::State::Free => object.state == State::Free,
                spacebank::State::Live | spacebank::State::Record => {
                    matches!(object.state, State::Live | State::Rescinding)
                        && entry.kind() == object.kind
                }
                spacebank::State::Limbo => {
                    object.state == State::Limbo || machine.reapable.contains(&(oid as u32))
                }
            };
            assert!(
                known,
                "object {oid}: {entry:?} is {:?} to the kernel",
                object.state
            );
        }
    }

    pub fn init_table(&self) -> Capability {
        self.machine().full(INIT_TABLE)
    }

    /// A capability that spacebank answered with, as a badge.
    pub fn sub_bank(&mut self, badge: u64, limit: u64, opaque: bool) -> u64 {
        let reply = self.call(badge, &[method::SUB_BANK, limit, opaque.into()], None);
        assert_eq!(reply.status, error::OK);
        let start = reply.capability.expect("a bank comes with its capability");
        assert_eq!(start.badge >> 8, reply.words[0]);
        start.badge
    }

    /// Buys into slots of a table.
    pub fn buy_caps(
        &mut self,
        badge: u64,
        kind: Kind,
        count: u64,
        table: Capability,
        slot: u64,
    ) -> Reply {
        self.call(
            badge,
            &[method::BUY, kind as u64, count, slot, 0],
            Some(table),
        )
    }

    /// Buys pages into places of a segment.
    pub fn buy_pages(&mut self, badge: u64, count: u64, segment: Capability, first: u64) -> Reply {
        let rights = (Rights::READ | Rights::WRITE).bits();
        let words = [method::BUY, Kind::Page as u64, count, first, rights.into()];
        self.call(badge, &words, Some(segment))
    }

    /// Buys one object as a capability, by way of init's table.
    pub fn buy_one(&mut self, badge: u64, kind: Kind) -> Capability {
        let table = self.init_table();
        self.machine().objects[INIT_TABLE as usize].slots[0] = None;
        let reply = self.buy_caps(badge, kind, 1, table, 0);
        assert_eq!(reply.status, error::OK);
        self.slot(table, 0)
    }

    pub fn slot(&self, table: Capability, slot: usize) -> Capability {
        self.machine().objects[table.oid as usize].slots[slot].expect("the slot was filled")
    }

    /// Limit, bought, limbo, high-water, children, id.
    pub fn usage(&mut self, badge: u64) -> [u64; 6] {
        let reply = self.call(badge, &[method::USAGE], None);
        assert_eq!(reply.status, error::OK);
        reply.words
    }

    pub fn bought(&mut self, badge: u64) -> u64 {
        self.usage(badge)[1]
    }

    pub fn limbo(&mut self, badge: u64) -> u64 {
        self.usage(badge)[2]
    }

    pub fn is_void(&mut self, badge: u64) -> bool {
        self.call(badge, &[method::USAGE], None).status == error::VOID
    }

    /// Invokes an ending method until it is done; answers the number of steps.
    pub fn end(&mut self, badge: u64, method: u64) -> usize {
        for steps in 1.. {
            let before = self.machine().rescinded.len();
            let reply = self.call(badge, &[method], None);
            assert!(
                self.machine().rescinded.len() - before <= 64,
                "a step is bounded"
            );
            if reply.status == error::OK {
                return steps;
            }
            assert_eq!(reply.status, error::MORE);
        }
        unreachable!("a step comes after each")
    }

    /// Lets spacebank do all that it does unasked; answers the number of steps.
    pub fn idle(&mut self) -> usize {
        let bits = std::mem::take(&mut self.machine().bits);
        self.server.notified(&self.fake.clone(), 0, bits);
        for steps in 0..1_000_000 {
            if !self.server.has_background_work() {
                return steps;
            }
            self.server
                .background_step(&self.fake.clone())
                .expect("the kernel does its part");
            self.check();
        }
        panic!("the reaper never finishes");
    }

    /// A notification that a client made for itself.
    pub fn notify(&self, process: u32, bit: u64) -> Capability {
        Capability {
            kind: Kind::Notify as u8,
            badge: bit,
            ..self.machine().full(process)
        }
    }
}

/// The capability of a bank, as it is sent.
pub fn bank(world: &World, badge: u64) -> Capability {
    Capability {
        kind: Kind::Start as u8,
        badge,
        ..world.machine().full(crate::fake::SPACEBANK)
    }
}

/// A badge with other rights: what `RESTRICT` would have answered.
pub fn with_rights(badge: u64, rights: BankRights) -> u64 {
    badge & !0xff | u64::from(rights.bits())
}

#[track_caller]
pub fn refused(reply: Reply, errno: i32) {
    assert_eq!(
        reply.status,
        status(errno),
        "{}",
        error::explain(reply.status)
    );
    assert_eq!(reply.capability, None);
}
