//! Where a PCI function's virtio structures lie (4.1.2 to 4.1.4).
//!
//! Only init has configuration space. It runs [`Locations::find`], maps nothing, and hands the driver
//! the result (it is serialisable) along with the authority over the BARs that it names. The driver
//! maps them and makes a [`Transport`](crate::Transport) of the four places.
//!
//! The function's own words are not believed: capability lists are walked for a bounded number of
//! steps, and places are checked for arithmetic and alignment here, and against the size of their BAR
//! by [`Locations::check`]. `pci_types` doesn't serve: its configuration access is an unsafe trait,
//! which programs without `unsafe` (init is one) can't implement, it walks capability lists without a
//! bound, and it panics on a reserved kind of BAR.

use serde::{Deserialize, Serialize};

/// Reads a PCI function's configuration space.
pub trait Configuration {
    /// Why a read failed.
    type Error;

    /// Four bytes at an offset that is a multiple of four and below 256.
    fn read_u32(&self, offset: u8) -> Result<u32, Self::Error>;
}

/// What a virtio device is (5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceType {
    /// A network interface (5.1).
    Network,
    /// A disk (5.2).
    Block,
    /// A type that this project doesn't drive, by its number.
    Other(u16),
}

impl DeviceType {
    /// The type with this number (5).
    pub const fn from_number(number: u16) -> Self {
        match number {
            1 => DeviceType::Network,
            2 => DeviceType::Block,
            other => DeviceType::Other(other),
        }
    }

    /// The type of the PCI function with these identifiers, if it is virtio at all (4.1.2).
    ///
    /// `subsystem` is the subsystem device identifier: it holds the type of transitional devices.
    pub const fn from_pci(vendor: u16, device: u16, subsystem: u16) -> Option<Self> {
        match (vendor, device) {
            (VENDOR, 0x1000..=0x103f) => Some(Self::from_number(subsystem)),
            (VENDOR, 0x1040..=0x107f) => Some(Self::from_number(device - 0x1040)),
            _ => None,
        }
    }
}

/// Virtio's PCI vendor identifier (4.1.2).
pub const VENDOR: u16 = 0x1af4;

/// A structure's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The BAR, 0 to 5.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u32,
    /// Bytes in the structure.
    pub length: u32,
}

impl Location {
    /// The byte after its last, from the start of the BAR.
    pub const fn end(self) -> u64 {
        self.offset as u64 + self.length as u64
    }
}

/// Where everything is that a driver needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Locations {
    /// What the device is.
    pub device_type: DeviceType,
    /// The common configuration structure (4.1.4.3).
    pub common: Location,
    /// Where queues are notified (4.1.4.4).
    pub notify: Location,
    /// Bytes between one queue's notification register and the next's (4.1.4.4).
    pub notify_multiplier: u32,
    /// Interrupt status (4.1.4.5): of use without MSI-X only.
    pub interrupt_status: Option<Location>,
    /// The device type's own configuration (4.1.4.6).
    pub device: Option<Location>,
    /// Entries of the MSI-X table; 0: the function has none.
    pub vectors: u16,
}

/// Why a function's structures could not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// Configuration space could not be read.
    Access(E),
    /// It isn't a virtio device.
    NotVirtio,
    /// Its capability list doesn't end, or leaves configuration space.
    BadCapabilities,
    /// It is a legacy device, or lacks this structure.
    Missing(Structure),
    /// This structure lies across the end of its BAR, is too small or badly aligned.
    BadLocation(Structure),
}

impl<E: core::fmt::Display> core::fmt::Display for Error<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Access(error) => write!(f, "configuration space: {error}"),
            Error::NotVirtio => f.write_str("not a virtio device"),
            Error::BadCapabilities => f.write_str("its capability list is broken"),
            Error::Missing(what) => write!(f, "no {what:?} structure (a legacy device?)"),
            Error::BadLocation(what) => write!(f, "its {what:?} structure has an impossible place"),
        }
    }
}

impl<E: core::fmt::Debug + core::fmt::Display> core::error::Error for Error<E> {}

/// The kinds of structure (4.1.4, `cfg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// Common configuration: 1.
    Common,
    /// Notifications: 2.
    Notify,
    /// Interrupt status: 3.
    InterruptStatus,
    /// Device-specific configuration: 4.
    Device,
}

/// Status and command; bit 20 says that there are capabilities.
const STATUS: u8 = 0x04;
const HAS_CAPABILITIES: u32 = 1 << 20;
/// Subsystem: the device identifier above, the vendor below.
const SUBSYSTEM: u8 = 0x2c;
/// Where the first capability is.
const FIRST_CAPABILITY: u8 = 0x34;
/// No capability begins in the header.
const HEADER: u8 = 0x40;
/// As many as fit.
const MOST_CAPABILITIES: usize = (256 - HEADER as usize) / 4;
const VENDOR_SPECIFIC: u8 = 0x09;
const MSI_X: u8 = 0x11;
/// Bytes of common configuration up to and with `queue_device` (4.1.4.3).
const COMMON_BYTES: u32 = 0x38;

impl Locations {
    /// Finds the structures of a function.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn find<C: Configuration>(configuration: &C) -> Result<Self, Error<C::Error>> {
        let read = |offset| configuration.read_u32(offset).map_err(Error::Access);
        let identifiers = read(0)?;
        let subsystem = read(SUBSYSTEM)? >> 16;
        let device_type = DeviceType::from_pci(
            identifiers as u16,
            (identifiers >> 16) as u16,
            subsystem as u16,
        )
        .ok_or(Error::NotVirtio)?;

        let mut common = None;
        let mut notify = None;
        let mut interrupt_status = None;
        let mut device = None;
        let mut vectors = 0;

        let mut pointer = if read(STATUS)? & HAS_CAPABILITIES != 0 {
            // The two low bits are reserved: software masks them.
            read(FIRST_CAPABILITY)? as u8 & !3
        } else {
            0
        };
        for step in 0.. {
            if pointer == 0 {
                break;
            }
            if step == MOST_CAPABILITIES || pointer < HEADER {
                return Err(Error::BadCapabilities);
            }
            let word = |n: u8| {
                let offset = pointer.checked_add(4 * n).ok_or(Error::BadCapabilities)?;
                configuration.read_u32(offset).map_err(Error::Access)
            };
            let [id, following, _, kind] = word(0)?.to_le_bytes();
            match id {
                MSI_X => vectors = ((word(0)? >> 16) as u16 & 0x7ff) + 1,
                VENDOR_SPECIFIC => {
                    let location = Location {
                        bar: word(1)? as u8,
                        offset: word(2)?,
                        length: word(3)?,
                    };
                    // The first of each kind counts; those in BARs that don't exist and of kinds
                    // unknown are passed over (4.1.4.1).
                    match kind {
                        _ if location.bar > 5 => {}
                        1 if common.is_none() => common = Some(location),
                        2 if notify.is_none() => notify = Some((location, word(4)?)),
                        3 if interrupt_status.is_none() => interrupt_status = Some(location),
                        4 if device.is_none() => device = Some(location),
                        _ => {}
                    }
                }
                _ => {}
            }
            pointer = following & !3;
        }

        let common = common.ok_or(Error::Missing(Structure::Common))?;
        let (notify, notify_multiplier) = notify.ok_or(Error::Missing(Structure::Notify))?;
        let found = Self {
            device_type,
            common,
            notify,
            notify_multiplier,
            interrupt_status,
            device,
            vectors,
        };
        // Sizes and alignments: 4.1.4.3.1, 4.1.4.4.1, 4.1.4.6.1.
        if common.length < COMMON_BYTES || common.offset % 4 != 0 {
            return Err(Error::BadLocation(Structure::Common));
        }
        let strides = notify_multiplier == 0
            || notify_multiplier.is_power_of_two() && notify_multiplier % 2 == 0;
        if notify.length < 2 || notify.offset % 2 != 0 || !strides {
            return Err(Error::BadLocation(Structure::Notify));
        }
        if device.is_some_and(|device| device.offset % 4 != 0) {
            return Err(Error::BadLocation(Structure::Device));
        }
        Ok(found)
    }

    /// Holds the places against the sizes of their BARs (`None`: no memory BAR of that number).
    ///
    /// # Errors
    /// [`Error::BadLocation`]: that structure reaches beyond its BAR.
    pub fn check(
        &self,
        bar_size: impl Fn(u8) -> Option<u64>,
    ) -> Result<(), Error<core::convert::Infallible>> {
        for (structure, location) in self.all() {
            if bar_size(location.bar).is_none_or(|size| location.end() > size) {
                return Err(Error::BadLocation(structure));
            }
        }
        Ok(())
    }

    /// Every structure found. A driver with MSI-X has no use for the interrupt status.
    pub fn all(&self) -> impl Iterator<Item = (Structure, Location)> {
        [
            (Structure::Common, Some(self.common)),
            (Structure::Notify, Some(self.notify)),
            (Structure::InterruptStatus, self.interrupt_status),
            (Structure::Device, self.device),
        ]
        .into_iter()
        .filter_map(|(structure, location)| Some((structure, location?)))
    }
}
