//! The host tool as a library: how Usufruct is built, booted in QEMU, tested and measured.
//!
//! The binary (`cargo mk`, or `make`) is a thin shell over the verbs in [`verbs`]. The system tests
//! under `tests/system` use the same parts to boot their cases, so that a case runs on the machine
//! that a user runs on.
//!
//! From a checkout to a boot: [`checkout`] finds the folders, [`setup`] installs what is missing,
//! [`toolchain`] says how to call cargo for the bare target, [`programs`] lists what is built,
//! [`artifacts`] builds it, [`archive`] packs it; [`machine`], [`network`] and [`launch`] make
//! QEMU's command line, [`process`] runs it and [`outcome`] says how it ended. [`frames`], [`load`]
//! and [`sockets`] make traffic for a guest, [`plugin`] counts what it executes for that.
//! [`measure`] counts what frames cost in the running system.
//! [`faults`] takes memory back at every instant, in the simulator.

pub mod archive;
pub mod artifacts;
pub mod checkout;
pub mod checks;
pub mod cli;
pub mod faults;
pub mod figures;
pub mod forwards;
pub mod frames;
pub mod launch;
pub mod load;
pub mod machine;
pub mod measure;
pub mod network;
pub mod outcome;
pub mod plugin;
pub mod process;
pub mod programs;
pub mod progress;
mod qmp;
pub mod setup;
pub mod sockets;
pub mod symbols;
pub mod terminal;
pub mod toolchain;
pub mod users;
pub mod verbs;
