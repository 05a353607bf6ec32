//! spacebank, as far as init sees it.

use abi::cap::{CapAddr, Kind};
use abi::error::{EACCES, EBADF, EDQUOT, EEXIST, EPERM, ERANGE, Status, VOID, status};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use sys::Message;
use sys::bank::{BankRights, method};

use super::{OBJECTS, Object, PRIME_ID, Process, Thing, World};

/// A bank.
#[derive(Clone, Debug)]
pub struct FakeBank {
    pub parent: Option<u64>,
    pub limit: u64,
    /// Objects that it sold and that are alive, besides those in places.
    pub objects: Vec<u64>,
    /// Objects in places of tables.
    pub places: u64,
    pub high_water: u64,
    pub dying: bool,
}

impl FakeBank {
    pub fn prime() -> FakeBank {
        // What the kernel made before spacebank ran.
        FakeBank {
            parent: None,
            limit: OBJECTS,
            objects: Vec::new(),
            places: 700,
            high_water: 700,
            dying: false,
        }
    }
}

impl World {
    /// Objects of a bank and its descendants, records of its children among them.
    pub fn bought(&self, id: u64) -> u64 {
        let banks = self.banks.borrow();
        bought(&banks, id)
    }

    pub(super) fn call_bank(
        &self,
        id: u64,
        rights: u8,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        let w = message.words;
        let gone = self.banks.borrow().get(&id).is_none_or(|bank| bank.dying);
        if !self.banks.borrow().contains_key(&id) {
            return Err(VOID);
        }
        if gone && w[0] != method::USAGE && w[0] != method::DESTROY {
            return Err(VOID);
        }
        let needed = match w[0] {
            method::BUY | method::SUB_BANK => BankRights::BUY,
            method::SELL => BankRights::SELL,
            method::DESTROY => BankRights::DESTROY,
            method::SET_LIMIT => BankRights::LIMIT,
            _ => BankRights::empty(),
        };
        if rights & needed.bits() != needed.bits() {
            return Err(status(EPERM));
        }
        match w[0] {
            method::BUY => self.buy(id, message),
            method::SELL => self.sell(id, message),
            method::SUB_BANK => {
                self.charge(id, 1)?;
                let child = self.fresh();
                let bank = FakeBank {
                    parent: Some(id),
                    limit: w[1],
                    objects: Vec::new(),
                    places: 0,
                    high_water: 0,
                    dying: false,
                };
                self.banks.borrow_mut().insert(child, bank);
                self.put(
                    message.receive[0],
                    Thing::Bank {
                        id: child,
                        rights: 0xff,
                    },
                );
                Ok([child, 0, 0, 0, 0, 0])
            }
            method::USAGE => {
                let banks = self.banks.borrow();
                let bank = &banks[&id];
                let children = banks.values().filter(|b| b.parent == Some(id)).count() as u64;
                Ok([
                    bank.limit,
                    bought(&banks, id),
                    0,
                    bank.high_water,
                    children,
                    id,
                ])
            }
            method::USAGE_OF_KIND => {
                let banks = self.banks.borrow();
                Ok([
                    if w[1] == Kind::Page as u64 {
                        banks[&id].places
                    } else {
                        0
                    },
                    0,
                    0,
                    0,
                    0,
                    0,
                ])
            }
            method::RESTRICT => {
                let rights = w[1] as u8;
                self.put(message.receive[0], Thing::Bank { id, rights });
                Ok([0; 6])
            }
            method::SET_LIMIT => {
                assert_ne!(id, PRIME_ID);
                self.banks.borrow_mut().get_mut(&id).unwrap().limit = w[1];
                Ok([0; 6])
            }
            method::DESTROY => self.destroy(id),
            other => panic!("bank method {other}"),
        }
    }

    /// Whether `count` more fit into a bank and its ancestors; notes the high water.
    fn charge(&self, id: u64, count: u64) -> Result<(), Status> {
        let mut banks = self.banks.borrow_mut();
        let mut up = Some(id);
        while let Some(id) = up {
            if bought(&banks, id) + count > banks[&id].limit {
                return Err(status(EDQUOT));
            }
            up = banks[&id].parent;
        }
        let mut up = Some(id);
        while let Some(id) = up {
            let now = bought(&banks, id) + count;
            let bank = banks.get_mut(&id).unwrap();
            bank.high_water = bank.high_water.max(now);
            up = bank.parent;
        }
        Ok(())
    }

    /// A program buys all that it can get from a bank. Answers how much that is.
    pub fn exhaust(&self, id: u64) -> u64 {
        let mut count = 0;
        while self.charge(id, 1).is_ok() {
            self.banks.borrow_mut().get_mut(&id).unwrap().places += 1;
            count += 1;
        }
        count
    }

    fn buy(&self, id: u64, message: &Message) -> Result<[u64; 6], Status> {
        let [_, kind, count, first, ..] = message.words;
        let kind = Kind::from_u8(kind as u8)
            .filter(|kind| kind.is_storage())
            .unwrap();
        assert!((1..=64).contains(&count));
        self.charge(id, count)?;
        let into = message.caps[0];
        let table = match self.table(into) {
            Some(table) => table,
            None => match self.thing(into) {
                Some(Thing::Object(object)) => {
                    let kind = self.objects.borrow()[&object].kind;
                    assert!(kind.table_level().is_some(), "places in a {}", kind.name());
                    self.banks.borrow_mut().get_mut(&id).unwrap().places += count;
                    return Ok([0; 6]);
                }
                _ => return Err(status(EBADF)),
            },
        };
        for n in 0..count as u16 {
            if self
                .slots
                .borrow()
                .contains_key(&(table | (first as u16 + n)))
            {
                return Err(status(EEXIST));
            }
        }
        for n in 0..count as u16 {
            let object = self.fresh();
            let made = Object {
                kind,
                bank: id,
                process: Process::default(),
                slots: BTreeMap::new(),
            };
            self.objects.borrow_mut().insert(object, made);
            self.banks
                .borrow_mut()
                .get_mut(&id)
                .unwrap()
                .objects
                .push(object);
            self.put(table | (first as u16 + n), Thing::Object(object));
        }
        Ok([0; 6])
    }

    fn sell(&self, id: u64, message: &Message) -> Result<[u64; 6], Status> {
        let Some(Thing::Object(object)) = self.thing(message.caps[0]) else {
            return Err(status(EBADF));
        };
        let bank = self.objects.borrow().get(&object).map(|object| object.bank);
        match bank {
            None => Err(status(EBADF)),
            Some(bank) if bank != id => Err(status(ERANGE)),
            Some(_) => {
                self.rescind(object);
                Ok([0; 6])
            }
        }
    }

    fn rescind(&self, object: u64) {
        if let Some(gone) = self.objects.borrow_mut().remove(&object) {
            let mut banks = self.banks.borrow_mut();
            banks
                .get_mut(&gone.bank)
                .unwrap()
                .objects
                .retain(|other| *other != object);
            if gone.process.name == crate::ethernet::NAME {
                // Ports live in the driver.
                self.ports.borrow_mut().clear();
            }
            if gone.kind == Kind::Aperture {
                self.dead_pins.set(self.dead_pins.get() + 1);
            }
        }
    }

    fn destroy(&self, id: u64) -> Result<[u64; 6], Status> {
        if id == PRIME_ID {
            return Err(status(EACCES));
        }
        let family = family(&self.banks.borrow(), id);
        for member in &family {
            self.banks.borrow_mut().get_mut(member).unwrap().dying = true;
        }
        let mut left = 64;
        for member in &family {
            let objects = self.banks.borrow()[member].objects.clone();
            for object in objects.into_iter().take(left) {
                self.rescind(object);
                left -= 1;
            }
            let mut banks = self.banks.borrow_mut();
            let places = &mut banks.get_mut(member).unwrap().places;
            let now = (*places).min(left as u64);
            *places -= now;
            left -= now as usize;
        }
        if left == 0 {
            return Err(abi::error::MORE);
        }
        for member in &family {
            self.banks.borrow_mut().remove(member);
        }
        Ok([0; 6])
    }

    /// The first address of an own table, if that is what lies at an address.
    fn table(&self, address: CapAddr) -> Option<CapAddr> {
        match address {
            abi::boot::slot::ROOT => Some(0),
            64..128 => Some(address << 7),
            _ => None,
        }
    }
}

fn bought(banks: &BTreeMap<u64, FakeBank>, id: u64) -> u64 {
    let own = |bank: &FakeBank| bank.objects.len() as u64 + bank.places;
    let family = family(banks, id);
    // Each descendant's record counts with its parent.
    family.iter().map(|id| own(&banks[id])).sum::<u64>() + family.len() as u64 - 1
}

/// A bank and its descendants.
fn family(banks: &BTreeMap<u64, FakeBank>, id: u64) -> Vec<u64> {
    let mut family = alloc::vec![id];
    let mut next = 0;
    while let Some(id) = family.get(next).copied() {
        let children = banks.iter().filter(|(_, bank)| bank.parent == Some(id));
        family.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    family
}
