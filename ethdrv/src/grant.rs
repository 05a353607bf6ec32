//! What init grants the driver: slots of its root `CapTable`, besides those that every program has.
//!
//! The driver's arguments are the device's [`virtio::Locations`], by postcard.

use abi::boot::slot;
use abi::cap::CapAddr;

/// Tells genuine opaque banks from others.
pub const VERIFIER: CapAddr = slot::GRANT;
/// The device's `DeviceDma`, with `CONTROL`: to bind the driver's own aperture, and to switch bus
/// mastering on once the device can reach nothing but what is pinned for it.
pub const FUNCTION: CapAddr = slot::GRANT + 1;
/// `DeviceMemory` of the one BAR that all of the device's structures lie in, from its first page on.
pub const REGISTERS: CapAddr = slot::GRANT + 2;
/// `Irq` of the first entry of the device's MSI-X table, which serves all of its queues.
pub const INTERRUPT: CapAddr = slot::GRANT + 3;
