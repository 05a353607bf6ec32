//! What programs find when they start: the layout of their address space, the slots of their root
//! `CapTable`, and the boot pages of the two programs that the kernel itself starts.
//!
//! Only [`BankBoot`] and [`InitBoot`] are the kernel's. The layout and the first slots are a
//! convention between `init` and `user/rt`, which the kernel follows for its two.

/// Addresses in a program's address space. A program lives in its first GiB: one table each of
/// levels 4, 3 and 2.
pub mod layout {
    /// Where images are linked.
    pub const IMAGE: u64 = 0x0040_0000;
    /// Segment with start page, message page and stack.
    pub const START: u64 = 0x1000_0000;
    /// Page that holds the program's arguments (read-only): a `u32` length, then bytes.
    pub const ARGUMENTS: u64 = START;
    /// The message page (read-write): batches and log lines. Also a capability, [`super::slot::MESSAGE`].
    pub const MESSAGE: u64 = START + 0x1000;
    /// Stack of the fault entry: one page, with an empty page below.
    pub const FAULT_STACK_TOP: u64 = START + 0x4000;
    /// End of the stack, which grows down; empty pages lie below its last page.
    pub const STACK_TOP: u64 = START + 0x20_0000;
    /// First segment of the heap.
    pub const HEAP: u64 = 0x1020_0000;
    /// End of the heap.
    pub const HEAP_END: u64 = 0x2000_0000;
    /// First segment that a program maps what it shares into.
    pub const SHARED: u64 = 0x2000_0000;
    /// End of those.
    pub const SHARED_END: u64 = 0x4000_0000;
    /// Where init finds the boot archive, and spacebank its array: the second GiB.
    pub const BULK: u64 = 0x4000_0000;
    /// spacebank only: the record of the bank whose record page is object *n* is mapped at
    /// `RECORDS + n * PAGE_SIZE`. Tables for all objects are there from the start.
    pub const RECORDS: u64 = 0x80_0000_0000;
}

/// Slots of a new program's root `CapTable`.
pub mod slot {
    /// The root `CapTable` itself.
    pub const ROOT: u16 = 1;
    /// The process, with `MANAGE` and `INSPECT`.
    pub const PROCESS: u16 = 2;
    /// The level-2 table of its first GiB, with `MANAGE`.
    pub const SPACE: u16 = 3;
    /// Its bank.
    pub const BANK: u16 = 4;
    /// `Log`.
    pub const LOG: u16 = 5;
    /// `Clock`.
    pub const CLOCK: u16 = 6;
    /// `Random`.
    pub const RANDOM: u16 = 7;
    /// The message page.
    pub const MESSAGE: u16 = 8;
    /// First of eight slots whose meaning is the program's own.
    pub const GRANT: u16 = 16;
    /// First slot that the program may use as it likes.
    pub const FREE: u16 = 32;

    /// spacebank: the `Range`.
    pub const BANK_RANGE: u16 = 16;
    /// spacebank: first of up to 64 slots that hold `CapTable`s, whose slots hold, in order, the
    /// segments of [`super::layout::RECORDS`].
    pub const BANK_RECORD_TABLES: u16 = 64;

    /// init: its bank is the prime bank. The verifier.
    pub const INIT_VERIFIER: u16 = 16;
    /// init: all interrupts.
    pub const INIT_IRQ: u16 = 17;
    /// init: all I/O ports but those that the kernel keeps.
    pub const INIT_IO_PORT: u16 = 18;
    /// init: all device memory.
    pub const INIT_DEVICE_MEMORY: u16 = 19;
    /// init: all functions.
    pub const INIT_DEVICE_DMA: u16 = 20;
    /// init: reset.
    pub const INIT_RESET: u16 = 21;
    /// init: spacebank's process, with `INSPECT` alone.
    pub const INIT_SPACEBANK: u16 = 22;
    /// init: the probe.
    pub const INIT_PROBE: u16 = 23;
}

/// Badges of spacebank's first capabilities, minted by the kernel for init.
pub mod badge {
    /// The prime bank, with every right: serial number 1 and all of its rights in the low byte.
    pub const PRIME: u64 = 1 << 8 | 0xff;
    /// The verifier.
    pub const VERIFIER: u64 = 2 << 8;
}

/// What spacebank finds in its arguments page, after the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct BankBoot {
    /// [`BANK_MAGIC`].
    pub magic: u64,
    /// Objects there are: 0 up to this.
    pub objects: u32,
    /// Objects 0 up to this are sold already, to the prime bank; `Range::QUERY` tells their kinds.
    pub sold: u32,
    /// Address of the zeroed array for spacebank's entries by object.
    pub array: u64,
    /// Bytes mapped there.
    pub array_bytes: u64,
}

/// What init finds in its arguments page, after the length; the command line's bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct InitBoot {
    /// [`INIT_MAGIC`].
    pub magic: u64,
    /// Address of the boot archive (read-only).
    pub archive: u64,
    /// Bytes of it.
    pub archive_bytes: u64,
    /// Frames of RAM in the machine.
    pub frames: u32,
    /// CPUs that run.
    pub cpus: u32,
    /// Bytes of the kernel's command line, which follows.
    pub command_line_bytes: u64,
}

/// First word of [`BankBoot`].
pub const BANK_MAGIC: u64 = u64::from_le_bytes(*b"bankboot");
/// First word of [`InitBoot`].
pub const INIT_MAGIC: u64 = u64::from_le_bytes(*b"initboot");

/// Bytes that spacebank's array needs for each object.
pub const BANK_ARRAY_ENTRY: usize = 16;
