//! A machine for tests: spacebank, kernel objects, a driver and a serial line, as far as init sees
//! them, behind `Sys` and [`Host`].
//!
//! Banks keep limits and trees as spacebank does; processes can be made to fault; the driver keeps
//! ports. Time passes only while init waits. What happened to the device is noted in order.

mod bank;
mod driver;
mod host;
mod objects;
mod probe;
mod sys;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use abi::cap::{CapAddr, Kind};

use crate::pci::fake::Machine;

pub use bank::FakeBank;
pub use driver::FakePort;
pub use host::Memory;
pub use probe::Watched;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Bank {
        id: u64,
        rights: u8,
    },
    Object(u64),
    Notify(u64),
    /// A bit of another process than init.
    Elsewhere {
        process: u64,
        bit: u64,
    },
    Start {
        process: u64,
        badge: u64,
    },
    Service(Kind),
    /// `DeviceDma` of a function.
    Function,
}

/// An object that a bank sold.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    pub bank: u64,
    pub process: Process,
    /// Slots, of a `CapTable`.
    pub slots: BTreeMap<u16, Thing>,
}

/// What init can see of a process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    pub name: String,
    pub state: u8,
    pub fault: u64,
    pub priority: u8,
    pub keeper: Option<u64>,
    pub root: u64,
    pub cycles: u64,
}

/// Everything.
pub struct World {
    pub now: Cell<u64>,
    pub slots: RefCell<BTreeMap<CapAddr, Thing>>,
    pub free: RefCell<Vec<CapAddr>>,
    pub next_slot: Cell<CapAddr>,
    pub banks: RefCell<BTreeMap<u64, FakeBank>>,
    pub next_id: Cell<u64>,
    pub objects: RefCell<BTreeMap<u64, Object>>,
    pub bits: RefCell<BTreeSet<u64>>,
    pub timer: Cell<Option<(u64, u64)>>,
    pub console: RefCell<Vec<u8>>,
    /// How often the console takes nothing, because it is behind.
    pub console_refuses: Cell<u32>,
    pub serial: RefCell<VecDeque<u8>>,
    pub log_bit: Cell<Option<u64>>,
    pub serial_bit: Cell<Option<u64>>,
    pub session_bit: Cell<Option<u64>>,
    /// Ports at which a session began or ended.
    pub changes: RefCell<BTreeSet<u64>>,
    /// What the probe was told, and whether it stopped somebody.
    pub watched: Cell<Option<Watched>>,
    pub stopped: Cell<bool>,
    /// What the kernel finds when it looks at itself.
    pub violation: Cell<u64>,
    /// Whether calls come and go too fast for the kernel to compare them with their answers.
    pub uncompared: Cell<bool>,
    /// Objects that are live to the kernel and not to spacebank.
    pub leaked: Cell<u64>,
    /// Frames that each port has received, and as many sent.
    pub frames: Cell<u64>,
    /// How often a port was looked at.
    pub inspections: Cell<u64>,
    pub level: Cell<u64>,
    pub pci: Machine,
    pub batch: Memory,
    pub ports: RefCell<BTreeMap<u64, FakePort>>,
    /// How often a port is still there when init asks, after its removal began.
    pub reluctance: Cell<u32>,
    /// Messages sent to the driver that are lost.
    pub lost: Cell<u32>,
    /// Whether the driver dies when it is asked for its device.
    pub driver_dies: Cell<bool>,
    /// Whether the driver hangs when it is asked the next time: the watchdog ends it then.
    pub driver_hangs: Cell<bool>,
    /// Whether stacks attach as soon as they have a port.
    pub stacks_attach: Cell<bool>,
    /// Whether the driver can't exchange pages.
    pub no_flips: Cell<bool>,
    /// Apertures for receive pages that drivers were given.
    pub apertures: Cell<u32>,
    /// Objects in dead apertures' pins.
    pub dead_pins: Cell<u64>,
    /// What happened to device and driver, in order.
    pub happened: RefCell<Vec<String>>,
}

/// Objects in the machine.
pub const OBJECTS: u64 = 16384;
/// The prime bank's id.
pub const PRIME_ID: u64 = 1;
