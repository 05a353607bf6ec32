//! What the kernel needs of a machine.
//!
//! `arch/x86_64` implements it with instructions and devices, the simulator with an array. Nothing
//! above this trait knows which it runs on.

use abi::error::Status;

use crate::frame::Frame;

/// Width of an access to an I/O port or to configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    Byte,
    /// Two bytes.
    Word,
    /// Four bytes.
    Long,
}

impl Width {
    /// The width of this many bytes.
    pub const fn of(bytes: u64) -> Option<Width> {
        match bytes {
            1 => Some(Width::Byte),
            2 => Some(Width::Word),
            4 => Some(Width::Long),
            _ => None,
        }
    }

    /// Bytes.
    pub const fn bytes(self) -> u16 {
        match self {
            Width::Byte => 1,
            Width::Word => 2,
            Width::Long => 4,
        }
    }
}

/// Where an interrupt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of the ISA bus, 0 to 15.
    Isa(u8),
    /// An entry of a PCI function's MSI-X table.
    MsiX {
        /// Bus << 8 | device << 3 | function.
        function: u16,
        /// Entry.
        entry: u16,
    },
}

/// When an interrupt fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Once for each event.
    Edge,
    /// As long as the device wants something: it must be masked until its driver has seen to that,
    /// or the CPU would do nothing else.
    Level,
}

/// Memory, time, address translation and devices.
///
/// # Safety
/// `frame_address` must answer, for each frame number that the kernel was given at its creation,
/// the address of 4,096 bytes that stay allocated as long as the kernel lives, are aligned to 4,096,
/// and are reached by Rust code only through what the kernel makes of that address.
pub unsafe trait Machine {
    /// Where the kernel reaches a frame.
    fn frame_address(&self, frame: Frame) -> *mut u8;

    /// The time-stamp counter.
    fn ticks(&self) -> u64;
    /// Its ticks in a second.
    fn frequency(&self) -> u64;
    /// Asks for a timer interrupt at this tick; `u64::MAX` for none.
    fn set_timer(&self, tick: u64);

    /// Switches to the address space whose level-4 table is this frame; forgets all translations.
    fn load_space(&self, table: Frame);
    /// The kernel's own address space, without user mappings.
    fn kernel_space(&self) -> Frame;
    /// The entry of a new address space's upper half; `index` is 256 to 511.
    fn kernel_entry(&self, index: usize) -> u64;
    /// Forgets the translation of one address in the current address space.
    fn flush_page(&self, address: u64);
    /// Forgets all translations.
    fn flush_all(&self);
    /// Zeroes a frame.
    fn zero(&self, frame: Frame);

    /// Has entries come in by `Kernel::watched_system_call` and its like, or no longer. A machine that is
    /// driven by hand has nothing to do here.
    fn watch(&self, _on: bool) {}
    /// Has processes trap at an address (`Kernel::watched_step`), or nowhere any more.
    fn set_breakpoint(&self, _address: Option<u64>) {}
    /// Shows a [mark](abi::count::mark) to who watches the machine from outside, if it can.
    #[cfg(feature = "count-events")]
    fn mark(&self, mark: u32) {
        let _ = mark;
    }

    /// Unpredictable bits.
    fn random(&self) -> u64;

    /// Reads an I/O port.
    fn port_read(&self, port: u16, width: Width) -> u32;
    /// Writes an I/O port.
    fn port_write(&self, port: u16, width: Width, value: u32);
    /// Whether the kernel keeps this port to itself.
    fn port_is_kernels(&self, port: u16) -> bool;

    /// Reads configuration space; all ones where no function answers.
    fn pci_read(&self, function: u16, offset: u16, width: Width) -> u32;
    /// Writes configuration space.
    fn pci_write(&self, function: u16, offset: u16, width: Width, value: u32);

    /// Whether these pages are device memory that a driver may map: not RAM, configuration space,
    /// interrupt controllers, IOMMU, or a page with an MSI-X table.
    fn is_device_memory(&self, first_page: u64, pages: u64) -> bool;

    /// Connects an interrupt to a vector, masked. Answers how it is triggered.
    fn irq_connect(&self, source: Source, vector: u8) -> core::result::Result<Trigger, Status>;
    /// Masks or unmasks an interrupt.
    fn irq_mask(&self, source: Source, masked: bool);

    /// Gives the console bytes. Answers how many of them it took: as many as it could without waiting.
    fn console(&self, bytes: &[u8]) -> usize;
    /// Starts the machine again. Returns where it can't.
    fn reboot(&self);
    /// Stops the machine with a code. Returns where it can't.
    fn halt(&self, code: u64);
}
