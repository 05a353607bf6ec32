//! Feature bits, and what a driver asks for (2.2, 6).

use bitflags::{Flags, bitflags};

bitflags! {
    /// Features that every device type shares (6).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u64 {
        /// Chains in tables of their own (2.7.5.3). Not used here.
        const INDIRECT_DESCRIPTORS = 1 << 28;
        /// Each side names the entry for which it wants to be told (2.7.7, 2.7.10).
        const EVENT_INDEX = 1 << 29;
        /// The device follows version 1 of the specification. Always required here.
        const VERSION_1 = 1 << 32;
        /// The device's accesses go through the platform's address translation: without it a device
        /// bypasses an IOMMU.
        const ACCESS_PLATFORM = 1 << 33;
        /// Packed instead of split queues (2.8). Not used here.
        const PACKED_QUEUES = 1 << 34;
        /// Buffers come back in the order in which they were posted. Not relied on here.
        const IN_ORDER = 1 << 35;
        /// The device is ordered like the platform's devices, not like another processor.
        const ORDER_PLATFORM = 1 << 36;
        /// Notifications carry the index (4.1.5.2). Not used here.
        const NOTIFICATION_DATA = 1 << 38;
        /// Notifications carry a number that the device chose (4.1.5.2). Not used here.
        const NOTIFICATION_CONFIGURATION_DATA = 1 << 39;
        /// Single queues can be reset (2.6.1). Not used here.
        const QUEUE_RESET = 1 << 40;
    }
}

bitflags! {
    /// Features of a device type whose own ones don't matter.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct NoFeatures: u64 {}
}

/// A set of features: the shared ones, and those of the device type (`F`, bits 0 to 23 and 50 to 63).
///
/// As an argument of [`negotiate`](crate::Transport::negotiate) it is a wish; in a
/// [`Setup`](crate::Setup) it is what both sides agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offer<F> {
    /// Features of every device type.
    pub common: Features,
    /// Features of this device type.
    pub device: F,
}

impl<F: Flags<Bits = u64> + Copy> Offer<F> {
    /// The set with these bits; bits that neither type names are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self {
            common: Features::from_bits_truncate(bits),
            device: F::from_bits_truncate(bits),
        }
    }

    /// Its bits, numbered as the specification numbers them.
    pub fn bits(self) -> u64 {
        self.common.bits() | self.device.bits()
    }
}
