//! Base address registers (PCI Local Bus Specification 3.0, 6.2.5.1).

use alloc::vec::Vec;
use core::fmt;

use abi::PAGE_SIZE;
use abi::cap::CapAddr;
use pci_types::CommandRegister;
use sys::object::DeviceMemory;
use sys::{Cap, Error, Sys};

use super::address::Address;
use super::config::Config;

/// Offset of the first register.
const FIRST: u16 = 0x10;
/// Registers of a device's header; a bridge has fewer.
const COUNT: u8 = 6;

/// Where registers without a place get one: below the interrupt controllers, above where machines of
/// this class have RAM. What of it is taken (configuration space, for instance), `DeviceMemory` tells.
const WINDOW: core::ops::Range<u64> = 0xc000_0000..0xfec0_0000;
/// Pages that a narrowed capability is asked for at once when a place is tried.
const STEP: u64 = 16 << 20;

/// A memory region of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Number of its (first) register.
    pub index: u8,
    /// Physical address; 0 when it has none yet.
    pub address: u64,
    /// Bytes, a power of two.
    pub size: u64,
    /// Whether the address takes two registers.
    pub wide: bool,
}

impl Bar {
    fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }
}

/// Why a region has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarError {
    /// Configuration space can't be reached.
    Config(Error),
    /// Nothing free of that size is left.
    NoRoom(Bar),
    /// The function lies behind a bridge that firmware didn't set up.
    BehindBridge(Bar),
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarError::Config(error) => write!(f, "configuration space: {error}"),
            BarError::NoRoom(bar) => {
                write!(
                    f,
                    "no free addresses for region {} of {:#x} bytes",
                    bar.index, bar.size
                )
            }
            BarError::BehindBridge(bar) => write!(
                f,
                "region {} has no address, and the bridge before it can't be set up: put the card on \
                 the root bus",
                bar.index
            ),
        }
    }
}

impl core::error::Error for BarError {}

impl From<Error> for BarError {
    fn from(error: Error) -> BarError {
        BarError::Config(error)
    }
}

/// The memory regions of a device (not of a bridge). I/O regions are left out: nobody uses them.
///
/// # Errors
/// Those of configuration space.
pub fn read(config: &Config<'_, impl Sys>) -> Result<Vec<Bar>, Error> {
    let command = config.command()?;
    // While a size is asked for, the register holds no address: the function must not answer there.
    config.set_command(command.difference(CommandRegister::MEMORY_ENABLE))?;
    let bars = read_disabled(config);
    config.set_command(command)?;
    bars
}

fn read_disabled(config: &Config<'_, impl Sys>) -> Result<Vec<Bar>, Error> {
    let mut bars = Vec::new();
    let mut index = 0;
    while index < COUNT {
        let offset = FIRST + 4 * u16::from(index);
        let low = config.read(offset, 4)?;
        let this = index;
        index += 1;
        if low & 1 != 0 {
            continue;
        }
        // Type 2 is 64 bits wide; 1 and 3 are reserved, and read as 32 bits.
        let wide = (low >> 1) & 3 == 2 && index < COUNT;
        let high = if wide { config.read(offset + 4, 4)? } else { 0 };
        config.write(offset, 4, u32::MAX)?;
        if wide {
            index += 1;
            config.write(offset + 4, 4, u32::MAX)?;
        }
        let mut mask = u64::from(config.read(offset, 4)? & !0xf);
        if wide {
            mask |= u64::from(config.read(offset + 4, 4)?) << 32;
            config.write(offset + 4, 4, high)?;
        } else if mask != 0 {
            mask |= 0xffff_ffff_0000_0000;
        }
        config.write(offset, 4, low)?;
        if mask != 0 {
            bars.push(Bar {
                index: this,
                address: u64::from(high) << 32 | u64::from(low & !0xf),
                // The lowest bit that can be set is the size.
                size: mask & mask.wrapping_neg(),
                wide,
            });
        }
    }
    Ok(bars)
}

/// Gives places to regions that have none, and lets the function answer there.
///
/// `taken` are all regions of the machine's other functions, and grows by those that get a place.
/// `memory` is the authority over all device memory; `slot` an empty slot to work with.
///
/// # Errors
/// As [`BarError`] says.
pub fn place<S: Sys>(
    sys: &S,
    config: &Config<'_, S>,
    address: Address,
    bars: &mut [Bar],
    taken: &mut Vec<Bar>,
    memory: (Cap<DeviceMemory>, CapAddr),
) -> Result<(), BarError> {
    let command = config.command()?;
    for bar in bars.iter_mut().filter(|bar| bar.address == 0) {
        if address.bus() != 0 {
            return Err(BarError::BehindBridge(*bar));
        }
        bar.address = find(sys, bar.size, taken, memory).ok_or(BarError::NoRoom(*bar))?;
        config.set_command(command.difference(CommandRegister::MEMORY_ENABLE))?;
        let offset = FIRST + 4 * u16::from(bar.index);
        config.write(offset, 4, bar.address as u32)?;
        if bar.wide {
            config.write(offset + 4, 4, (bar.address >> 32) as u32)?;
        }
        taken.push(*bar);
    }
    config.set_command(command | CommandRegister::MEMORY_ENABLE)?;
    Ok(())
}

/// The first place in the window that nobody has and that is device memory throughout.
fn find(
    sys: &impl Sys,
    size: u64,
    taken: &[Bar],
    (memory, slot): (Cap<DeviceMemory>, CapAddr),
) -> Option<u64> {
    // Regions smaller than a page get one for themselves: pages are what is handed out.
    let size = size.max(PAGE_SIZE as u64);
    let mut at = WINDOW.start.next_multiple_of(size);
    while at.checked_add(size).is_some_and(|end| end <= WINDOW.end) {
        let blocking = taken
            .iter()
            .filter(|bar| bar.address != 0 && bar.address < at + size && at < bar.end())
            .map(Bar::end)
            .max();
        let pages = size / PAGE_SIZE as u64;
        at = match blocking {
            Some(end) => end.checked_next_multiple_of(size)?,
            None if memory.narrow(sys, at, pages, slot).is_ok() => return Some(at),
            // Reserved regions are large: small steps through them would take for ever.
            None => (at + 1).checked_next_multiple_of(size.max(STEP))?,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::fake::{ALL_MEMORY, Machine, SLOT, simple_function};
    use super::*;
    use alloc::vec;

    const AT: Address = Address::new(0, 2, 0);

    /// As QEMU's virtio-net: I/O, MSI-X table in 32 bits, structures in 64 bits.
    fn network_card() -> super::super::fake::Function {
        let mut function = simple_function(0x1af4, 0x1041);
        function.bar_io(0, 0x20);
        function.bar(1, 0x1000, false);
        function.bar(4, 0x4000, true);
        function
    }

    fn regions(machine: &Machine) -> Vec<Bar> {
        read(&Config::new(machine, machine.function(AT))).unwrap()
    }

    #[test]
    fn sizes_and_kinds_are_read_and_addresses_kept() {
        let mut function = network_card();
        function.set32(0x14, 0xfebd_1000);
        function.set32(0x20, 0x0000_000c);
        function.set32(0x24, 0x0000_0080);
        let machine = Machine::with([(AT, function)]);
        let wanted = [
            Bar {
                index: 1,
                address: 0xfebd_1000,
                size: 0x1000,
                wide: false,
            },
            Bar {
                index: 4,
                address: 0x80_0000_0000,
                size: 0x4000,
                wide: true,
            },
        ];
        assert_eq!(regions(&machine), wanted);
        // Asking changed nothing.
        assert_eq!(regions(&machine), wanted);
    }

    #[test]
    fn regions_without_a_place_get_one_that_is_free() {
        let machine = Machine::with([(AT, network_card())]);
        // As q35's configuration space, in the middle of where places are looked for.
        machine.reserve(0xc000_0000..0xd000_0000);
        let config = Config::new(&machine, machine.function(AT));
        let mut bars = read(&config).unwrap();
        let mut taken = vec![Bar {
            index: 0,
            address: 0xd000_0000,
            size: 0x2000,
            wide: false,
        }];
        place(
            &machine,
            &config,
            AT,
            &mut bars,
            &mut taken,
            (ALL_MEMORY, SLOT),
        )
        .unwrap();
        assert_eq!(bars[0].address, 0xd000_2000);
        assert_eq!(bars[1].address, 0xd000_4000);
        assert_eq!(read(&config).unwrap(), bars);
        assert!(
            config
                .command()
                .unwrap()
                .contains(CommandRegister::MEMORY_ENABLE)
        );
        assert_eq!(taken.len(), 3);
    }

    #[test]
    fn without_room_it_says_so() {
        let machine = Machine::with([(AT, network_card())]);
        machine.reserve(0..u64::MAX);
        let config = Config::new(&machine, machine.function(AT));
        let mut bars = read(&config).unwrap();
        let placed = place(
            &machine,
            &config,
            AT,
            &mut bars,
            &mut vec![],
            (ALL_MEMORY, SLOT),
        );
        assert!(matches!(placed, Err(BarError::NoRoom(_))), "{placed:?}");
    }

    #[test]
    fn behind_a_bridge_it_says_what_to_do() {
        let far = Address::new(1, 0, 0);
        let machine = Machine::with([(far, network_card())]);
        let config = Config::new(&machine, machine.function(far));
        let mut bars = read(&config).unwrap();
        let placed = place(
            &machine,
            &config,
            far,
            &mut bars,
            &mut vec![],
            (ALL_MEMORY, SLOT),
        );
        assert!(
            matches!(placed, Err(BarError::BehindBridge(_))),
            "{placed:?}"
        );
    }

    #[test]
    fn registers_of_reserved_types_and_sizes_are_no_panic() {
        for low in 0..16u32 {
            let mut function = simple_function(1, 1);
            for index in 0..6 {
                function.raw_bar(index, low, !0);
            }
            let machine = Machine::with([(AT, function)]);
            for bar in regions(&machine) {
                assert!(bar.size.is_power_of_two());
            }
        }
    }
}
