//! Virtio 1.2 for device drivers: split queues, and modern devices on PCI.
//!
//! A driver's rings are its own memory, seen through [`sys::Mem`]; a device reaches them at DMA
//! addresses that a pin answered, which are other numbers. The device is hostile: whatever it says
//! about a queue is checked once against what was posted, in private memory, and what doesn't fit is
//! a typed error ([`queue::Misbehaviour`]). Nothing here waits without a bound, and nothing panics on
//! what a device does.
//!
//! - [`location`]: where a function's structures lie. It needs configuration space, so init runs it
//!   and hands the result, [`Locations`], to the driver;
//! - [`transport`]: the registers behind those places: reset, features, queues, configuration;
//! - [`queue`]: posting chains of buffers and taking them back, on [`layout`]'s rings;
//! - [`event`]: when either side wants to be told;
//! - `testing` (a feature): the device's side, for tests.
//!
//! Section numbers are those of "Virtual I/O Device (VIRTIO) Version 1.2", OASIS, 2022. Numbers in
//! virtio memory are little-endian (1.4), like every machine this project runs on.
//!
//! *Barriers.* Both sides store, then look at what the other stored: each needs a full fence in
//! between ([`sys::Mem::fence`]). Some emulators leave it out when the guest has a single processor
//! (QEMU before 8.1 with `-smp 1`), and a notification can then be lost for good, whatever the driver
//! does; `maxcpus=2` restores it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(not(target_endian = "little"))]
compile_error!("virtio memory is little-endian, and so is this crate's view of it");

pub mod event;
pub mod features;
pub mod layout;
pub mod location;
pub mod queue;
pub mod register;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use features::{Features, Offer};
pub use location::{Location, Locations};
pub use queue::{Buffer, Completion, Queue};
pub use transport::{Setup, Stopped, Transport};
