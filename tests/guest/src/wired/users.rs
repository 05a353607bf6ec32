//! Users of the driver: a port each, and a program on it; and how they receive.

use alloc::format;
use alloc::vec;

use abi::boot::slot;
use dev::Mac;
use dev::port::Port;
use dev::settings::{Pinning, PortSettings, Rate, Receive};
use dev::statistics::Counters;
use ethdrv::slots::FIRST_VIEW;
use init::host::priority;
use init::port_bank;
use init::stack::PORT_BANK_SLOT;
use rt::child::{Grant, Program};
use rt::{Kernel, Mapping, slots};
use sys::Cap;
use sys::object::{Aperture, Process};

use super::{Failure, System, during, image, own, start_program, sub_bank, window_memory};
use crate::children::{BANK, Nursery};

/// Limit of a user's bank: ample.
const USER_LIMIT: u64 = 8192;
/// A user is more urgent than the wire process, which runs as init does.
const USER_PRIORITY: u8 = priority::INIT + 4;

/// A user to be.
pub struct User<'a> {
    /// The program that attaches: its name in the archive's `bin`.
    pub program: &'a str,
    /// Its arguments.
    pub arguments: &'a [u8],
    /// What it gets besides its port (`GRANT`), the bank to offer (the slot behind), its own bank and
    /// services.
    pub grants: &'a [Grant],
    /// Its address.
    pub mac: [u8; 6],
    /// Pages each way.
    pub pages: u16,
    /// Its share of what the driver shares out.
    pub share: u16,
    /// How long what it sends from is pinned.
    pub pinning: Pinning,
}

impl System {
    /// Makes a port, and starts a program on it.
    ///
    /// # Errors
    /// What could not be done.
    pub fn add_user(&mut self, user: &User) -> Result<Cap<Process>, Failure> {
        let mut nursery = Nursery::new().map_err(during("preparing to start programs"))?;
        let bank = sub_bank(USER_LIMIT).map_err(during("making the user's bank"))?;
        let port = Port::at(slots::take().map_err(during("taking a slot"))?);
        let memory = own(self.driver_bank, self.function, false)
            .map_err(during("making the port's aperture"))?;
        let settings = PortSettings {
            mac: Mac::new(user.mac),
            rate: Rate {
                share: user.share,
                ..Rate::default()
            },
            transmit_pages: user.pages,
            receive_pages: user.pages,
            receive: Receive::default(),
            pinning: user.pinning,
        };
        let number = self
            .admin
            .add_port(&Kernel, &settings, memory.aperture, memory.window, port)
            .map_err(during("asking the driver for a port"))?;
        // What a stack offers the driver, from where init gives it.
        let offered = slots::take().map_err(during("taking a slot"))?;
        bank.restrict(&Kernel, port_bank::RIGHTS, Cap::at(offered))
            .map_err(during("making the bank that the user offers"))?;
        let mut grants = vec![
            Grant::new(slot::GRANT, port.address()),
            Grant::new(PORT_BANK_SLOT, offered),
        ];
        grants.extend(user.grants);
        let program = start_program(
            &mut nursery,
            Program {
                arguments: user.arguments,
                priority: USER_PRIORITY,
                ..Program::new(
                    user.program,
                    &image(&self.archive, &format!("bin/{}", user.program))?,
                    bank,
                )
            },
            &grants,
        )
        .map_err(during("starting the user's program"))?;
        nursery.end();
        let view = number as usize + 1;
        self.windows.push((view, window_memory(memory.window)?));
        self.ports.push(number);
        Ok(program.process)
    }

    /// Starts a program that has nothing to do with the driver, as urgent as a user.
    ///
    /// # Errors
    /// What could not be done.
    pub fn add_program(&self, name: &str, grants: &[Grant]) -> Result<Cap<Process>, Failure> {
        let mut nursery = Nursery::new().map_err(during("preparing to start programs"))?;
        let bank = sub_bank(USER_LIMIT).map_err(during("making a program's bank"))?;
        let image = image(&self.archive, &format!("bin/{name}"))?;
        let program = Program {
            priority: USER_PRIORITY,
            ..Program::new(name, &image, bank)
        };
        let program =
            start_program(&mut nursery, program, grants).map_err(during("starting a program"))?;
        nursery.end();
        Ok(program.process)
    }

    /// An aperture of the driver's function for somebody else.
    ///
    /// # Errors
    /// What could not be done.
    pub fn aperture(&self) -> Result<Cap<Aperture>, Failure> {
        let memory = own(BANK, self.function, false).map_err(during("making an aperture"))?;
        Ok(memory.aperture)
    }

    /// Gives the driver 512 slots for receive pages.
    ///
    /// # Errors
    /// What could not be done.
    pub fn add_receive_slots(&mut self) -> Result<(), Failure> {
        let memory = own(self.driver_bank, self.function, false)
            .map_err(during("making an aperture for receive pages"))?;
        self.admin
            .add_aperture(&Kernel, memory.aperture, memory.window)
            .map_err(during("giving the driver an aperture"))?;
        let window = window_memory(memory.window)?;
        let view = FIRST_VIEW as usize + self.receive_apertures;
        self.receive_apertures += 1;
        self.windows.push((view, window));
        Ok(())
    }

    /// Changes how all users receive.
    ///
    /// # Errors
    /// What could not be done.
    pub fn set_receive(&self, receive: Receive) -> Result<(), Failure> {
        for port in &self.ports {
            self.admin
                .set_receive(&Kernel, *port, receive)
                .map_err(during("changing how a port receives"))?;
        }
        Ok(())
    }

    /// Changes how one user receives: the first has the number 0.
    ///
    /// # Errors
    /// What could not be done.
    pub fn set_receive_of(&self, user: usize, receive: Receive) -> Result<(), Failure> {
        self.admin
            .set_receive(&Kernel, self.port(user), receive)
            .map_err(during("changing how a port receives"))
    }

    fn port(&self, user: usize) -> u64 {
        self.ports.get(user).copied().unwrap_or(u64::MAX)
    }

    /// What the driver counted for a user.
    ///
    /// # Errors
    /// What could not be done.
    pub fn counters(&self, user: usize) -> Result<Counters, Failure> {
        self.admin
            .statistics(&Kernel, self.port(user))
            .map_err(during("reading the port's counters"))
    }

    /// How many frames the first user got in each way: copied, in place, exchanged.
    ///
    /// # Errors
    /// What could not be done.
    pub fn ways(&self) -> Result<[u64; 3], Failure> {
        use dev::statistics::Counter;
        let counters = self.counters(0)?;
        let ways = [Counter::Copied, Counter::InPlace, Counter::Exchanged];
        Ok(ways.map(|way| counters.get(way)))
    }

    /// The window of this number.
    pub fn window(&self, number: usize) -> Result<&Mapping, Failure> {
        let found = self.windows.iter().find(|(other, _)| *other == number);
        found
            .map(|(_, memory)| memory)
            .ok_or(Failure::Wrong("the driver names a window that isn't there"))
    }
}
