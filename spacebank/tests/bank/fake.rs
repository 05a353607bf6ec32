//! A small kernel for the tests: objects with versions, capability tables, places, pins and limbo, as
//! `abi::method::range` describes them, and the `Sys` of the one process that runs on it, spacebank.
//!
//! It is strict where the real kernel trusts spacebank: a call to anything but the kernel's own
//! capabilities, a rescind of what is not live, or an access to a record that is not mapped, panics.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use abi::batch::{LIMIT, RESCIND_FREED, RESCIND_LIMBO};
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, Status, status};
use abi::method::{cap_table, clock, notify, process, range};
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES};
use spacebank::{Record, Records};
use sys::{Event, Fault, Mem, Message, Reply, Request, Sys};

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

fn refuse(errno: i32) -> Reply {
    Reply {
        status: status(errno),
        ..Reply::default()
    }
}

fn void() -> Reply {
    Reply {
        status: error::VOID,
        ..Reply::default()
    }
}

fn reply(words: &[u64]) -> Reply {
    let mut reply = Reply::default();
    for (to, from) in reply.words.iter_mut().zip(words) {
        *to = *from;
    }
    reply
}

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

    fn mint_into(&mut self, batch: &BatchPage, message: &Message) -> Reply {
        let [_, offset, count, ..] = message.words;
        assert_eq!(self.get(message.caps[0]), Some(self.full(BATCH)));
        assert!((1..=LIMIT as u64).contains(&count));
        let Some(table) = self.get(message.caps[1]) else {
            return void();
        };
        let kind = Kind::from_u8(table.kind).unwrap();
        let level = match (kind, kind.table_level()) {
            (Kind::CapTable, _) => 0,
            (_, Some(level)) => level,
            _ => return refuse(error::EBADF),
        };
        if table.rights & Rights::MANAGE.bits() == 0 {
            return refuse(error::EPERM);
        }
        let mut entries: Vec<(u32, Kind, u8, usize)> = Vec::new();
        for n in 0..count as usize {
            let at = offset as usize + n * 16;
            let word = batch.load_u64(at).unwrap();
            assert_eq!(batch.load_u64(at + 8), Ok(0));
            let (oid, index) = (word as u32, (word >> 48) as usize);
            let (new, rights) = (
                Kind::from_u8((word >> 32) as u8).unwrap(),
                (word >> 40) as u8,
            );
            assert!(new.is_storage());
            let object = &self.objects[oid as usize];
            assert_eq!(object.state, State::Free, "object {oid} sold twice");
            assert_eq!(
                object.pins, 0,
                "object {oid} sold while its frame is pinned"
            );
            assert!(!entries.iter().any(|(other, ..)| *other == oid));
            let destination = &self.objects[table.oid as usize];
            if level == 0 {
                let Some(slot) = destination.slots.get(index) else {
                    return refuse(error::EINVAL);
                };
                if slot.is_some_and(|capability| self.alive(capability)) {
                    return refuse(error::EEXIST);
                }
            } else {
                let below = new.table_level().unwrap_or(0);
                if below + 1 != level || below == 0 && new != Kind::Page {
                    return refuse(error::EBADF);
                }
                let Some(place) = destination.places.get(index) else {
                    return refuse(error::EINVAL);
                };
                let executable = Rights::WRITE.bits() | Rights::EXEC.bits();
                if new == Kind::Page && rights & executable == executable {
                    return refuse(error::EINVAL);
                }
                if place.is_some() {
                    return refuse(error::EEXIST);
                }
            }
            entries.push((oid, new, rights, index));
        }
        for (oid, new, rights, index) in entries {
            self.make(oid, new);
            self.minted.push(oid);
            if level == 0 {
                let capability = Capability {
                    rights,
                    ..self.full(oid)
                };
                self.objects[table.oid as usize].slots[index] = Some(capability);
            } else {
                self.objects[table.oid as usize].places[index] = Some((oid, rights));
                self.objects[oid as usize].home = Some((table.oid, index as u16));
            }
        }
        reply(&[count])
    }

    /// Rescinds an object, or goes on with it; `None` when the pieces of this call are used up. A page
    /// is always done in one.
    fn rescind_one(&mut self, oid: u32, pieces: &mut usize) -> Option<u32> {
        *pieces = pieces.checked_sub(1)?;
        let object = &mut self.objects[oid as usize];
        if object.state == State::Live {
            object.version += 1;
            object.state = State::Rescinding;
            if let Some((table, index)) = object.home.take() {
                self.objects[table as usize].places[index as usize] = None;
            }
        }
        let object = &mut self.objects[oid as usize];
        assert_eq!(
            object.state,
            State::Rescinding,
            "object {oid} rescinded, but not live"
        );
        while object.work > 0 {
            object.work -= 1;
            *pieces = pieces.checked_sub(1)?;
        }
        for index in 0..object.places.len() {
            if let Some((child, _)) = self.objects[oid as usize].places[index].take() {
                self.objects[child as usize].home = None;
                *pieces = pieces.checked_sub(1)?;
            }
        }
        let object = &mut self.objects[oid as usize];
        let limbo = object.pins > 0;
        object.state = if limbo { State::Limbo } else { State::Free };
        let kind = object.kind;
        self.rescinded.push((oid, kind, limbo));
        Some(if limbo { RESCIND_LIMBO } else { RESCIND_FREED })
    }

    fn rescind(&mut self, batch: &BatchPage, message: &Message) -> Reply {
        let [_, offset, count, ..] = message.words;
        assert_eq!(self.get(message.caps[0]), Some(self.full(BATCH)));
        assert!((1..=LIMIT as u64).contains(&count));
        if self.failures > 0 {
            self.failures -= 1;
            return refuse(error::EFAULT);
        }
        let mut pieces = self.pieces;
        for n in 0..count {
            let at = (offset + n * 8) as usize;
            let oid = batch.load_u32(at).unwrap();
            match self.rescind_one(oid, &mut pieces) {
                Some(result) => batch.store_u32(at + 4, result).unwrap(),
                None => {
                    return Reply {
                        status: error::MORE,
                        ..reply(&[n])
                    };
                }
            }
        }
        reply(&[count])
    }

    fn reap(&mut self) -> Reply {
        let mut words = [0; 6];
        for n in 0..10 {
            let Some(oid) = self.reapable.pop_front() else {
                break;
            };
            words[0] += 1;
            words[1 + n / 2] |= u64::from(oid) << (32 * (n % 2));
        }
        reply(&words)
    }

    fn mint(&mut self, message: &Message) -> Reply {
        let (oid, kind) = (message.words[1] as u32, message.words[2]);
        let object = &self.objects[oid as usize];
        if object.state != State::Live || object.kind as u64 != kind {
            return refuse(error::EBUSY);
        }
        let capability = self.full(oid);
        self.set(message.receive[0], Some(capability));
        reply(&[])
    }

    fn invoke(&mut self, batch: &BatchPage, address: CapAddr, message: &Message) -> Reply {
        let mut own = vec![slot::BANK_RANGE, slot::PROCESS, slot::ROOT, slot::CLOCK];
        own.retain(|slot| *slot == address);
        assert!(
            !own.is_empty(),
            "spacebank calls {address}, which is not the kernel's"
        );
        self.invocations += 1;
        let capability = self
            .get(address)
            .expect("the kernel's own capabilities stay");
        let [method, w1, w2, ..] = message.words;
        match (Kind::from_u8(capability.kind).unwrap(), method) {
            (Kind::Range, range::MINT) => self.mint(message),
            (Kind::Range, range::MINT_INTO) => self.mint_into(batch, message),
            (Kind::Range, range::RESCIND) => self.rescind(batch, message),
            (Kind::Range, range::REAP) => self.reap(),
            (Kind::Range, range::IDENTIFY) => match self.get(message.caps[0]) {
                None => void(),
                Some(found) if found.kind >= 16 => refuse(error::EBADF),
                Some(found) => reply(&[found.oid.into(), found.kind.into(), found.rights.into()]),
            },
            (Kind::Range, range::SET_NOTIFY) => {
                self.limbo_notify = self.get(message.caps[0]);
                assert!(
                    self.limbo_notify
                        .is_some_and(|found| found.kind == Kind::Notify as u8)
                );
                reply(&[])
            }
            (Kind::Range, range::QUERY) => {
                let object = &self.objects[w1 as usize];
                let state = match object.state {
                    State::Free => 0,
                    State::Live | State::Rescinding => 1,
                    State::Limbo => 2,
                };
                reply(&[object.kind as u64, state, object.pins.into()])
            }
            (Kind::Process, process::MAKE_START) => {
                let start = Capability {
                    kind: Kind::Start as u8,
                    badge: w1,
                    ..self.full(SPACEBANK)
                };
                self.set(message.receive[0], Some(start));
                reply(&[])
            }
            (Kind::Process, process::MAKE_NOTIFY) => {
                let notify = Capability {
                    kind: Kind::Notify as u8,
                    badge: w1,
                    ..self.full(SPACEBANK)
                };
                self.set(message.receive[0], Some(notify));
                reply(&[])
            }
            (Kind::CapTable, cap_table::MOVE) => {
                let Some(moved) = self.get(w1 as CapAddr) else {
                    return refuse(error::ENOENT);
                };
                assert_eq!(self.get(w2 as CapAddr), None, "slot {w2} is in use");
                self.set(w1 as CapAddr, None);
                self.set(w2 as CapAddr, Some(moved));
                reply(&[])
            }
            (Kind::CapTable, cap_table::CLEAR) => {
                assert_eq!(w2, 1);
                self.set(w1 as CapAddr, None);
                reply(&[])
            }
            (Kind::Clock, _) if !self.has_clock => void(),
            (Kind::Clock, clock::NOW) => reply(&[self.now, self.now, 1_000_000_000]),
            (Kind::Clock, clock::ARM) => {
                self.alarm = Some((w1, w2));
                reply(&[])
            }
            other => panic!("spacebank has no business with {other:?}"),
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

impl Sys for Fake {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        self.machine
            .borrow_mut()
            .invoke(&self.batch, capability, message)
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert_eq!(message.words[0], notify::SIGNAL);
        assert_eq!(message.caps, [0; 4]);
        let Some(notify) = machine.get(capability) else {
            return error::VOID;
        };
        machine.told.push(notify);
        error::OK
    }

    fn wait(&self, receive: [CapAddr; 4]) -> Event {
        let mut machine = self.machine.borrow_mut();
        assert!(
            !std::mem::take(&mut machine.caller),
            "a caller gets no answer"
        );
        if let Some(event) = machine.next(receive) {
            return event;
        }
        let (time, bit) = machine.alarm.take().expect("spacebank waits for ever");
        machine.now = time;
        Event::Notified {
            group: 0,
            bits: 1 << bit,
        }
    }

    fn reply_and_wait(&self, status: Status, message: &Message) -> Event {
        {
            let mut machine = self.machine.borrow_mut();
            assert!(std::mem::take(&mut machine.caller), "nobody to answer");
            machine.answers.push((status, *message));
        }
        self.wait(message.receive)
    }

    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert!(
            machine
                .get(resume)
                .is_some_and(|found| found.kind == Kind::Resume as u8)
        );
        machine.set(resume, None);
        machine.answers.push((status, *message));
        error::OK
    }

    fn poll(&self, receive: [CapAddr; 4]) -> Option<Event> {
        let mut machine = self.machine.borrow_mut();
        assert!(!machine.caller, "a caller gets no answer");
        machine.next(receive)
    }

    fn save_caller(&self, slot: CapAddr) -> Status {
        let mut machine = self.machine.borrow_mut();
        assert!(std::mem::take(&mut machine.caller), "nobody to save");
        let resume = Capability {
            kind: Kind::Resume as u8,
            ..machine.full(0)
        };
        machine.set(slot, Some(resume));
        error::OK
    }
}

/// Records that may be touched only while their pages are mapped where spacebank expects them.
pub struct FakeRecords {
    pub fake: Fake,
    pub records: HashMap<u32, Record>,
}

impl FakeRecords {
    fn check(&self, oid: u32) {
        let machine = self.fake.machine.borrow();
        let object = &machine.objects[oid as usize];
        let home = (RECORD_SEGMENTS + oid / 512, (oid % 512) as u16);
        assert_eq!(
            (object.state, object.home),
            (State::Live, Some(home)),
            "record of {oid}"
        );
    }
}

impl Records for FakeRecords {
    fn get(&self, oid: u32) -> &Record {
        self.check(oid);
        &self.records[&oid]
    }

    fn get_mut(&mut self, oid: u32) -> &mut Record {
        self.check(oid);
        self.records
            .get_mut(&oid)
            .expect("a mapped record was created")
    }

    fn create(&mut self, oid: u32, record: Record) {
        self.check(oid);
        assert!(self.records.insert(oid, record).is_none());
    }

    fn discard(&mut self, oid: u32) {
        assert!(self.records.remove(&oid).is_some());
    }
}

impl Mem for BatchPage {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes)
            .map(|()| u16::from_le_bytes(bytes))
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }

    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load_u16(offset)
    }

    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load_u32(offset)
    }

    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store_u16(offset, value)
    }

    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store_u32(offset, value)
    }

    fn fence(&self) {}

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let end = offset.checked_add(into.len()).ok_or(Fault::OutOfRange)?;
        into.copy_from_slice(self.0.borrow().get(offset..end).ok_or(Fault::OutOfRange)?);
        Ok(())
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let end = offset.checked_add(from.len()).ok_or(Fault::OutOfRange)?;
        let mut bytes = self.0.borrow_mut();
        bytes
            .get_mut(offset..end)
            .ok_or(Fault::OutOfRange)?
            .copy_from_slice(from);
        Ok(())
    }
}
