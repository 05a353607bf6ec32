//! PCI configuration space by the two ports that every PC has (PCI 3.0, 3.2.2.3.2), and MSI-X
//! tables, which only the kernel writes.

use kernel::error::{DEVICE, RANGE, Result};
use kernel::machine::{Machine, Width};
use kernel::msix::Table;
use x86_64::instructions::port::Port;

use super::machine::Pc;
use super::memory::{mapped_end, physical};

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

/// The MSI-X table of a function, if there is one where the kernel may write. It is looked up each
/// time: whoever configures the function may have moved it.
fn msix_table(pc: &Pc, function: u16) -> Result<Table> {
    if !pc.msix.contains(function) {
        // Its table might be mapped by anybody.
        return Err(DEVICE);
    }
    let table = Table::read(pc, function).ok_or(DEVICE)?;
    let sound = table.may_be_written(mapped_end(), pc.taken());
    sound.then_some(table).ok_or(DEVICE)
}

/// Points an entry of a function's MSI-X table at a vector of this CPU, masked, and enables MSI-X.
pub fn connect(pc: &Pc, function: u16, entry: u16, vector: u8) -> Result<()> {
    let table = msix_table(pc, function)?;
    let words = entry_words(&table, entry).ok_or(RANGE)?;
    let address = 0xfee0_0000 | u32::from(super::apic::identity()) << 12;
    let values = [address, 0, vector.into(), 1];
    // The mask comes first, so that no half-written entry is ever live.
    for n in [3, 0, 1, 2] {
        // SAFETY: see `entry_words`.
        unsafe { words.add(n).write_volatile(values[n]) };
    }
    let control = table.capability + 2;
    let value = pc.pci_read(function, control, Width::Word);
    pc.pci_write(function, control, Width::Word, value & !(1 << 14) | 1 << 15);
    Ok(())
}

/// Masks or unmasks an entry.
pub fn mask(pc: &Pc, function: u16, entry: u16, masked: bool) {
    if let Ok(table) = msix_table(pc, function)
        && let Some(words) = entry_words(&table, entry)
    {
        // SAFETY: see `entry_words`.
        unsafe { words.add(3).write_volatile(masked.into()) };
    }
}

/// The four words of an entry of a table that `msix_table` answered: mapped, 16 bytes that the
/// function's base address register claims, and neither RAM nor anything else of the kernel's. Drivers
/// can't map them.
fn entry_words(table: &Table, entry: u16) -> Option<*mut u32> {
    Some(physical(table.entry(entry)?).cast())
}
