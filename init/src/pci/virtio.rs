//! The virtio network device among the functions, and how it is stopped when its driver is gone.
//!
//! Section numbers are those of "Virtual I/O Device (VIRTIO) Version 1.2", OASIS, 2022.
//!
//! A dead driver's device is reset through the window that every virtio function has in its
//! configuration space (4.1.4.9): init needs no mapping of the device's registers for it.

use sys::{Error, Sys};

use super::config::{Config, VENDOR_SPECIFIC};
use super::scan::Found;

/// Vendor of all virtio devices (4.1.2).
const VENDOR: u16 = 0x1af4;
/// A modern network device: 0x1040 and the device type, 1 (4.1.2, 5.1.1).
const NETWORK: u16 = 0x1041;
/// A transitional network device (4.1.2.1); it can be driven where it has the modern structures.
const NETWORK_TRANSITIONAL: u16 = 0x1000;

/// Structure of common configuration (4.1.4).
const COMMON: u8 = 1;
/// Window into the device's regions (4.1.4).
const WINDOW: u8 = 5;
/// Offset of the device's status in the common configuration (4.1.4.3).
const STATUS: u32 = 0x14;

/// Whether a function is a virtio network device.
pub fn is_network(found: &Found) -> bool {
    found.vendor == VENDOR
        && (found.device == NETWORK || found.device == NETWORK_TRANSITIONAL)
        && found.header == 0
}

/// The way to a device's status register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWindow {
    /// Offset of the window's capability.
    window: u16,
    /// Region in which the common configuration lies.
    bar: u8,
    /// Offset of the status in it.
    offset: u32,
}

impl StatusWindow {
    /// Finds it. `None`: the device lacks the window or the common configuration.
    ///
    /// # Errors
    /// Those of configuration space.
    pub fn find(config: &Config<'_, impl Sys>) -> Result<Option<StatusWindow>, Error> {
        let (mut window, mut common) = (None, None);
        for capability in config.capabilities()? {
            if capability.id != VENDOR_SPECIFIC || capability.offset > 0xec {
                continue;
            }
            match config.read(capability.offset + 3, 1)? as u8 {
                WINDOW => window = window.or(Some(capability.offset)),
                // Of several, the first that can be used counts (4.1.4.1); other regions are
                // reserved.
                COMMON if common.is_none() => {
                    let bar = config.read(capability.offset + 4, 1)? as u8;
                    let offset = config.read(capability.offset + 8, 4)?;
                    common = offset
                        .checked_add(STATUS)
                        .filter(|_| bar < 6)
                        .map(|at| (bar, at));
                }
                _ => {}
            }
        }
        Ok(window
            .zip(common)
            .map(|(window, (bar, offset))| StatusWindow {
                window,
                bar,
                offset,
            }))
    }

    fn aim(&self, config: &Config<'_, impl Sys>) -> Result<(), Error> {
        config.write(self.window + 4, 1, self.bar.into())?;
        config.write(self.window + 8, 4, self.offset)?;
        config.write(self.window + 12, 4, 1)
    }

    /// Asks the device to reset itself (2.4): it stops all DMA.
    pub fn reset(&self, config: &Config<'_, impl Sys>) -> Result<(), Error> {
        self.aim(config)?;
        config.write(self.window + 16, 1, 0)
    }

    /// Whether the device has done so.
    pub fn is_reset(&self, config: &Config<'_, impl Sys>) -> Result<bool, Error> {
        self.aim(config)?;
        Ok(config.read(self.window + 16, 1)? as u8 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::fake::{Function, Machine, simple_function};
    use super::*;

    const AT: Address = Address::new(0, 2, 0);

    fn found(vendor: u16, device: u16, header: u8) -> Found {
        Found {
            address: AT,
            vendor,
            device,
            class: (2, 0),
            header,
        }
    }

    #[test]
    fn network_devices_are_told_from_others() {
        assert!(is_network(&found(0x1af4, 0x1041, 0)));
        assert!(is_network(&found(0x1af4, 0x1000, 0)));
        assert!(!is_network(&found(0x1af4, 0x1042, 0)));
        assert!(!is_network(&found(0x8086, 0x1041, 0)));
        assert!(!is_network(&found(0x1af4, 0x1041, 1)));
    }

    /// A network device with the common configuration at 0x1000 in region 4.
    fn card() -> Function {
        let mut card = simple_function(0x1af4, 0x1041);
        card.set16(0x06, 0x10);
        card.set8(0x34, 0x40);
        card.set32(0x40, 0x0110_5009);
        card.set8(0x44, 4);
        card.set32(0x48, 0x1000);
        card.set32(0x50, 0x0514_0009);
        card.allow(0x54, 16);
        card
    }

    #[test]
    fn the_status_is_cleared_through_the_window() {
        let machine = Machine::with([(AT, card())]);
        let mut status = 0x0fu8;
        let mut polls = 0;
        // The device: its status register behind the window, which takes a while to become 0.
        *machine.device.borrow_mut() =
            Some(alloc::boxed::Box::new(move |bytes, offset, written| {
                if offset != 0x60 {
                    return;
                }
                assert_eq!(bytes[0x54], 4);
                assert_eq!(bytes[0x58..0x5c], 0x1014u32.to_le_bytes());
                assert_eq!(bytes[0x5c..0x60], 1u32.to_le_bytes());
                match written {
                    Some(value) => {
                        assert_eq!(value, 0);
                        polls = 2;
                    }
                    None if polls > 0 => {
                        polls -= 1;
                        if polls == 0 {
                            status = 0;
                        }
                    }
                    None => {}
                }
                bytes[0x60] = status;
            }));
        let config = Config::new(&machine, machine.function(AT));
        let window = StatusWindow::find(&config).unwrap().unwrap();
        assert_eq!(window.is_reset(&config), Ok(false));
        window.reset(&config).unwrap();
        assert_eq!(window.is_reset(&config), Ok(false));
        assert_eq!(window.is_reset(&config), Ok(true));
    }

    #[test]
    fn a_device_without_window_has_none() {
        let mut card = card();
        card.set8(0x53, 2);
        let machine = Machine::with([(AT, card)]);
        let config = Config::new(&machine, machine.function(AT));
        assert_eq!(StatusWindow::find(&config), Ok(None));
    }
}
