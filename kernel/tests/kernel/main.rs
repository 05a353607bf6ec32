//! The kernel, invoked as programs invoke it, on a simulated machine.
//!
//! After each system call the kernel's tables are audited, free frames are looked through, and what
//! the CPU remembers of address spaces is compared with them (`sim::parties`).

#[allow(dead_code)]
mod common;

mod aperture;
mod audit;
mod batch;
mod calibration;
mod caller;
mod capability;
mod console;
mod device;
mod exchange;
mod fault;
mod genesis;
mod invalidation;
mod limbo;
mod message;
mod msix;
mod objects;
mod options;
mod paths;
mod platform;
mod probe;
mod process;
mod pvh;
mod ram;
mod release;
mod rescind;
mod schedule;
mod table;
mod timer;
