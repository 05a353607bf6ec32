//! The real TCP/IP stack as a client: started, and given a new port, by the means by which init does it.

use alloc::format;
use core::net::Ipv4Addr;

use abi::cap::CapAddr;
use dev::bare::This;
use dev::port::Port;
use dev::settings::{Pinning, PortSettings};
use init::archive::Archive;
use init::failure::{Failure, Trying};
use init::launch::{Held, Launcher, OWN_BANK, Order, image};
use init::manifest::{Manifest, User};
use init::plan::{Plan, plan, program_objects};
use init::settings::settings;
use init::{port_bank, stack};
use rt::child::{Child, Grant, STACK_PAGES};
use rt::slots;
use sys::Cap;
use sys::bank::Bank;

use crate::user::PRIORITY;

/// Limit of its user's bank: little more than a stack needs.
const BANK: u64 = 1400;
/// Pages that it sends from.
const TRANSMIT_PAGES: u16 = 16;
/// The notification bit of this program's that is set when a stack stops. Nobody waits for it: stacks are
/// looked at.
const STOPPED_BIT: u64 = 3;

/// What a user needs whose program is the stack.
pub struct Stack {
    /// What init calls itself: it finds memory and slots there.
    this: This,
    launcher: Launcher,
    user: User,
    plan: Plan,
    held: Held,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Stack {
    /// A stack that isn't started yet, with the settings that a manifest would give it.
    pub fn new(archive: &Archive<'_>, name: &str, mac: [u8; 6]) -> Result<Stack, Failure> {
        let last = mac[5];
        let address = Ipv4Addr::new(10, 0, 2, 20 + last);
        let text = format!(
            "[[user]]\nname = '{name}'\nmac = '{mac}'\nbank = {BANK}\nservices = ['echo']\n\
             ipv4 = '{address}/24'\nipv6 = 'fd00::{last}/64'\n\
             transmit_slots = {TRANSMIT_PAGES}\nreceive_slots = {RECEIVE_PAGES}\n",
            mac = dev::Mac::new(mac),
            RECEIVE_PAGES = guest::sweeping::RECEIVE_PAGES,
        );
        let what = "reading a stack's manifest";
        let manifest = Manifest::parse(&text).map_err(|error| Failure::new(what, error))?;
        let user = manifest.user.into_iter().next();
        let user = user.ok_or_else(|| Failure::new(what, "nobody is in it"))?;
        let objects = program_objects(&image(archive, stack::FILE)?, STACK_PAGES);
        let plan = plan(&user, objects).map_err(|error| Failure::new(name, error))?;
        let slot = || slots::take().trying("taking a slot");
        let this = This::new().trying("reading the clock")?;
        Ok(Stack {
            launcher: Launcher::new(&this)?,
            this,
            user,
            plan,
            held: Held {
                process: slot()?,
                root: slot()?,
            },
            address,
        })
    }

    /// The limit of the user's bank.
    pub const fn limit(&self) -> u64 {
        self.plan.limit
    }

    /// The settings of its port.
    pub fn settings(&self, pinning: Pinning) -> PortSettings {
        PortSettings {
            pinning,
            ..settings(&self.user)
        }
    }

    /// Starts it out of the user's bank, on a port. `offered`: what it offers the driver.
    pub fn launch(
        &mut self,
        archive: &Archive<'_>,
        bank: Cap<Bank>,
        port: Port,
        offered: CapAddr,
    ) -> Result<Child, Failure> {
        let file = image(archive, stack::FILE)?;
        let order = Order {
            name: self.user.name.as_str(),
            file: stack::FILE,
            arguments: &stack::arguments(&self.user, &self.plan)?,
            priority: PRIORITY,
            stack_pages: STACK_PAGES,
            bank,
            bank_rights: OWN_BANK,
            grants: &[
                Grant::new(stack::PORT_SLOT, port.address()),
                Grant::new(stack::PORT_BANK_SLOT, offered),
            ],
            bit: STOPPED_BIT,
        };
        self.launcher.launch(&self.this, &file, &order, self.held)
    }

    /// Makes the user's port bank out of its bank, in an empty slot.
    pub fn make_port_bank(&self, bank: Cap<Bank>, made: Cap<Bank>) -> Result<(), Failure> {
        port_bank::make(&self.this, &self.user, bank, made)
    }

    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        dev::Program::now(&self.this)
    }
}
