//! What crosses the kernel's boundary: registers, capabilities, methods, batches, errors and boot
//! data.
//!
//! The kernel and every user program compile this crate; nothing else is shared between them. It
//! holds no logic and no `unsafe`. Sizes and counts are asserted at compile time, so that a change
//! which breaks the boundary breaks the build.
//!
//! - [`invoke`]: the registers of an invocation;
//! - [`cap`]: capability kinds, rights and addresses;
//! - [`method`]: what each kernel object answers to;
//! - [`batch`]: entries of the operations that come in batches;
//! - [`error`]: status values;
//! - [`count`]: counting events, in kernels built for that;
//! - [`fault`]: causes of a process's fault;
//! - [`probe`]: how the probe names entries into the kernel;
//! - [`boot`]: what the first programs find when they start.
#![no_std]
#![forbid(unsafe_code)]

pub mod batch;
pub mod boot;
pub mod cap;
pub mod count;
pub mod error;
pub mod fault;
pub mod invoke;
pub mod method;
pub mod probe;

/// Bytes in a frame, and in the page that an object of one frame holds.
pub const PAGE_SIZE: usize = 4096;
/// Entries in a table of any level.
pub const TABLE_ENTRIES: usize = 512;
/// Bytes of address space that a level-1 table (a segment) spans.
pub const SEGMENT_SIZE: usize = PAGE_SIZE * TABLE_ENTRIES;
/// Slots of a `CapTable`.
pub const CAP_TABLE_SLOTS: usize = 128;
/// Slots of an `Aperture`.
pub const APERTURE_SLOTS: usize = 512;
/// Bits that a process can be notified by.
pub const NOTIFY_BITS: usize = 4096;
/// Priorities: 0 (lowest) to 63.
pub const PRIORITIES: usize = 64;
/// First address that no user mapping may reach: the last page of the lower half stays empty, so
/// that the address after a `syscall` is always canonical.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
