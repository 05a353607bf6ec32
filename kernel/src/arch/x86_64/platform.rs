//! What ACPI says of the machine: interrupt controllers, reset, and memory that is not for drivers.

use acpi::sdt::fadt::Fadt;
use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::sdt::mcfg::Mcfg;
use acpi::{AcpiTables, Handler, PciAddress, PhysicalMapping, RawPhysicalMapping};
use core::ptr::NonNull;
use kernel::ram::Region;
use x86_64::instructions::port::Port;

use super::apic::IoApic;
use super::memory::{is_mapped, physical};

/// I/O APICs and reserved regions that are kept; a machine with more loses the rest.
const KEPT: usize = 8;

/// What was learnt.
#[derive(Debug)]
pub struct Platform {
    /// The local APIC's physical address.
    pub local_apic: u64,
    /// I/O APICs.
    pub io_apics: [IoApic; KEPT],
    /// For each ISA interrupt: global interrupt, active low, level-triggered.
    pub isa: [(u32, bool, bool); 16],
    /// CPUs that could run.
    pub cpus: u32,
    /// Configuration space and IOMMUs.
    pub reserved: [Region; KEPT],
    /// Port that powers off (PM1a control), or 0.
    pub power_port: u16,
}

impl Platform {
    /// What a PC without ACPI has.
    pub fn unknown() -> Platform {
        Platform {
            local_apic: 0xfee0_0000,
            io_apics: [IoApic::default(); KEPT],
            isa: core::array::from_fn(|n| (n as u32, false, false)),
            cpus: 1,
            reserved: [Region::default(); KEPT],
            power_port: 0,
        }
    }

    /// Reads ACPI's tables; where there are none, or they are wrong, less is known.
    pub fn read(root_pointer: u64) -> Platform {
        let mut platform = Platform::unknown();
        if root_pointer == 0 || !is_mapped(root_pointer) {
            return platform;
        }
        // SAFETY: the loader says that the root pointer lies there; `Firmware` maps all RAM.
        let Ok(tables) = (unsafe { AcpiTables::from_rsdp(Firmware, root_pointer as usize) }) else {
            return platform;
        };
        if let Some(madt) = tables.find_table::<Madt>() {
            platform.read_interrupts(&madt);
        }
        if let Some(mcfg) = tables.find_table::<Mcfg>() {
            for entry in mcfg.entries() {
                let buses = u64::from(entry.bus_number_end - entry.bus_number_start) + 1;
                let start = entry.base_address + (u64::from(entry.bus_number_start) << 20);
                platform.reserve(start, start + (buses << 20));
            }
        }
        if let Some(fadt) = tables.find_table::<Fadt>() {
            let port = fadt
                .pm1a_control_block()
                .map(|block| block.address)
                .unwrap_or(0);
            platform.power_port = u16::try_from(port).unwrap_or(0);
        }
        platform
    }

    fn reserve(&mut self, start: u64, end: u64) {
        if let Some(free) = self.reserved.iter_mut().find(|region| region.end == 0) {
            *free = Region {
                start,
                end,
                usable: false,
            };
        }
    }

    fn read_interrupts(&mut self, madt: &PhysicalMapping<Firmware, Madt>) {
        let madt = madt.get();
        self.local_apic = madt.local_apic_address.into();
        let mut cpus = 0;
        for entry in madt.entries() {
            match entry {
                MadtEntry::LocalApic(cpu) if cpu.flags & 1 != 0 => cpus += 1,
                MadtEntry::IoApic(found) if is_mapped(found.io_apic_address.into()) => {
                    if let Some(free) = self.io_apics.iter_mut().find(|apic| apic.address == 0) {
                        free.address = found.io_apic_address.into();
                        free.first = found.global_system_interrupt_base;
                    }
                }
                MadtEntry::InterruptSourceOverride(found) => {
                    let (polarity, trigger) = (found.flags & 3, found.flags >> 2 & 3);
                    if let Some(line) = self.isa.get_mut(usize::from(found.irq)) {
                        *line = (found.global_system_interrupt, polarity == 3, trigger == 3);
                    }
                }
                _ => {}
            }
        }
        self.cpus = cpus.max(1);
    }

    /// The I/O APIC that serves a global interrupt.
    pub fn io_apic(&self, interrupt: u32) -> Option<&IoApic> {
        self.io_apics.iter().find(|apic| {
            apic.address != 0 && interrupt >= apic.first && interrupt - apic.first < apic.lines()
        })
    }
}

/// Access to the machine for the `acpi` crate. Tables lie in RAM, which is mapped; only tables are
/// read, so the rest is here for the trait's sake, and does what it says.
#[derive(Clone)]
struct Firmware;

macro_rules! access {
    ($($read:ident $write:ident $read_port:ident $write_port:ident $type:ty;)*) => {
        $(
            fn $read(&self, address: usize) -> $type {
                // SAFETY: addresses come from ACPI, whose tables describe this machine.
                unsafe { physical(address as u64).cast::<$type>().read_volatile() }
            }
            fn $write(&self, address: usize, value: $type) {
                // SAFETY: as above.
                unsafe { physical(address as u64).cast::<$type>().write_volatile(value) }
            }
            fn $read_port(&self, port: u16) -> $type {
                // SAFETY: as above.
                unsafe { Port::new(port).read() }
            }
            fn $write_port(&self, port: u16, value: $type) {
                // SAFETY: as above.
                unsafe { Port::new(port).write(value) }
            }
        )*
    };
}

macro_rules! configuration {
    ($($read:ident $write:ident $type:ty = $width:ident;)*) => {
        $(
            fn $read(&self, address: PciAddress, offset: u16) -> $type {
                super::pci::read(function(address), offset, kernel::machine::Width::$width) as $type
            }
            fn $write(&self, address: PciAddress, offset: u16, value: $type) {
                super::pci::write(function(address), offset, kernel::machine::Width::$width, value.into());
            }
        )*
    };
}

impl Handler for Firmware {
    unsafe fn map_physical_region<T>(&self, address: usize, bytes: usize) -> RawPhysicalMapping<T> {
        let pointer = NonNull::new(physical(address as u64).cast()).unwrap_or(NonNull::dangling());
        // SAFETY: all RAM is mapped for good, and nobody but the `acpi` crate looks at tables.
        unsafe { RawPhysicalMapping::new(address, pointer, bytes, bytes) }
    }

    unsafe fn unmap_physical_region<T>(&self, _: RawPhysicalMapping<T>) {}

    access! {
        read_u8 write_u8 read_io_u8 write_io_u8 u8;
        read_u16 write_u16 read_io_u16 write_io_u16 u16;
        read_u32 write_u32 read_io_u32 write_io_u32 u32;
    }

    fn read_u64(&self, address: usize) -> u64 {
        // SAFETY: as in `access`.
        unsafe { physical(address as u64).cast::<u64>().read_volatile() }
    }

    fn write_u64(&self, address: usize, value: u64) {
        // SAFETY: as in `access`.
        unsafe { physical(address as u64).cast::<u64>().write_volatile(value) }
    }

    configuration! {
        read_pci_u8 write_pci_u8 u8 = Byte;
        read_pci_u16 write_pci_u16 u16 = Word;
        read_pci_u32 write_pci_u32 u32 = Long;
    }

    fn nanos_since_boot(&self) -> u64 {
        super::time::nanoseconds()
    }

    fn stall(&self, microseconds: u64) {
        let end = super::time::nanoseconds() + microseconds * 1000;
        while super::time::nanoseconds() < end {
            core::hint::spin_loop();
        }
    }

    fn sleep(&self, milliseconds: u64) {
        self.stall(milliseconds * 1000);
    }
}

fn function(address: PciAddress) -> u16 {
    u16::from(address.bus()) << 8 | u16::from(address.device()) << 3 | u16::from(address.function())
}
