//! The driver's administration, as far as init sees it.

use abi::cap::Kind;
use abi::error::{EEXIST, ENOENT, ENOSYS, EPIPE, Status, status};
use abi::method::process::state;
use alloc::vec::Vec;
use dev::Mac;
use dev::admin::{PortState, method};
use dev::badge::Badge;
use dev::hybrid::Choice;
use dev::refusal::Refusal;
use dev::settings::{PortSettings, Receive, Strategy, address_from_words};
use sys::Message;
use sys::bank::BankRights;

use super::{FakeBank, Thing, World};
use crate::watch::grant;

/// A port.
#[derive(Clone, Debug)]
pub struct FakePort {
    pub settings: PortSettings,
    pub addresses: Vec<core::net::IpAddr>,
    /// Its removal began; so often it is still there.
    pub removing: Option<u32>,
    /// Whether somebody is attached.
    pub open: bool,
    /// The bank of its session.
    pub session: Option<u64>,
    /// Why attaching failed last.
    pub refusal: Option<Refusal>,
}

impl World {
    /// Whether a process runs.
    pub fn runs(&self, process: u64) -> bool {
        let objects = self.objects.borrow();
        objects
            .get(&process)
            .is_some_and(|object| object.process.state != state::STOPPED)
    }

    pub(super) fn call_admin(&self, process: u64, message: &Message) -> Result<[u64; 6], Status> {
        if !self.runs(process) {
            return Err(status(EPIPE));
        }
        if self.driver_hangs.take() {
            self.watchdog_bites(process);
            return Err(status(EPIPE));
        }
        let w = message.words;
        let absent = status(ENOENT);
        let mut ports = self.ports.borrow_mut();
        match w[0] {
            method::DEVICE => {
                if self.driver_dies.get() {
                    self.fault(process, 1);
                    return Err(status(EPIPE));
                }
                self.note("driver works");
                let mac = Mac::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
                Ok([mac.word(), 1514, 1, ports.len() as u64, 0, 0])
            }
            method::HYBRID => {
                let choice = Choice {
                    threshold: Some(1234),
                    measured: None,
                };
                let [a, b, c, d] = choice.words();
                Ok([a, b, c, d, 0, 0])
            }
            method::ADD_PORT => {
                let settings = PortSettings::from_words([w[1], w[2], w[3], w[4], w[5]], 1514)
                    .map_err(|error| error.0)?;
                if ports.values().any(|port| port.settings.mac == settings.mac) {
                    return Err(status(EEXIST));
                }
                for cap in [message.caps[0], message.caps[1]] {
                    assert!(matches!(self.thing(cap), Some(Thing::Object(_))));
                }
                // As the driver does, the lowest that is free.
                let number = (0..).find(|number| !ports.contains_key(number)).unwrap();
                let port = FakePort {
                    settings,
                    addresses: Vec::new(),
                    removing: None,
                    open: false,
                    session: None,
                    refusal: None,
                };
                ports.insert(number, port);
                self.put(
                    message.receive[0],
                    Thing::Start {
                        process,
                        badge: self.fresh() << 16 | number << 2 | 1,
                    },
                );
                Ok([number, 0, 0, 0, 0, 0])
            }
            method::BIND_ADDRESS => {
                let address = address_from_words([w[2], w[3], w[4]]).unwrap();
                ports.get_mut(&w[1]).ok_or(absent)?.addresses.push(address);
                Ok([0; 6])
            }
            method::REMOVE_PORT => {
                let port = ports.get_mut(&w[1]).ok_or(absent)?;
                port.removing = port.removing.or(Some(self.reluctance.get()));
                Ok([0; 6])
            }
            method::INSPECT => {
                self.inspections.set(self.inspections.get() + 1);
                let port = ports.get_mut(&w[1]).ok_or(absent)?;
                match &mut port.removing {
                    Some(0) => {
                        ports.remove(&w[1]);
                        return Err(absent);
                    }
                    Some(left) => *left -= 1,
                    None => {}
                }
                if let Some(id) = port
                    .session
                    .filter(|id| self.banks.borrow().contains_key(id))
                {
                    self.put(message.receive[0], Thing::Bank { id, rights: 0xff });
                }
                let refusal = port.refusal.map_or(0, |refusal| refusal as u64);
                Ok(match port.open {
                    true => [PortState::Open as u64, 1, 64, 64, 60, 0],
                    false => [PortState::Idle as u64, refusal, 0, 0, 0, 0],
                })
            }
            method::ADD_APERTURE => {
                for cap in [message.caps[0], message.caps[1]] {
                    assert!(matches!(self.thing(cap), Some(Thing::Object(_))));
                }
                self.apertures.set(self.apertures.get() + 1);
                Ok([0; 6])
            }
            method::SET_RECEIVE => {
                let receive = Receive::from_word(w[2]).unwrap();
                if self.no_flips.get() && receive.strategy != Strategy::Copy {
                    return Err(status(ENOSYS));
                }
                ports.get_mut(&w[1]).ok_or(absent)?.settings.receive = receive;
                Ok([0; 6])
            }
            method::NEXT_CHANGE => {
                let port = self.changes.borrow_mut().pop_first();
                Ok([u64::from(port.is_some()), port.unwrap_or(0), 0, 0, 0, 0])
            }
            method::SET_NOTIFY => {
                self.session_bit.set(self.bit(message.caps[0]));
                Ok([0; 6])
            }
            method::STATISTICS => {
                if w[1] != dev::admin::DEVICE && !ports.contains_key(&w[1]) {
                    return Err(absent);
                }
                Ok([w[2] + 1 + self.frames.get(); 6])
            }
            other => panic!("admin method {other}"),
        }
    }

    /// What the watchdog does with a driver that hangs, by what it was given.
    pub fn watchdog_bites(&self, driver: u64) {
        let given = |slot| {
            let objects = self.objects.borrow();
            let named = |object: &&super::Object| object.process.name == crate::init::WATCHDOG;
            let dog = objects.values().find(named).expect("nobody watches");
            objects[&dog.process.root].slots[&slot]
        };
        let process = given(grant::PROCESS.address());
        assert_eq!(process, Thing::Object(driver));
        let Thing::Bank { id, rights } = given(grant::BANK.address()) else {
            panic!("no bank to destroy");
        };
        assert_eq!(rights, BankRights::DESTROY.bits());
        let destroy = Message::new(&[sys::bank::method::DESTROY]);
        while self.call_bank(id, rights, &destroy) == Err(abi::error::MORE) {}
        let Thing::Notify(bit) = given(grant::TELL.address()) else {
            panic!("nobody to tell");
        };
        self.bits.borrow_mut().insert(bit);
    }

    /// Has the stack that a root table belongs to attach, if it runs and has a port.
    pub fn attach_stack(&self, root: u64) {
        if !self.stacks_attach.get() {
            return;
        }
        let objects = self.objects.borrow();
        let runs = objects.values().any(|object| {
            object.kind == Kind::Process
                && object.process.root == root
                && object.process.state != state::STOPPED
        });
        let badge = match objects[&root].slots.get(&crate::stack::PORT_SLOT) {
            Some(Thing::Start { badge, .. }) if runs => *badge,
            _ => return,
        };
        if let Some(Badge::Port(number, _)) = Badge::from_word(badge)
            && let Some(port) = self.ports.borrow_mut().get_mut(&u64::from(number))
        {
            port.open = true;
            self.changes.borrow_mut().insert(u64::from(number));
            self.bits.borrow_mut().extend(self.session_bit.get());
        }
    }

    /// A bank under another, of `pages` objects.
    pub fn add_bank(&self, parent: u64, pages: u64) -> u64 {
        let id = self.fresh();
        let bank = FakeBank {
            parent: Some(parent),
            limit: pages,
            places: pages,
            ..FakeBank::prime()
        };
        self.banks.borrow_mut().insert(id, bank);
        id
    }

    /// Has a user's stack attach: its session's bank, of `pages` objects, comes under its own.
    pub fn attach(&self, bank: u64, mac: [u8; 6], pages: u64) -> u64 {
        let id = self.add_bank(bank, pages);
        let mut ports = self.ports.borrow_mut();
        let (number, port) = ports
            .iter_mut()
            .find(|(_, port)| port.settings.mac.bytes() == mac)
            .unwrap();
        port.session = Some(id);
        port.open = true;
        self.changes.borrow_mut().insert(*number);
        self.bits.borrow_mut().extend(self.session_bit.get());
        id
    }

    /// Makes a process fault, and tells its keeper.
    pub fn fault(&self, process: u64, cause: u64) {
        let mut objects = self.objects.borrow_mut();
        let process = &mut objects.get_mut(&process).unwrap().process;
        process.state = state::STOPPED;
        process.fault = cause;
        if let Some(bit) = process.keeper {
            self.bits.borrow_mut().insert(bit);
        }
    }
}
