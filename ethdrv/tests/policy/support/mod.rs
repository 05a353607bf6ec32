//! A world to test the driver in: a small kernel, a fake device, init's side, and clients.

pub mod client;
pub mod device;
pub mod kernel;
pub mod program;

use std::cell::RefCell;
use std::rc::Rc;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use dev::admin::Admin;
use dev::badge::ADMIN_BADGE;
use dev::pool::Pool;
use dev::port::Port;
use dev::settings::{Pinning, PortSettings, Rate, Receive};
use dev::statistics::{Counter, Counters};
use dev::{Mac, Program};
use ethdrv::Driver;
use ethdrv::transport::Transport;
use sys::Cap;

use client::Client;
use device::{Device, FakeDevice};
use kernel::{Capability, DRIVER, INIT, Kernel, Object, Pid, Shared, What};
use program::{FakeProgram, Pump};

pub type TestDriver = Driver<FakeProgram, FakeDevice>;

pub struct World {
    pub kernel: Shared,
    pub device: Rc<RefCell<Device>>,
    pub driver: Rc<RefCell<TestDriver>>,
    pub init: FakeProgram,
    pub admin: Admin,
    pump: Pump,
}

/// A port, as init sees it.
#[derive(Clone, Copy)]
pub struct TestPort {
    pub number: u64,
    pub mac: Mac,
    /// In init's slots.
    pub capability: Port,
}

pub fn mac(n: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, n])
}

pub fn settings(n: u8) -> PortSettings {
    PortSettings {
        mac: mac(n),
        rate: Rate::default(),
        transmit_pages: 32,
        receive_pages: 32,
        receive: Receive::default(),
        pinning: Pinning::default(),
    }
}

impl World {
    pub fn new() -> World {
        World::with_capacity(64)
    }

    pub fn with_capacity(capacity: u16) -> World {
        World::with(capacity, device::FRAME_LIMIT)
    }

    pub fn with(capacity: u16, frame_limit: u32) -> World {
        let kernel: Shared = Rc::new(RefCell::new(Kernel::new()));
        let pump = Pump::default();
        let program = FakeProgram::new(&kernel, DRIVER, &pump);
        let init = FakeProgram::new(&kernel, INIT, &pump);
        let device = Rc::new(RefCell::new(Device::new(&kernel, capacity, frame_limit)));
        let transport = FakeDevice(device.clone());
        let full = |what| Capability {
            what,
            rights: Rights::all(),
        };
        {
            let mut kernel = kernel.borrow_mut();
            kernel.put(DRIVER, slot::GRANT, full(What::Verifier));
            let (aperture, window) = make_aperture(&mut kernel);
            kernel.put(DRIVER, slot::GRANT + 1, full(What::Object(aperture)));
            kernel.put(DRIVER, slot::GRANT + 2, full(What::Object(window)));
        }
        let pages = TestDriver::pool_pages(&transport.information());
        let pool = Pool::make(
            &program,
            Cap::at(slot::GRANT + 1),
            Cap::at(slot::GRANT + 2),
            pages as u16,
        )
        .unwrap();
        let driver = Driver::begin(program, transport, Cap::at(slot::GRANT), pool, 0).unwrap();
        let driver = Rc::new(RefCell::new(driver));
        let pumped = driver.clone();
        *pump.borrow_mut() = Some(Box::new(move || {
            let mut driver = pumped.borrow_mut();
            let busy = driver.round();
            driver.poll() || busy || driver.ready()
        }));
        let admin = init.take_slot().unwrap();
        let start = What::Start {
            pid: DRIVER,
            badge: ADMIN_BADGE,
        };
        kernel.borrow_mut().put(INIT, admin, full(start));
        World {
            kernel,
            device,
            driver,
            init,
            admin: Admin::at(admin),
            pump,
        }
    }

    /// Gives the driver slots for receive pages.
    pub fn add_aperture(&self) {
        self.try_add_aperture().unwrap();
    }

    pub fn try_add_aperture(&self) -> Result<(), sys::Error> {
        let slots = self.aperture();
        let [aperture, window] = slots;
        let added = self
            .admin
            .add_aperture(&self.init.sys, Cap::at(aperture), Cap::at(window));
        slots.into_iter().for_each(|slot| self.init.give_slot(slot));
        added
    }

    /// An aperture and its window, in init's slots.
    fn aperture(&self) -> [u16; 2] {
        let slots = [(); 2].map(|()| self.init.take_slot().unwrap());
        self.put_aperture(INIT, slots);
        slots
    }

    /// An aperture and its window, in a process's slots.
    pub fn put_aperture(&self, pid: Pid, slots: [CapAddr; 2]) {
        let mut kernel = self.kernel.borrow_mut();
        let (aperture, window) = make_aperture(&mut kernel);
        for (slot, oid) in slots.into_iter().zip([aperture, window]) {
            let capability = Capability {
                what: What::Object(oid),
                rights: Rights::all(),
            };
            kernel.put(pid, slot, capability);
        }
    }

    /// Makes a port.
    pub fn port(&self, settings: PortSettings) -> TestPort {
        self.try_port(settings).unwrap()
    }

    pub fn try_port(&self, settings: PortSettings) -> Result<TestPort, sys::Error> {
        let [aperture, window] = self.aperture();
        let port = Port::at(self.init.take_slot().unwrap());
        let number = self.admin.add_port(
            &self.init.sys,
            &settings,
            Cap::at(aperture),
            Cap::at(window),
            port,
        )?;
        Ok(TestPort {
            number,
            mac: settings.mac,
            capability: port,
        })
    }

    /// A user with a bank of so many objects.
    pub fn client(&self, port: TestPort, limit: u64) -> Client {
        let mut kernel = self.kernel.borrow_mut();
        let bank = kernel.sub_bank(0, limit, false).unwrap();
        let pid = kernel.add_process(bank);
        let granted = kernel.get(INIT, port.capability.address()).unwrap();
        drop(kernel);
        let program = FakeProgram::new(&self.kernel, pid, &self.pump);
        Client::new(program, pid, bank, port, granted)
    }

    /// A port with an attached client.
    pub fn attached(&self, n: u8) -> Client {
        let port = self.port(settings(n));
        let mut client = self.client(port, 1000);
        client.attach().unwrap();
        client
    }

    /// The same, whose transmit pages are pinned for so long.
    pub fn attached_pinning(&self, n: u8, pinning: Pinning) -> Client {
        let port = self.port(PortSettings {
            pinning,
            ..settings(n)
        });
        let mut client = self.client(port, 1000);
        client.attach().unwrap();
        client
    }

    /// A port with an attached client that receives so; the driver has posted what it may.
    pub fn attached_with(&self, n: u8, receive: Receive) -> Client {
        let port = self.port(PortSettings {
            receive,
            ..settings(n)
        });
        let mut client = self.client(port, 1000);
        client.attach().unwrap();
        self.run();
        client
    }

    /// Lets the driver work until it has nothing to do.
    pub fn run(&self) {
        self.init.sys.pump();
    }

    /// The wire brings a frame.
    pub fn inject(&self, frame: Vec<u8>) {
        self.device.borrow_mut().incoming.push_back(frame);
    }

    /// Whether frames complete when the driver looks. Answers whether they did.
    pub fn prompt(&self, prompt: bool) -> bool {
        std::mem::replace(&mut self.device.borrow_mut().prompt, prompt)
    }

    /// What left since the last time.
    pub fn wire(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.device.borrow_mut().wire)
    }

    pub fn counters(&self, port: TestPort) -> Counters {
        self.admin.statistics(&self.init.sys, port.number).unwrap()
    }

    pub fn counter(&self, port: TestPort, counter: Counter) -> u64 {
        self.counters(port).get(counter)
    }

    pub fn device_counter(&self, counter: Counter) -> u64 {
        let all = self
            .admin
            .statistics(&self.init.sys, dev::admin::DEVICE)
            .unwrap();
        all.get(counter)
    }

    pub fn state(&self, port: TestPort) -> dev::admin::Inspection {
        self.admin.inspect(&self.init.sys, port.number, 0).unwrap()
    }

    /// Time passes.
    pub fn advance(&self, nanoseconds: u64) {
        self.kernel.borrow_mut().now += nanoseconds;
    }

    pub fn destroy(&self, bank: usize) {
        self.kernel.borrow_mut().destroy(bank);
    }
}

fn make_aperture(kernel: &mut Kernel) -> (usize, usize) {
    let aperture = kernel.make(0, Kind::Aperture);
    let window = kernel.make(0, Kind::Table1);
    if let Some(Object::Segment { window_of, .. }) = &mut kernel.objects[window] {
        *window_of = Some(aperture);
    }
    (aperture, window)
}

/// A frame: addresses, a type of its own, and a body that says what it is.
pub fn frame(destination: Mac, source: Mac, number: u32, length: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(length);
    frame.extend(destination.bytes());
    frame.extend(source.bytes());
    frame.extend([0x88, 0xb5]);
    frame.extend(number.to_le_bytes());
    while frame.len() < length {
        frame.push((frame.len() as u32).wrapping_mul(31).wrapping_add(number) as u8);
    }
    frame.truncate(length);
    frame
}

/// Somebody on the wire.
pub const OUTSIDE: Mac = Mac::new([2, 0xaa, 0, 0, 0, 1]);
