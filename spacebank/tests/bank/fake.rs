//! A small kernel for the tests: objects with versions, capability tables, places, pins and limbo, as
//! `abi::method::range` describes them, and the `Sys` of the one process that runs on it, spacebank.
//!
//! It is strict where the real kernel trusts spacebank: a call to anything but the kernel's own
//! capabilities, a rescind of what is not live, or an access to a record that is not mapped, panics.

mod range;
mod seams;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::Status;
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES};
use sys::{Event, Message, Request};

pub use seams::FakeRecords;

/// Objects that the fake makes before spacebank runs.
pub const SPACEBANK: u32 = 0;
const ROOT: u32 = 1;
const BATCH: u32 = 2;
const RECORD_TABLE: u32 = 3;
const RECORD_SEGMENTS: u32 = 4;
/// init's process and table, which the tests act with.
pub const INIT: u32 = 6;
pub const INIT_TABLE: u32 = 7;
/// Objects sold at the start: spacebank, init, and two pages of the archive.
pub const SOLD: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability {
    pub kind: u8,
    pub rights: u8,
    pub oid: u32,
    pub version: u64,
    /// Badge of a `Start`, bit of a `Notify`.
    pub badge: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Free,
    Live,
    /// Void, but the kernel has not finished with it.
    Rescinding,
    Limbo,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    pub state: State,
    pub version: u64,
    pub pins: u32,
    pub slots: Vec<Option<Capability>>,
    pub places: Vec<Option<(u32, u8)>>,
    /// Where it is mapped.
    pub home: Option<(u32, u16)>,
    /// Pieces that rescinding takes beyond its entries: callers of a process.
    pub work: usize,
}

pub struct Machine {
    pub objects: Vec<Object>,
    pub reapable: VecDeque<u32>,
    limbo_notify: Option<Capability>,
    /// Bits set for spacebank.
    pub bits: u64,
    /// What was rescinded to the end, and whether into limbo, since somebody last looked.
    pub rescinded: Vec<(u32, Kind, bool)>,
    pub minted: Vec<u32>,
    /// Notifications sent by spacebank.
    pub told: Vec<Capability>,
    /// Pieces of work that one call of `RESCIND` does.
    pub pieces: usize,
    /// `RESCIND` fails so many times.
    pub failures: usize,
    pub has_clock: bool,
    pub now: u64,
    pub alarm: Option<(u64, u64)>,
    /// What comes to spacebank: badge, words, capability, whether it is a call.
    pub incoming: VecDeque<(u64, [u64; 6], Option<Capability>, bool)>,
    /// Answers that it gave through the loop.
    pub answers: Vec<(Status, Message)>,
    caller: bool,
    /// Whose turn it is: notifications and requests take turns.
    requests_turn: bool,
    /// Kernel invocations since somebody last looked.
    pub invocations: usize,
}

/// The kernel as spacebank sees it.
#[derive(Clone)]
pub struct Fake {
    pub machine: Rc<RefCell<Machine>>,
    pub batch: BatchPage,
}

/// spacebank's message page.
#[derive(Clone)]
pub struct BatchPage(Rc<RefCell<Vec<u8>>>);

impl Machine {
    pub fn new(count: usize) -> Machine {
        let free = Object {
            kind: Kind::Void,
            state: State::Free,
            version: 1,
            pins: 0,
            slots: Vec::new(),
            places: Vec::new(),
            home: None,
            work: 0,
        };
        let mut machine = Machine {
            objects: vec![free; count],
            reapable: VecDeque::new(),
            limbo_notify: None,
            bits: 0,
            rescinded: Vec::new(),
            minted: Vec::new(),
            told: Vec::new(),
            pieces: 64,
            failures: 0,
            has_clock: false,
            now: 0,
            alarm: None,
            incoming: VecDeque::new(),
            answers: Vec::new(),
            caller: false,
            requests_turn: false,
            invocations: 0,
        };
        let kinds = [
            Kind::Process,
            Kind::CapTable,
            Kind::Page,
            Kind::CapTable,
            Kind::Table1,
            Kind::Table1,
            Kind::Process,
            Kind::CapTable,
            Kind::Page,
            Kind::Page,
        ];
        for (oid, kind) in kinds.into_iter().enumerate() {
            machine.make(oid as u32, kind);
        }
        let grants = [
            (slot::ROOT, machine.full(ROOT)),
            (slot::PROCESS, machine.full(SPACEBANK)),
            (slot::MESSAGE, machine.full(BATCH)),
            (
                slot::CLOCK,
                Capability {
                    kind: Kind::Clock as u8,
                    ..machine.full(0)
                },
            ),
            (
                slot::BANK_RANGE,
                Capability {
                    kind: Kind::Range as u8,
                    ..machine.full(0)
                },
            ),
            (slot::BANK_RECORD_TABLES, machine.full(RECORD_TABLE)),
        ];
        for (slot, capability) in grants {
            machine.set(slot, Some(capability));
        }
        for n in 0..2 {
            let segment = machine.full(RECORD_SEGMENTS + n);
            machine.objects[RECORD_TABLE as usize].slots[n as usize] = Some(segment);
        }
        machine
    }

    fn make(&mut self, oid: u32, kind: Kind) {
        let object = &mut self.objects[oid as usize];
        assert_eq!(object.state, State::Free);
        assert_eq!(object.pins, 0);
        object.kind = kind;
        object.state = State::Live;
        object.slots = vec![
            None;
            if kind == Kind::CapTable {
                CAP_TABLE_SLOTS
            } else {
                0
            }
        ];
        object.places = vec![
            None;
            if kind.table_level().is_some() {
                TABLE_ENTRIES
            } else {
                0
            }
        ];
        object.home = None;
        object.work = 0;
    }

    pub fn full(&self, oid: u32) -> Capability {
        let object = &self.objects[oid as usize];
        Capability {
            kind: object.kind as u8,
            rights: Rights::FULL.bits(),
            oid,
            version: object.version,
            badge: 0,
        }
    }

    pub fn alive(&self, capability: Capability) -> bool {
        let kind = Kind::from_u8(capability.kind).unwrap();
        let named = kind.is_storage() || matches!(kind, Kind::Start | Kind::Notify);
        !named || self.objects[capability.oid as usize].version == capability.version
    }

    fn place(&mut self, address: CapAddr) -> Option<&mut Option<Capability>> {
        if address == 0 {
            return None;
        }
        let (table, slot) = if address < 128 {
            (ROOT, address)
        } else {
            let table = self.objects[ROOT as usize].slots[(address >> 7) as usize]?;
            assert_eq!(table.kind, Kind::CapTable as u8);
            (table.oid, address & 127)
        };
        self.objects[table as usize].slots.get_mut(slot as usize)
    }

    pub fn set(&mut self, address: CapAddr, capability: Option<Capability>) {
        if let Some(place) = self.place(address) {
            *place = capability;
        }
    }

    pub fn get(&mut self, address: CapAddr) -> Option<Capability> {
        let capability = (*self.place(address)?)?;
        self.alive(capability).then_some(capability)
    }

    /// Objects that are free, live (or half rescinded), in limbo.
    pub fn census(&self) -> (usize, usize, usize) {
        let count = |state| {
            self.objects
                .iter()
                .filter(|object| object.state == state)
                .count()
        };
        (
            count(State::Free),
            count(State::Live) + count(State::Rescinding),
            count(State::Limbo),
        )
    }

    pub fn pin(&mut self, oid: u32) {
        let object = &mut self.objects[oid as usize];
        assert_eq!((object.state, object.kind), (State::Live, Kind::Page));
        object.pins += 1;
    }

    pub fn unpin(&mut self, oid: u32) {
        let object = &mut self.objects[oid as usize];
        object.pins -= 1;
        if object.pins == 0 && object.state == State::Limbo {
            object.state = State::Free;
            self.reapable.push_back(oid);
            if let Some(notify) = self.limbo_notify {
                self.bits |= 1 << notify.badge;
            }
        }
    }

    fn next(&mut self, receive: [CapAddr; 4]) -> Option<Event> {
        let request = !self.incoming.is_empty();
        if self.bits != 0 && !(request && self.requests_turn) {
            self.requests_turn = true;
            return Some(Event::Notified {
                group: 0,
                bits: std::mem::take(&mut self.bits),
            });
        }
        self.requests_turn = false;
        let (badge, words, capability, call) = self.incoming.pop_front()?;
        self.caller = call;
        Some(Event::Request(
            self.deliver(receive, badge, words, capability, call),
        ))
    }

    /// Puts a request's capability where spacebank receives it.
    pub fn deliver(
        &mut self,
        receive: [CapAddr; 4],
        badge: u64,
        words: [u64; 6],
        capability: Option<Capability>,
        call: bool,
    ) -> Request {
        let mut request = Request {
            badge,
            words,
            received: 0,
            own_badge: 0,
            call,
        };
        if let Some(capability) = capability.filter(|found| self.alive(*found)) {
            if capability.kind == Kind::Start as u8 && capability.oid == SPACEBANK {
                request.received = 0x11;
                request.own_badge = capability.badge;
            } else {
                request.received = 1;
                self.set(receive[0], Some(capability));
            }
        }
        request
    }
}

impl Fake {
    pub fn new(count: usize) -> Fake {
        let batch = BatchPage(Rc::new(RefCell::new(vec![0; abi::PAGE_SIZE])));
        Fake {
            machine: Rc::new(RefCell::new(Machine::new(count))),
            batch,
        }
    }
}
