//! The driver starts, dies, and starts again.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dev::badge::ADMIN_BADGE;
use rt::child::STACK_PAGES;
use sys::Cap;
use sys::object::Process;

use super::ports::waits_for_driver;
use super::{Due, Init, Work};
use crate::destroy::destroy_step;
use crate::driver::{BASE, DriverPhase, RESET_TIME, ReceiveSlots};
use crate::ethernet as start;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PRIME, PROCESS, bit, priority};
use crate::launch::{OWN_BANK, Order, clear, image, image_name};
use crate::plan::program_objects;
use crate::port_bank;
use crate::supervise::report::{self, Subject};
use crate::user::Phase;

/// How often init asks whether the device has reset itself, in nanoseconds.
const ASK_RESET: u64 = 1_000_000;

impl<H: Host> Init<'_, H> {
    /// Starts the driver, and then whoever waits for it.
    pub(crate) fn start_driver(&mut self) {
        let now = self.host.now();
        if let Err(failure) = image(&self.archive, start::FILE) {
            // The archive won't change.
            let failure = failure.during("the network driver");
            log::error!("no network: {failure}");
            self.driver.phase = DriverPhase::Off(failure.to_string());
            return;
        }
        if let Err(failure) = self.make_share() {
            log::error!("no users: {failure}");
        }
        match self.try_start_driver() {
            Ok(told) => {
                log::info!("{told}");
                self.driver.phase = DriverPhase::Running { since: now };
                self.driver.back_off.started(now);
                let waiting: Vec<Work> = self.members.iter().filter_map(waits_for_driver).collect();
                waiting.into_iter().for_each(|work| self.add_work(work));
            }
            Err(failure) => {
                log::error!("{failure}");
                self.report_driver();
                self.driver_died();
            }
        }
    }

    fn try_start_driver(&mut self) -> Result<String, Failure> {
        let (host, sys) = (self.host, self.host.sys());
        let during = |failure: Failure| failure.during("the network driver");
        self.start_watchdog().map_err(during)?;
        let image = image(&self.archive, start::FILE).map_err(during)?;
        let driver = &mut self.driver;
        driver.base = BASE + program_objects(&image, STACK_PAGES);
        driver.reserved = 0;
        driver.receive_slots = ReceiveSlots::default();
        clear(host, driver.bank.address());
        PRIME
            .sub_bank(sys, driver.base, false, driver.bank)
            .map_err(|error| Failure::buying(sys, PRIME, "making its bank", error))
            .map_err(during)?;
        let alive = self.watchdog.alive;
        let (grants, arguments) = start::equip(host, driver, alive).map_err(during)?;
        let order = Order {
            name: start::NAME,
            file: start::FILE,
            arguments: &arguments,
            priority: priority::DRIVER,
            stack_pages: STACK_PAGES,
            bank: driver.bank,
            bank_rights: OWN_BANK,
            grants: &grants,
            bit: bit::DRIVER,
        };
        let child = self
            .launcher
            .launch(host, &image, &order, driver.held)
            .map_err(during)?;
        // From here on a driver that doesn't answer is ended, and what waits for it goes on.
        self.watch(&child).map_err(during)?;
        let driver = &mut self.driver;
        clear(host, driver.admin.address());
        child
            .process
            .make_start(sys, ADMIN_BADGE, driver.admin.address())
            .trying("making the capability to its administration")
            .map_err(during)?;
        PROCESS
            .make_notify(sys, bit::SESSIONS, driver.scratch)
            .and_then(|()| driver.admin.set_notify(sys, Cap::at(driver.scratch)))
            .trying("asking to be told of sessions")
            .map_err(during)?;
        clear(host, driver.scratch);
        // Its first answer comes when the device works; if it dies before, this fails.
        let device = driver
            .admin
            .device(sys)
            .trying("asking for its device")
            .map_err(during)?;
        let address = driver
            .card
            .as_ref()
            .map(|card| card.address.to_string())
            .unwrap_or_default();
        Ok(format!(
            "{} drives {address}: {}, frames of up to {} bytes, link {}",
            start::NAME,
            device.mac,
            device.frame_limit,
            if device.link { "up" } else { "down" }
        ))
    }

    /// The driver stopped: says why, and makes the device safe.
    pub(crate) fn driver_stopped(&mut self) {
        if self.driver.is_running() && self.report_driver() {
            self.driver_died();
        }
    }

    /// Whether the driver's process stopped, whether or not init has dealt with that.
    pub(super) fn driver_has_stopped(&self) -> bool {
        let process: Cap<Process> = Cap::at(self.driver.held.process);
        crate::supervise::has_stopped(self.host.sys(), process)
    }

    /// Reports why the driver stopped, if it did.
    fn report_driver(&self) -> bool {
        let sys = self.host.sys();
        let process: Cap<Process> = Cap::at(self.driver.held.process);
        let stopped = self.driver_has_stopped();
        if stopped {
            let subject = Subject {
                name: start::NAME,
                image: image_name(start::FILE),
            };
            report::lines(sys, process, subject)
                .iter()
                .for_each(|line| log::error!("{line}"));
        }
        stopped
    }

    /// Makes the device of a dead driver safe, and has everything started again.
    pub(crate) fn driver_died(&mut self) {
        let now = self.host.now();
        self.unwatch();
        let stopped = self.driver.stop_device(self.host);
        let numbers: Vec<usize> = self.members.iter().map(|(number, _)| number).collect();
        numbers
            .into_iter()
            .for_each(|number| self.port_is_lost(number));
        if let Err(failure) = stopped {
            self.driver_is_off(failure);
            return;
        }
        self.driver.phase = DriverPhase::Resetting {
            until: now + RESET_TIME,
        };
        self.timers.set(now + ASK_RESET, Due::AskReset);
    }

    /// A step of destroying what a driver that died had made for a user's sessions; answers whether there
    /// is more.
    pub(crate) fn empty_session(&mut self, number: usize) -> bool {
        let Some(member) = self.members.get(number) else {
            return false;
        };
        // The session's is under the port bank, unless the stack offered another.
        for bank in [member.slots.session, member.driver_bank().1] {
            if destroy_step(self.host.sys(), bank, member.name()) {
                return true;
            }
            clear(self.host, bank.address());
        }
        if matches!(member.phase, Phase::Running { .. }) {
            let (payer, made) = member.driver_bank();
            if let Err(failure) = port_bank::make(self.host, &member.user, payer, made) {
                log::error!("{}", failure.during(self.whole(number)));
                self.restart_later(number);
            }
        }
        false
    }

    /// There is no safe way to go on with this device: what it may still reach stays pinned.
    fn driver_is_off(&mut self, failure: Failure) {
        log::error!("{failure}; the network stays down, and what the card may reach stays pinned");
        self.driver.phase = DriverPhase::Off(failure.to_string());
    }

    /// Asks whether the device has reset itself.
    pub(crate) fn ask_reset(&mut self) {
        let DriverPhase::Resetting { until } = self.driver.phase else {
            return;
        };
        let now = self.host.now();
        match self.driver.device_is_reset(self.host) {
            Ok(true) => {
                self.driver.phase = DriverPhase::Emptying;
                self.add_work(Work::EmptyDriver);
            }
            Ok(false) if now < until => self.timers.set(now + ASK_RESET, Due::AskReset),
            Ok(false) => {
                let failure = Failure::new("resetting the network card", "it doesn't finish");
                self.driver_is_off(failure);
            }
            Err(failure) => self.driver_is_off(failure),
        }
    }

    /// A step of destroying the driver's bank; answers whether there is more.
    pub(crate) fn empty_driver(&mut self) -> bool {
        if self.driver.phase != DriverPhase::Emptying {
            return false;
        }
        if destroy_step(self.host.sys(), self.driver.bank, start::NAME) {
            return true;
        }
        for slot in [
            self.driver.bank.address(),
            self.driver.admin.address(),
            self.driver.held.process,
            self.driver.held.root,
        ] {
            clear(self.host, slot);
        }
        self.driver.phase = DriverPhase::Releasing;
        self.add_work(Work::ReleasePins);
        false
    }

    /// A step of ending the pins of the driver's dead apertures; answers whether there is more.
    pub(crate) fn release_pins(&mut self) -> bool {
        if self.driver.phase != DriverPhase::Releasing {
            return false;
        }
        if self
            .work
            .iter()
            .any(|work| matches!(work, Work::EmptySession(_)))
        {
            // Later sessions' banks will be noted in the same slots.
            return true;
        }
        match self.driver.function.release(self.host.sys()) {
            Ok((_, true)) => true,
            Ok((_, false)) => {
                let now = self.host.now();
                let at = self.driver.back_off.died(now);
                let seconds = (at - now).div_ceil(crate::supervise::backoff::SECOND);
                log::warn!("{} is started again in {seconds} s", start::NAME);
                self.driver.phase = DriverPhase::Resting { until: at };
                self.timers.set(at, Due::RestartDriver);
                false
            }
            Err(error) => {
                self.driver_is_off(Failure::of("ending the pins of the dead driver", error));
                false
            }
        }
    }
}
