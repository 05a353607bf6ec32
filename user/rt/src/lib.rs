//! Runtime that every user program links: start-up, system calls, shared memory, heap, log, faults.
//!
//! A program is a binary crate with `#![no_std]` and `#![no_main]`, an [`entry!`] and this build
//! script, which hands the linker script over and does nothing on the host:
//!
//! ```text
//! fn main() {
//!     if let Ok(script) = std::env::var("DEP_USUFRUCT_RT_SCRIPT") {
//!         println!("cargo::rustc-link-arg-bins=-T{script}");
//!     }
//! }
//! ```
//!
//! What a program finds when it starts stands in `abi::boot`: the layout of its address space and
//! the first slots of its capability table. Whoever starts programs builds them so; [`child`] does.
//!
//! - [`Kernel`]: the system calls behind `sys::Sys`;
//! - [`mapping`]: `sys::Mem` over memory that stays ([`Mapping`]) and memory that may be taken back
//!   ([`RevocableMapping`]); [`shared`] maps segments, [`device`] registers, [`vanish`] replaces what
//!   was taken back by zeros;
//! - the heap, which grows out of the program's bank; a program that allocates nothing needs none;
//! - `log`'s macros, panics and faults, which print where and how the program came there;
//! - [`arguments`], [`slots`] for capabilities, [`clock`];
//! - [`child`]: making processes.
//!
//! On the host only the portable parts exist: [`child`], [`slots`], [`text`], and on x86_64 the
//! copying of [`mapping`].
#![no_std]

#[cfg(target_os = "none")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod child;
#[cfg(target_arch = "x86_64")]
pub mod mapping;
pub mod slots;
pub mod text;
#[cfg(target_arch = "x86_64")]
mod try_access;

#[cfg(target_os = "none")]
pub mod arguments;
#[cfg(target_os = "none")]
mod backtrace;
#[cfg(target_os = "none")]
pub mod clock;
#[cfg(all(feature = "count-events", target_os = "none"))]
pub mod count;
#[cfg(target_os = "none")]
pub mod device;
#[cfg(target_os = "none")]
mod fault;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod invoke;
#[cfg(target_os = "none")]
mod logging;
#[cfg(target_os = "none")]
pub mod message_page;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
pub mod shared;
#[cfg(target_os = "none")]
mod single;
#[cfg(target_os = "none")]
pub mod start;
#[cfg(target_os = "none")]
pub mod vanish;

#[cfg(target_os = "none")]
pub use arguments::arguments;
#[cfg(target_os = "none")]
pub use invoke::Kernel;
#[cfg(target_arch = "x86_64")]
pub use mapping::{Mapping, RevocableMapping};

pub use log;
