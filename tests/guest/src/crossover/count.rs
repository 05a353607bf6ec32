//! What is counted around a stretch of frames.

use abi::boot::slot;
use abi::count::EVENTS;
use guest::wired::{Failure, System};
use rt::Kernel;
use rt::clock::ticks;
use sys::Cap;
use sys::object::{Process, ProcessInfo, Reset};

const RESET: Cap<Reset> = Cap::at(slot::INIT_RESET);

/// What frames took.
#[derive(Clone, Copy)]
pub struct Spent {
    /// Instructions that the driver was charged with.
    pub driver: u64,
    /// Those of the recipient.
    pub recipient: u64,
    /// Those of nobody of the three.
    pub rest: u64,
    /// Those of all but this program.
    pub all: u64,
    /// Switches of the CPU to the address space of driver or recipient.
    pub switches: u64,
    /// Events, where the kernel counts them.
    pub events: Option<[u64; EVENTS]>,
}

/// A stretch that has begun.
pub struct Begun {
    at: u64,
    driver: ProcessInfo,
    recipient: ProcessInfo,
    own: ProcessInfo,
    counts: bool,
}

fn info(process: Cap<Process>) -> Result<ProcessInfo, Failure> {
    process.info(&Kernel).map_err(Failure::Count)
}

/// Counts from now on.
///
/// # Errors
/// The kernel refuses.
pub fn begin(system: &System, recipient: Cap<Process>) -> Result<Begun, Failure> {
    let counts = RESET.observe(&Kernel).is_ok();
    Ok(Begun {
        driver: info(system.driver)?,
        recipient: info(recipient)?,
        // The last one, so that what it counts ends where the reading of the counter does.
        own: info(guest::children::SELF)?,
        at: ticks(),
        counts,
    })
}

impl Begun {
    /// What was counted until now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn end(&self, system: &System, recipient: Cap<Process>) -> Result<Spent, Failure> {
        let driver = info(system.driver)?;
        let after = info(recipient)?;
        let own = info(guest::children::SELF)?;
        let passed = ticks() - self.at;
        let events = match self.counts {
            true => Some(RESET.counts(&Kernel).map_err(Failure::Count)?),
            false => None,
        };
        let (of_driver, of_recipient) = (
            driver.cycles - self.driver.cycles,
            after.cycles - self.recipient.cycles,
        );
        let all = passed.saturating_sub(own.cycles - self.own.cycles);
        let charged = of_driver + of_recipient;
        Ok(Spent {
            driver: of_driver,
            recipient: of_recipient,
            // The way from the kernel's charging to the reading of the counter may be longer before a
            // stretch than after it: nothing is left where everybody is charged for all.
            rest: all.saturating_sub(charged),
            all,
            switches: driver.switches - self.driver.switches + after.switches
                - self.recipient.switches,
            events,
        })
    }
}
