//! First program: devices, banks, users, supervision, console.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod answers;
pub mod archive;
pub mod boot;
mod commands;
pub mod console;
pub mod driver;
pub mod ethernet;
pub mod failure;
#[cfg(test)]
mod fake;
pub mod guest;
pub mod host;
pub mod init;
pub mod launch;
pub mod pci;
pub mod plan;
pub mod serial;
pub mod stack;
pub mod supervise;
pub mod terminal;
pub mod timers;
pub mod usage;
pub mod user;

pub use init::Init;
/// The boot manifest, which mk reads and writes too.
pub use manifest;
