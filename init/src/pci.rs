//! PCI from user space: which functions there are, where their registers lie.
//!
//! Configuration space is reached through `DeviceDma`, one invocation an access; nothing is mapped.
//! The kernel keeps bus mastering and the control of MSI-X to itself. What a device says of itself is
//! hostile input like any other: capability lists are followed for a bounded number of steps, sizes
//! and places are checked, and nothing panics. That is why only registers' names are taken from
//! `pci_types`: its own readers loop on a list that leads back into itself, and panic on a base
//! address register of a reserved type.
//!
//! - [`address`]: a function's address;
//! - [`config`]: reading and writing configuration space, capability lists;
//! - [`scan`]: enumeration of all functions;
//! - [`bar`]: base address registers, and giving those a place that firmware left without one;
//! - [`virtio`]: which functions are virtio network devices, and how one is reset;
//! - [`card`]: the one that is driven.

pub mod address;
pub mod bar;
pub mod card;
pub mod config;
pub mod scan;
pub mod virtio;

#[cfg(test)]
pub(crate) mod fake;
