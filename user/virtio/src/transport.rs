//! A modern PCI device's registers: reset, features, queues, configuration (3.1, 4.1.4, 4.1.5).
//!
//! [`Transport::negotiate`] resets the device and brings it to where both sides agree on features; the
//! [`Setup`] that it answers is the only way to hand it queues, and [`Setup::finish`] sets it to work.
//! Only [`Transport::reset`] answers [`Stopped`], without which no queue gives buffers back.
//!
//! MSI-X must be on in configuration space before vectors are given here (the kernel does that when it
//! makes the first `Irq` of the function).

use bitflags::{Flags, bitflags};
use sys::{Fault, Mem};

use crate::queue::Queue;
use crate::register::common;
use crate::{Features, Offer};

bitflags! {
    /// The device's status (2.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u8 {
        /// The driver has seen the device.
        const ACKNOWLEDGE = 1;
        /// The driver knows how to drive it.
        const DRIVER = 2;
        /// The driver works.
        const DRIVER_OK = 4;
        /// Features are agreed on.
        const FEATURES_OK = 8;
        /// The device is beyond help until it is reset.
        const NEEDS_RESET = 64;
        /// The driver gave up.
        const FAILED = 128;
    }
}

/// Why a device can't be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A structure ends before the register.
    Memory(Fault),
    /// It is gone: its registers read all ones.
    Vanished,
    /// A reset didn't end in time.
    Stuck,
    /// It says that it needs a reset.
    NeedsReset,
    /// It lacks these features, which the driver can't do without (bits as in the specification).
    MissingFeatures(u64),
    /// It refused the features that it had offered.
    FeaturesRefused,
    /// Its configuration changed during each of several reads.
    Unstable,
    /// It has no such queue.
    NoQueue(u16),
    /// This queue can't be that large, or is in use already.
    BadQueue(u16),
    /// It has no room for another vector.
    NoVector(u16),
    /// This queue's notification register lies outside the structure.
    BadNotify(u16),
    /// It has no configuration of its own.
    NoConfiguration,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Memory(fault)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Memory(fault) => write!(f, "device registers: {fault}"),
            Error::Vanished => f.write_str("the device is gone"),
            Error::Stuck => f.write_str("the device doesn't finish its reset"),
            Error::NeedsReset => f.write_str("the device needs a reset"),
            Error::MissingFeatures(bits) => write!(f, "the device lacks features {bits:#x}"),
            Error::FeaturesRefused => f.write_str("the device refuses what it offered"),
            Error::Unstable => f.write_str("the device's configuration doesn't hold still"),
            Error::NoQueue(index) => write!(f, "the device has no queue {index}"),
            Error::BadQueue(index) => write!(f, "the device can't have queue {index} so"),
            Error::NoVector(vector) => write!(f, "the device refuses vector {vector}"),
            Error::BadNotify(index) => write!(f, "queue {index} is notified nowhere"),
            Error::NoConfiguration => f.write_str("the device has no configuration of its own"),
        }
    }
}

impl core::error::Error for Error {}

/// Proof that a device finished a reset: it uses no queue and no buffer. It doesn't say which device:
/// who has several keeps them apart.
#[derive(Debug)]
pub struct Stopped(());

/// Where a queue is notified. Made by [`Setup::enable`], which checked the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doorbell {
    offset: usize,
    queue: u16,
}

/// How often a configuration that changes while it is read is read again.
const GENERATION_TRIES: u32 = 16;

/// A device, by its registers.
pub struct Transport<M> {
    common: M,
    notify: M,
    notify_multiplier: u32,
    device: Option<M>,
}

impl<M: Mem> Transport<M> {
    /// The device whose structures (see [`Locations`](crate::Locations)) lie in these regions.
    pub fn new(common: M, notify: M, notify_multiplier: u32, device: Option<M>) -> Self {
        Self {
            common,
            notify,
            notify_multiplier,
            device,
        }
    }

    /// Its status.
    ///
    /// # Errors
    /// [`Error::Vanished`].
    fn status(&self) -> Result<Status, Error> {
        match common::STATUS.read(&self.common)? {
            0xff => Err(Error::Vanished),
            status => Ok(Status::from_bits_truncate(status)),
        }
    }

    /// Whether it is still there and at work.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::NeedsReset`] (also when it fell back to no driver at all).
    pub fn check(&self) -> Result<(), Error> {
        let status = self.status()?;
        if status.contains(Status::NEEDS_RESET) || !status.contains(Status::DRIVER_OK) {
            return Err(Error::NeedsReset);
        }
        Ok(())
    }

    /// Resets the device (2.4, 4.1.4.3.2). `wait` is called between looks at it: it waits a little and
    /// says whether to look again.
    ///
    /// # Errors
    /// [`Error::Stuck`], [`Error::Vanished`]: nobody knows what it still does; who may must take bus
    /// mastering from it.
    pub fn reset(&self, mut wait: impl FnMut() -> bool) -> Result<Stopped, Error> {
        common::STATUS.write(&self.common, 0)?;
        loop {
            if self.status()?.is_empty() {
                return Ok(Stopped(()));
            }
            if !wait() {
                return Err(Error::Stuck);
            }
        }
    }

    /// Resets the device and agrees on features (3.1.1, steps 1 to 6): `required`, those of `wanted`
    /// that it has, and of its own accord `VERSION_1`, `ACCESS_PLATFORM` and `ORDER_PLATFORM` (the
    /// driver's addresses are DMA addresses, and its barriers full ones, in any case).
    ///
    /// # Errors
    /// As [`reset`](Self::reset); [`Error::MissingFeatures`], [`Error::FeaturesRefused`]. The device
    /// is left told that its driver gave up.
    pub fn negotiate<F: Flags<Bits = u64> + Copy>(
        &self,
        required: Offer<F>,
        wanted: Offer<F>,
        wait: impl FnMut() -> bool,
    ) -> Result<Setup<'_, M, F>, Error> {
        self.reset(wait)?;
        let begun = Status::ACKNOWLEDGE | Status::DRIVER;
        self.set_status(Status::ACKNOWLEDGE)?;
        self.set_status(begun)?;

        let offered = self.offered()?;
        let required = required.bits() | Features::VERSION_1.bits();
        if offered & required != required {
            self.set_status(begun | Status::FAILED)?;
            return Err(Error::MissingFeatures(required & !offered));
        }
        let platform = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
        let accepted = offered & (required | wanted.bits() | platform.bits());
        for (select, half) in [(0, accepted as u32), (1, (accepted >> 32) as u32)] {
            common::DRIVER_FEATURE_SELECT.write(&self.common, select)?;
            common::DRIVER_FEATURE.write(&self.common, half)?;
        }
        let agreed = begun | Status::FEATURES_OK;
        self.set_status(agreed)?;
        if !self.status()?.contains(Status::FEATURES_OK) {
            self.set_status(begun | Status::FAILED)?;
            return Err(Error::FeaturesRefused);
        }
        Ok(Setup {
            transport: self,
            features: Offer::from_bits(accepted),
            status: agreed,
        })
    }

    fn set_status(&self, status: Status) -> Result<(), Error> {
        Ok(common::STATUS.write(&self.common, status.bits())?)
    }

    /// The feature bits that the device offers.
    fn offered(&self) -> Result<u64, Error> {
        let mut offered = 0;
        for select in [1, 0] {
            common::DEVICE_FEATURE_SELECT.write(&self.common, select)?;
            let half = common::DEVICE_FEATURE.read(&self.common)?;
            offered = offered << 32 | u64::from(half);
        }
        Ok(offered)
    }

    /// Reads from the device type's own configuration, again when it changed meanwhile (2.5.1).
    ///
    /// # Errors
    /// [`Error::NoConfiguration`], [`Error::Unstable`], [`Error::Memory`].
    pub fn configuration<R>(
        &self,
        mut read: impl FnMut(&M) -> Result<R, Fault>,
    ) -> Result<R, Error> {
        let device = self.device.as_ref().ok_or(Error::NoConfiguration)?;
        for _ in 0..GENERATION_TRIES {
            let before = common::GENERATION.read(&self.common)?;
            let value = read(device)?;
            if common::GENERATION.read(&self.common)? == before {
                return Ok(value);
            }
        }
        Err(Error::Unstable)
    }

    /// Tells the device to look at a queue (4.1.5.2).
    ///
    /// # Errors
    /// [`Error::Memory`].
    #[inline]
    pub fn ring(&self, bell: Doorbell) -> Result<(), Error> {
        Ok(self.notify.store_u16(bell.offset, bell.queue)?)
    }
}

/// A device that agreed on features and waits for its queues.
pub struct Setup<'t, M, F> {
    transport: &'t Transport<M>,
    features: Offer<F>,
    status: Status,
}

impl<M: Mem, F: Copy> Setup<'_, M, F> {
    /// The features agreed on.
    pub fn features(&self) -> Offer<F> {
        self.features
    }

    /// The most entries of a queue of this device that [`Queue`] can use: a power of two, at most
    /// [`MAX_SIZE`](crate::layout::MAX_SIZE).
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::Memory`].
    pub fn queue_limit(&self, index: u16) -> Result<u16, Error> {
        self.select(index)?;
        let most = common::QUEUE_SIZE.read(&self.transport.common)?;
        let most = most.min(crate::layout::MAX_SIZE);
        // The device should say a power of two (4.1.4.3.1); what it says is rounded down to one.
        most.checked_ilog2()
            .map(|log| 1 << log)
            .ok_or(Error::NoQueue(index))
    }

    fn select(&self, index: u16) -> Result<(), Error> {
        let common = &self.transport.common;
        if index >= common::QUEUES.read(common)? {
            return Err(Error::NoQueue(index));
        }
        Ok(common::QUEUE_SELECT.write(common, index)?)
    }

    /// Gives the device an empty queue, and a vector to interrupt for it (4.1.5.1.3).
    ///
    /// # Errors
    /// [`Error::NoQueue`], [`Error::BadQueue`], [`Error::BadNotify`], [`Error::NoVector`].
    pub fn enable<R: Mem, T: Copy>(
        &self,
        index: u16,
        queue: &Queue<R, T>,
        vector: Option<u16>,
    ) -> Result<Doorbell, Error> {
        let limit = self.queue_limit(index)?;
        let registers = &self.transport.common;
        if queue.size() > limit || common::QUEUE_ENABLE.read(registers)? != 0 {
            return Err(Error::BadQueue(index));
        }
        let bell = self.doorbell(index)?;
        common::QUEUE_SIZE.write(registers, queue.size())?;
        let [descriptors, available, used] = queue.addresses();
        common::QUEUE_DESCRIPTORS.write(registers, descriptors)?;
        common::QUEUE_AVAILABLE.write(registers, available)?;
        common::QUEUE_USED.write(registers, used)?;
        let vector = vector.unwrap_or(common::NO_VECTOR);
        common::QUEUE_VECTOR.write(registers, vector)?;
        if common::QUEUE_VECTOR.read(registers)? != vector {
            return Err(Error::NoVector(vector));
        }
        common::QUEUE_ENABLE.write(registers, 1)?;
        Ok(bell)
    }

    /// Where the selected queue is notified (4.1.4.4).
    fn doorbell(&self, index: u16) -> Result<Doorbell, Error> {
        let transport = self.transport;
        let place = common::QUEUE_NOTIFY_OFFSET.read(&transport.common)?;
        let offset = u64::from(place) * u64::from(transport.notify_multiplier);
        match usize::try_from(offset) {
            Ok(offset)
                if offset
                    .checked_add(2)
                    .is_some_and(|end| end <= transport.notify.len()) =>
            {
                Ok(Doorbell {
                    offset,
                    queue: index,
                })
            }
            _ => Err(Error::BadNotify(index)),
        }
    }

    /// Gives the device a vector to interrupt when its configuration changes.
    ///
    /// # Errors
    /// [`Error::NoVector`].
    pub fn configuration_vector(&self, vector: Option<u16>) -> Result<(), Error> {
        let vector = vector.unwrap_or(common::NO_VECTOR);
        common::CONFIGURATION_VECTOR.write(&self.transport.common, vector)?;
        if common::CONFIGURATION_VECTOR.read(&self.transport.common)? != vector {
            return Err(Error::NoVector(vector));
        }
        Ok(())
    }

    /// The device's configuration: see [`Transport::configuration`].
    ///
    /// # Errors
    /// As there.
    pub fn configuration<R>(&self, read: impl FnMut(&M) -> Result<R, Fault>) -> Result<R, Error> {
        self.transport.configuration(read)
    }

    /// Sets the device to work (3.1.1, step 8).
    ///
    /// # Errors
    /// [`Error::NeedsReset`], [`Error::Vanished`].
    pub fn finish(self) -> Result<(), Error> {
        self.transport.set_status(self.status | Status::DRIVER_OK)?;
        self.transport.check()
    }

    /// Tells the device that its driver gave up.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn fail(self) -> Result<(), Error> {
        self.transport.set_status(self.status | Status::FAILED)
    }
}
