//! What virtio-net devices have of their own (5.1): features, configuration, the header of frames.

use bitflags::bitflags;
use sys::{Fault, Mem};
use virtio::register::{ReadOnly, Register};

bitflags! {
    /// Features of network devices (5.1.3). Those of offloads are not asked for yet.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct NetFeatures: u64 {
        /// The device fills in checksums.
        const CHECKSUM = 1 << 0;
        /// The driver accepts frames with partial checksums.
        const GUEST_CHECKSUM = 1 << 1;
        /// The configuration tells the MTU.
        const MTU = 1 << 3;
        /// The configuration tells the MAC address.
        const MAC = 1 << 5;
        /// A received frame may lie in several buffers.
        const MERGEABLE_BUFFERS = 1 << 15;
        /// The configuration tells whether the link is up.
        const STATUS = 1 << 16;
        /// There is a control queue.
        const CONTROL_QUEUE = 1 << 17;
        /// The control queue takes filters for reception.
        const CONTROL_RECEIVE = 1 << 18;
        /// There are several pairs of queues.
        const QUEUE_PAIRS = 1 << 22;
    }
}

/// Number of the first receive queue (5.1.2).
pub const RECEIVE_QUEUE: u16 = 0;
/// Number of the first transmit queue.
pub const TRANSMIT_QUEUE: u16 = 1;
/// Number of the control queue while queue pairs are not negotiated.
pub const CONTROL_QUEUE: u16 = 2;

/// Bytes of the header before each frame (5.1.6): all zero while no offload is negotiated, but for the
/// number of buffers.
pub const HEADER: u32 = 12;
/// Where the header of a received frame says how many buffers the frame takes (`num_buffers`, 2 bytes,
/// 5.1.6.4): of use with `MERGEABLE_BUFFERS`, 1 without.
pub const HEADER_BUFFERS: u32 = 10;

/// Bytes of an ethernet header, which the MTU doesn't count.
const ETHERNET_HEADER: u32 = 14;
/// Largest MTU whose frames one receive buffer holds.
pub const SHORT_MTU: u16 = 1500;
/// Largest MTU that is agreed to: what links with "jumbo" frames carry.
pub const MOST_MTU: u16 = 9000;
/// Least MTU that a device may say (5.1.4.1).
pub const LEAST_MTU: u16 = 68;

/// The longest frame at an MTU.
pub const fn frame_limit(mtu: u16) -> u32 {
    mtu as u32 + ETHERNET_HEADER
}

/// The device's configuration (5.1.4).
mod configuration {
    use super::{ReadOnly, Register};

    /// The MAC address, byte by byte.
    pub const MAC: [Register<u8, ReadOnly>; 6] = [
        Register::at(0),
        Register::at(1),
        Register::at(2),
        Register::at(3),
        Register::at(4),
        Register::at(5),
    ];
    /// Bit 0: the link is up. With `STATUS`.
    pub const STATUS: Register<u16, ReadOnly> = Register::at(6);
    /// With `MTU`.
    pub const MTU: Register<u16, ReadOnly> = Register::at(10);
}

/// Reads the MAC address.
pub fn read_mac(device: &impl Mem) -> Result<[u8; 6], Fault> {
    let mut mac = [0; 6];
    for (byte, register) in mac.iter_mut().zip(&configuration::MAC) {
        *byte = register.read(device)?;
    }
    Ok(mac)
}

/// Reads whether the link is up.
pub fn read_link(device: &impl Mem) -> Result<bool, Fault> {
    Ok(configuration::STATUS.read(device)? & 1 != 0)
}

/// Reads the MTU.
pub fn read_mtu(device: &impl Mem) -> Result<u16, Fault> {
    configuration::MTU.read(device)
}
