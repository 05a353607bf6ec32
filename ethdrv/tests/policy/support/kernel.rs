//! A kernel and a spacebank, as small as the driver's tests allow: objects and frames, capability
//! slots, segments, apertures with pins and limbo, banks that are destroyed at once, messages.
//!
//! It checks what the real one guarantees: memory that is pinned stays, a frame in limbo is not
//! reused, a page that was taken back is gone for everybody else. It is no model of time or order.

mod aperture;
mod banks;
mod invoke;
mod memory;
mod messages;
mod objects;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use abi::PAGE_SIZE;
use abi::cap::{CapAddr, Rights};
use sys::{Message, Reply};

/// Where device addresses begin: no offset in a window looks like one.
pub const DMA_BASE: u64 = 0x40_0000_0000;

pub type Pid = usize;
pub type Oid = usize;
pub type FrameNumber = usize;

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub what: What,
    pub rights: Rights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Object(Oid),
    /// The process's slots from 128 times this number on.
    CapTable(u16),
    Process,
    Start {
        pid: Pid,
        badge: u64,
    },
    Notify {
        pid: Pid,
        bit: u64,
    },
    Resume(u64),
    Bank {
        bank: usize,
        rights: u8,
    },
    Verifier,
}

#[derive(Debug)]
pub enum Object {
    Page {
        frame: FrameNumber,
    },
    Segment {
        entries: BTreeMap<u16, (Oid, Rights)>,
        /// The aperture whose window it is.
        window_of: Option<Oid>,
    },
    Aperture {
        slots: BTreeMap<u16, Pin>,
        limbo: Vec<u16>,
        notify: Option<Capability>,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub frame: FrameNumber,
    pub direction: u8,
}

pub struct Frame {
    pub bytes: Box<[u8; PAGE_SIZE]>,
    pub owner: Option<Oid>,
    pub pins: u32,
}

pub struct Bank {
    pub parent: Option<usize>,
    pub limit: u64,
    pub opaque: bool,
    pub alive: bool,
    pub sold: Vec<Oid>,
    /// With descendants.
    pub bought: u64,
}

#[derive(Default)]
pub struct Process {
    pub caps: BTreeMap<CapAddr, Capability>,
    pub bits: BTreeMap<u64, ()>,
    pub inbox: VecDeque<(Message, u64, Option<u64>, Pid)>,
    pub held: Option<u64>,
    next_slot: CapAddr,
    pub free_slots: Vec<CapAddr>,
    /// Slots that can still be taken.
    pub slots_left: usize,
    /// Segments mapped.
    pub mapped: usize,
}

pub type Action = Box<dyn FnOnce(&mut Kernel)>;

pub struct Kernel {
    pub objects: Vec<Option<Object>>,
    pub frames: Vec<Frame>,
    pub banks: Vec<Bank>,
    pub processes: Vec<Process>,
    callers: BTreeMap<u64, (Pid, [CapAddr; 4])>,
    replies: BTreeMap<u64, Reply>,
    next_caller: u64,
    /// Signals by process and bit, counted.
    pub signals: BTreeMap<(Pid, u64), u64>,
    pub now: u64,
    pub timer: Option<(u64, u64)>,
    /// What happens at the n-th access to shared memory, or system call of the driver's, from now.
    trigger: Option<(u64, Action)>,
    /// Accesses to shared memory, and system calls of the driver's.
    pub accesses: u64,
    /// Exchanges done.
    pub exchanges: u64,
    /// How often apertures were asked what is in limbo.
    pub limbo_asked: u64,
}

pub type Shared = Rc<RefCell<Kernel>>;

/// The driver, init, and from 2 on clients.
pub const DRIVER: Pid = 0;
pub const INIT: Pid = 1;

impl Kernel {
    pub fn new() -> Kernel {
        let mut kernel = Kernel {
            objects: Vec::new(),
            frames: Vec::new(),
            banks: vec![Bank {
                parent: None,
                limit: u64::MAX,
                opaque: false,
                alive: true,
                sold: Vec::new(),
                bought: 0,
            }],
            processes: Vec::new(),
            callers: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_caller: 1,
            signals: BTreeMap::new(),
            now: 1_000_000_000,
            timer: None,
            trigger: None,
            accesses: 0,
            exchanges: 0,
            limbo_asked: 0,
        };
        let driver_bank = kernel.sub_bank(0, 100_000, false).unwrap();
        kernel.add_process(driver_bank);
        kernel.add_process(0);
        kernel
    }

    pub fn add_process(&mut self, bank: usize) -> Pid {
        use abi::boot::slot;
        let mut process = Process {
            next_slot: slot::FREE,
            slots_left: usize::MAX,
            ..Process::default()
        };
        let full = |what| Capability {
            what,
            rights: Rights::all(),
        };
        process.caps.insert(slot::ROOT, full(What::CapTable(0)));
        process.caps.insert(slot::PROCESS, full(What::Process));
        process
            .caps
            .insert(slot::BANK, full(What::Bank { bank, rights: 0xff }));
        self.processes.push(process);
        self.processes.len() - 1
    }

    pub fn take_slot(&mut self, pid: Pid) -> Option<CapAddr> {
        let process = &mut self.processes[pid];
        process.slots_left = process.slots_left.checked_sub(1)?;
        Some(process.free_slots.pop().unwrap_or_else(|| {
            process.next_slot += 1;
            process.next_slot - 1
        }))
    }

    pub fn give_slot(&mut self, pid: Pid, slot: CapAddr) {
        let process = &mut self.processes[pid];
        assert!(slot >= abi::boot::slot::FREE && slot < process.next_slot);
        assert!(
            !process.free_slots.contains(&slot),
            "slot {slot} given twice"
        );
        process.caps.remove(&slot);
        process.free_slots.push(slot);
        process.slots_left = process.slots_left.saturating_add(1);
    }

    /// Slots that a process has taken and not given back.
    pub fn slots_taken(&self, pid: Pid) -> usize {
        let process = &self.processes[pid];
        (process.next_slot - abi::boot::slot::FREE) as usize - process.free_slots.len()
    }

    pub fn put(&mut self, pid: Pid, slot: CapAddr, capability: Capability) {
        self.processes[pid].caps.insert(slot, capability);
    }

    /// A capability, unless what it names is gone.
    pub fn get(&self, pid: Pid, slot: CapAddr) -> Option<Capability> {
        let capability = *self.processes[pid].caps.get(&slot)?;
        let alive = match capability.what {
            What::Object(oid) => self.objects[oid].is_some(),
            What::Bank { bank, .. } => self.banks[bank].alive,
            What::Resume(caller) => self.callers.contains_key(&caller),
            _ => true,
        };
        alive.then_some(capability)
    }
}
