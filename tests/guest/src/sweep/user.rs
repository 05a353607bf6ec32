//! Users of the driver's: a port each, and a client, or a TCP/IP stack.

use core::net::Ipv4Addr;

use abi::cap::Rights;
use abi::method::process::state;
use dev::Mac;
use dev::admin::{Inspection, PortState};
use dev::port::Port;
use dev::settings::{Pinning, PortSettings, Rate, Receive};
use guest::children::{BANK, Nursery};
use guest::sweeping::{RECEIVE_PAGES, Role, TRANSMIT_PAGES, bit, grant};
use init::archive::Archive;
use init::host::priority;
use init::port_bank;
use init::supervise::has_stopped;
use rt::child::{Child, Grant, Program};
use rt::{Kernel, slots};
use sys::Cap;
use sys::bank::Bank;
use sys::object::Notify;

use crate::driver::Driver;
use crate::stack::Stack;
use crate::start::{Own, image, postcard, start_program, take};
use crate::{Failure, during};

/// Limit of a client's bank: ample.
const LIMIT: u64 = 512;
/// That of its [port bank](init::port_bank).
const PORT_LIMIT: u64 = 256;
/// Clients are more urgent than the wire process, which runs as init does.
pub const PRIORITY: u8 = priority::INIT + 4;
/// Pages of a client's stack.
const STACK: usize = 4;

/// A port at the driver.
pub struct Attachment {
    /// Its number.
    pub number: u64,
    port: Port,
    own: Own,
    /// It went with the driver, and its slots are others'.
    forgotten: bool,
}

impl Attachment {
    /// Makes a port. If that fails, what was bought for it goes with the driver.
    pub fn make(driver: &Driver, settings: &PortSettings) -> Result<Attachment, Failure> {
        let mut own = Own::buy(driver.bank, driver.function)?;
        let port = Port::at(take()?);
        let added = driver
            .admin
            .add_port(&Kernel, settings, own.aperture, own.window, port)
            .map_err(during("asking the driver for a port"))
            .and_then(|number| own.see().map(|()| number));
        let mut attachment = Attachment {
            number: *added.as_ref().unwrap_or(&0),
            port,
            own,
            forgotten: false,
        };
        if added.is_err() {
            attachment.forget();
        }
        added.map(|_| attachment)
    }

    /// What the driver sees in its window.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// What the driver says of it. The session's bank comes to `into`, if there is a session.
    pub fn inspect(&self, driver: &Driver, into: Cap<Bank>) -> Option<Inspection> {
        driver
            .admin
            .inspect(&Kernel, self.number, into.address())
            .ok()
    }

    /// Takes the port away again.
    pub fn remove(&mut self, driver: &Driver) -> Result<(), Failure> {
        driver
            .admin
            .remove_port(&Kernel, self.number)
            .map_err(during("removing a port"))?;
        for object in [self.own.aperture.address(), self.own.window.address()] {
            driver
                .bank
                .sell(&Kernel, object)
                .map_err(during("selling a port's aperture"))?;
        }
        self.forget();
        Ok(())
    }

    /// Forgets it: it went with the driver. Nothing happens if that was done before.
    pub fn forget(&mut self) {
        if !self.forgotten {
            self.forgotten = true;
            slots::give(self.port.address());
            self.own.forget();
        }
    }
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To attach.
    Attach = 0,
    /// To detach.
    Detach = 1,
    /// To send.
    Send = 2,
}

/// What the users run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A client that does as it is told, and sends each frame back.
    Client,
    /// The TCP/IP stack, with its echo service.
    Stack,
}

/// A user.
pub struct User {
    /// Its bank.
    pub bank: Cap<Bank>,
    /// Its session's bank.
    pub session: Cap<Bank>,
    /// Its [port bank](init::port_bank), and what it may offer of it.
    port_bank: Cap<Bank>,
    offered: Cap<Bank>,
    /// Its address.
    pub mac: [u8; 6],
    weak: u16,
    orders: [Cap<Notify>; 3],
    runs: Runs,
    stack: Stack,
    child: Option<Child>,
}

impl User {
    /// One who isn't there yet.
    pub fn new(archive: &Archive<'_>, name: &str, mac: [u8; 6]) -> Result<User, Failure> {
        Ok(User {
            bank: Cap::at(take()?),
            session: Cap::at(take()?),
            port_bank: Cap::at(take()?),
            offered: Cap::at(take()?),
            mac,
            weak: take()?,
            orders: [Cap::at(take()?), Cap::at(take()?), Cap::at(take()?)],
            runs: Runs::Client,
            stack: Stack::new(archive, name, mac)?,
            child: None,
        })
    }

    /// Who runs something else is ended.
    pub fn run(&mut self, what: Runs) {
        if what != self.runs {
            self.end();
            self.runs = what;
        }
    }

    /// The address that its stack has, when it runs one.
    pub const fn address(&self) -> Ipv4Addr {
        self.stack.address
    }

    /// The address of its stack, if it runs one.
    pub fn stack_address(&self) -> Option<Ipv4Addr> {
        (self.runs == Runs::Stack).then_some(self.address())
    }

    /// The settings of its port.
    pub fn settings(&self, pinning: Pinning) -> PortSettings {
        match self.runs {
            Runs::Client => PortSettings {
                mac: Mac::new(self.mac),
                rate: Rate::default(),
                transmit_pages: TRANSMIT_PAGES,
                receive_pages: RECEIVE_PAGES,
                receive: Receive::default(),
                pinning,
            },
            Runs::Stack => self.stack.settings(pinning),
        }
    }

    /// Makes its bank.
    pub fn open_bank(&mut self) -> Result<(), Failure> {
        let limit = match self.runs {
            Runs::Client => LIMIT,
            Runs::Stack => self.stack.limit(),
        };
        BANK.sub_bank(&Kernel, limit, false, self.bank)
            .map(|_| ())
            .map_err(during("making a user's bank"))
    }

    /// Starts its program out of its bank: a client, who then waits for orders, or a stack, which attaches.
    pub fn start(&mut self, archive: &Archive<'_>, port: &Attachment) -> Result<(), Failure> {
        self.make_port_bank()?;
        let child = match self.runs {
            Runs::Client => self.start_client(archive, port)?,
            Runs::Stack => {
                let offered = self.offered.address();
                self.stack.launch(archive, self.bank, port.port, offered)?
            }
        };
        self.child = Some(child);
        Ok(())
    }

    fn start_client(&mut self, archive: &Archive<'_>, port: &Attachment) -> Result<Child, Failure> {
        let mut nursery = Nursery::new().map_err(during("preparing to start a client"))?;
        let child = start_program(
            &mut nursery,
            Program {
                arguments: &postcard(&Role::Client(self.mac))?,
                priority: PRIORITY,
                stack_pages: STACK,
                ..Program::new("client", &image(archive, "bin/swept")?, self.bank)
            },
            self.weak,
            &[
                Grant::new(grant::PORT, port.port.address()),
                Grant::new(grant::PORT_BANK, self.offered.address()),
            ],
        );
        nursery.end();
        let child = child.map_err(during("starting a client"))?;
        for (notify, bit) in self
            .orders
            .iter()
            .zip([bit::ATTACH, bit::DETACH, bit::SEND])
        {
            child
                .process
                .make_notify(&Kernel, bit, notify.address())
                .map_err(during("making a notification"))?;
        }
        Ok(child)
    }

    fn make_port_bank(&self) -> Result<(), Failure> {
        match self.runs {
            Runs::Client => {
                let made = self
                    .bank
                    .sub_bank(&Kernel, PORT_LIMIT, false, self.port_bank);
                made.map_err(during("making the bank for a client's port"))?;
            }
            Runs::Stack => self.stack.make_port_bank(self.bank, self.port_bank)?,
        }
        self.port_bank
            .restrict(&Kernel, port_bank::RIGHTS, self.offered)
            .map_err(during("offering a part of a bank"))
    }

    /// Takes away what a driver that died had made in its port bank.
    pub fn lose_driver(&self) {
        let _ = self.port_bank.destroy(&Kernel);
    }

    /// Hands it a new port in place of the old one, and a bank to offer.
    pub fn give_port(&self, port: &Attachment) -> Result<(), Failure> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        self.lose_driver();
        self.make_port_bank()?;
        [
            (grant::PORT_BANK, self.offered.address()),
            (grant::PORT, port.port.address()),
        ]
        .into_iter()
        .try_for_each(|(slot, what)| child.root.put(&Kernel, slot, what, Rights::FULL))
        .map_err(during("handing over a port"))
    }

    /// Gives an order. Who is gone doesn't mind, and a stack takes none: it does by itself what it is to.
    pub fn order(&self, order: Order) {
        if self.runs == Runs::Stack {
            return;
        }
        let _ = self.orders[order as usize].signal(&Kernel);
    }

    /// Whether it was started, and not ended since.
    pub fn is_there(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it gave up, or never came to run.
    pub fn has_stopped(&self) -> bool {
        self.child
            .is_none_or(|child| has_stopped(&Kernel, child.process))
    }

    /// Whether it waits for something to do.
    pub fn is_alive(&self) -> bool {
        let info = self.child.map(|child| child.process.info(&Kernel));
        info.is_some_and(|info| info.is_ok_and(|info| info.state == state::WAITING))
    }

    /// Whether it has a session; its bank's capability is taken in.
    pub fn is_attached(&self, driver: &Driver, port: &Attachment) -> bool {
        let inspected = port.inspect(driver, self.session);
        inspected.is_some_and(|port| port.state == PortState::Open)
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.stack.now()
    }

    /// Ends it with its bank. It may be gone already.
    pub fn end(&mut self) {
        let _ = self.bank.destroy(&Kernel);
        let child = self.child.take();
        // The stack's slots are its launcher's.
        if let Some(child) = child.filter(|_| self.runs == Runs::Client) {
            slots::give(child.process.address());
            slots::give(child.root.address());
        }
    }
}
