//! Enumeration: all functions, bus after bus, behind bridges too.

use alloc::vec::Vec;

use abi::cap::CapAddr;
use abi::error::ENODEV;
use sys::object::DeviceDma;
use sys::{Cap, Error, Sys};

use super::address::Address;
use super::config::Config;

/// Vendor that no device has: what a bus answers for an empty place.
const NOBODY: u16 = 0xffff;
/// Header type of a PCI-to-PCI bridge.
const BRIDGE: u8 = 1;

/// A function that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub address: Address,
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Base class and sub-class.
    pub class: (u8, u8),
    /// Type of the header.
    pub header: u8,
}

/// Finds all functions. `all` is the authority over all; `slot` is an empty slot to work with, and
/// empty or overwritten afterwards.
///
/// # Errors
/// The first access that failed otherwise than because nothing is there.
pub fn scan(sys: &impl Sys, all: Cap<DeviceDma>, slot: CapAddr) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    // A bus is looked at once, whatever bridges say: firmware that left bridges without numbers, or
    // gave the same one twice, must not make this a loop.
    let mut seen = [false; 256];
    let mut buses = alloc::vec![0u8];
    while let Some(bus) = buses.pop() {
        if core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            for function in 0..8 {
                let address = Address::new(bus, device, function);
                let Some((this, several)) = look(sys, all, slot, address)? else {
                    match function {
                        // Without function 0 there is no device.
                        0 => break,
                        _ => continue,
                    }
                };
                found.push(this);
                if this.header == BRIDGE {
                    let secondary = Config::new(sys, Cap::at(slot)).secondary_bus()?;
                    if secondary != 0 {
                        buses.push(secondary);
                    }
                }
                if function == 0 && !several {
                    break;
                }
            }
        }
    }
    found.sort_by_key(|found| found.address);
    Ok(found)
}

/// Looks at one address; leaves the function's capability in the slot.
fn look(
    sys: &impl Sys,
    all: Cap<DeviceDma>,
    slot: CapAddr,
    address: Address,
) -> Result<Option<(Found, bool)>, Error> {
    match all.function(sys, address.number(), slot) {
        Ok(()) => {}
        Err(error) if error.is(ENODEV) => return Ok(None),
        Err(error) => return Err(error),
    }
    let config = Config::new(sys, Cap::at(slot));
    let (vendor, device) = config.identity()?;
    if vendor == NOBODY {
        return Ok(None);
    }
    let (header, several) = config.header()?;
    let found = Found {
        address,
        vendor,
        device,
        class: config.class()?,
        header,
    };
    Ok(Some((found, several)))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{ALL, Machine, SLOT, simple_function};
    use super::*;

    fn addresses(machine: &Machine) -> Vec<Address> {
        let found = scan(machine, ALL, SLOT).unwrap();
        found.into_iter().map(|found| found.address).collect()
    }

    #[test]
    fn functions_are_found_behind_bridges_and_in_devices_of_several() {
        let mut several = simple_function(0x8086, 0x2918);
        several.set8(0x0e, 0x80);
        let mut bridge = simple_function(0x1b36, 0x000c);
        bridge.set8(0x0e, 1);
        bridge.set8(0x19, 3);
        let hidden = simple_function(0x1af4, 0x1041);
        let machine = Machine::with([
            (Address::new(0, 0, 0), simple_function(0x8086, 0x29c0)),
            (Address::new(0, 31, 0), several),
            (Address::new(0, 31, 3), simple_function(0x8086, 0x2930)),
            (Address::new(0, 4, 0), bridge),
            (Address::new(3, 0, 0), hidden),
            // Not the function of a device of one function, so nothing.
            (Address::new(0, 0, 5), simple_function(0x8086, 1)),
            (Address::new(9, 0, 0), simple_function(0x8086, 2)),
        ]);
        assert_eq!(
            addresses(&machine),
            [
                Address::new(0, 0, 0),
                Address::new(0, 4, 0),
                Address::new(0, 31, 0),
                Address::new(0, 31, 3),
                Address::new(3, 0, 0),
            ]
        );
    }

    #[test]
    fn bridges_that_lead_in_circles_end() {
        let mut one = simple_function(0x1b36, 0x000c);
        one.set8(0x0e, 1);
        one.set8(0x19, 1);
        let mut back = simple_function(0x1b36, 0x000c);
        back.set8(0x0e, 1);
        back.set8(0x19, 1);
        let machine = Machine::with([(Address::new(0, 1, 0), one), (Address::new(1, 1, 0), back)]);
        assert_eq!(addresses(&machine).len(), 2);
    }

    #[test]
    fn an_empty_machine_has_none() {
        assert!(addresses(&Machine::with([])).is_empty());
    }
}
