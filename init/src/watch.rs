//! The watchdog's policy: it notices that the driver hangs, and ends it.
//!
//! init calls the driver, which runs at a higher priority, and a call waits for its answer. So a driver
//! that never answers would take init along, and one that spins the whole machine. The watchdog is a
//! process above the drivers that never calls them: twice a second it [beats](Watch::beat) by a
//! notification and expects another in return. A driver that owes [`MISSES`] answers is reported with
//! where it stands, and its bank is destroyed. That stops it and its device's bus mastering at once,
//! answers whoever waits for it, init among them, with an error, and leaves what the device may still
//! reach pinned until init has reset it.
//!
//! It looks at nothing but that notification: a driver that answers beats and never a call is not
//! noticed.

use abi::boot::slot;
use abi::cap::CapAddr;
use sys::bank::Bank;
use sys::object::{Notify, Process};
use sys::{Cap, Sys};

use crate::destroy::destroy_step;
use crate::supervise::report::{self, Subject};

/// What init grants the watchdog. What it watches comes and goes: the slots are empty meanwhile.
pub mod grant {
    use super::{Bank, Cap, CapAddr, Notify, Process, slot};

    /// A `Notify` of init's: something was ended.
    pub const TELL: Cap<Notify> = Cap::at(slot::GRANT);
    /// The process that is watched, with `INSPECT` and `CONTROL`.
    pub const PROCESS: Cap<Process> = Cap::at(slot::GRANT + 1);
    /// Its bank, to destroy it.
    pub const BANK: Cap<Bank> = Cap::at(slot::GRANT + 2);
    /// Its notification that asks for a sign of life.
    pub const BEAT: Cap<Notify> = Cap::at(slot::GRANT + 3);
    /// The first of the three slots that come and go.
    pub const FIRST: CapAddr = PROCESS.address();
    /// How many they are.
    pub const COUNT: u16 = 3;
}

/// The watchdog's notification bit for its timer.
pub const TIMER_BIT: u64 = 0;
/// The watchdog's notification bit for signs of life.
pub const ALIVE_BIT: u64 = 1;

/// The time between two beats, in nanoseconds.
pub const BEAT: u64 = 500_000_000;
/// How many beats a driver may owe an answer to: 2 s. Beats are counted, not time, so that a machine
/// that stood still for a while costs one.
pub const MISSES: u32 = 4;
/// The same of a driver that never answered: it has a device to bring up.
pub const FIRST_MISSES: u32 = 20;

/// The watchdog.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// It gave a sign of life since it was first seen.
    lives: bool,
    /// Beats since the last sign of life.
    owed: u32,
}

impl Watch {
    /// A sign of life.
    pub fn alive(&mut self) {
        self.lives = true;
        self.owed = 0;
    }

    /// Asks for a sign of life, or ends who gives none.
    pub fn beat(&mut self, sys: &impl Sys, name: &str, image: &str) {
        let Ok(info) = grant::PROCESS.info(sys) else {
            // There is nobody to watch.
            *self = Watch::default();
            return;
        };
        let most = match self.lives {
            true => MISSES,
            false => FIRST_MISSES,
        };
        if self.owed < most {
            self.owed += 1;
            // Who can't be signalled any more is gone, and found so at the next beat.
            let _ = grant::BEAT.signal(sys);
            return;
        }
        let seconds = u64::from(self.owed) * BEAT / 1_000_000_000;
        log::error!("{name} gave no sign of life for {seconds} s, and is ended");
        let subject = Subject { name, image };
        report::standing(sys, grant::PROCESS, info, subject)
            .iter()
            .for_each(|line| log::error!("{line}"));
        while destroy_step(sys, grant::BANK, name) {}
        *self = Watch::default();
        // init is told first of all by the errors of what it waits for.
        let _ = grant::TELL.signal(sys);
    }
}

#[cfg(test)]
mod tests;
