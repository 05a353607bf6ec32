//! Configuration space of simulated PCI functions.
//!
//! They have a command register with a bus-master bit, a chain of capabilities with MSI-X in it, and
//! otherwise remember what is written. They stand for no real device.

use std::cell::Cell;

use kernel::machine::Width;

/// Bytes of configuration space.
const BYTES: usize = 256;
/// Where the MSI-X capability lies.
pub const MSIX: u16 = 0x60;
/// The functions that there are: bus << 8 | device << 3 | function.
pub const FUNCTIONS: [u16; 2] = [3 << 3, 4 << 3];

const COMMAND: u16 = 4;
const BUS_MASTER: u32 = 4;

/// The functions.
pub struct Pci {
    spaces: [[Cell<u8>; BYTES]; FUNCTIONS.len()],
    reads: Cell<u64>,
}

impl Pci {
    /// Functions as after a reset.
    pub fn new() -> Pci {
        let pci = Pci {
            spaces: [const { [const { Cell::new(0) }; BYTES] }; FUNCTIONS.len()],
            reads: Cell::new(0),
        };
        for function in FUNCTIONS {
            // A vendor-specific capability, then MSI-X, then nothing.
            let registers = [
                (0x00, 0x1041_1af4),
                (0x04, 0x0010_0000),
                (0x08, 0x0200_0001),
                (0x34, 0x40),
                (0x40, 0x0010_6009),
                (MSIX, 0x0003_0011),
            ];
            for (offset, value) in registers {
                pci.write(function, offset, Width::Long, value);
            }
        }
        pci
    }

    fn space(&self, function: u16) -> Option<&[Cell<u8>; BYTES]> {
        let n = FUNCTIONS.iter().position(|known| *known == function)?;
        Some(&self.spaces[n])
    }

    /// Reads a register; all ones where no function answers.
    pub fn read(&self, function: u16, offset: u16, width: Width) -> u32 {
        self.reads.set(self.reads.get() + 1);
        let bytes = usize::from(width.bytes());
        let Some(space) = self.space(function) else {
            return u32::MAX >> (32 - 8 * bytes);
        };
        let byte = |n: usize| space.get(usize::from(offset) + n).map_or(0xff, Cell::get);
        (0..bytes).fold(0, |value, n| value | u32::from(byte(n)) << (8 * n))
    }

    /// How often a register was read.
    pub fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// Writes a register.
    pub fn write(&self, function: u16, offset: u16, width: Width, value: u32) {
        let Some(space) = self.space(function) else {
            return;
        };
        for n in 0..usize::from(width.bytes()) {
            if let Some(byte) = space.get(usize::from(offset) + n) {
                byte.set((value >> (8 * n)) as u8);
            }
        }
    }

    /// Whether a function may do DMA.
    pub fn is_master(&self, function: u16) -> bool {
        self.read(function, COMMAND, Width::Word) & BUS_MASTER != 0
    }
}

impl Default for Pci {
    fn default() -> Pci {
        Pci::new()
    }
}
