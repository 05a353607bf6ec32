//! init, the first program: finds the devices, gives every user a bank and a port, starts driver and
//! stacks out of the boot archive, looks after them, and answers at the console.
//!
//! It holds the prime bank and all device authorities; everybody else has what it gives (DESIGN 3.7).
//! It is one thread and waits in one place ([`init`]): whatever takes long is done in steps, between
//! which programs of lower priority run and whoever types is answered.
//!
//! | module | what |
//! | --- | --- |
//! | [`boot`], [`archive`], [`manifest`] | what it is told: boot data and command line, files, users |
//! | [`pci`] | functions, their registers' places, the network card |
//! | [`plan`], [`settings`], [`user`] | what a user gets: limits, the reserve for its port, how the port works |
//! | [`share`] | what users may hold together |
//! | [`launch`], [`ethernet`], [`stack`], [`guest`] | processes out of files, and what each is given |
//! | [`driver`], [`supervise`], [`watch`] | ports; deaths, reports and back-off; the watchdog |
//! | [`init`] | events, what is due, steps of work: users come and go, the driver dies |
//! | [`console`], [`terminal`], [`serial`] | keys, lines, commands, tables |
//! | [`host`], [`failure`], [`timers`], [`usage`] | what all of these work with |
//!
//! **Banks.** All users' banks lie under one, a child of the prime bank, which leaves the system what it
//! needs ([`share`]). Each user has one bank there, with the manifest's limit less the reserve for its port. It is transparent: a process can't be bought from an opaque one, because an
//! opaque bank hands out no capabilities. What must be opaque, the session's bank, the driver makes
//! under it, and checks. A stack holds its bank without the rights to raise the limit and to destroy
//! it; destroying the user's bank takes process, memory and session at once.
//!
//! **Trust.** Manifest, archive, devices, console and every program started are hostile input or may
//! die at any moment; each answer of the driver may be an error. Nothing of that makes init panic.
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
pub mod copier;
pub mod destroy;
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
pub mod port_bank;
pub mod serial;
pub mod settings;
pub mod share;
pub mod stack;
pub mod supervise;
pub mod terminal;
pub mod timers;
pub mod usage;
pub mod user;
pub mod watch;

pub use init::Init;
/// The boot manifest, which mk reads and writes too.
pub use manifest;
