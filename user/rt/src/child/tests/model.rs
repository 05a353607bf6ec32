//! A bank that sells, tables that map, pages that hold bytes: as much of the kernel as building a
//! process needs, with the refusals that it must not run into.

mod shown;

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

use abi::PAGE_SIZE;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EBUSY, EDQUOT, EEXIST, EINVAL, OK, Status, VOID, status};
use abi::method::{cap_table, process, table};
use sys::bank::{self, Bank};
use sys::object::{CapTable, Process, Table};
use sys::{Cap, Event, Message, Reply, Sys};

use super::{PROCESS, ROOT, SCRATCH};

pub const BANK: Cap<Bank> = Cap::at(slot::BANK);

/// What a capability names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Bank,
    Service(CapAddr),
    Object(usize),
}

/// A configured process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    pub instruction: u64,
    pub stack: u64,
    pub priority: u64,
    pub argument: u64,
    pub name: [u8; 16],
    pub runs: bool,
    space: Option<usize>,
}

enum Object {
    Page(Vec<u8>),
    Table(u8, BTreeMap<u64, (usize, Rights)>),
    Slots(BTreeMap<u16, (Thing, Rights)>),
    Process(Registers),
}

pub struct Model {
    left: Cell<usize>,
    objects: RefCell<Vec<Object>>,
    /// Number of the `CapTable` in which the builder's program holds things; 0 is its root.
    shown: Cell<Option<usize>>,
}

type Words = Result<[u64; 6], Status>;

impl Model {
    /// A program with a bank of this limit and a `CapTable` for the builder's slots.
    pub fn new(limit: usize) -> Model {
        let (scratch, _) = crate::slots::table_of(SCRATCH);
        let root = BTreeMap::from([
            (slot::ROOT, (Thing::Object(0), Rights::FULL)),
            (slot::BANK, (Thing::Bank, Rights::FULL)),
            (slot::LOG, (Thing::Service(slot::LOG), Rights::FULL)),
            (scratch.address(), (Thing::Object(1), Rights::FULL)),
        ]);
        let objects = Vec::from([Object::Slots(root), Object::Slots(BTreeMap::new())]);
        Model {
            left: Cell::new(limit),
            objects: RefCell::new(objects),
            shown: Cell::new(None),
        }
    }

    /// A segment that the program has, in slot 50.
    pub fn new_segment(&self) -> Cap<Table> {
        let thing = self.add(Object::Table(1, BTreeMap::new()));
        self.put(0, 50, (thing, Rights::FULL));
        Cap::at(50)
    }

    pub fn bought(&self) -> usize {
        usize::MAX - self.left.get()
    }

    pub fn shows_anything(&self) -> bool {
        self.shown.get().is_some()
    }

    /// What an address of the program's names.
    pub fn held(&self, address: CapAddr) -> Thing {
        self.find(address).unwrap().0
    }

    pub fn slot(&self, table: Cap<CapTable>, slot: u16) -> Option<(Thing, Rights)> {
        let Thing::Object(number) = self.held(table.address()) else {
            return None;
        };
        match &self.objects.borrow()[number] {
            Object::Slots(slots) => slots.get(&slot).copied(),
            _ => None,
        }
    }

    pub fn granted(&self, root: Cap<CapTable>, slot: u16) -> Option<(Thing, Rights)> {
        self.slot(root, slot)
    }

    pub fn process(&self, process: Cap<Process>) -> Registers {
        let Thing::Object(number) = self.held(process.address()) else {
            panic!()
        };
        match &self.objects.borrow()[number] {
            Object::Process(registers) => *registers,
            _ => panic!("not a process"),
        }
    }

    pub fn space_of(&self, process: Cap<Process>) -> usize {
        self.process(process).space.unwrap()
    }

    pub fn first_gib(&self, space: usize) -> Thing {
        Thing::Object(self.walk(space, 0, 2).unwrap().0)
    }

    pub fn segment_at(&self, space: usize, address: u64) -> Option<Cap<Table>> {
        let (number, _) = self.walk(space, address, 1)?;
        (self.held(50) == Thing::Object(number)).then_some(Cap::at(50))
    }

    pub fn thing_at(&self, space: usize, address: u64) -> Option<Thing> {
        self.walk(space, address, 0)
            .map(|(number, _)| Thing::Object(number))
    }

    /// Contents and effective rights of the page at an address.
    pub fn page_at(&self, space: usize, address: u64) -> Option<(Vec<u8>, Rights)> {
        let (number, rights) = self.walk(space, address, 0)?;
        match &self.objects.borrow()[number] {
            Object::Page(bytes) => Some((bytes.clone(), rights)),
            _ => None,
        }
    }

    /// Walks from a level-4 table down to the object that an entry of level `to` + 1 names.
    fn walk(&self, space: usize, address: u64, to: u8) -> Option<(usize, Rights)> {
        let objects = self.objects.borrow();
        let (mut number, mut rights) = (space, Rights::READ | Rights::WRITE | Rights::EXEC);
        for level in (to + 1..=4).rev() {
            let Object::Table(found, entries) = &objects[number] else {
                return None;
            };
            assert_eq!(*found, level);
            let index = address >> (3 + 9 * u32::from(level)) & 511;
            let (next, granted) = *entries.get(&index)?;
            rights &= granted;
            number = next;
        }
        Some((number, rights))
    }

    fn add(&self, object: Object) -> Thing {
        self.objects.borrow_mut().push(object);
        Thing::Object(self.objects.borrow().len() - 1)
    }

    fn put(&self, table: usize, slot: u16, what: (Thing, Rights)) {
        if let Object::Slots(slots) = &mut self.objects.borrow_mut()[table] {
            slots.insert(slot, what);
        }
    }

    fn find(&self, address: CapAddr) -> Option<(Thing, Rights)> {
        let objects = self.objects.borrow();
        let slots = |number: usize| match &objects[number] {
            Object::Slots(slots) => slots,
            _ => panic!("not a capability table"),
        };
        if address < 128 {
            return slots(0).get(&address).copied();
        }
        match slots(0).get(&(address >> 7))? {
            (Thing::Object(number), _) => slots(*number).get(&(address & 127)).copied(),
            _ => None,
        }
    }

    fn buy(&self, message: &Message) -> Words {
        let [_, kind, count, first, rights, _] = message.words;
        assert!((1..=64).contains(&count));
        if self.left.get() < count as usize {
            return Err(status(EDQUOT));
        }
        let (Thing::Object(into), _) = self.find(message.caps[0]).ok_or(VOID)? else {
            return Err(VOID);
        };
        for n in first..first + count {
            let used = match &self.objects.borrow()[into] {
                Object::Slots(slots) => slots.contains_key(&(n as u16)),
                Object::Table(_, entries) => entries.contains_key(&n),
                _ => true,
            };
            if used {
                return Err(status(EEXIST));
            }
        }
        self.left.set(self.left.get() - count as usize);
        for n in first..first + count {
            let kind = Kind::from_u8(kind as u8).unwrap();
            let made = self.add(match kind {
                Kind::Page => Object::Page(std::vec![0; PAGE_SIZE]),
                Kind::CapTable => Object::Slots(BTreeMap::new()),
                Kind::Process => Object::Process(Registers::default()),
                kind => Object::Table(kind.table_level().unwrap(), BTreeMap::new()),
            });
            let Thing::Object(number) = made else {
                unreachable!()
            };
            match &mut self.objects.borrow_mut()[into] {
                Object::Slots(slots) => {
                    assert!(n < 128);
                    slots.insert(n as u16, (made, Rights::FULL));
                }
                Object::Table(_, entries) => {
                    assert!(n < 512 && kind == Kind::Page);
                    entries.insert(n, (number, Rights::from_bits_truncate(rights as u8)));
                }
                _ => unreachable!(),
            }
        }
        Ok([0; 6])
    }

    fn invoke_table(&self, number: usize, message: &Message) -> Words {
        let [method, index, w2, ..] = message.words;
        let argument = self.find(message.caps[0]);
        let mut objects = self.objects.borrow_mut();
        let is_mapped = |page: usize, objects: &[Object]| {
            objects.iter().any(|object| match object {
                Object::Table(1, entries) => entries.values().any(|(other, _)| *other == page),
                _ => false,
            })
        };
        match method {
            table::MAP => {
                let (Thing::Object(child), held) = argument.ok_or(VOID)? else {
                    return Err(VOID);
                };
                let rights = Rights::from_bits(w2 as u8).unwrap() & held;
                let below = match &objects[child] {
                    Object::Page(_) => 0,
                    Object::Table(level, _) => *level,
                    _ => panic!("not to be mapped"),
                };
                if below == 0 && rights.contains(Rights::WRITE | Rights::EXEC) {
                    return Err(status(EINVAL));
                }
                if below == 0 && is_mapped(child, &objects) {
                    return Err(status(EBUSY));
                }
                let Object::Table(level, entries) = &mut objects[number] else {
                    unreachable!()
                };
                assert!(*level == below + 1 && index < 512);
                if entries.contains_key(&index) {
                    return Err(status(EEXIST));
                }
                entries.insert(index, (child, rights));
            }
            table::UNMAP => {
                assert!((1..=64).contains(&w2));
                let Object::Table(_, entries) = &mut objects[number] else {
                    unreachable!()
                };
                entries.retain(|place, _| !(index..index + w2).contains(place));
            }
            table::PROTECT => {
                let Object::Table(_, entries) = &mut objects[number] else {
                    unreachable!()
                };
                let entry = entries.get_mut(&index).expect("the place is not empty");
                entry.1 &= Rights::from_bits(w2 as u8).unwrap();
            }
            method => panic!("table method {method}"),
        }
        Ok([0; 6])
    }

    fn invoke_slots(&self, number: usize, message: &Message) -> Words {
        let [method, first, w2, ..] = message.words;
        match method {
            cap_table::PUT => {
                let (thing, rights) = self.find(message.caps[0]).ok_or(VOID)?;
                let rights = rights & Rights::from_bits_truncate(w2 as u8);
                self.put(number, first as u16, (thing, rights));
            }
            cap_table::CLEAR => {
                assert!(first + w2 <= 128);
                if let Object::Slots(slots) = &mut self.objects.borrow_mut()[number] {
                    slots.retain(|slot, _| !(first..first + w2).contains(&u64::from(*slot)));
                }
            }
            method => panic!("capability table method {method}"),
        }
        Ok([0; 6])
    }

    fn invoke_process(&self, number: usize, message: &Message) -> Words {
        let [method, w1, w2, w3, w4, _] = message.words;
        let space = self.find(message.caps[1]);
        let mut objects = self.objects.borrow_mut();
        let Object::Process(registers) = &mut objects[number] else {
            unreachable!()
        };
        match method {
            process::CONFIGURE => {
                let Some((Thing::Object(space), _)) = space else {
                    return Err(VOID);
                };
                registers.instruction = w1;
                registers.stack = w2;
                registers.priority = w3;
                registers.argument = w4;
                registers.space = Some(space);
            }
            process::SET_NAME => {
                registers.name[..8].copy_from_slice(&w1.to_le_bytes());
                registers.name[8..].copy_from_slice(&w2.to_le_bytes());
            }
            process::START => registers.runs = true,
            method => panic!("process method {method}"),
        }
        Ok([0; 6])
    }
}

impl Sys for Model {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let answer = match self.find(capability) {
            None => Err(VOID),
            Some((Thing::Bank, _)) if message.words[0] == bank::method::BUY => self.buy(message),
            Some((Thing::Object(number), _)) => {
                let kind = match &self.objects.borrow()[number] {
                    Object::Table(..) => Kind::Table1,
                    Object::Slots(_) => Kind::CapTable,
                    Object::Process(_) => Kind::Process,
                    Object::Page(_) => Kind::Page,
                };
                match kind {
                    Kind::Table1 => self.invoke_table(number, message),
                    Kind::CapTable => self.invoke_slots(number, message),
                    Kind::Process => self.invoke_process(number, message),
                    _ => panic!("pages are not invoked"),
                }
            }
            Some(other) => panic!("{other:?} is not invoked"),
        };
        match answer {
            Ok(words) => Reply {
                status: OK,
                words,
                received: 0,
            },
            Err(status) => Reply {
                status,
                ..Reply::default()
            },
        }
    }

    fn send(&self, _: CapAddr, _: &Message) -> Status {
        unreachable!()
    }

    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!()
    }

    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!()
    }

    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        unreachable!()
    }

    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        unreachable!()
    }

    fn save_caller(&self, _: CapAddr) -> Status {
        unreachable!()
    }
}

const _: () = assert!(PROCESS < 128 && ROOT < 128);
