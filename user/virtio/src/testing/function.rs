//! The registers of a virtio PCI function.
//!
//! It keeps the order that the specification asks of a driver (3.1.1), and panics where a driver
//! breaks it: that is what the tests are for.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use sys::{Fault, Mem};

use crate::register::common::NO_VECTOR;
use crate::transport::Status;
use crate::{Features, Transport};

/// What is wrong with a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ailment {
    /// Nothing.
    #[default]
    None,
    /// It was unplugged: it reads all ones.
    Gone,
    /// A reset takes this many looks at the status.
    SlowReset(u32),
    /// It agrees to no features.
    RefusesFeatures,
    /// It has no room for vectors.
    RefusesVectors,
    /// Its configuration changes at every look.
    Restless,
    /// It sets "needs reset" as soon as it is to work.
    Collapses,
}

/// A queue, as the driver set it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Its size: before the driver wrote one, the most.
    pub size: u16,
    /// Its interrupt vector.
    pub vector: u16,
    /// Whether it is in use.
    pub enabled: bool,
    /// DMA addresses of descriptor table, available and used ring.
    pub addresses: [u64; 3],
}

struct State {
    ailment: Ailment,
    offered: u64,
    accepted: u64,
    device_select: u32,
    driver_select: u32,
    status: u8,
    resetting: u32,
    generation: u8,
    vector: u16,
    select: u16,
    limits: Vec<u16>,
    queues: Vec<QueueState>,
    multiplier: u32,
    configuration: Vec<u8>,
    rung: Vec<u16>,
}

/// A function. Clones are the same function.
#[derive(Clone)]
pub struct FakeFunction {
    state: Rc<RefCell<State>>,
}

/// Which of its structures a [`Registers`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Structure {
    Common,
    Notify,
    Device,
}

/// One of a function's structures.
#[derive(Clone)]
pub struct Registers {
    state: Rc<RefCell<State>>,
    structure: Structure,
}

impl FakeFunction {
    /// A function that offers these features, has queues of at most these sizes, and this
    /// configuration.
    pub fn new(offered: u64, limits: &[u16], configuration: &[u8]) -> Self {
        let mut state = State {
            ailment: Ailment::None,
            offered: offered | Features::VERSION_1.bits(),
            accepted: 0,
            device_select: 0,
            driver_select: 0,
            status: 0,
            resetting: 0,
            generation: 0,
            vector: NO_VECTOR,
            select: 0,
            limits: limits.to_vec(),
            queues: Vec::new(),
            multiplier: 4,
            configuration: configuration.to_vec(),
            rung: Vec::new(),
        };
        state.reset();
        Self {
            state: Rc::new(RefCell::new(state)),
        }
    }

    /// Withdraws features, `VERSION_1` too.
    pub fn withdraw(&self, features: u64) {
        self.state.borrow_mut().offered &= !features;
    }

    /// Makes it ill, or well.
    pub fn afflict(&self, ailment: Ailment) {
        self.state.borrow_mut().ailment = ailment;
    }

    /// A driver's view of it.
    pub fn transport(&self) -> Transport<Registers> {
        let registers = |structure| Registers {
            state: self.state.clone(),
            structure,
        };
        let multiplier = self.state.borrow().multiplier;
        Transport::new(
            registers(Structure::Common),
            registers(Structure::Notify),
            multiplier,
            Some(registers(Structure::Device)),
        )
    }

    /// Sets the distance between notification registers.
    pub fn set_multiplier(&self, multiplier: u32) {
        self.state.borrow_mut().multiplier = multiplier;
    }

    /// The features that the driver accepted.
    pub fn accepted(&self) -> u64 {
        self.state.borrow().accepted
    }

    /// Its status.
    pub fn status(&self) -> Status {
        Status::from_bits_retain(self.state.borrow().status)
    }

    /// Its vector for changes of configuration.
    pub fn vector(&self) -> u16 {
        self.state.borrow().vector
    }

    /// A queue, as the driver set it up.
    pub fn queue(&self, index: u16) -> QueueState {
        self.state.borrow().queues[usize::from(index)]
    }

    /// The queues rung for since this was last asked, in order.
    pub fn rung(&self) -> Vec<u16> {
        core::mem::take(&mut self.state.borrow_mut().rung)
    }

    /// Changes its configuration.
    pub fn configure(&self, offset: usize, bytes: &[u8]) {
        let state = &mut *self.state.borrow_mut();
        state.configuration[offset..][..bytes.len()].copy_from_slice(bytes);
        state.generation = state.generation.wrapping_add(1);
    }

    /// Says that it needs a reset.
    pub fn collapse(&self) {
        self.state.borrow_mut().status |= Status::NEEDS_RESET.bits();
    }
}

impl State {
    fn reset(&mut self) {
        self.status = 0;
        self.accepted = 0;
        self.vector = NO_VECTOR;
        self.queues = vec![QueueState::default(); self.limits.len()];
        for (queue, limit) in self.queues.iter_mut().zip(&self.limits) {
            queue.size = *limit;
            queue.vector = NO_VECTOR;
        }
    }

    fn has(&self, status: Status) -> bool {
        self.status & status.bits() != 0
    }

    fn selected(&mut self) -> &mut QueueState {
        let index = usize::from(self.select);
        self.queues
            .get_mut(index)
            .expect("selects a queue that exists")
    }

    fn set_status(&mut self, value: u8) {
        if value == 0 {
            match self.ailment {
                Ailment::SlowReset(looks) => self.resetting = looks,
                _ => self.reset(),
            }
            return;
        }
        assert_eq!(value & self.status, self.status, "a status bit was cleared");
        assert_eq!(self.resetting, 0, "not waited for the end of the reset");
        let new = Status::from_bits_retain(value & !self.status);
        let order = [
            (Status::DRIVER, Status::ACKNOWLEDGE),
            (Status::FEATURES_OK, Status::DRIVER),
            (Status::DRIVER_OK, Status::FEATURES_OK),
        ];
        for (step, before) in order {
            assert!(
                !new.contains(step) || self.has(before),
                "{step:?} too early"
            );
        }
        self.status = value;
        let unknown = self.accepted & !self.offered != 0;
        if new.contains(Status::FEATURES_OK)
            && (self.ailment == Ailment::RefusesFeatures || unknown)
        {
            self.status &= !Status::FEATURES_OK.bits();
        }
        if new.contains(Status::DRIVER_OK) && self.ailment == Ailment::Collapses {
            self.status |= Status::NEEDS_RESET.bits();
        }
    }

    fn take_vector(&self, vector: u16) -> u16 {
        match self.ailment {
            Ailment::RefusesVectors => NO_VECTOR,
            _ => vector,
        }
    }

    fn load_common(&mut self, offset: usize, width: usize) -> u64 {
        let halves = |word: u64, select: u32| match select {
            0 => word & 0xffff_ffff,
            1 => word >> 32,
            _ => 0,
        };
        match (offset, width) {
            (0x04, 4) => halves(self.offered, self.device_select),
            (0x0c, 4) => halves(self.accepted, self.driver_select),
            (0x10, 2) => self.vector.into(),
            (0x12, 2) => self.queues.len() as u64,
            (0x14, 1) => {
                if self.resetting > 0 {
                    self.resetting -= 1;
                    if self.resetting == 0 {
                        self.reset();
                    }
                }
                self.status.into()
            }
            (0x15, 1) => {
                if self.ailment == Ailment::Restless {
                    self.generation = self.generation.wrapping_add(1);
                }
                self.generation.into()
            }
            (0x16, 2) => self.select.into(),
            (0x18, 2) => self.selected().size.into(),
            (0x1a, 2) => self.selected().vector.into(),
            (0x1c, 2) => self.selected().enabled.into(),
            // Each queue has a register of its own, in an order of the device's.
            (0x1e, 2) => (self.queues.len() as u16 - 1 - self.select).into(),
            _ => panic!("no register of {width} bytes at {offset:#x} to be read"),
        }
    }

    fn store_common(&mut self, offset: usize, width: usize, value: u64) {
        match (offset, width) {
            (0x00, 4) => self.device_select = value as u32,
            (0x08, 4) => self.driver_select = value as u32,
            (0x0c, 4) => {
                assert!(!self.has(Status::FEATURES_OK), "features too late");
                let shift = 32 * self.driver_select;
                self.accepted &= !(0xffff_ffff << shift);
                self.accepted |= value << shift;
            }
            (0x10, 2) => self.vector = self.take_vector(value as u16),
            (0x14, 1) => self.set_status(value as u8),
            (0x16, 2) => self.select = value as u16,
            _ => {
                assert!(self.has(Status::FEATURES_OK), "queues before features");
                let vector = self.take_vector(value as u16);
                let limit = self.limits.get(usize::from(self.select)).copied();
                let queue = self.selected();
                assert!(!queue.enabled, "a queue in use was changed");
                match (offset, width) {
                    (0x18, 2) => {
                        assert!(value.is_power_of_two() && value <= limit.unwrap_or(0).into());
                        queue.size = value as u16;
                    }
                    (0x1a, 2) => queue.vector = vector,
                    (0x1c, 2) => {
                        assert_eq!(value, 1, "a queue can't be disabled");
                        queue.enabled = true;
                    }
                    (0x20..0x38, 4) => {
                        let address = &mut queue.addresses[(offset - 0x20) / 8];
                        let shift = 32 * (offset % 8 / 4);
                        *address &= !(0xffff_ffff << shift);
                        *address |= value << shift;
                    }
                    _ => panic!("no register of {width} bytes at {offset:#x} to be written"),
                }
            }
        }
    }
}

impl Registers {
    fn load(&self, offset: usize, width: usize) -> Result<u64, Fault> {
        if offset + width > self.len() {
            return Err(Fault::OutOfRange);
        }
        assert!(offset.is_multiple_of(width), "unaligned access");
        let state = &mut *self.state.borrow_mut();
        if state.ailment == Ailment::Gone {
            return Ok(u64::MAX >> (64 - 8 * width));
        }
        match self.structure {
            Structure::Common => Ok(state.load_common(offset, width)),
            Structure::Notify => panic!("notification registers can't be read"),
            Structure::Device => {
                let mut bytes = [0; 8];
                bytes[..width].copy_from_slice(&state.configuration[offset..][..width]);
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }

    fn store(&self, offset: usize, width: usize, value: u64) -> Result<(), Fault> {
        if offset + width > self.len() {
            return Err(Fault::OutOfRange);
        }
        assert!(offset.is_multiple_of(width), "unaligned access");
        let state = &mut *self.state.borrow_mut();
        if state.ailment == Ailment::Gone {
            return Ok(());
        }
        match self.structure {
            Structure::Common => state.store_common(offset, width, value),
            Structure::Notify => {
                assert!(state.has(Status::DRIVER_OK), "rung before it works");
                let place = state.queues.len() - 1 - value as usize;
                assert_eq!(offset, place * state.multiplier as usize, "wrong bell");
                assert_eq!(width, 2);
                state.rung.push(value as u16);
            }
            Structure::Device => panic!("configuration can't be written"),
        }
        Ok(())
    }
}

impl Mem for Registers {
    fn len(&self) -> usize {
        let state = self.state.borrow();
        match self.structure {
            Structure::Common => 0x38,
            Structure::Notify => state.queues.len() * state.multiplier.max(2) as usize,
            Structure::Device => state.configuration.len(),
        }
    }
    fn load_u8(&self, offset: usize) -> Result<u8, Fault> {
        Ok(self.load(offset, 1)? as u8)
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        Ok(self.load(offset, 2)? as u16)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        Ok(self.load(offset, 4)? as u32)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.load(offset, 8)
    }
    fn store_u8(&self, offset: usize, value: u8) -> Result<(), Fault> {
        self.store(offset, 1, value.into())
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, 2, value.into())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, 4, value.into())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.store(offset, 8, value)
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
    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), Fault> {
        panic!("registers have widths");
    }
    fn write(&self, _: usize, _: &[u8]) -> Result<(), Fault> {
        panic!("registers have widths");
    }
}
