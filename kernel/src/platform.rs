//! What ACPI says of the machine: interrupt controllers, power, and memory that is not for drivers.
//!
//! A firmware may be wrong, and what it says decides where the kernel reads and writes. So the kernel
//! uses no interrupt controller where the memory map has RAM, and where a table is wrong, less is known.
//! Elsewhere the tables win: nobody is given RAM where they have registers ([`Platform::registers`]).

mod tables;

use core::mem::offset_of;
use core::ops::Range;

use acpi::address::RawGenericAddress;
use acpi::sdt::SdtHeader;
use acpi::sdt::fadt::Fadt;
use acpi::sdt::madt::{
    EntryHeader, InterruptSourceOverrideEntry, IoApicEntry, LocalApicEntry, Madt,
};
use acpi::sdt::mcfg::{Mcfg, McfgEntry};

use crate::physical::{Physical, u16_at, u32_at, u64_at};
use crate::ram::{PAGE, Region};
use tables::Tables;

/// I/O APICs and reserved regions that are kept; a machine with more loses the rest.
const KEPT: usize = 8;

/// Where a PC's local APIC is unless somebody moved it (Intel SDM vol. 3A, 11.4.1).
const LOCAL_APIC: u64 = 0xfee0_0000;
/// Bytes of a local APIC's registers, and what they are aligned to.
const LOCAL_APIC_BYTES: u64 = 4096;
/// Bytes of an I/O APIC's registers, and what they are aligned to (82093AA, 3.0).
const IO_APIC_BYTES: u64 = 1024;
/// Bytes of a bus's configuration space.
const BUS_BYTES: u64 = 1 << 20;
/// Chipset registers: I/O APICs, timers, IOMMUs, local APICs, firmware.
const CHIPSET: Range<u64> = 0xfec0_0000..0x1_0000_0000;
/// A register in the space of I/O ports (ACPI 6.4, 5.2.3.2).
const IO_SPACE: u8 = 1;

/// An I/O APIC: its registers, and which interrupts it serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoApic {
    /// Physical address; 0 for none.
    pub address: u64,
    /// First global interrupt.
    pub first: u32,
}

/// What was learnt.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The local APIC's physical address: a page that is no RAM, or 0 where the memory map has RAM
    /// wherever it might be.
    pub local_apic: u64,
    /// I/O APICs, whose registers are mapped and lie in no RAM.
    pub io_apics: [IoApic; KEPT],
    /// For each ISA interrupt: global interrupt, active low, level-triggered.
    pub isa: [(u32, bool, bool); 16],
    /// CPUs that could run.
    pub cpus: u32,
    /// Configuration space of PCI.
    pub reserved: [Region; KEPT],
    /// Port that powers off (PM1a control), or 0.
    pub power_port: u16,
}

impl Platform {
    /// What a PC without ACPI has.
    pub fn unknown() -> Platform {
        Platform {
            local_apic: LOCAL_APIC,
            io_apics: [IoApic::default(); KEPT],
            isa: core::array::from_fn(|n| (n as u32, false, false)),
            cpus: 1,
            reserved: [Region::default(); KEPT],
            power_port: 0,
        }
    }

    /// Reads ACPI's tables; where there are none, or they are wrong, less is known. `map` is the
    /// loader's memory map, `root_pointer` 0 where there is none.
    pub fn read(memory: &impl Physical, map: &[Region], root_pointer: u64) -> Platform {
        let mut platform = Platform::unknown();
        if !are_registers(memory, map, platform.local_apic, LOCAL_APIC_BYTES) {
            platform.local_apic = 0;
        }
        if root_pointer == 0 {
            return platform;
        }
        let Some(tables) = Tables::find(memory, map, root_pointer) else {
            return platform;
        };
        if let Some(table) = tables.table::<Madt>() {
            platform.read_interrupts(table, |registers, bytes| {
                are_registers(memory, map, registers, bytes)
            });
        }
        if let Some(table) = tables.table::<Mcfg>() {
            platform.read_configuration(table);
        }
        if let Some(table) = tables.table::<Fadt>() {
            platform.power_port = power_port(table).unwrap_or(0);
        }
        platform
    }

    /// The I/O APIC that serves a global interrupt; `lines` tells how many one serves.
    pub fn io_apic(&self, interrupt: u32, lines: impl Fn(&IoApic) -> u32) -> Option<&IoApic> {
        self.io_apics.iter().find(|apic| {
            apic.address != 0 && interrupt >= apic.first && interrupt - apic.first < lines(apic)
        })
    }

    /// Where registers are: configuration space, pages of interrupt controllers, and what else the
    /// chipset has. Some ranges are empty, some lie in others.
    pub fn registers(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let spaces = self.reserved.iter().map(|region| region.start..region.end);
        let controllers = self.io_apics.iter().map(|apic| apic.address);
        let pages = controllers
            .chain([self.local_apic])
            .filter(|address| *address != 0)
            .map(|address| address & !(PAGE - 1))
            .map(|page| page..page + PAGE);
        spaces.chain(pages).chain([CHIPSET])
    }

    fn read_interrupts(&mut self, table: &[u8], are_registers: impl Fn(u64, u64) -> bool) {
        let local = u32_at(table, offset_of!(Madt, local_apic_address)).map(u64::from);
        if let Some(local) = local.filter(|address| are_registers(*address, LOCAL_APIC_BYTES)) {
            self.local_apic = local;
        }
        self.cpus = 0;
        for (kind, entry) in entries(table) {
            // An entry that is too short for its kind says nothing.
            let _ = match kind {
                0 => self.read_cpu(entry),
                1 => self.read_io_apic(entry, &are_registers),
                2 => self.read_override(entry),
                _ => None,
            };
        }
        self.cpus = self.cpus.max(1);
    }

    fn read_cpu(&mut self, entry: &[u8]) -> Option<()> {
        let flags = u32_at(entry, offset_of!(LocalApicEntry, flags))?;
        self.cpus += flags & 1;
        Some(())
    }

    fn read_io_apic(
        &mut self,
        entry: &[u8],
        are_registers: &impl Fn(u64, u64) -> bool,
    ) -> Option<()> {
        let address = u32_at(entry, offset_of!(IoApicEntry, io_apic_address))?.into();
        let first = u32_at(entry, offset_of!(IoApicEntry, global_system_interrupt_base))?;
        if are_registers(address, IO_APIC_BYTES) {
            let mut apics = self.io_apics.iter_mut();
            *apics.find(|apic| apic.address == 0)? = IoApic { address, first };
        }
        Some(())
    }

    fn read_override(&mut self, entry: &[u8]) -> Option<()> {
        type Entry = InterruptSourceOverrideEntry;
        let flags = u16_at(entry, offset_of!(Entry, flags))?;
        let interrupt = u32_at(entry, offset_of!(Entry, global_system_interrupt))?;
        let line = entry.get(offset_of!(Entry, irq))?;
        let (polarity, trigger) = (flags & 3, flags >> 2 & 3);
        *self.isa.get_mut(usize::from(*line))? = (interrupt, polarity == 3, trigger == 3);
        Some(())
    }

    fn read_configuration(&mut self, table: &[u8]) {
        let entries = table.get(size_of::<Mcfg>()..).unwrap_or_default();
        let regions = entries
            .chunks_exact(size_of::<McfgEntry>())
            .filter_map(configuration);
        let free = self.reserved.iter_mut().filter(|place| place.end == 0);
        free.zip(regions)
            .for_each(|(place, region)| *place = region);
    }
}

/// The kind and the bytes of each entry of a table of interrupt controllers, up to one whose length is
/// none: where the next begins can't be told.
fn entries(table: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut left = table.get(size_of::<Madt>()..).unwrap_or_default();
    core::iter::from_fn(move || {
        let kind = *left.first()?;
        let length = usize::from(*left.get(offset_of!(EntryHeader, length))?);
        let (entry, rest) = left.split_at_checked(length)?;
        left = rest;
        (length >= size_of::<EntryHeader>()).then_some((kind, entry))
    })
}

/// The configuration space that an entry of MCFG describes; `None` where it has no end.
fn configuration(entry: &[u8]) -> Option<Region> {
    let base = u64_at(entry, offset_of!(McfgEntry, base_address))?;
    let first = u64::from(*entry.get(offset_of!(McfgEntry, bus_number_start))?);
    let last = u64::from(*entry.get(offset_of!(McfgEntry, bus_number_end))?);
    if first > last {
        return None;
    }
    Some(Region {
        start: base.checked_add(first * BUS_BYTES)?,
        end: base.checked_add((last + 1) * BUS_BYTES)?,
        usable: false,
    })
}

/// The port of PM1a's control register, which powers off. The longer field, of ACPI 2.0, counts first.
fn power_port(table: &[u8]) -> Option<u16> {
    const LONG: usize = offset_of!(Fadt, x_pm1a_control_block);
    let revision = *table.get(offset_of!(SdtHeader, revision))?;
    let long = u64_at(table, LONG + offset_of!(RawGenericAddress, address));
    if let Some(port) = long.filter(|port| revision >= 2 && *port != 0) {
        let space = table.get(LONG + offset_of!(RawGenericAddress, address_space))?;
        return u16::try_from(port).ok().filter(|_| *space == IO_SPACE);
    }
    u16::try_from(u32_at(table, offset_of!(Fadt, pm1a_control_block))?).ok()
}

/// Whether registers can lie there, aligned to their size: mapped, and in no RAM, which the kernel would
/// write into when it uses them.
fn are_registers(memory: &impl Physical, map: &[Region], address: u64, bytes: u64) -> bool {
    let Some(end) = address.checked_add(bytes) else {
        return false;
    };
    let in_ram = |region: &Region| region.usable && region.start < end && address < region.end;
    address != 0
        && address.is_multiple_of(bytes)
        && memory.is_mapped(address..end)
        && !map.iter().any(in_ram)
}
