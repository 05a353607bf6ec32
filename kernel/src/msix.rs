//! MSI-X tables: where a function says that its own lies, and whether that can be (PCI 3.0, 6.8.2).
//!
//! Only the kernel writes these tables, at the physical address that the function's registers name. So
//! what they name is checked like a message from a stranger: a device, or whoever configures it, must
//! not be able to point the kernel's writes at RAM, at configuration space or at an interrupt
//! controller. What lies where is the machine's to say; the checks are here, so that they are tested
//! without one.

mod functions;

use core::ops::Range;

pub use functions::Functions;

use crate::machine::{Machine, Width};

/// First base address register, and the last (PCI 3.0, 6.1).
const FIRST_BAR: u16 = 0x10;
const LAST_BAR: u16 = 0x24;

/// Bytes of an entry.
const ENTRY: u64 = 16;

/// An MSI-X table that a function claims to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Offset of the capability in configuration space.
    pub capability: u16,
    /// Entries, up to 2,048.
    pub entries: u16,
    start: u64,
    end: u64,
}

impl Table {
    /// Reads where a function's table is. `None` when it has none, when its base address register is
    /// not assigned or no memory register, or when the table would end beyond all addresses.
    ///
    /// Says nothing of what else lies there.
    pub fn read(machine: &impl Machine, function: u16) -> Option<Table> {
        let capability = capability(machine, function)?;
        let read = |offset: u16| machine.pci_read(function, offset, Width::Long);
        let control = machine.pci_read(function, capability.checked_add(2)?, Width::Word);
        let entries = (control as u16 & 0x7ff) + 1;
        let location = read(capability.checked_add(4)?);
        let register = FIRST_BAR + 4 * (location & 7) as u16;
        if register > LAST_BAR {
            return None;
        }
        let low = read(register);
        let high = match low & 7 {
            0 => 0,
            // 64 bits wide: the next register is its upper half.
            4 if register < LAST_BAR => read(register + 4),
            _ => return None,
        };
        let base = u64::from(high) << 32 | u64::from(low & !15);
        if base == 0 {
            return None;
        }
        let start = base.checked_add(u64::from(location & !7))?;
        let end = start.checked_add(ENTRY * u64::from(entries))?;
        Some(Table {
            capability,
            entries,
            start,
            end,
        })
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Whether it shares a byte with a range.
    pub fn overlaps(&self, range: &Range<u64>) -> bool {
        self.start < range.end && range.start < self.end
    }

    /// Whether the kernel may write it: it lies below `limit`, and shares no byte with any of the
    /// ranges that are something else than registers of devices.
    pub fn may_be_written(&self, limit: u64, mut taken: impl Iterator<Item = Range<u64>>) -> bool {
        self.end <= limit && !taken.any(|range| self.overlaps(&range))
    }

    /// Physical address of an entry.
    pub fn entry(&self, n: u16) -> Option<u64> {
        (n < self.entries).then(|| self.start + ENTRY * u64::from(n))
    }
}

/// Offset of a function's MSI-X capability (PCI 3.0, 6.7).
pub fn capability(machine: &impl Machine, function: u16) -> Option<u16> {
    const STATUS: u16 = 6;
    const CAPABILITIES: u16 = 0x34;
    const MSIX: u32 = 0x11;
    if machine.pci_read(function, STATUS, Width::Word) & 0x10 == 0 {
        return None;
    }
    let mut offset = machine.pci_read(function, CAPABILITIES, Width::Byte) as u16 & 0xfc;
    // Configuration space holds at most 48 capabilities; a device may link them in a circle.
    for _ in 0..48 {
        if offset < 0x40 {
            return None;
        }
        let head = machine.pci_read(function, offset, Width::Word);
        if head & 0xff == MSIX {
            return Some(offset);
        }
        offset = (head >> 8) as u16 & 0xfc;
    }
    None
}
