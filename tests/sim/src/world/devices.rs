//! Devices: they act between the steps of programs, reach memory that is pinned for them, and interrupt.

use kernel::frame::Frame;
use kernel::machine::Source;

use super::World;
use crate::checks::Check;
use crate::coverage::Held;
use crate::failure::Failure;

/// A device, which acts between the steps of programs.
pub trait Device {
    /// Acts once. Answers whether it did anything.
    fn act(&self, world: &World) -> bool;

    /// Whether it may still do something, though it did nothing now.
    fn has_work(&self, world: &World) -> bool;

    /// What it does with a frame of memory, if it was lent it.
    fn held(&self, _: Frame) -> Option<Held> {
        None
    }
}

/// What a device does with memory.
pub enum Dma<'b> {
    /// It reads.
    Read(&'b mut [u8]),
    /// It writes.
    Write(&'b [u8]),
}

impl Dma<'_> {
    fn len(&self) -> usize {
        match self {
            Dma::Read(into) => into.len(),
            Dma::Write(from) => from.len(),
        }
    }
}

impl World {
    /// A device raises an interrupt. It comes in between two steps.
    pub fn raise(&self, source: Source) {
        if let Some(vector) = self.processor.machine().raise(source) {
            self.raised.borrow_mut().push(vector);
        }
    }

    /// What a device does with a frame of memory, if one was lent it.
    pub(crate) fn held_by_device(&self, frame: Frame) -> Option<Held> {
        let devices = self.devices.borrow();
        devices.iter().find_map(|device| device.held(frame))
    }

    /// A device reads or writes memory by its physical address.
    ///
    /// The frame must be pinned by an aperture of the function, and bus mastering on: otherwise the
    /// run fails, and nothing is done.
    pub fn dma(&self, function: u16, address: u64, bytes: Dma<'_>) -> bool {
        self.checks.count(Check::Dma);
        let memory = self.processor.memory();
        let (frame, offset) = (Frame::holding(address), address as usize % abi::PAGE_SIZE);
        let what = if !self.processor.machine().pci.is_master(function) {
            "bus mastering is off"
        } else if !memory.is_ram(frame) {
            "no RAM"
        } else if !self.is_pinned_for(function, frame) {
            "not pinned for this function"
        } else if offset + bytes.len() > abi::PAGE_SIZE {
            "beyond the page"
        } else {
            match bytes {
                Dma::Read(into) => memory.read(frame, offset, into),
                Dma::Write(from) => memory.write(frame, offset, from),
            }
            return true;
        };
        self.fail(Failure::Dma { address, what });
        false
    }

    fn is_pinned_for(&self, function: u16, frame: Frame) -> bool {
        let memory = self.processor.memory();
        memory.frames[frame.0 as usize].pins.iter().any(|pin| {
            let pin = pin.get();
            let aperture = memory.objects.get(pin.aperture.0 as usize);
            pin.used != 0
                && aperture.is_some_and(|row| row.function.get() == u32::from(function) + 1)
        })
    }
}
