//! Memory that driver and fake device both see, in one thread.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use sys::{Fault, Mem};

use crate::layout;
use crate::queue::{Area, Areas};

/// A region of bytes. Clones are the same region; [`part`](Self::part) is some of it.
#[derive(Clone, Debug)]
pub struct FakeMemory {
    bytes: Rc<[Cell<u8>]>,
    start: usize,
    length: usize,
}

impl FakeMemory {
    /// A region of `length` bytes that hold what memory holds before anybody cleared it.
    pub fn new(length: usize) -> Self {
        let bytes: Vec<_> = (0..length).map(|_| Cell::new(0xa5)).collect();
        Self {
            bytes: bytes.into(),
            start: 0,
            length,
        }
    }

    /// Some of the region.
    ///
    /// # Panics
    /// When it isn't there.
    pub fn part(&self, offset: usize, length: usize) -> Self {
        assert!(offset + length <= self.length, "part beyond the region");
        Self {
            bytes: self.bytes.clone(),
            start: self.start + offset,
            length,
        }
    }

    fn cells(&self, offset: usize, length: usize) -> Result<&[Cell<u8>], Fault> {
        let end = offset.checked_add(length).ok_or(Fault::OutOfRange)?;
        if end > self.length {
            return Err(Fault::OutOfRange);
        }
        Ok(&self.bytes[self.start + offset..self.start + end])
    }

    fn load<const N: usize>(&self, offset: usize) -> Result<[u8; N], Fault> {
        assert!(
            (self.start + offset).is_multiple_of(N),
            "access of {N} bytes at {offset:#x}"
        );
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    fn store<const N: usize>(&self, offset: usize, bytes: [u8; N]) -> Result<(), Fault> {
        assert!(
            (self.start + offset).is_multiple_of(N),
            "access of {N} bytes at {offset:#x}"
        );
        self.write(offset, &bytes)
    }
}

impl Mem for FakeMemory {
    fn len(&self) -> usize {
        self.length
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load(offset).map(u16::from_le_bytes)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load(offset).map(u32::from_le_bytes)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.load(offset).map(u64::from_le_bytes)
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load_u16(offset)
    }
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load_u32(offset)
    }
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store_u16(offset, value)
    }
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store_u32(offset, value)
    }
    fn fence(&self) {}
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let cells = self.cells(offset, into.len())?;
        for (byte, cell) in into.iter_mut().zip(cells) {
            *byte = cell.get();
        }
        Ok(())
    }
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        for (byte, cell) in from.iter().zip(self.cells(offset, from.len())?) {
            cell.set(*byte);
        }
        Ok(())
    }
}

/// Three areas for a queue of `size` entries, in frames of their own at this DMA address.
pub fn queue_areas(size: u16, address: u64) -> Areas<FakeMemory> {
    let area = |bytes, frame: u64| Area {
        memory: FakeMemory::new(bytes),
        address: address + frame * 4096,
    };
    Areas {
        descriptors: area(layout::descriptor_bytes(size), 0),
        available: area(layout::available_bytes(size), 1),
        used: area(layout::used_bytes(size), 2),
    }
}
