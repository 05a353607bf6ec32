//! What a program has besides invocation.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::EMFILE;
use sys::object::{CapTable, Table};
use sys::{Cap, Error, Fault, Mem};

use super::{FakeBank, PRIME_ID, Thing, World};
use crate::host::Host;
use crate::pci::fake::Machine;

/// Memory of the test's own.
#[derive(Clone)]
pub struct Memory {
    pub bytes: Rc<RefCell<Vec<u8>>>,
}

impl Memory {
    pub fn new(length: usize) -> Memory {
        Memory {
            bytes: Rc::new(RefCell::new(vec![0; length])),
        }
    }

    fn get<const N: usize>(&self, offset: usize) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes).map(|()| bytes)
    }
}

impl Mem for Memory {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.get(offset).map(u16::from_le_bytes)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.get(offset).map(u32::from_le_bytes)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.get(offset).map(u64::from_le_bytes)
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.write(offset, &value.to_le_bytes())
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
        let bytes = self.bytes.borrow();
        into.copy_from_slice(
            bytes
                .get(offset..offset + into.len())
                .ok_or(Fault::OutOfRange)?,
        );
        Ok(())
    }
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let mut bytes = self.bytes.borrow_mut();
        let place = bytes
            .get_mut(offset..offset + from.len())
            .ok_or(Fault::OutOfRange)?;
        place.copy_from_slice(from);
        Ok(())
    }
}

impl World {
    /// A machine with this PCI hardware.
    pub fn new(pci: Machine) -> World {
        let world = World {
            now: Cell::new(1_000_000),
            slots: RefCell::default(),
            free: RefCell::default(),
            // Above what `slot` names, in a table of its own.
            next_slot: Cell::new(64 << 7),
            banks: RefCell::new(BTreeMap::from([(PRIME_ID, FakeBank::prime())])),
            next_id: Cell::new(100),
            objects: RefCell::default(),
            bits: RefCell::new(BTreeSet::new()),
            timer: Cell::new(None),
            console: RefCell::default(),
            console_refuses: Cell::new(0),
            serial: RefCell::new(VecDeque::new()),
            log_bit: Cell::new(None),
            serial_bit: Cell::new(None),
            session_bit: Cell::new(None),
            changes: RefCell::default(),
            watched: Cell::new(None),
            stopped: Cell::new(false),
            violation: Cell::new(0),
            uncompared: Cell::new(false),
            leaked: Cell::new(0),
            frames: Cell::new(0),
            inspections: Cell::new(0),
            level: Cell::new(3),
            pci,
            batch: Memory::new(4096),
            ports: RefCell::default(),
            reluctance: Cell::new(0),
            lost: Cell::new(0),
            driver_dies: Cell::new(false),
            driver_hangs: Cell::new(false),
            no_flips: Cell::new(false),
            apertures: Cell::new(0),
            stacks_attach: Cell::new(true),
            dead_pins: Cell::new(0),
            happened: RefCell::default(),
        };
        world.put(
            slot::BANK,
            Thing::Bank {
                id: PRIME_ID,
                rights: 0xff,
            },
        );
        let services = [
            (slot::LOG, Kind::Log),
            (slot::CLOCK, Kind::Clock),
            (slot::RANDOM, Kind::Random),
            (slot::MESSAGE, Kind::Page),
            (slot::INIT_VERIFIER, Kind::Start),
            (slot::INIT_IRQ, Kind::Irq),
            (slot::INIT_IO_PORT, Kind::IoPort),
            (slot::INIT_DEVICE_MEMORY, Kind::DeviceMemory),
            (slot::INIT_DEVICE_DMA, Kind::DeviceDma),
            (slot::INIT_RESET, Kind::Reset),
            (slot::INIT_PROBE, Kind::Probe),
        ];
        for (slot, kind) in services {
            world.put(slot, Thing::Service(kind));
        }
        world
    }
}

impl dev::Program for World {
    type Sys = World;
    type Own = Memory;
    type Shared = Memory;
    type Place = ();

    fn sys(&self) -> &World {
        self
    }
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        self.timer.set(Some((deadline, bit)));
        Ok(())
    }
    fn map(&self, _: Cap<Table>, _: Rights) -> Result<(), Error> {
        unreachable!("init maps nothing but by its window")
    }
    fn own(&self, (): &()) -> Memory {
        unreachable!()
    }
    fn shared(&self, (): &()) -> Memory {
        unreachable!()
    }
    fn unmap(&self, (): ()) {}
    fn take_slot(&self) -> Result<CapAddr, Error> {
        if let Some(slot) = self.free.borrow_mut().pop() {
            return Ok(slot);
        }
        let slot = self.next_slot.get();
        if slot >= 128 << 7 {
            return Err(Error::new(EMFILE));
        }
        self.next_slot.set(slot + 1);
        Ok(slot)
    }
    fn give_slot(&self, address: CapAddr) {
        self.slots.borrow_mut().remove(&address);
        assert!(
            !self.free.borrow().contains(&address),
            "slot {address} given back twice"
        );
        self.free.borrow_mut().push(address);
    }
    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16) {
        rt::slots::table_of(address)
    }
    fn batch(&self) -> Memory {
        self.batch.clone()
    }
}

/// Shows any segment as memory that is forgotten.
pub struct View(Option<Memory>);

impl rt::child::Window for View {
    type Memory = Memory;

    fn show(&mut self, _: Cap<Table>) -> Result<Memory, Error> {
        Ok(self
            .0
            .get_or_insert_with(|| Memory::new(abi::SEGMENT_SIZE))
            .clone())
    }
    fn hide(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Host for World {
    type Window = View;

    fn window(&self) -> View {
        View(None)
    }
    fn take_slots(&self, count: u16) -> Result<CapAddr, Error> {
        let table = self.next_slot.get().next_multiple_of(128);
        assert!(count <= 128);
        self.next_slot.set(table + 128);
        Ok(table)
    }
}
