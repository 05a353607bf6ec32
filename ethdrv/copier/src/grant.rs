//! What init gives the copier, and how the stack's port is made.

use abi::boot::slot;
use abi::cap::CapAddr;
use sys::Cap;
use sys::bank::Bank;

/// The driver's port: where a stack finds it, too.
pub const PORT: CapAddr = slot::GRANT;
/// Tells genuine opaque banks from others.
pub const VERIFIER: CapAddr = slot::GRANT + 1;
/// The bank that it offers the driver.
pub const PORT_BANK: Cap<Bank> = Cap::at(slot::GRANT + 2);

/// The badge of the port that the copier serves: init makes a `Start` to the copier with it and gives
/// that to the stack, instead of the driver's port.
pub const PORT_BADGE: u64 = ethdrv::port::port_badge(NUMBER, SERIAL);

/// The copier's one port.
pub(crate) const NUMBER: u16 = 0;
/// Its serial number.
pub(crate) const SERIAL: u64 = 1;
/// The notification bit by which the driver tells of frames.
pub(crate) const DRIVER_BIT: u64 = 0;
