//! First program: devices, banks, users, supervision, console.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod archive;
pub mod boot;
pub mod console;
pub mod failure;
pub mod host;
pub mod manifest;
pub mod pci;
pub mod serial;
pub mod supervise;
pub mod terminal;
pub mod timers;
