//! The address of a PCI function.

use core::fmt;

/// Bus, device and function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(u16);

impl Address {
    /// The address of a bus, a device (0 to 31) and a function (0 to 7); higher bits are dropped.
    pub const fn new(bus: u8, device: u8, function: u8) -> Address {
        Address((bus as u16) << 8 | (device as u16 & 31) << 3 | function as u16 & 7)
    }

    /// As the kernel wants it: bus << 8 | device << 3 | function.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The bus.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The device on the bus.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 31
    }

    /// The function of the device.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02x}:{:02x}.{}",
            self.bus(),
            self.device(),
            self.function()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn parts_fit_together() {
        let address = Address::new(1, 31, 7);
        assert_eq!(address.number(), 0x1ff);
        assert_eq!(
            (address.bus(), address.device(), address.function()),
            (1, 31, 7)
        );
        assert_eq!(address.to_string(), "01:1f.7");
    }
}
