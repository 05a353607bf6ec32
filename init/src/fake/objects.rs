//! Kernel objects, as far as init sees them.

use abi::cap::CapAddr;
use abi::error::{EAGAIN, EBUSY, ENOSYS, Status, status};
use abi::method::{self, process::state};
use alloc::string::String;
use sys::Message;

use super::{Thing, World};
use crate::serial;

impl World {
    pub(super) fn call_process(&self, object: u64, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        let keeper = match self.thing(message.caps[2]) {
            Some(Thing::Notify(bit)) => Some(bit),
            _ => None,
        };
        let root = match self.thing(message.caps[0]) {
            Some(Thing::Object(root)) => root,
            _ => 0,
        };
        let mut objects = self.objects.borrow_mut();
        let process = &mut objects.get_mut(&object).unwrap().process;
        match w[0] {
            method::process::CONFIGURE => {
                process.priority = w[3] as u8;
                process.keeper = keeper;
                process.root = root;
            }
            method::process::SET_NAME => {
                let bytes: alloc::vec::Vec<u8> = [w[1].to_le_bytes(), w[2].to_le_bytes()].concat();
                let name = bytes.into_iter().take_while(|byte| *byte != 0);
                process.name = name.map(char::from).collect();
                assert!(!process.name.is_empty());
            }
            method::process::START => {
                process.state = state::READY;
                let root = process.root;
                drop(objects);
                self.attach_stack(root);
            }
            method::process::SET_CEILING => {}
            method::process::STOP => process.state = state::STOPPED,
            method::process::INFO => {
                let head = u64::from(process.state) | u64::from(process.priority) << 8;
                return Ok([head, process.cycles, process.fault, 0x1000, 0x40_0000, 0]);
            }
            method::process::REGISTERS | method::process::READ_MEMORY => return Ok([0; 6]),
            method::process::MAKE_START => {
                let start = Thing::Start {
                    process: object,
                    badge: w[1],
                };
                drop(objects);
                self.put(message.receive[0], start);
            }
            method::process::MAKE_NOTIFY => {
                let notify = Thing::Elsewhere {
                    process: object,
                    bit: w[1],
                };
                drop(objects);
                self.put(message.receive[0], notify);
            }
            _ => return Err(status(ENOSYS)),
        }
        Ok([0; 6])
    }

    /// The `CapTable` of a child.
    pub(super) fn call_table(&self, object: u64, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        if w[0] == method::cap_table::CLEAR {
            let mut objects = self.objects.borrow_mut();
            let slots = &mut objects.get_mut(&object).unwrap().slots;
            slots.retain(|slot, _| !(w[1]..w[1] + w[2]).contains(&u64::from(*slot)));
            return Ok([0; 6]);
        }
        assert_eq!(w[0], method::cap_table::PUT);
        let thing = self
            .thing(message.caps[0])
            .unwrap_or_else(|| panic!("grant of nothing: {w:?}"));
        self.objects
            .borrow_mut()
            .get_mut(&object)
            .unwrap()
            .slots
            .insert(w[1] as u16, thing);
        self.attach_stack(object);
        Ok([0; 6])
    }

    /// One of init's own `CapTable`s, whose first address is `base`.
    pub(super) fn call_own_table(
        &self,
        base: CapAddr,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        let w = message.words;
        assert_eq!(w[0], method::cap_table::CLEAR);
        for n in 0..w[2] as u16 {
            self.slots.borrow_mut().remove(&(base | (w[1] as u16 + n)));
        }
        Ok([0; 6])
    }

    pub(super) fn call_log(&self, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        match w[0] {
            method::log::CONSOLE => {
                let (from, length) = (w[1] as usize, w[2] as usize);
                let refuses = self.console_refuses.get();
                if refuses > 0 {
                    self.console_refuses.set(refuses - 1);
                    return Err(status(EAGAIN));
                }
                let bytes = self.batch.bytes.borrow();
                self.console
                    .borrow_mut()
                    .extend(&bytes[from..from + length]);
            }
            method::log::SET_LEVEL => self.level.set(w[1]),
            method::log::SET_NOTIFY => self.log_bit.set(self.bit(message.caps[0])),
            other => panic!("log method {other}"),
        }
        Ok([0; 6])
    }

    pub(super) fn call_irq(&self, message: &Message) -> Result<[u64; 6], Status> {
        match message.words[0] {
            method::irq::ISA | method::irq::MSIX => {
                self.put(message.receive[0], Thing::Service(abi::cap::Kind::Irq));
            }
            method::irq::BIND => self.serial_bit.set(self.bit(message.caps[0])),
            _ => {}
        }
        Ok([0; 6])
    }

    pub(super) fn call_ports(&self, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        let word = match (w[0], w[1] as u16) {
            (method::io_port::NARROW, _) => {
                self.put(message.receive[0], Thing::Service(abi::cap::Kind::IoPort));
                0
            }
            (method::io_port::READ, port) if port == serial::FIRST_PORT + 5 => {
                u64::from(!self.serial.borrow().is_empty())
            }
            (method::io_port::READ, _) => self.serial.borrow_mut().pop_front().unwrap().into(),
            _ => 0,
        };
        Ok([word, 0, 0, 0, 0, 0])
    }

    /// `DeviceDma` of the card: configuration space is the fake machine's, the rest is noted.
    pub(super) fn call_function(&self, message: &Message) -> Result<[u64; 6], Status> {
        let w = message.words;
        match w[0] {
            method::device_dma::BIND => {}
            method::device_dma::SET_MASTER => self.note(match w[1] {
                0 => "bus mastering off",
                _ => "bus mastering on",
            }),
            method::device_dma::RELEASE => {
                let happened = self.happened.borrow();
                if happened
                    .last()
                    .is_some_and(|last| last == "bus mastering on")
                {
                    return Err(status(EBUSY));
                }
                drop(happened);
                let pins = self.dead_pins.get();
                self.dead_pins.set(pins.saturating_sub(1));
                self.note("pins released");
                if pins > 1 {
                    return Err(abi::error::MORE);
                }
            }
            _ => panic!("{w:?}"),
        }
        Ok([0; 6])
    }

    /// Notes what happened, once in a row.
    pub fn note(&self, what: &str) {
        let mut happened = self.happened.borrow_mut();
        if happened.last().is_none_or(|last| last != what) {
            happened.push(String::from(what));
        }
    }

    pub(super) fn bit(&self, address: CapAddr) -> Option<u64> {
        match self.thing(address) {
            Some(Thing::Notify(bit)) => Some(bit),
            _ => None,
        }
    }
}
