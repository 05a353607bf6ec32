//! Why a device can't be used, or not any more.

use dev::mac::Mac;
use virtio::queue::Error as QueueError;
use virtio::transport::Error as DeviceError;

/// Why a device can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It could not be set up.
    Device(DeviceError),
    /// The kernel doesn't let it be a bus master.
    Master(sys::Error),
    /// A queue could not be laid out.
    Queue(QueueError),
    /// This page was not to be had.
    NoPage(usize),
    /// It says that this is its address, which is a group's, or nobody's.
    BadMac(Mac),
    /// It says that this is its MTU.
    BadMtu(u16),
    /// Its queues are too small for a frame.
    TooSmall,
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Error::Device(error)
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        Error::Queue(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Device(error) => error.fmt(f),
            Error::Master(error) => write!(f, "switching bus mastering on: {error}"),
            Error::Queue(error) => error.fmt(f),
            Error::NoPage(page) => write!(f, "page {page} for the device's queues isn't there"),
            Error::BadMac(mac) => write!(f, "the device says that its address is {mac}"),
            Error::BadMtu(mtu) => write!(f, "the device says that its MTU is {mtu}"),
            Error::TooSmall => f.write_str("the device's queues are too small for a frame"),
        }
    }
}

impl core::error::Error for Error {}

/// What put an end to a device's work. It must be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its receive queue.
    Receive(QueueError),
    /// Its transmit queue.
    Transmit(QueueError),
    /// Its control queue.
    Control(QueueError),
    /// The device as a whole.
    Device(DeviceError),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Receive(error) => write!(f, "receive queue: {error}"),
            Failure::Transmit(error) => write!(f, "transmit queue: {error}"),
            Failure::Control(error) => write!(f, "control queue: {error}"),
            Failure::Device(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
