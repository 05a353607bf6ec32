//! Users of the driver: a port and a stack each; and how they receive.

use abi::boot::slot;
use dev::Mac;
use dev::port::Port;
use dev::settings::{Pinning, PortSettings, Rate, Receive};
use ethdrv::slots::FIRST_VIEW;
use guest::children::Nursery;
use init::host::priority;
use netstack::config::{Config, Ipv4, Ipv6, Services};
use rt::child::{Grant, Program};
use rt::{Kernel, Mapping, slots};
use sys::Cap;
use sys::object::Process;

use super::{
    Station, System, during, image, own, postcard, start_program, sub_bank, window_memory,
};
use crate::Failure;

/// Limit of a stack's bank: ample.
const STACK_LIMIT: u64 = 8192;
/// Pages each way, as a user gets by default.
const PORT_PAGES: u16 = 128;
/// A stack is more urgent than the wire process, which runs as init does.
const STACK_PRIORITY: u8 = priority::INIT + 4;

impl System {
    /// Makes a port, and starts a stack on it that echoes.
    ///
    /// # Errors
    /// What could not be done.
    pub fn add_user(
        &mut self,
        name: &str,
        Station { mac, address }: Station,
        pinning: Pinning,
    ) -> Result<Cap<Process>, Failure> {
        let mut nursery = Nursery::new().map_err(during("preparing to start programs"))?;
        let stack_bank = sub_bank(STACK_LIMIT).map_err(during("making the stack's bank"))?;
        let port = Port::at(slots::take().map_err(during("taking a slot"))?);
        let memory = own(self.driver_bank, self.function, false)
            .map_err(during("making the port's aperture"))?;
        let settings = PortSettings {
            mac: Mac::new(mac),
            rate: Rate::default(),
            transmit_pages: PORT_PAGES,
            receive_pages: PORT_PAGES,
            receive: Receive::default(),
            pinning,
        };
        let number = self
            .admin
            .add_port(&Kernel, &settings, memory.aperture, memory.window, port)
            .map_err(during("asking the driver for a port"))?;
        let config = Config {
            ipv4: Ipv4::Static {
                address,
                prefix_length: 24,
                gateway: None,
            },
            ipv6: Ipv6::Off,
            services: Services {
                echo: true,
                ..Services::NONE
            },
            ..Config::new(name, mac)
        };
        let stack = start_program(
            &mut nursery,
            Program {
                arguments: &postcard(&config)?,
                priority: STACK_PRIORITY,
                ..Program::new(
                    "netstack",
                    &image(&self.archive, "bin/netstack")?,
                    stack_bank,
                )
            },
            &[Grant::new(slot::GRANT, port.address())],
        )
        .map_err(during("starting the stack"))?;
        nursery.end();
        let view = number as usize + 1;
        self.windows.push((view, window_memory(memory.window)?));
        self.ports.push(number);
        Ok(stack.process)
    }

    /// Gives the driver slots for the receive pages of two users.
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
        self.windows.push((FIRST_VIEW as usize, window));
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

    /// How many frames the first user got in each way: copied, in place, exchanged.
    ///
    /// # Errors
    /// What could not be done.
    pub fn ways(&self) -> Result<[u64; 3], Failure> {
        use dev::statistics::Counter;
        let port = self.ports.first().copied().unwrap_or(0);
        let counters = self
            .admin
            .statistics(&Kernel, port)
            .map_err(during("reading the port's counters"))?;
        let ways = [Counter::Copied, Counter::InPlace, Counter::Exchanged];
        Ok(ways.map(|way| counters.get(way)))
    }

    /// The window of this number.
    pub fn window(&self, number: usize) -> Result<&Mapping, Failure> {
        let found = self.windows.iter().find(|(other, _)| *other == number);
        found
            .map(|(_, memory)| memory)
            .ok_or(Failure::Peer("the driver names a window that isn't there"))
    }
}
