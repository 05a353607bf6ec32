//! The watchdog beside the driver: it is started once, and told of each driver.

use abi::cap::Rights;
use ethdrv::grant::BEAT_BIT;
use rt::child::{Child, Grant, Image};
use sys::Cap;
use sys::bank::{Bank, BankRights};
use sys::object::CapTable;

use super::{Init, Work};
use crate::archive::Archive;
use crate::destroy::destroy_step;
use crate::ethernet as start;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PRIME, PROCESS, bit, priority};
use crate::launch::{Held, OWN_BANK, Order, clear, image, image_name};
use crate::plan::program_objects;
use crate::supervise::has_stopped;
use crate::supervise::report::{self, Subject};
use crate::watch::{ALIVE_BIT, grant};

/// The watchdog's name.
pub const NAME: &str = "watchdog";
/// The file that it runs.
pub const FILE: &str = "bin/watchdog";
/// Pages of its stack.
const STACK_PAGES: usize = 8;
/// Objects of its bank besides its program: none is known to be needed, but a heap that grows.
const SLACK: u64 = 16;

/// The watchdog, as init knows it.
#[derive(Debug)]
pub struct Watchdog {
    /// Its bank.
    pub bank: Cap<Bank>,
    /// Its process and root table.
    pub held: Held,
    /// Its notification for signs of life, which each driver is given.
    pub alive: abi::cap::CapAddr,
    /// Whether it runs.
    pub running: bool,
    /// Whether it has a bank.
    pub has_bank: bool,
}

impl Watchdog {
    /// None yet.
    ///
    /// # Errors
    /// No slot is left.
    pub fn new<H: Host>(host: &H) -> Result<Watchdog, Failure> {
        let take = || host.take_slot().trying("taking slots for the watchdog");
        Ok(Watchdog {
            bank: Cap::at(take()?),
            held: Held {
                process: take()?,
                root: take()?,
            },
            alive: take()?,
            running: false,
            has_bank: false,
        })
    }

    fn root(&self) -> Cap<CapTable> {
        Cap::at(self.held.root)
    }
}

/// Objects that the watchdog's bank may hold.
fn objects(image: &Image<'_>) -> u64 {
    program_objects(image, STACK_PAGES) + SLACK
}

/// The same of the watchdog in an archive; none if there is none.
pub(crate) fn watchdog_objects(archive: &Archive<'_>) -> u64 {
    image(archive, FILE).map_or(0, |image| objects(&image))
}

impl<H: Host> Init<'_, H> {
    /// Starts the watchdog, unless it runs.
    pub(super) fn start_watchdog(&mut self) -> Result<(), Failure> {
        if self.watchdog.running {
            return Ok(());
        }
        let (host, sys) = (self.host, self.host.sys());
        // What is left of one that died is in nobody's way any more.
        while self.watchdog.has_bank && self.empty_watchdog() {}
        let image = image(&self.archive, FILE)?;
        let dog = &mut self.watchdog;
        let limit = objects(&image);
        clear(host, dog.bank.address());
        PRIME
            .sub_bank(sys, limit, false, dog.bank)
            .map_err(|error| Failure::buying(sys, PRIME, "making the watchdog's bank", error))?;
        dog.has_bank = true;
        let tell = self.driver.scratch;
        clear(host, tell);
        PROCESS
            .make_notify(sys, bit::HUNG, tell)
            .trying("naming the watchdog's bit")?;
        let watched = (start::NAME, image_name(start::FILE));
        let arguments = postcard::to_allocvec(&watched)
            .map_err(|error| Failure::new("writing the watchdog's arguments", error))?;
        let order = Order {
            name: NAME,
            file: FILE,
            arguments: &arguments,
            priority: priority::WATCHDOG,
            stack_pages: STACK_PAGES,
            bank: dog.bank,
            bank_rights: OWN_BANK,
            grants: &[Grant::new(grant::TELL.address(), tell)],
            bit: bit::WATCHDOG,
        };
        let child = self.launcher.launch(host, &image, &order, dog.held)?;
        clear(host, tell);
        clear(host, dog.alive);
        child
            .process
            .make_notify(sys, ALIVE_BIT, dog.alive)
            .trying("naming the watchdog's own bit")?;
        dog.running = true;
        Ok(())
    }

    /// Has the watchdog watch a driver that was just started.
    pub(super) fn watch(&mut self, child: &Child) -> Result<(), Failure> {
        let (host, sys) = (self.host, self.host.sys());
        let (root, scratch) = (self.watchdog.root(), self.driver.scratch);
        let hand = |slot, from, rights, what: &str| -> Result<(), Failure> {
            root.put(sys, slot, from, rights)
                .trying(format_args!("having {what} watched"))
        };
        clear(host, scratch);
        child
            .process
            .make_notify(sys, BEAT_BIT, scratch)
            .trying("naming the bit for its signs of life")?;
        hand(grant::BEAT.address(), scratch, Rights::FULL, "it")?;
        clear(host, scratch);
        self.driver
            .bank
            .restrict(sys, BankRights::DESTROY, Cap::at(scratch))
            .trying("giving its bank to the watchdog")?;
        hand(grant::BANK.address(), scratch, Rights::FULL, "its bank")?;
        clear(host, scratch);
        let seen = Rights::INSPECT | Rights::CONTROL;
        let process = child.process.address();
        hand(grant::PROCESS.address(), process, seen, "its process")
    }

    /// The driver is init's to deal with: nobody else ends it any more.
    pub(super) fn unwatch(&mut self) {
        if self.watchdog.running {
            let root = self.watchdog.root();
            let cleared = root.clear(self.host.sys(), grant::FIRST, grant::COUNT);
            // Fails only if the watchdog is gone.
            log::debug!("nobody is watched: {cleared:?}");
        }
    }

    /// The watchdog ended a driver that hung, and said so.
    pub(crate) fn driver_hung(&mut self) {
        if self.driver.is_running() {
            self.driver_died();
        }
    }

    /// The watchdog stopped: says why. The driver is started again with another.
    pub(crate) fn watchdog_stopped(&mut self) {
        let sys = self.host.sys();
        let process = Cap::at(self.watchdog.held.process);
        if !self.watchdog.running || !has_stopped(sys, process) {
            return;
        }
        let subject = Subject {
            name: NAME,
            image: image_name(FILE),
        };
        report::lines(sys, process, subject)
            .iter()
            .for_each(|line| log::error!("{line}"));
        self.watchdog_ended();
    }

    /// Has a watchdog that runs no more taken down, and the driver that it watched.
    pub(crate) fn watchdog_ended(&mut self) {
        self.watchdog.running = false;
        self.add_work(Work::EmptyWatchdog);
        if self.driver.is_running() {
            let stopped = self.stop(self.driver.held.process, "stopping the unwatched driver");
            if let Err(failure) = stopped {
                log::warn!("{failure}");
            }
            self.driver_died();
        }
    }

    /// A step of destroying a dead watchdog's bank; answers whether there is more.
    pub(super) fn empty_watchdog(&mut self) -> bool {
        if self.watchdog.running || !self.watchdog.has_bank {
            return false;
        }
        if destroy_step(self.host.sys(), self.watchdog.bank, NAME) {
            return true;
        }
        self.watchdog.has_bank = false;
        false
    }
}
