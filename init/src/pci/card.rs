//! The network card: chosen among the functions, given places for its registers, looked through.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use abi::cap::CapAddr;
use sys::object::{DeviceDma, DeviceMemory};
use sys::{Cap, Error, Sys};
use virtio::location::DeviceType;
use virtio::{Location, Locations};

use super::address::Address;
use super::bar::{self, Bar};
use super::config::Config;
use super::scan::{Found, scan};
use super::virtio::{StatusWindow, is_network};
use crate::failure::{Failure, Trying};
use crate::manifest::NetDevice;

/// A network card that can be driven.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its address.
    pub address: Address,
    /// Where its structures lie.
    pub locations: Locations,
    /// The way to its status, to reset it by.
    pub status: StatusWindow,
    /// Its memory regions.
    pub bars: Vec<Bar>,
}

/// What finding a card takes: the authorities over all functions and all device memory, and two empty
/// slots. The first keeps the card's function, the second is for working with.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// All functions.
    pub dma: Cap<DeviceDma>,
    /// All device memory.
    pub memory: Cap<DeviceMemory>,
    /// Keeps the card's function.
    pub function: CapAddr,
    /// For working with.
    pub scratch: CapAddr,
}

/// Finds the card that is wanted and makes its registers reachable.
///
/// # Errors
/// There is none, or it can't be driven; the failure names it and says what would do.
pub fn find<S: Sys>(sys: &S, wanted: NetDevice, means: Means) -> Result<Card, Failure> {
    let what = "looking for the network card";
    let found = scan(sys, means.dma, means.scratch).trying(what)?;
    for function in &found {
        log::debug!(
            "PCI {}: {:04x}:{:04x}, class {:02x}.{:02x}",
            function.address,
            function.vendor,
            function.device,
            function.class.0,
            function.class.1
        );
    }
    let chosen = choose(&found, wanted)?;
    prepare(sys, chosen, &found, means)
        .map_err(|failure| failure.during(format_args!("network card {}", chosen.address)))
}

fn choose(found: &[Found], wanted: NetDevice) -> Result<Found, Failure> {
    let what = "looking for the network card";
    match wanted {
        NetDevice::Auto => found.iter().copied().find(is_network).ok_or_else(|| {
            Failure::new(what, "no PCI function is a virtio-net device")
                .advise("give QEMU -device virtio-net-pci")
        }),
        NetDevice::Pci {
            bus,
            device,
            function,
        } => {
            let address = Address::new(bus, device, function);
            let what = format_args!("{what} at {address}, as system.net_device says");
            let there = found.iter().copied().find(|found| found.address == address);
            let there = there.ok_or_else(|| {
                Failure::new(what, "nothing is there").advise("leave it out to take the first one")
            })?;
            if !is_network(&there) {
                let why = alloc::format!(
                    "{:04x}:{:04x} is not a virtio-net device",
                    there.vendor,
                    there.device
                );
                return Err(Failure::new(what, why).advise("leave it out to take the first one"));
            }
            Ok(there)
        }
    }
}

fn prepare<S: Sys>(sys: &S, chosen: Found, found: &[Found], means: Means) -> Result<Card, Failure> {
    let address = chosen.address;
    means
        .dma
        .function(sys, address.number(), means.function)
        .trying("taking it")?;
    let config = Config::new(sys, Cap::at(means.function));
    let mut bars = bar::read(&config).trying("reading its regions")?;
    let mut taken = Vec::new();
    if bars.iter().any(|bar| bar.address == 0) {
        taken = regions_of_others(sys, chosen, found, means).trying("reading others' regions")?;
        taken.extend(bars.iter().copied().filter(|bar| bar.address != 0));
    }
    bar::place(
        sys,
        &config,
        address,
        &mut bars,
        &mut taken,
        (means.memory, means.scratch),
    )
    .map_err(|error| Failure::new("giving its registers addresses", error))?;
    let locations = Locations::find(&config)
        .map_err(|error| Failure::new("reading its capabilities", error))?;
    if locations.device_type != DeviceType::Network {
        return Err(Failure::new(
            "reading its capabilities",
            "it is no network device",
        ));
    }
    let size = |index: u8| {
        bars.iter()
            .find(|bar| bar.index == index)
            .map(|bar| bar.size)
    };
    locations
        .check(size)
        .map_err(|error| Failure::new("checking its registers", error))?;
    let status = StatusWindow::find(&config).trying("looking for its status")?;
    let status = status.ok_or_else(|| {
        Failure::new(
            "looking for its status",
            "it has no window in configuration space",
        )
    })?;
    Ok(Card {
        address,
        locations,
        status,
        bars,
    })
}

fn regions_of_others<S: Sys>(
    sys: &S,
    chosen: Found,
    found: &[Found],
    means: Means,
) -> Result<Vec<Bar>, Error> {
    let mut taken = Vec::new();
    let others = found
        .iter()
        .filter(|other| other.header == 0 && other.address != chosen.address);
    for other in others {
        means
            .dma
            .function(sys, other.address.number(), means.scratch)?;
        taken.extend(bar::read(&Config::new(sys, Cap::at(means.scratch)))?);
    }
    Ok(taken)
}

/// Pages of device memory in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The region that they are of.
    pub bar: u8,
    /// First page of it.
    pub first: u64,
    /// Physical address of that page.
    pub address: u64,
    /// How many.
    pub count: u64,
}

impl Card {
    /// The pages that hold structures, as few as do, one run a region: all that a driver gets.
    pub fn pages(&self) -> Vec<Pages> {
        let page = PAGE_SIZE as u64;
        let mut runs: Vec<Pages> = Vec::new();
        for (_, location) in self.locations.all() {
            let Some(bar) = self.bars.iter().find(|bar| bar.index == location.bar) else {
                continue;
            };
            let (first, end) = span(location, page);
            match runs.iter_mut().find(|run| run.bar == bar.index) {
                Some(run) => {
                    let start = run.first.min(first);
                    run.count = (run.first + run.count).max(end) - start;
                    run.first = start;
                    run.address = bar.address + start * page;
                }
                None => runs.push(Pages {
                    bar: bar.index,
                    first,
                    address: bar.address + first * page,
                    count: end - first,
                }),
            }
        }
        runs
    }
}

/// First page of a structure, and the page after its last.
fn span(location: Location, page: u64) -> (u64, u64) {
    (
        u64::from(location.offset) / page,
        location.end().div_ceil(page),
    )
}

impl<S: Sys> virtio::location::Configuration for Config<'_, S> {
    type Error = Error;

    fn read_u32(&self, offset: u8) -> Result<u32, Error> {
        self.read(offset.into(), 4)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::fake::{ALL, ALL_MEMORY, Function, Machine, SLOT, simple_function};
    use super::*;
    use alloc::string::ToString;

    const AT: Address = Address::new(0, 2, 0);
    const MEANS: Means = Means {
        dma: ALL,
        memory: ALL_MEMORY,
        function: SLOT + 1,
        scratch: SLOT,
    };

    /// One virtio capability: identification, next, length, type; region; offset; length.
    fn capability(card: &mut Function, at: usize, next: u8, kind: u8, place: (u32, u32)) {
        card.set8(at, 0x09);
        card.set8(at + 1, next);
        card.set8(at + 2, 20);
        card.set8(at + 3, kind);
        card.set8(at + 4, 4);
        card.set32(at + 8, place.0);
        card.set32(at + 12, place.1);
    }

    /// As QEMU's virtio-net: structures in region 4, a page each, MSI-X in region 1.
    pub(crate) fn network_card() -> Function {
        let mut card = simple_function(0x1af4, 0x1041);
        card.set16(0x06, 0x10);
        card.set8(0x34, 0x40);
        capability(&mut card, 0x40, 0x50, 1, (0, 0x1000));
        capability(&mut card, 0x50, 0x60, 3, (0x1000, 0x1000));
        capability(&mut card, 0x60, 0x70, 4, (0x2000, 0x1000));
        capability(&mut card, 0x70, 0x88, 2, (0x3000, 0x1000));
        card.set32(0x80, 4);
        capability(&mut card, 0x88, 0x9c, 5, (0, 0));
        card.allow(0x8c, 16);
        card.set8(0x9c, 0x11);
        card.set16(0x9e, 3);
        card.bar_io(0, 0x20);
        card.bar(1, 0x1000, false);
        card.bar(4, 0x4000, true);
        card
    }

    #[test]
    fn a_card_without_addresses_gets_them() {
        let mut other = simple_function(0x1234, 0x1111);
        other.bar(0, 0x100_0000, false);
        other.set32(0x10, 0xc000_0000);
        let machine = Machine::with([(Address::new(0, 1, 0), other), (AT, network_card())]);
        let card = find(&machine, NetDevice::Auto, MEANS).unwrap();
        assert_eq!(card.address, AT);
        assert_eq!(card.locations.vectors, 4);
        // Behind the other's region, MSI-X first.
        let pages = [Pages {
            bar: 4,
            first: 0,
            address: 0xc100_4000,
            count: 4,
        }];
        assert_eq!(card.pages(), pages);
    }

    #[test]
    fn what_is_missing_is_named() {
        let fails =
            |machine: &Machine, wanted| find(machine, wanted, MEANS).unwrap_err().to_string();
        let empty = Machine::with([]);
        assert!(fails(&empty, NetDevice::Auto).contains("give QEMU -device virtio-net-pci"));
        let at = NetDevice::Pci {
            bus: 0,
            device: 3,
            function: 0,
        };
        let machine = Machine::with([(Address::new(0, 3, 0), simple_function(0x8086, 0x100e))]);
        assert!(fails(&machine, at).contains("8086:100e is not a virtio-net device"));
        let at = NetDevice::Pci {
            bus: 0,
            device: 4,
            function: 0,
        };
        assert!(fails(&machine, at).contains("at 00:04.0, as system.net_device says: nothing"));
        let legacy = Machine::with([(AT, simple_function(0x1af4, 0x1000))]);
        assert!(fails(&legacy, NetDevice::Auto).starts_with("network card 00:02.0: reading"));
        let mut small = network_card();
        small.bar(4, 0x1000, true);
        let small = Machine::with([(AT, small)]);
        assert!(fails(&small, NetDevice::Auto).contains("impossible place"));
    }
}
