//! A machine of PCI functions in memory, behind `DeviceDma` and `DeviceMemory`, for tests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Range;

use abi::cap::CapAddr;
use abi::error::{self, ENODEV, ERANGE, Status, VOID, status};
use abi::method;
use sys::object::{DeviceDma, DeviceMemory};
use sys::{Cap, Event, Message, Reply, Sys};

use super::address::Address;

/// The authority over all functions.
pub const ALL: Cap<DeviceDma> = Cap::at(20);
/// The authority over all device memory.
pub const ALL_MEMORY: Cap<DeviceMemory> = Cap::at(19);
/// A slot to work with.
pub const SLOT: CapAddr = 40;
/// Slots from here on name functions.
const FUNCTIONS: CapAddr = 1000;

/// One function: 256 bytes, and which bits can be written.
#[derive(Clone)]
pub struct Function {
    bytes: [u8; 256],
    writable: [u8; 256],
}

/// A device without regions and capabilities.
pub fn simple_function(vendor: u16, device: u16) -> Function {
    let mut function = Function {
        bytes: [0; 256],
        writable: [0; 256],
    };
    function.set16(0, vendor);
    function.set16(2, device);
    function.writable[4] = 0xff;
    function.writable[5] = 0x07;
    function
}

impl Function {
    pub fn set8(&mut self, offset: usize, value: u8) {
        self.bytes[offset] = value;
    }

    pub fn set16(&mut self, offset: usize, value: u16) {
        self.bytes[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub fn set32(&mut self, offset: usize, value: u32) {
        self.bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub fn allow(&mut self, offset: usize, length: usize) {
        self.writable[offset..offset + length].fill(0xff);
    }

    pub fn raw_bar(&mut self, index: usize, value: u32, writable: u32) {
        self.set32(0x10 + 4 * index, value);
        self.writable[0x10 + 4 * index..][..4].copy_from_slice(&writable.to_le_bytes());
    }

    pub fn bar_io(&mut self, index: usize, size: u32) {
        self.raw_bar(index, 1, !(size - 1));
    }

    pub fn bar(&mut self, index: usize, size: u64, wide: bool) {
        let mask = !(size - 1);
        self.raw_bar(index, if wide { 0xc } else { 0 }, mask as u32);
        if wide {
            self.raw_bar(index + 1, 0, (mask >> 32) as u32);
        }
    }
}

/// What a test puts behind a function's data window.
pub type Device = dyn FnMut(&mut [u8; 256], u16, Option<u32>);

/// The machine.
pub struct Machine {
    functions: RefCell<BTreeMap<u16, Function>>,
    slots: RefCell<BTreeMap<CapAddr, u16>>,
    reserved: RefCell<Vec<Range<u64>>>,
    /// Called after each access to configuration space: bytes, offset, value written.
    pub device: RefCell<Option<alloc::boxed::Box<Device>>>,
}

impl Machine {
    pub fn with<const N: usize>(functions: [(Address, Function); N]) -> Machine {
        let functions = functions
            .into_iter()
            .map(|(address, function)| (address.number(), function));
        Machine {
            functions: RefCell::new(functions.collect()),
            slots: RefCell::default(),
            reserved: RefCell::default(),
            device: RefCell::default(),
        }
    }

    /// A capability to a function.
    pub fn function(&self, address: Address) -> Cap<DeviceDma> {
        Cap::at(FUNCTIONS + address.number())
    }

    /// Makes physical addresses no device memory.
    pub fn reserve(&self, range: Range<u64>) {
        self.reserved.borrow_mut().push(range);
    }

    fn config(&self, number: u16, words: &[u64; 6]) -> Result<u64, Status> {
        let mut functions = self.functions.borrow_mut();
        let function = functions.get_mut(&number).ok_or(VOID)?;
        let (offset, width) = (words[1] as usize, words[2] as usize);
        if ![1, 2, 4].contains(&width) || !offset.is_multiple_of(width) || offset + width > 256 {
            return Err(status(ERANGE));
        }
        let mut device = self.device.borrow_mut();
        match words[0] {
            method::device_dma::CONFIG_READ => {
                if let Some(device) = device.as_mut() {
                    device(&mut function.bytes, offset as u16, None);
                }
                let mut value = [0; 8];
                value[..width].copy_from_slice(&function.bytes[offset..offset + width]);
                Ok(u64::from_le_bytes(value))
            }
            method::device_dma::CONFIG_WRITE => {
                for (index, byte) in words[3].to_le_bytes()[..width].iter().enumerate() {
                    let mut mask = function.writable[offset + index];
                    if offset + index == 4 {
                        // The kernel keeps bus mastering to itself.
                        mask &= !4;
                    }
                    let old = &mut function.bytes[offset + index];
                    *old = *old & !mask | byte & mask;
                }
                if let Some(device) = device.as_mut() {
                    device(&mut function.bytes, offset as u16, Some(words[3] as u32));
                }
                Ok(0)
            }
            _ => Err(status(error::ENOSYS)),
        }
    }

    fn answer(&self, capability: CapAddr, message: &Message) -> Result<u64, Status> {
        let words = &message.words;
        if capability == ALL.address() {
            assert_eq!(words[0], method::device_dma::FUNCTION);
            let number = words[1] as u16;
            if !self.functions.borrow().contains_key(&number) {
                return Err(status(ENODEV));
            }
            self.slots.borrow_mut().insert(message.receive[0], number);
            return Ok(0);
        }
        if capability == ALL_MEMORY.address() {
            assert_eq!(words[0], method::device_memory::NARROW);
            let (start, end) = (words[1], words[1] + words[2] * 4096);
            let reserved = self.reserved.borrow();
            let overlaps = |range: &Range<u64>| range.start < end && start < range.end;
            return if reserved.iter().any(overlaps) {
                Err(status(ERANGE))
            } else {
                Ok(0)
            };
        }
        let slot = self.slots.borrow().get(&capability).copied();
        let number = slot.or(capability.checked_sub(FUNCTIONS)).ok_or(VOID)?;
        self.config(number, words)
    }
}

impl Sys for Machine {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let mut reply = Reply::default();
        match self.answer(capability, message) {
            Ok(word) => reply.words[0] = word,
            Err(status) => reply.status = status,
        }
        reply
    }

    fn send(&self, _: CapAddr, _: &Message) -> Status {
        unreachable!()
    }

    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!()
    }

    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!()
    }

    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        unreachable!()
    }

    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        unreachable!()
    }

    fn save_caller(&self, _: CapAddr) -> Status {
        unreachable!()
    }
}
