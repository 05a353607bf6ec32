//! Configuration space of one function.
//!
//! Offsets are those of the PCI Local Bus Specification 3.0, chapter 6.

use alloc::vec::Vec;

use pci_types::CommandRegister;
use sys::object::DeviceDma;
use sys::{Cap, Error, Sys};

/// Offsets in the header.
mod offset {
    pub const VENDOR: u16 = 0x00;
    pub const DEVICE: u16 = 0x02;
    pub const COMMAND: u16 = 0x04;
    pub const STATUS: u16 = 0x06;
    pub const CLASS: u16 = 0x08;
    pub const HEADER_TYPE: u16 = 0x0e;
    pub const SECONDARY_BUS: u16 = 0x19;
    pub const CAPABILITIES: u16 = 0x34;
}

/// Status register: the function has a capability list.
const HAS_CAPABILITIES: u32 = 1 << 4;

/// Most capabilities that fit into the 192 bytes behind the header, at 4 bytes each: what ends a list
/// that leads back into itself.
const MOST_CAPABILITIES: usize = 48;

/// A capability of a function: where it lies, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its identification (PCI Code and ID Assignment Specification).
    pub id: u8,
    /// Its offset in configuration space.
    pub offset: u16,
}

/// Identification of vendor-specific capabilities.
pub const VENDOR_SPECIFIC: u8 = 0x09;
/// Identification of MSI-X.
pub const MSI_X: u8 = 0x11;

/// Configuration space of one function.
pub struct Config<'a, S> {
    sys: &'a S,
    function: Cap<DeviceDma>,
}

impl<'a, S: Sys> Config<'a, S> {
    /// Through the function's own capability.
    pub fn new(sys: &'a S, function: Cap<DeviceDma>) -> Config<'a, S> {
        Config { sys, function }
    }

    /// Reads 1, 2 or 4 bytes.
    pub fn read(&self, offset: u16, width: u8) -> Result<u32, Error> {
        self.function.config_read(self.sys, offset, width)
    }

    /// Writes 1, 2 or 4 bytes.
    pub fn write(&self, offset: u16, width: u8, value: u32) -> Result<(), Error> {
        self.function.config_write(self.sys, offset, width, value)
    }

    /// Vendor and device.
    pub fn identity(&self) -> Result<(u16, u16), Error> {
        let vendor = self.read(offset::VENDOR, 2)? as u16;
        Ok((vendor, self.read(offset::DEVICE, 2)? as u16))
    }

    /// Base class and sub-class.
    pub fn class(&self) -> Result<(u8, u8), Error> {
        let class = self.read(offset::CLASS, 4)?;
        Ok(((class >> 24) as u8, (class >> 16) as u8))
    }

    /// Type of the header (0 a device, 1 a bridge), and whether the device has several functions.
    pub fn header(&self) -> Result<(u8, bool), Error> {
        let header = self.read(offset::HEADER_TYPE, 1)?;
        Ok((header as u8 & 0x7f, header & 0x80 != 0))
    }

    /// A bridge's secondary bus.
    pub fn secondary_bus(&self) -> Result<u8, Error> {
        Ok(self.read(offset::SECONDARY_BUS, 1)? as u8)
    }

    /// The command register.
    pub fn command(&self) -> Result<CommandRegister, Error> {
        let command = self.read(offset::COMMAND, 2)?;
        Ok(CommandRegister::from_bits_retain(command as u16))
    }

    /// Sets the command register; the kernel leaves bus mastering as it is.
    pub fn set_command(&self, command: CommandRegister) -> Result<(), Error> {
        self.write(offset::COMMAND, 2, command.bits().into())
    }

    /// The function's capabilities, in the order of its list.
    pub fn capabilities(&self) -> Result<Vec<Capability>, Error> {
        let mut found = Vec::new();
        if self.read(offset::STATUS, 2)? & HAS_CAPABILITIES == 0 {
            return Ok(found);
        }
        let mut next = self.read(offset::CAPABILITIES, 1)? as u16 & 0xfc;
        // The header's 64 bytes hold no capability; a pointer into them ends the list.
        while next >= 0x40 && found.len() < MOST_CAPABILITIES {
            let head = self.read(next, 2)?;
            found.push(Capability {
                id: head as u8,
                offset: next,
            });
            next = (head >> 8) as u16 & 0xfc;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::fake::{Machine, simple_function};
    use super::*;

    #[test]
    fn a_list_that_bites_its_tail_ends() {
        let mut function = simple_function(0x1af4, 0x1041);
        function.set16(0x06, 0x10);
        function.set8(0x34, 0x40);
        function.set16(0x40, 0x4009);
        let machine = Machine::with([(Address::new(0, 2, 0), function)]);
        let cap = machine.function(Address::new(0, 2, 0));
        let list = Config::new(&machine, cap).capabilities().unwrap();
        assert_eq!(list.len(), MOST_CAPABILITIES);
    }

    #[test]
    fn a_list_into_the_header_ends_there() {
        let mut function = simple_function(0x1af4, 0x1041);
        function.set16(0x06, 0x10);
        function.set8(0x34, 0x40);
        function.set16(0x40, 0x0411);
        let machine = Machine::with([(Address::new(0, 2, 0), function)]);
        let cap = machine.function(Address::new(0, 2, 0));
        let list = Config::new(&machine, cap).capabilities().unwrap();
        assert_eq!(
            list,
            [Capability {
                id: MSI_X,
                offset: 0x40
            }]
        );
    }

    #[test]
    fn a_function_that_is_not_there_is_an_error() {
        let machine = Machine::with([]);
        assert!(Config::new(&machine, Cap::at(999)).identity().is_err());
    }
}
