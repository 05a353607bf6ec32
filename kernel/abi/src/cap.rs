//! Capabilities as user programs see them: kinds, rights, addresses.
//!
//! A capability itself lives only in a `CapTable`; programs name one by its [`CapAddr`].

use bitflags::bitflags;

/// Where a capability lies: below 128 a slot of the process's root `CapTable`, otherwise a slot of
/// the root that holds a `CapTable` (bits 7 to 13) and a slot in that (bits 0 to 6).
///
/// Address 0 names nothing: it is *no capability* in every argument.
pub type CapAddr = u16;

/// The address that names no capability.
pub const NONE: CapAddr = 0;

/// Addresses that can name something.
pub const CAP_ADDRESSES: usize = 1 << 14;

/// Kinds of capability. Values below 16 are storage objects, which space banks sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// No capability.
    Void = 0,
    /// 4 KiB of memory.
    Page = 1,
    /// Page-table page of level 1: a segment of 2 MiB.
    Table1 = 2,
    /// Page-table page of level 2, 1 GiB.
    Table2 = 3,
    /// Page-table page of level 3, 512 GiB.
    Table3 = 4,
    /// Page-table page of level 4: an address space.
    Table4 = 5,
    /// 128 capability slots.
    CapTable = 6,
    /// A single-threaded protection domain.
    Process = 7,
    /// 512 slots through which one device function does DMA.
    Aperture = 8,
    /// Authority to send messages to a process; carries a badge.
    Start = 16,
    /// Authority to answer one caller, once.
    Resume = 17,
    /// Authority to set one notification bit of a process.
    Notify = 18,
    /// All storage: mint, rescind, reap. Only spacebank holds it.
    Range = 19,
    /// Interrupt lines and vectors, all or one.
    Irq = 20,
    /// A range of I/O ports.
    IoPort = 21,
    /// A range of device memory.
    DeviceMemory = 22,
    /// Authority over the DMA of all PCI functions, or of one.
    DeviceDma = 23,
    /// Time and timers.
    Clock = 24,
    /// Random numbers.
    Random = 25,
    /// The kernel's log.
    Log = 26,
    /// Reboot and halt.
    Reset = 27,
    /// Counting entries into the kernel, stopping at one, and looking at the whole kernel.
    Probe = 28,
}

impl Kind {
    /// The kind that a byte stands for, if any.
    pub const fn from_u8(value: u8) -> Option<Kind> {
        Some(match value {
            0 => Kind::Void,
            1 => Kind::Page,
            2 => Kind::Table1,
            3 => Kind::Table2,
            4 => Kind::Table3,
            5 => Kind::Table4,
            6 => Kind::CapTable,
            7 => Kind::Process,
            8 => Kind::Aperture,
            16 => Kind::Start,
            17 => Kind::Resume,
            18 => Kind::Notify,
            19 => Kind::Range,
            20 => Kind::Irq,
            21 => Kind::IoPort,
            22 => Kind::DeviceMemory,
            23 => Kind::DeviceDma,
            24 => Kind::Clock,
            25 => Kind::Random,
            26 => Kind::Log,
            27 => Kind::Reset,
            28 => Kind::Probe,
            _ => return None,
        })
    }

    /// The table level, 1 to 4, or `None` for anything but a table.
    pub const fn table_level(self) -> Option<u8> {
        match self {
            Kind::Table1 => Some(1),
            Kind::Table2 => Some(2),
            Kind::Table3 => Some(3),
            Kind::Table4 => Some(4),
            _ => None,
        }
    }

    /// Whether space banks sell objects of this kind.
    pub const fn is_storage(self) -> bool {
        matches!(self as u8, 1..=8)
    }

    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Void => "void",
            Kind::Page => "page",
            Kind::Table1 => "segment",
            Kind::Table2 => "table of level 2",
            Kind::Table3 => "table of level 3",
            Kind::Table4 => "address space",
            Kind::CapTable => "capability table",
            Kind::Process => "process",
            Kind::Aperture => "aperture",
            Kind::Start => "start",
            Kind::Resume => "resume",
            Kind::Notify => "notify",
            Kind::Range => "range",
            Kind::Irq => "irq",
            Kind::IoPort => "I/O ports",
            Kind::DeviceMemory => "device memory",
            Kind::DeviceDma => "device DMA",
            Kind::Clock => "clock",
            Kind::Random => "random",
            Kind::Log => "log",
            Kind::Reset => "reset",
            Kind::Probe => "probe",
        }
    }
}

/// Number of storage kinds (1 to 8); arrays by kind have one more entry, for `Void`.
pub const STORAGE_KINDS: usize = 8;

bitflags! {
    /// Rights of a capability to a kernel object.
    ///
    /// On a `Page` or a `Table`, `READ`, `WRITE` and `EXEC` bound what a mapping through it may
    /// grant. Effective rights are the conjunction of all entries on the walk.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Mappings made through it may be read.
        const READ = 1;
        /// Mappings made through it may be written.
        const WRITE = 2;
        /// Mappings made through it may be executed.
        const EXEC = 4;
        /// On a segment: its pages may be pinned for a device.
        const PIN = 8;
        /// Tables: change entries. CapTable: change slots. Process: mint `Start` and `Notify`
        /// capabilities, set the fault entry. Aperture: pin, unpin, exchange.
        const MANAGE = 16;
        /// Process: registers, priority, spaces, stop and go. DeviceDma: bind apertures.
        /// Log: set the level.
        const CONTROL = 32;
        /// Process: accounting. Aperture: counts.
        const INSPECT = 64;
        /// DeviceDma: configuration space of the function.
        const CONFIGURE = 128;
    }
}

impl Rights {
    /// Every right: what a bank hands out, and what selling back needs.
    pub const FULL: Rights = Rights::all();
}

const _: () = assert!(Kind::Aperture as usize == STORAGE_KINDS);
