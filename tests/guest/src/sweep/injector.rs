//! The injector: a process that destroys a bank at the instant at which it is told to.

use abi::cap::Rights;
use guest::children::{BANK, Nursery, SELF};
use guest::sweeping::{Role, bit, grant};
use init::archive::Archive;
use init::host::priority;
use rt::Kernel;
use rt::child::{Child, Grant, Program};
use sys::Cap;
use sys::bank::Bank;
use sys::object::{Notify, Process};

use crate::start::{image, postcard, start_program, take};
use crate::{Failure, during};

/// Nobody is more urgent than the injector.
const URGENT: u8 = 62;
/// One who takes its time is less urgent than the clients, and more so than this program.
const LEISURELY: u8 = priority::INIT + 2;
/// Limit of its bank.
const LIMIT: u64 = 128;
/// The notification bit of this program's that says that it is done.
const DONE_BIT: u64 = 1;

/// The injector.
pub struct Injector {
    child: Child,
    /// Tells it.
    pub now: Cap<Notify>,
}

impl Injector {
    /// Starts it.
    pub fn start(archive: &Archive<'_>) -> Result<Injector, Failure> {
        let [bank, weak, done, now] = [take()?, take()?, take()?, take()?];
        let bank = Cap::at(bank);
        BANK.sub_bank(&Kernel, LIMIT, false, bank)
            .map_err(during("making the injector's bank"))?;
        SELF.make_notify(&Kernel, DONE_BIT, done)
            .map_err(during("making a notification"))?;
        let mut nursery = Nursery::new().map_err(during("preparing to start the injector"))?;
        let child = start_program(
            &mut nursery,
            Program {
                arguments: &postcard(&Role::Injector)?,
                priority: URGENT,
                stack_pages: 4,
                ..Program::new("injector", &image(archive, "bin/swept")?, bank)
            },
            weak,
            &[Grant::new(grant::DONE, done)],
        );
        nursery.end();
        let child = child.map_err(during("starting the injector"))?;
        child
            .process
            .make_notify(&Kernel, bit::NOW, now)
            .map_err(during("making a notification"))?;
        let now = Cap::at(now);
        Ok(Injector { child, now })
    }

    /// Its process.
    pub const fn process(&self) -> Cap<Process> {
        self.child.process
    }

    /// Whether nobody is as urgent, or it takes its time.
    pub fn hurry(&self, urgent: bool) -> Result<(), Failure> {
        let priority = match urgent {
            true => URGENT,
            false => LEISURELY,
        };
        self.child
            .process
            .set_priority(&Kernel, priority)
            .map_err(during("setting the injector's priority"))
    }

    /// Tells it which bank to destroy.
    pub fn aim(&self, bank: Cap<Bank>) -> Result<(), Failure> {
        self.child
            .root
            .put(&Kernel, grant::VICTIM, bank.address(), Rights::FULL)
            .map_err(during("aiming"))
    }
}
