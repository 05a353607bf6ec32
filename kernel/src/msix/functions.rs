//! The functions that have an MSI-X table.
//!
//! Which they are doesn't change while the machine runs, and to ask all functions that there could be
//! takes thousands of slow reads: so they are found once, at boot. Where their tables are does change,
//! and is read each time.
//!
//! A function that isn't among them gets no interrupts by MSI-X: nobody but the kernel can enable
//! them, so a table that isn't known of is never used, and may be mapped.

use core::ops::Range;

use super::{Table, capability};
use crate::machine::{Machine, Width};

/// Functions with an MSI-X table, in ascending order; at most `MOST` are known.
pub struct Functions<const MOST: usize> {
    found: [u16; MOST],
    count: usize,
    /// How many there are beyond those that are known.
    pub left_out: usize,
}

impl<const MOST: usize> Functions<MOST> {
    /// Before they were looked for.
    pub const NONE: Functions<MOST> = Functions {
        found: [0; MOST],
        count: 0,
        left_out: 0,
    };

    /// Asks all functions that there could be.
    pub fn find(machine: &impl Machine) -> Functions<MOST> {
        let mut functions = Functions::NONE;
        for device in (0..=u16::MAX).step_by(8) {
            // A device without a first function has none (PCI 3.0, 3.2.2.3.4).
            if machine.pci_read(device, 0, Width::Word) == 0xffff {
                continue;
            }
            let multiple = machine.pci_read(device, 0x0e, Width::Byte) & 0x80 != 0;
            let last = if multiple { device | 7 } else { device };
            for function in device..=last {
                if capability(machine, function).is_some() {
                    functions.add(function);
                }
            }
        }
        functions
    }

    fn add(&mut self, function: u16) {
        match self.found.get_mut(self.count) {
            Some(place) => {
                *place = function;
                self.count += 1;
            }
            None => self.left_out += 1,
        }
    }

    /// Those that are known.
    pub fn all(&self) -> &[u16] {
        &self.found[..self.count]
    }

    /// Whether a function is among them.
    pub fn contains(&self, function: u16) -> bool {
        self.all().binary_search(&function).is_ok()
    }

    /// Whether one of them has its table, as its registers are now, within a range.
    pub fn claim(&self, machine: &impl Machine, range: &Range<u64>) -> bool {
        self.all().iter().any(|function| {
            Table::read(machine, *function).is_some_and(|table| table.overlaps(range))
        })
    }
}
