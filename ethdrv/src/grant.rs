//! What init grants the driver: slots of its root `CapTable`, besides those that every program has,
//! and its arguments. [`VERIFIER`] comes always, the others by what the driver is to drive.

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

/// A `Notify` of whoever watches the driver: signalled in answer to each [`BEAT_BIT`].
pub const ALIVE: CapAddr = slot::GRANT + 6;

/// The notification bit of the driver's that a device's interrupts set.
pub const DEVICE_BIT: u64 = 0;
/// The notification bit by which whoever watches the driver asks for a [sign of life](crate::pulse),
/// twice a second.
pub const BEAT_BIT: u64 = 62;

/// What the driver gets instead of a device for the [simulated wire](crate::wire). The wire process
/// signals [`DEVICE_BIT`].
pub mod wire {
    use super::{CapAddr, slot};

    /// The driver's own aperture, bound to some function, its window set: the wire process sees the
    /// window too.
    pub const APERTURE: CapAddr = slot::GRANT + 1;
    /// That window.
    pub const WINDOW: CapAddr = slot::GRANT + 2;
    /// The driver's segment, with its pages, zeroed.
    pub const OWN_SEGMENT: CapAddr = slot::GRANT + 3;
    /// The wire's segment, to be read.
    pub const WIRE_SEGMENT: CapAddr = slot::GRANT + 4;
    /// A `Notify` of the wire process.
    pub const KICK: CapAddr = slot::GRANT + 5;
}

/// The driver's arguments, by postcard: what it drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arguments {
    /// A virtio-net device.
    VirtioNet {
        /// Where the device's structures lie in their BAR.
        locations: Locations,
        /// The page of the BAR that [`REGISTERS`] begins with.
        first_page: u32,
    },
    /// The simulated wire.
    Wire {
        /// The address that the device would have.
        mac: [u8; 6],
        /// The longest frame that it carries: that of an MTU of 1,500 has 1,514 bytes.
        frame_limit: u32,
    },
}
