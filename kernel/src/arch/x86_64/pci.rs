//! PCI configuration space by the two ports that every PC has (PCI 3.0, 3.2.2.3.2), and MSI-X
//! tables, which only the kernel writes.

use kernel::device::msix_capability;
use kernel::error::{DEVICE, RANGE, Result};
use kernel::machine::{Machine, Width};
use x86_64::instructions::port::Port;

use super::memory::{is_mapped, physical};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

fn select(function: u16, offset: u16) {
    let address = 1 << 31 | u32::from(function) << 8 | u32::from(offset & 0xfc);
    // SAFETY: the address port only selects what the data port reaches, and the kernel alone uses it.
    unsafe { Port::new(ADDRESS).write(address) };
}

/// Reads a function's configuration space.
pub fn read(function: u16, offset: u16, width: Width) -> u32 {
    select(function, offset);
    let port = DATA + (offset & 3);
    // SAFETY: reads of configuration space have no effect on memory.
    unsafe {
        match width {
            Width::Byte => Port::<u8>::new(port).read().into(),
            Width::Word => Port::<u16>::new(port).read().into(),
            Width::Long => Port::new(port).read(),
        }
    }
}

/// Writes a function's configuration space.
pub fn write(function: u16, offset: u16, width: Width, value: u32) {
    select(function, offset);
    let port = DATA + (offset & 3);
    // SAFETY: the portable kernel decides what may be written; it keeps bus mastering and MSI-X.
    unsafe {
        match width {
            Width::Byte => Port::new(port).write(value as u8),
            Width::Word => Port::new(port).write(value as u16),
            Width::Long => Port::new(port).write(value),
        }
    }
}

/// An MSI-X table (PCI 3.0, 6.8.2).
pub struct MsixTable {
    capability: u16,
    /// Physical address.
    pub address: u64,
    /// Entries.
    pub entries: u16,
}

/// Where a function's MSI-X table is, if it has one and its BAR is assigned.
pub fn msix_table(machine: &impl Machine, function: u16) -> Option<MsixTable> {
    let capability = msix_capability(machine, function)?;
    let entries = (machine.pci_read(function, capability + 2, Width::Word) as u16 & 0x7ff) + 1;
    let location = machine.pci_read(function, capability + 4, Width::Long);
    let register = 0x10 + 4 * (location & 7) as u16;
    if register > 0x24 {
        return None;
    }
    let bar = machine.pci_read(function, register, Width::Long);
    let high = match bar & 6 {
        4 if register < 0x24 => machine.pci_read(function, register + 4, Width::Long),
        _ => 0,
    };
    let base = u64::from(high) << 32 | u64::from(bar & !15);
    if base == 0 || bar & 1 != 0 {
        return None;
    }
    Some(MsixTable {
        capability,
        address: base + u64::from(location & !7),
        entries,
    })
}

/// Points an entry of a function's MSI-X table at a vector of this CPU, masked, and enables MSI-X.
pub fn connect(machine: &impl Machine, function: u16, entry: u16, vector: u8) -> Result<()> {
    let table = msix_table(machine, function).ok_or(DEVICE)?;
    if entry >= table.entries {
        return Err(RANGE);
    }
    let address = 0xfee0_0000 | u32::from(super::apic::identity()) << 12;
    write_entry(&table, entry, [address, 0, vector.into(), 1]).ok_or(DEVICE)?;
    let control = machine.pci_read(function, table.capability + 2, Width::Word);
    machine.pci_write(
        function,
        table.capability + 2,
        Width::Word,
        control & !(1 << 14) | 1 << 15,
    );
    Ok(())
}

/// Masks or unmasks an entry.
pub fn mask(machine: &impl Machine, function: u16, entry: u16, masked: bool) {
    if let Some(table) = msix_table(machine, function)
        && entry < table.entries
        && let Some(words) = entry_words(&table, entry)
    {
        // SAFETY: see `entry_words`.
        unsafe { words.add(3).write_volatile(masked.into()) };
    }
}

fn entry_words(table: &MsixTable, entry: u16) -> Option<*mut u32> {
    let address = table.address + 16 * u64::from(entry);
    // The pointer reaches device memory that the function's BAR claims; drivers can't map it.
    is_mapped(address + 15).then(|| physical(address).cast())
}

fn write_entry(table: &MsixTable, entry: u16, values: [u32; 4]) -> Option<()> {
    let words = entry_words(table, entry)?;
    // The mask comes first, so that no half-written entry is ever live.
    for n in [3, 0, 1, 2] {
        // SAFETY: see `entry_words`.
        unsafe { words.add(n).write_volatile(values[n]) };
    }
    Some(())
}
