//! What a queue refuses, and what devices do wrong.

use sys::Fault;

/// What a device did that no device may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It gave back a chain that isn't in flight: never posted, back already, no chain's first
    /// descriptor, or no descriptor at all. The entry was passed over.
    NotPosted {
        /// The descriptor that it named.
        id: u32,
    },
    /// Its index moved by more than there are chains in flight. The queue is of no use until the
    /// device is reset.
    IndexJump {
        /// The next entry to take.
        expected: u16,
        /// The index that it published.
        index: u16,
        /// Chains in flight.
        outstanding: u16,
    },
}

/// Why a queue refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not enough free descriptors for now.
    Full,
    /// No such chain: no buffers, more than the queue has, an empty one, one that the device reads
    /// after one that it writes, or 2³² bytes in all.
    BadChain,
    /// The size is no power of two from 1 to [`layout::MAX_SIZE`], or an area is too small for it or
    /// badly aligned.
    BadQueue,
    /// The rings themselves can't be reached.
    Memory(Fault),
    /// The device misbehaved.
    Misbehaved(Misbehaviour),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Memory(fault)
    }
}

impl core::fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Misbehaviour::NotPosted { id } => {
                write!(
                    f,
                    "descriptor {id} came back, which starts no chain in flight"
                )
            }
            Misbehaviour::IndexJump {
                expected,
                index,
                outstanding,
            } => write!(
                f,
                "used index went from {expected} to {index} with {outstanding} chains in flight"
            ),
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Full => f.write_str("the queue is full"),
            Error::BadChain => f.write_str("not a chain that a device accepts"),
            Error::BadQueue => f.write_str("not a size or not the memory for a queue"),
            Error::Memory(fault) => write!(f, "the queue's memory: {fault}"),
            Error::Misbehaved(what) => write!(f, "the device misbehaved: {what}"),
        }
    }
}

impl core::error::Error for Error {}
