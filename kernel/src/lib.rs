//! The capability kernel.
//!
//! Small, event-driven, without allocation after boot, and without a panic for anything that a user
//! program, a device or a frame does. This library is portable: everything hardware is behind
//! [`machine::Machine`], so that the same code runs on a CPU (`arch/x86_64`, in the binary) and in
//! the simulator (`tests/sim`).
//!
//! How to find things: `invoke` is where a system call comes in, `fast` its usual path; `process`,
//! `table`, `cap_table`, `page`, `aperture`, `range` and `device` are the objects; `rescind` is
//! revocation, `exchange` the swap of frames; `schedule`, `timer` and `notify` decide who runs;
//! `object`, `frame` and `cap` are what everything stands on; `pvh`, `options`, `ram` and `platform` take
//! apart what loader and firmware say of the machine, in memory that `physical` lets them read;
//! `genesis` makes the first two programs; `audit` compares what is known twice, `census` counts what
//! becomes of objects; `probe` is for who injects faults.
//!
//! The kernel is reached through a shared reference and keeps its state in cells: one lock (held by
//! whoever calls in) makes that sound, and it lets two processes be looked at at the same time.
#![no_std]

pub mod audit;
pub mod calibration;
pub mod cap;
pub mod console;
pub mod device;
pub mod error;
pub mod frame;
pub mod genesis;
pub mod machine;
pub mod msix;
pub mod object;
pub mod options;
pub mod physical;
#[cfg(feature = "planted-faults")]
pub mod planted;
pub mod platform;
pub mod process;
pub mod pvh;
pub mod ram;
pub mod schedule;

mod aperture;
mod batches;
mod cap_table;
mod census;
mod count;
mod exchange;
mod fast;
mod fault;
mod flush;
mod invoke;
mod ipc;
mod notify;
mod page;
mod pin;
#[cfg(not(feature = "planted-faults"))]
mod planted;
mod probe;
mod range;
mod report;
mod rescind;
mod table;
mod timer;

use core::cell::Cell;

use census::{Census, Count};
use console::Console;
use device::{VECTORS, Vector};
use flush::{Flush, Views};
use frame::{Frame, FrameRow};
use machine::Machine;
use object::{Binding, ObjectRow, Oid};
use schedule::Cpu;

/// The kernel's whole state.
pub struct Kernel<'a, M> {
    machine: M,
    objects: &'a [ObjectRow],
    frames: &'a [FrameRow],
    timers: &'a [Cell<Frame>],
    cpu: Cpu,
    vectors: [Vector; VECTORS],
    flush: Flush,
    views: Views,
    /// Timers in the heap.
    armed: Cell<u32>,
    /// Token of the last call.
    tokens: Cell<u64>,
    /// How often a `Resume` was made or left its slot.
    resumes: Count,
    census: Census,
    /// First object whose limbo ended and that spacebank wasn't told of.
    reapable: Cell<Oid>,
    /// First rescinded aperture that still pins frames.
    dead_apertures: Cell<Oid>,
    /// spacebank and init: nobody keeps them, and nobody can stand in for them.
    vital: Cell<[Oid; 2]>,
    range_notify: Cell<Binding>,
    log_notify: Cell<Binding>,
    log_level: Cell<u64>,
    console: Console<'a>,
    idle_ticks: Cell<u64>,
    booted: u64,
    probe: probe::Probe,
    #[cfg(feature = "count-events")]
    counts: count::Counts,
    #[cfg(feature = "planted-faults")]
    planted: Cell<Option<planted::Fault>>,
}

impl<'a, M: Machine> Kernel<'a, M> {
    /// A kernel without processes.
    ///
    /// `objects` lists the frames there are to sell, one object each; `frames` has a row for every
    /// frame number up to the highest of them; `timers` a place for each object; in `console`,
    /// [`console::BYTES`] long, waits what the console doesn't take at once.
    pub fn new(
        machine: M,
        objects: &'a [ObjectRow],
        frames: &'a [FrameRow],
        timers: &'a [Cell<Frame>],
        console: &'a [Cell<u8>],
    ) -> Kernel<'a, M> {
        for (n, row) in objects.iter().enumerate() {
            if let Some(frame) = frames.get(row.frame.get().0 as usize) {
                frame.owner.set(Oid(n as u32));
            }
        }
        let cpu = Cpu::new(machine.kernel_space());
        let booted = machine.ticks();
        cpu.since.set(booted);
        Kernel {
            machine,
            objects,
            frames,
            timers,
            cpu,
            vectors: [const { Vector::free() }; VECTORS],
            flush: Flush::new(),
            views: Views::new(),
            armed: Cell::new(0),
            tokens: Cell::new(0),
            resumes: Count::new(),
            census: Census::new(),
            reapable: Cell::new(Oid::NONE),
            dead_apertures: Cell::new(Oid::NONE),
            vital: Cell::new([Oid::NONE; 2]),
            range_notify: Cell::new(Binding::NONE),
            log_notify: Cell::new(Binding::NONE),
            log_level: Cell::new(3),
            console: Console::new(console),
            idle_ticks: Cell::new(0),
            booted,
            probe: probe::Probe::new(),
            #[cfg(feature = "count-events")]
            counts: count::Counts::new(),
            #[cfg(feature = "planted-faults")]
            planted: Cell::new(None),
        }
    }

    /// The machine it runs on.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Sets the log's level, 1 (errors) to 5.
    pub fn set_log_level(&self, level: u64) {
        self.log_level.set(level.clamp(1, 5));
    }
}
