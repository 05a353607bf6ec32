//! Simulator: the real kernel, the real servers, and clients, in one process of the host.
//!
//! - [`memory`], [`mmu`], [`pci`], [`machine`]: the machine that the kernel runs on, whose tables a
//!   software MMU walks, and whose translation buffer forgets only what it is told to forget;
//! - [`processor`]: the kernel's entries and the registers, as the entry code handles them;
//! - [`parties`]: processes that a test moves by hand, for tests of the kernel alone;
//! - [`image`], [`fiber`]: programs that are Rust functions and can be stopped anywhere;
//! - [`context`], [`region`], [`program`]: what such a program has: `sys::Sys`, `sys::Mem`,
//!   `dev::Program`;
//! - [`world`]: who runs when, what happens between two steps, and what is checked;
//! - [`bank`], [`actor`], [`launch`]: programs;
//! - [`card`], [`network`], [`guard`]: a network card, what travels, and who may touch it;
//! - [`scenario`]: what is played;
//! - [`trace`], [`failure`]: what happened, and what was found;
//! - [`random`]: where all decisions come from.

pub mod actor;
pub mod bank;
pub mod card;
pub mod context;
pub mod failure;
pub mod fiber;
pub mod guard;
pub mod image;
pub mod launch;
pub mod machine;
pub mod memory;
pub mod mmu;
pub mod network;
pub mod parties;
pub mod pci;
pub mod processor;
pub mod program;
pub mod random;
pub mod region;
pub mod registers;
pub mod scenario;
pub mod trace;
pub mod world;
