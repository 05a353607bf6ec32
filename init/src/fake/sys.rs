//! Invocation.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::{self, EAGAIN, Status, VOID, status};
use abi::method;
use dev::badge::ADMIN_BADGE;
use sys::{Event, Message, Reply, Sys};

use super::{Thing, World};

impl World {
    /// What a slot holds, if it is alive.
    pub fn thing(&self, address: CapAddr) -> Option<Thing> {
        let thing = self.slots.borrow().get(&address).copied()?;
        let alive = match thing {
            Thing::Object(object) => self.objects.borrow().contains_key(&object),
            Thing::Start { process, .. } | Thing::Elsewhere { process, .. } => {
                self.objects.borrow().contains_key(&process)
            }
            _ => true,
        };
        alive.then_some(thing)
    }

    pub(super) fn put(&self, address: CapAddr, thing: Thing) {
        if address != abi::cap::NONE {
            self.slots.borrow_mut().insert(address, thing);
        }
    }

    pub(super) fn fresh(&self) -> u64 {
        self.next_id.set(self.next_id.get() + 1);
        self.next_id.get()
    }

    fn answer(&self, address: CapAddr, message: &Message) -> Result<[u64; 6], Status> {
        match address {
            slot::ROOT => return self.call_own_table(0, message),
            64..128 => return self.call_own_table(address << 7, message),
            slot::PROCESS => return self.call_self(message),
            slot::INIT_SPACEBANK => return call_spacebank(message),
            slot::INIT_DEVICE_DMA | slot::INIT_DEVICE_MEMORY => {
                let answered = self
                    .pci
                    .call(address, message)
                    .ok()
                    .map_err(|error| error.0)?;
                let made = match address {
                    slot::INIT_DEVICE_DMA => Thing::Function,
                    _ => Thing::Service(Kind::DeviceMemory),
                };
                self.put(message.receive[0], made);
                return Ok(answered);
            }
            _ => {}
        }
        match self.thing(address).ok_or(VOID)? {
            Thing::Bank { id, rights } => self.call_bank(id, rights, message),
            Thing::Object(object) => {
                let kind = self.objects.borrow()[&object].kind;
                match kind {
                    Kind::Process => self.call_process(object, message),
                    Kind::CapTable => self.call_table(object, message),
                    // Tables, pages and apertures do what they are told.
                    _ => Ok([0; 6]),
                }
            }
            Thing::Notify(bit) => {
                self.bits.borrow_mut().insert(bit);
                Ok([0; 6])
            }
            Thing::Start {
                process,
                badge: ADMIN_BADGE,
            } => self.call_admin(process, message),
            Thing::Start { .. } => Err(VOID),
            Thing::Function => match message.words[0] {
                method::device_dma::CONFIG_READ | method::device_dma::CONFIG_WRITE => self
                    .pci
                    .call(address, message)
                    .ok()
                    .map_err(|error| error.0),
                _ => self.call_function(message),
            },
            Thing::Service(Kind::Log) => self.call_log(message),
            Thing::Service(Kind::Irq) => self.call_irq(message),
            Thing::Service(Kind::IoPort) => self.call_ports(message),
            Thing::Service(Kind::Probe) => self.call_probe(message),
            Thing::Service(Kind::Clock) => {
                Ok([self.now.get(), self.now.get() * 2, 2_000_000_000, 0, 0, 0])
            }
            Thing::Service(Kind::Reset) => {
                let reboot = message.words[0] == method::reset::REBOOT;
                let halt = alloc::format!("halt {}", message.words[1]);
                self.note(if reboot { "reboot" } else { &halt });
                Ok([0; 6])
            }
            other => panic!("{other:?} was called: {message:?}"),
        }
    }

    /// init's own process.
    fn call_self(&self, message: &Message) -> Result<[u64; 6], Status> {
        match message.words[0] {
            method::process::MAKE_NOTIFY => {
                self.put(message.receive[0], Thing::Notify(message.words[1]));
                Ok([0; 6])
            }
            method::process::INFO => Ok([0x2801, 1000, 0, 0, 0, 0]),
            other => panic!("process method {other}"),
        }
    }
}

/// spacebank's process, which may be looked at alone: it has waited since 3 switches.
fn call_spacebank(message: &Message) -> Result<[u64; 6], Status> {
    match message.words[0] {
        method::process::INFO => Ok([3 << 16 | 60 << 8 | 2, 777, 0, 0, 0, 0]),
        other => panic!("process method {other} of spacebank's"),
    }
}

impl Sys for World {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        match self.answer(capability, message) {
            Ok(words) => Reply {
                words,
                ..Reply::default()
            },
            Err(status) => Reply {
                status,
                ..Reply::default()
            },
        }
    }

    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        if self.lost.get() > 0 {
            self.lost.set(self.lost.get() - 1);
            return error::OK;
        }
        self.call(capability, message).status.min(VOID)
    }

    fn wait(&self, receive: [CapAddr; 4]) -> Event {
        if let Some(event) = self.poll(receive) {
            return event;
        }
        let (at, bit) = self.timer.take().expect("init waits for nothing at all");
        self.now.set(self.now.get().max(at));
        Event::Notified {
            group: (bit / 64) as u16,
            bits: 1 << (bit % 64),
        }
    }

    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!("nobody calls init")
    }

    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        status(EAGAIN)
    }

    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        let first = self.bits.borrow_mut().pop_first()?;
        Some(Event::Notified {
            group: (first / 64) as u16,
            bits: 1 << (first % 64),
        })
    }

    fn save_caller(&self, _: CapAddr) -> Status {
        status(EAGAIN)
    }
}
