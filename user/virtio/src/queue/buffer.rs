//! What goes into a queue, and what comes out.

/// Memory that driver and device share: where the driver sees it, and where the device does.
#[derive(Clone, Copy, Debug)]
pub struct Area<M> {
    /// The driver's view.
    pub memory: M,
    /// The DMA address of its first byte.
    pub address: u64,
}

/// The three areas of a queue, each contiguous (and, with at most 256 entries, in one frame).
#[derive(Clone, Copy, Debug)]
pub struct Areas<M> {
    /// The descriptor table: the device reads it. Aligned to 16 bytes.
    pub descriptors: Area<M>,
    /// The available ring ("driver area"): the device reads it. Aligned to 2 bytes.
    pub available: Area<M>,
    /// The used ring ("device area"): the device writes it. Aligned to 4 bytes.
    pub used: Area<M>,
}

/// Who accesses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The device reads it.
    DeviceReads,
    /// The device writes it.
    DeviceWrites,
}

/// A stretch of memory lent to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Its DMA address.
    pub address: u64,
    /// Bytes; never 0.
    pub length: u32,
    /// Who accesses it.
    pub access: Access,
}

impl Buffer {
    /// A buffer that the device reads.
    #[inline]
    pub const fn to_device(address: u64, length: u32) -> Self {
        let access = Access::DeviceReads;
        Self {
            address,
            length,
            access,
        }
    }

    /// A buffer that the device writes.
    #[inline]
    pub const fn from_device(address: u64, length: u32) -> Self {
        let access = Access::DeviceWrites;
        Self {
            address,
            length,
            access,
        }
    }
}

/// A chain that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion<T> {
    /// What it was posted with.
    pub token: T,
    /// Bytes that the device says it wrote, from the start of the chain's writable part. At most as
    /// many as there is room for; it need not have written them.
    pub written: Result<u32, Overrun>,
}

/// The device claims to have written more than the chain can hold. The chain is back all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Its claim.
    pub claimed: u32,
    /// The chain's writable bytes.
    pub room: u32,
}
