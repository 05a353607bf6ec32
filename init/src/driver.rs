//! The ethernet driver: its process, its bank, its ports; and what follows when it dies.
//!
//! A dead driver may have left the device in the middle of a transfer. So, in this order: bus
//! mastering off; the device reset, and seen to be; the driver's bank destroyed, its apertures with
//! it; the pins of dead apertures ended. Only then is any frame that the device could reach used
//! again, and a new driver started.

use alloc::format;
use alloc::string::String;

use abi::APERTURE_SLOTS;
use abi::cap::{CapAddr, Kind};
use abi::error::ENOENT;
use dev::admin::Admin;
use ethdrv::reserve;
use ethdrv::slots::MOST_APERTURES;
use sys::bank::Bank;
use sys::object::{Aperture, DeviceDma, Table};
use sys::{Cap, Error};

use crate::failure::{Failure, Trying};
use crate::host::Host;
use crate::launch::{Held, clear};
use crate::manifest::{Strategy, User};
use crate::pci::card::Card;
use crate::pci::config::Config;
use crate::plan::receive_slots;
use crate::settings::{addresses, settings};
use crate::supervise::backoff::BackOff;
use crate::user::UserSlots;

/// Objects that the driver's bank may hold besides its image and what is set aside for ports: its
/// queues, the buffers that the device receives into, its reserve of pages, its heap; and the apertures for receive pages
/// that stay when the ports that made them necessary are gone, 128 with their windows at most.
pub const BASE: u64 = 2048 + ethdrv::reserve::OBJECTS;

/// How long a device may take to reset itself, in nanoseconds.
pub const RESET_TIME: u64 = 1_000_000_000;

/// How far the driver has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverPhase {
    /// There is none, and there will be none, for this reason.
    Off(String),
    /// It runs, since then.
    Running {
        /// Nanoseconds since boot.
        since: u64,
    },
    /// It died; its device is being reset.
    Resetting {
        /// When it should be done, in nanoseconds since boot.
        until: u64,
    },
    /// Its bank is being destroyed.
    Emptying,
    /// Its pins are being ended.
    Releasing,
    /// It waits for its next start.
    Resting {
        /// Nanoseconds since boot.
        until: u64,
    },
}

/// Slots of apertures for receive pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveSlots {
    /// The driver has so many.
    pub given: u64,
    /// Its ports may take so many.
    pub wanted: u64,
    /// Its own buffers may, since somebody flipped for the first time.
    pub own: u64,
}

/// The driver.
#[derive(Debug)]
pub struct Driver {
    /// How far it has come.
    pub phase: DriverPhase,
    /// Its device.
    pub card: Option<Card>,
    /// The device's function.
    pub function: Cap<DeviceDma>,
    /// Its bank.
    pub bank: Cap<Bank>,
    /// Its process and root table.
    pub held: Held,
    /// Its administration.
    pub admin: Admin,
    /// The pages of its device's registers.
    pub registers: CapAddr,
    /// Its device's interrupt.
    pub interrupt: CapAddr,
    /// A slot to work with.
    pub scratch: CapAddr,
    /// Objects that its bank may hold without ports.
    pub base: u64,
    /// Objects set aside for ports.
    pub reserved: u64,
    /// Slots to hand an aperture for receive pages, and its window, over with.
    pub handed: [CapAddr; 2],
    /// Slots for receive pages that the driver has been given, and those that its ports may take.
    pub receive_slots: ReceiveSlots,
    /// When it is started again.
    pub back_off: BackOff,
}

impl Driver {
    /// No driver yet.
    ///
    /// # Errors
    /// No slot is left.
    pub fn new<H: Host>(host: &H) -> Result<Driver, Failure> {
        let take = || host.take_slot().trying("taking slots for the driver");
        Ok(Driver {
            phase: DriverPhase::Off("it was not asked for".into()),
            card: None,
            function: Cap::at(take()?),
            bank: Cap::at(take()?),
            held: Held {
                process: take()?,
                root: take()?,
            },
            admin: Admin::at(take()?),
            registers: take()?,
            interrupt: take()?,
            scratch: take()?,
            base: BASE,
            reserved: 0,
            handed: [take()?, take()?],
            receive_slots: ReceiveSlots::default(),
            back_off: BackOff::default(),
        })
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, DriverPhase::Running { .. })
    }

    /// Makes a user's port: moves the reserve to the driver's bank, buys aperture and window from it,
    /// and has the driver make the port. Whatever fails is undone.
    ///
    /// # Errors
    /// What was being done, and why it could not be.
    pub fn add_port<H: Host>(
        &mut self,
        host: &H,
        user: &User,
        reserve: u64,
        slots: &UserSlots,
    ) -> Result<u64, Failure> {
        let sys = host.sys();
        self.set_reserved(host, self.reserved + reserve)?;
        let made = self.make_port(host, user, slots);
        if made.is_err() {
            self.drop_port_objects(host, slots);
            self.return_reserve(host, reserve);
            return made;
        }
        let number = made?;
        self.receive_slots.wanted += receive_slots(user);
        self.provide_for(host, user.strategy);
        for address in addresses(user) {
            if let Err(error) = self.admin.bind_address(sys, number, address) {
                // A port that isn't bound as it should be must not be there.
                let removed = self.admin.remove_port(sys, number);
                log::debug!("port {number} removed again: {removed:?}");
                self.receive_slots.wanted -= receive_slots(user);
                self.drop_port_objects(host, slots);
                self.return_reserve(host, reserve);
                return Err(Failure::of(format!("binding the port to {address}"), error));
            }
        }
        Ok(number)
    }

    fn make_port<H: Host>(&self, host: &H, user: &User, slots: &UserSlots) -> Result<u64, Failure> {
        let sys = host.sys();
        self.buy_aperture(host, slots.aperture, slots.window)?;
        clear(host, slots.port.address());
        self.admin
            .add_port(
                sys,
                &settings(user),
                slots.aperture,
                slots.window,
                slots.port,
            )
            .trying("asking the driver for a port")
    }

    /// A port receives so, or is to: where any flips, the driver has whole pages of its own posted, too.
    pub fn provide_for<H: Host>(&mut self, host: &H, strategy: Strategy) {
        if strategy != Strategy::Copy {
            self.receive_slots.own = reserve::MOST.into();
        }
        self.give_receive_slots(host);
    }

    /// Gives the driver the apertures that its ports' receive pages take, and its own. A port for which
    /// there are none is served by copying, so a failure takes nobody's port.
    fn give_receive_slots<H: Host>(&mut self, host: &H) {
        let most = (MOST_APERTURES * APERTURE_SLOTS) as u64;
        let wanted = self.receive_slots.wanted + self.receive_slots.own;
        while self.receive_slots.given < wanted.min(most) {
            if let Err(failure) = self.give_aperture(host) {
                log::warn!("{failure}; some ports receive by copying");
                break;
            }
            self.receive_slots.given += APERTURE_SLOTS as u64;
        }
        // The driver has its own capabilities to what it was given.
        self.handed.iter().for_each(|slot| clear(host, *slot));
    }

    fn give_aperture<H: Host>(&self, host: &H) -> Result<(), Failure> {
        let sys = host.sys();
        let [aperture, window] = self.handed;
        let what = "giving the driver slots for receive pages";
        let given = self
            .buy_aperture(host, Cap::at(aperture), Cap::at(window))
            .and_then(|()| {
                let (aperture, window) = (Cap::at(aperture), Cap::at(window));
                self.admin.add_aperture(sys, aperture, window).trying(what)
            });
        if given.is_err() {
            for slot in self.handed {
                // What was not bought can't be sold.
                let _ = self.bank.sell(sys, slot);
            }
        }
        given
    }

    /// Buys an aperture with a window from the driver's bank, and binds it to the device.
    fn buy_aperture<H: Host>(
        &self,
        host: &H,
        aperture: Cap<Aperture>,
        window: Cap<Table>,
    ) -> Result<(), Failure> {
        let sys = host.sys();
        let objects = [
            (Kind::Aperture, aperture.address()),
            (Kind::Table1, window.address()),
        ];
        for (kind, slot) in objects {
            clear(host, slot);
            let (table, index) = host.table_of(slot);
            self.bank
                .buy_caps(sys, kind, 1, table, index)
                .map_err(|error| {
                    let what = format!("buying a port's {} from the driver's bank", kind.name());
                    Failure::buying(sys, self.bank, what, error)
                })?;
        }
        self.function
            .bind(sys, aperture)
            .trying("binding a port's aperture")?;
        aperture
            .set_window(sys, window)
            .trying("setting the aperture's window")
    }

    /// Asks the driver to remove a port. It takes until nothing of it is in use; init asks again later
    /// whether it is done ([`Driver::port_is_gone`]), for it waits for no driver.
    pub fn begin_remove_port<H: Host>(&self, host: &H, number: u64) {
        self.admin.begin_remove_port(host.sys(), number);
    }

    /// Whether a port is gone.
    pub fn port_is_gone<H: Host>(&self, host: &H, number: u64) -> bool {
        let sys = host.sys();
        let answer = self.admin.inspect(sys, number, self.scratch);
        clear(host, self.scratch);
        match answer {
            Ok(_) => false,
            Err(error) => error.is(ENOENT) || !self.is_running(),
        }
    }

    /// Gives back what was bought for a port, and its reserve.
    pub fn finish_remove_port<H: Host>(
        &mut self,
        host: &H,
        user: &User,
        reserve: u64,
        slots: &UserSlots,
    ) {
        let slots_left = self
            .receive_slots
            .wanted
            .saturating_sub(receive_slots(user));
        self.receive_slots.wanted = slots_left;
        self.drop_port_objects(host, slots);
        self.return_reserve(host, reserve);
    }

    fn drop_port_objects<H: Host>(&self, host: &H, slots: &UserSlots) {
        for slot in [slots.aperture.address(), slots.window.address()] {
            // The driver may have sold it already, or never got it.
            let _ = self.bank.sell(host.sys(), slot);
            clear(host, slot);
        }
        clear(host, slots.port.address());
    }

    fn set_reserved<H: Host>(&mut self, host: &H, reserved: u64) -> Result<(), Failure> {
        self.bank
            .set_limit(host.sys(), self.base + reserved)
            .trying("setting the limit of the driver's bank")?;
        self.reserved = reserved;
        Ok(())
    }

    fn return_reserve<H: Host>(&mut self, host: &H, reserve: u64) {
        let left = self.reserved.saturating_sub(reserve);
        if let Err(failure) = self.set_reserved(host, left) {
            log::warn!("{failure}");
        }
    }

    /// Stops the device of a dead driver: no DMA, and a reset begun.
    ///
    /// # Errors
    /// What could not be done.
    pub fn stop_device<H: Host>(&self, host: &H) -> Result<(), Failure> {
        let sys = host.sys();
        self.function
            .set_master(sys, false)
            .trying("turning the card's bus mastering off")?;
        self.with_status(host, |status, config| status.reset(config))
            .trying("resetting the network card")
    }

    /// Whether the device has reset itself.
    ///
    /// # Errors
    /// It can't be asked.
    pub fn device_is_reset<H: Host>(&self, host: &H) -> Result<bool, Failure> {
        self.with_status(host, |status, config| status.is_reset(config))
            .trying("asking the network card whether it is reset")
    }

    fn with_status<H: Host, T>(
        &self,
        host: &H,
        act: impl FnOnce(&crate::pci::virtio::StatusWindow, &Config<'_, H::Sys>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let card = self.card.as_ref().ok_or(Error::new(abi::error::ENODEV))?;
        act(&card.status, &Config::new(host.sys(), self.function))
    }
}
