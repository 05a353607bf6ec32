//! The machine that the kernel runs on: an array for RAM, a clock that stands still unless it is
//! moved, and devices that are told from outside what to do.

use std::cell::{Cell, RefCell};

use abi::error::{ENODEV, ERANGE, Status, status};
use kernel::frame::Frame;
use kernel::machine::{Machine, Source, Trigger, Width};

use crate::memory::{FIRST_FRAME, Memory};
use crate::mmu::Mmu;
use crate::pci::{FUNCTIONS, Pci};
use crate::plant::Plant;
use crate::random::Dice;

/// Ticks of the clock in a second.
pub const FREQUENCY: u64 = 1_000_000_000;

/// The level-4 table of the kernel's own space. It maps nothing for users, and is no RAM of theirs.
pub const KERNEL_SPACE: Frame = Frame(1);

/// Pages of device memory that drivers may map, one for each function.
pub const DEVICE_PAGES: [u64; FUNCTIONS.len()] = [0xfe000, 0xfe010];

/// Ports that the kernel keeps to itself.
pub const KERNELS_PORTS: core::ops::RangeInclusive<u16> = 0x3f8..=0x3ff;

/// ISA interrupts that are level-triggered: where PCs put PCI devices without messages.
pub const LEVEL_LINES: core::ops::RangeInclusive<u8> = 9..=11;

/// An interrupt that is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it comes from.
    pub source: Source,
    /// Its vector.
    pub vector: u8,
    /// Whether it is masked.
    pub masked: bool,
    /// Whether it came while it was masked.
    pub pending: bool,
}

/// What the kernel asked for as the last thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// To start again.
    Reboot,
    /// To stop, with a code.
    Halt(u64),
}

/// The machine.
pub struct SimMachine {
    /// RAM, and the kernel's tables.
    pub memory: &'static Memory,
    /// The CPU's memory management unit.
    pub mmu: Mmu,
    /// PCI functions.
    pub pci: Pci,
    clock: Cell<u64>,
    alarm: Cell<u64>,
    dice: Dice,
    ports: RefCell<Vec<(u16, Width, u32)>>,
    lines: RefCell<Vec<Line>>,
    console: RefCell<Vec<u8>>,
    console_room: Cell<usize>,
    ending: Cell<Option<Ending>>,
    early: Cell<Option<Frame>>,
    plant: Cell<Option<Plant>>,
}

/// Bytes of console output that are kept.
const CONSOLE: usize = 1 << 16;

impl SimMachine {
    /// A machine whose random numbers come from a seed.
    pub fn new(memory: &'static Memory, seed: u64) -> SimMachine {
        SimMachine {
            memory,
            mmu: Mmu::new(),
            pci: Pci::new(),
            clock: Cell::new(0),
            alarm: Cell::new(u64::MAX),
            dice: Dice::new(seed),
            ports: RefCell::new(Vec::new()),
            lines: RefCell::new(Vec::new()),
            console: RefCell::new(Vec::new()),
            console_room: Cell::new(usize::MAX),
            ending: Cell::new(None),
            early: Cell::new(None),
            plant: Cell::new(None),
        }
    }

    /// The time now.
    pub fn now(&self) -> u64 {
        self.clock.get()
    }

    /// Moves the clock.
    pub fn advance(&self, ticks: u64) {
        self.clock.set(self.clock.get().saturating_add(ticks));
    }

    /// When the timer is to fire; `u64::MAX` for never.
    pub fn alarm(&self) -> u64 {
        self.alarm.get()
    }

    /// Whether the timer is to fire now. It does so once.
    pub fn take_alarm(&self) -> bool {
        let due = self.clock.get() >= self.alarm.get();
        if due {
            self.alarm.set(u64::MAX);
        }
        due
    }

    /// A source raises its interrupt. Answers the vector, if it gets through now.
    pub fn raise(&self, source: Source) -> Option<u8> {
        let mut lines = self.lines.borrow_mut();
        let line = lines.iter_mut().find(|line| line.source == source)?;
        line.pending = line.masked;
        (!line.masked).then_some(line.vector)
    }

    /// Interrupts that are connected.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    /// Writes to I/O ports, first to last.
    pub fn port_writes(&self) -> Vec<(u16, Width, u32)> {
        self.ports.borrow().clone()
    }

    /// Has the console take so many bytes more and then none; `usize::MAX` for any number.
    pub fn set_console_room(&self, bytes: usize) {
        self.console_room.set(bytes);
    }

    /// What was written to the console, or the last of it.
    pub fn console_output(&self) -> String {
        String::from_utf8_lossy(&self.console.borrow()).into_owned()
    }

    /// The first frame that was zeroed while somebody could still write it: the CPU remembered a
    /// translation to it, or a pin held it.
    pub fn zeroed_early(&self) -> Option<Frame> {
        self.early.get()
    }

    /// Plants a fault.
    pub fn plant(&self, plant: Option<Plant>) {
        self.plant.set(plant);
    }

    /// Whether this fault is planted.
    pub fn has(&self, plant: Plant) -> bool {
        self.plant.get() == Some(plant)
    }

    /// Whether the machine was told to stop.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.get()
    }
}

// SAFETY: `frame_address` answers where a `FrameBytes` lies (or panics): 4,096 bytes, aligned to
// them, allocated for the program's life (`Memory` is leaked), and made of atomics, which may change
// behind shared references.
unsafe impl Machine for SimMachine {
    fn frame_address(&self, frame: Frame) -> *mut u8 {
        self.memory.address(frame)
    }

    fn ticks(&self) -> u64 {
        self.advance(1);
        self.clock.get()
    }

    fn frequency(&self) -> u64 {
        FREQUENCY
    }

    fn set_timer(&self, tick: u64) {
        self.alarm.set(tick);
    }

    fn load_space(&self, table: Frame) {
        self.mmu.load(table);
    }

    fn kernel_space(&self) -> Frame {
        KERNEL_SPACE
    }

    fn kernel_entry(&self, index: usize) -> u64 {
        // Present, writable, not for users, no RAM.
        (0x8_0000 + index as u64) << 12 | 3
    }

    fn flush_page(&self, address: u64) {
        if !self.has(Plant::KeepPages) && !self.has(Plant::KeepAll) {
            self.mmu.forget(address);
        }
    }

    fn flush_all(&self) {
        if !self.has(Plant::KeepAll) {
            self.mmu.forget_all();
        }
    }

    fn zero(&self, frame: Frame) {
        let pinned = self.memory.frames[frame.0 as usize].pinned() != 0;
        if (pinned || self.mmu.remembers(frame)) && self.early.get().is_none() {
            self.early.set(Some(frame));
        }
        if !self.has(Plant::DontZero) {
            self.memory.zero(frame);
        }
    }

    fn random(&self) -> u64 {
        self.dice.word()
    }

    fn port_read(&self, port: u16, width: Width) -> u32 {
        let writes = self.ports.borrow();
        let last = writes
            .iter()
            .rev()
            .find(|write| write.0 == port && write.1 == width);
        last.map_or(0, |write| write.2)
    }

    fn port_write(&self, port: u16, width: Width, value: u32) {
        let mut writes = self.ports.borrow_mut();
        if writes.len() == 256 {
            writes.remove(0);
        }
        writes.push((port, width, value));
    }

    fn port_is_kernels(&self, port: u16) -> bool {
        KERNELS_PORTS.contains(&port)
    }

    fn pci_read(&self, function: u16, offset: u16, width: Width) -> u32 {
        self.pci.read(function, offset, width)
    }

    fn pci_write(&self, function: u16, offset: u16, width: Width, value: u32) {
        let kept = if self.has(Plant::KeepMaster) && offset == 4 {
            self.pci.read(function, 4, width) & 4
        } else {
            0
        };
        self.pci.write(function, offset, width, value | kept);
    }

    fn is_device_memory(&self, first_page: u64, pages: u64) -> bool {
        let ram_end = u64::from(FIRST_FRAME) + self.memory.objects.len() as u64;
        let inside = |page: &u64| first_page <= *page && *page - first_page < pages;
        debug_assert!(DEVICE_PAGES.iter().all(|page| *page >= ram_end));
        // Each function has one page of registers, and no MSI-X table in it.
        pages != 0 && DEVICE_PAGES.iter().filter(|page| inside(page)).count() as u64 == pages
    }

    fn irq_connect(&self, source: Source, vector: u8) -> Result<Trigger, Status> {
        match source {
            Source::MsiX { function, .. } if !FUNCTIONS.contains(&function) => {
                return Err(status(ENODEV));
            }
            Source::MsiX { entry, .. } if entry > 3 => return Err(status(ERANGE)),
            _ => {}
        }
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.source != source);
        lines.push(Line {
            source,
            vector,
            masked: true,
            pending: false,
        });
        Ok(match source {
            Source::Isa(line) if LEVEL_LINES.contains(&line) => Trigger::Level,
            _ => Trigger::Edge,
        })
    }

    fn irq_mask(&self, source: Source, masked: bool) {
        let mut lines = self.lines.borrow_mut();
        if let Some(line) = lines.iter_mut().find(|line| line.source == source) {
            line.masked = masked;
        }
    }

    fn console(&self, bytes: &[u8]) -> usize {
        let room = self.console_room.get();
        let taken = bytes.len().min(room);
        if room != usize::MAX {
            self.console_room.set(room - taken);
        }
        let mut console = self.console.borrow_mut();
        console.extend_from_slice(&bytes[..taken]);
        let excess = console.len().saturating_sub(CONSOLE);
        console.drain(..excess);
        taken
    }

    fn reboot(&self) {
        self.ending.set(Some(Ending::Reboot));
    }

    fn halt(&self, code: u64) {
        self.ending.set(Some(Ending::Halt(code)));
    }
}
