//! Registers with a direction and a width.
//!
//! A register is accessed in its own width, 64-bit ones as two halves (4.1.3.1). Its access type
//! decides at compile time whether it can be read or written.

use core::marker::PhantomData;

use sys::{Fault, Mem};

/// May be read only.
pub enum ReadOnly {}
/// May be written only.
pub enum WriteOnly {}
/// May be read and written.
pub enum ReadWrite {}

/// Access types that allow reading.
pub trait Readable {}
/// Access types that allow writing.
pub trait Writable {}
impl Readable for ReadOnly {}
impl Readable for ReadWrite {}
impl Writable for WriteOnly {}
impl Writable for ReadWrite {}

/// What a register can hold.
pub trait Value: Sized {
    /// Reads it in its width.
    fn load(memory: &impl Mem, offset: usize) -> Result<Self, Fault>;
    /// Writes it in its width.
    fn store(self, memory: &impl Mem, offset: usize) -> Result<(), Fault>;
}

impl Value for u8 {
    fn load(memory: &impl Mem, offset: usize) -> Result<Self, Fault> {
        memory.load_u8(offset)
    }
    fn store(self, memory: &impl Mem, offset: usize) -> Result<(), Fault> {
        memory.store_u8(offset, self)
    }
}

impl Value for u16 {
    fn load(memory: &impl Mem, offset: usize) -> Result<Self, Fault> {
        memory.load_u16(offset)
    }
    fn store(self, memory: &impl Mem, offset: usize) -> Result<(), Fault> {
        memory.store_u16(offset, self)
    }
}

impl Value for u32 {
    fn load(memory: &impl Mem, offset: usize) -> Result<Self, Fault> {
        memory.load_u32(offset)
    }
    fn store(self, memory: &impl Mem, offset: usize) -> Result<(), Fault> {
        memory.store_u32(offset, self)
    }
}

/// The low half first.
impl Value for u64 {
    fn load(memory: &impl Mem, offset: usize) -> Result<Self, Fault> {
        let low = memory.load_u32(offset)?;
        let high = memory.load_u32(offset + 4)?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }
    fn store(self, memory: &impl Mem, offset: usize) -> Result<(), Fault> {
        memory.store_u32(offset, self as u32)?;
        memory.store_u32(offset + 4, (self >> 32) as u32)
    }
}

/// A register: its offset, its type, its direction.
pub struct Register<T, A> {
    offset: usize,
    kind: PhantomData<fn() -> (T, A)>,
}

impl<T, A> Register<T, A> {
    /// The register at a byte offset of its structure.
    pub const fn at(offset: usize) -> Self {
        Self {
            offset,
            kind: PhantomData,
        }
    }
}

impl<T: Value, A: Readable> Register<T, A> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`]: the structure ends before it.
    pub fn read(&self, memory: &impl Mem) -> Result<T, Fault> {
        T::load(memory, self.offset)
    }
}

impl<T: Value, A: Writable> Register<T, A> {
    /// Writes it.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`]: the structure ends before it.
    pub fn write(&self, memory: &impl Mem, value: T) -> Result<(), Fault> {
        value.store(memory, self.offset)
    }
}

/// The common configuration structure (4.1.4.3).
pub mod common {
    use super::{ReadOnly, ReadWrite, Register};

    /// Which 32 feature bits `DEVICE_FEATURE` shows.
    pub const DEVICE_FEATURE_SELECT: Register<u32, ReadWrite> = Register::at(0x00);
    /// Features that the device offers.
    pub const DEVICE_FEATURE: Register<u32, ReadOnly> = Register::at(0x04);
    /// Which 32 feature bits `DRIVER_FEATURE` holds.
    pub const DRIVER_FEATURE_SELECT: Register<u32, ReadWrite> = Register::at(0x08);
    /// Features that the driver accepts.
    pub const DRIVER_FEATURE: Register<u32, ReadWrite> = Register::at(0x0c);
    /// Vector for changes of configuration (4.1.5.1.2).
    pub const CONFIGURATION_VECTOR: Register<u16, ReadWrite> = Register::at(0x10);
    /// Most queues.
    pub const QUEUES: Register<u16, ReadOnly> = Register::at(0x12);
    /// Status; writing 0 resets (2.1).
    pub const STATUS: Register<u8, ReadWrite> = Register::at(0x14);
    /// Changes with every change of the configuration.
    pub const GENERATION: Register<u8, ReadOnly> = Register::at(0x15);
    /// The queue that the registers from here on are about.
    pub const QUEUE_SELECT: Register<u16, ReadWrite> = Register::at(0x16);
    /// Its size: first the most, then what the driver wrote. 0: there is no such queue.
    pub const QUEUE_SIZE: Register<u16, ReadWrite> = Register::at(0x18);
    /// Its vector (4.1.5.1.2).
    pub const QUEUE_VECTOR: Register<u16, ReadWrite> = Register::at(0x1a);
    /// 1: the device uses it.
    pub const QUEUE_ENABLE: Register<u16, ReadWrite> = Register::at(0x1c);
    /// Its place among the notification registers, times the multiplier (4.1.4.4).
    pub const QUEUE_NOTIFY_OFFSET: Register<u16, ReadOnly> = Register::at(0x1e);
    /// DMA address of its descriptor table.
    pub const QUEUE_DESCRIPTORS: Register<u64, ReadWrite> = Register::at(0x20);
    /// DMA address of its available ring.
    pub const QUEUE_AVAILABLE: Register<u64, ReadWrite> = Register::at(0x28);
    /// DMA address of its used ring.
    pub const QUEUE_USED: Register<u64, ReadWrite> = Register::at(0x30);

    /// No vector (4.1.5.1.2); read back, it means that the device could not take the one given.
    pub const NO_VECTOR: u16 = 0xffff;
}
