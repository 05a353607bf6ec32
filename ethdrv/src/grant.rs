//! What init grants the driver: slots of its root `CapTable`, besides those that every program has,
//! and its arguments.

use abi::boot::slot;
use abi::cap::CapAddr;
use serde::{Deserialize, Serialize};
use virtio::Locations;

/// Tells genuine opaque banks from others.
pub const VERIFIER: CapAddr = slot::GRANT;
/// The device's `DeviceDma`, with `CONTROL`: to bind the driver's own aperture, and to switch bus
/// mastering on once the device can reach nothing but what is pinned for it.
pub const FUNCTION: CapAddr = slot::GRANT + 1;
/// `DeviceMemory` of the pages of the one BAR that all of the device's structures lie in.
pub const REGISTERS: CapAddr = slot::GRANT + 2;
/// `Irq` of the first entry of the device's MSI-X table, which serves all of its queues.
pub const INTERRUPT: CapAddr = slot::GRANT + 3;

/// The driver's arguments, by postcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments {
    /// Where the device's structures lie in their BAR.
    pub locations: Locations,
    /// The page of the BAR that [`REGISTERS`] begins with.
    pub first_page: u32,
}
