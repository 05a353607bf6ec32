//! What users may hold together.
//!
//! A user's limit is a ceiling, and no promise: limits together may be more than there is. So that
//! users who buy all that they can get take it from each other and from nobody else, all their banks
//! lie under one, whose limit leaves what the system needs in order to go on: the driver's bank with
//! what is set aside for ports, the watchdog's, the bank of `program=`, and what init itself may
//! still buy. spacebank buys nothing: its tables have their full size from the start.

use alloc::format;

use rt::child::STACK_PAGES;
use sys::Cap;
use sys::bank::{Bank, Usage};

use crate::driver::BASE;
use crate::ethernet;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PRIME};
use crate::init::{Init, watchdog_objects};
use crate::launch::image;
use crate::plan::{Plan, program_objects};

/// The name of the users' bank.
pub const NAME: &str = "users";

/// Objects that init may buy besides those that it was made of: heap for what goes on at the console,
/// and segments to look into while it starts programs.
const INIT: u64 = 256;

/// Of this many objects of the machine, init may buy one for what it notes of users: less than a page
/// each, of whom each takes some hundred.
const OBJECTS_A_NOTE: u64 = 64;

/// Records of the banks under the prime bank: users', driver's, watchdog's, program's.
const RECORDS: u64 = 4;

/// The bank of all users.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The bank.
    pub bank: Cap<Bank>,
    /// Whether there is one.
    pub made: bool,
    /// Its limit as long as nothing is set aside for ports.
    pub most: u64,
}

impl Share {
    /// No bank yet.
    ///
    /// # Errors
    /// No slot is left.
    pub fn new<H: Host>(host: &H) -> Result<Share, Failure> {
        let slot = host
            .take_slot()
            .trying("taking a slot for the users' bank")?;
        Ok(Share {
            bank: Cap::at(slot),
            made: false,
            most: 0,
        })
    }
}

impl<H: Host> Init<'_, H> {
    /// Makes the bank of all users, if there is none. No driver was started yet.
    ///
    /// # Errors
    /// It can't be bought.
    pub(crate) fn make_share(&mut self) -> Result<(), Failure> {
        if self.share.made {
            return Ok(());
        }
        let (sys, what) = (self.host.sys(), "making the users' bank");
        let prime = PRIME.usage(sys).trying(what)?;
        let kept = held(prime) + self.system_objects(prime.limit);
        self.share.most = prime.limit.saturating_sub(kept);
        PRIME
            .sub_bank(sys, self.share.most, false, self.share.bank)
            .map_err(|error| Failure::buying(sys, PRIME, what, error))?;
        self.share.made = true;
        self.limit_share();
        Ok(())
    }

    /// Objects that nobody has bought yet, and that are not for users.
    fn system_objects(&self, all: u64) -> u64 {
        let driver = image(&self.archive, ethernet::FILE)
            .map_or(0, |image| BASE + program_objects(&image, STACK_PAGES));
        let program = self.guest.as_ref().map_or(0, |guest| {
            let usage = guest.bank.usage(self.host.sys());
            usage.map_or(0, |usage| usage.limit.saturating_sub(held(usage)))
        });
        RECORDS + INIT + all / OBJECTS_A_NOTE + driver + watchdog_objects(&self.archive) + program
    }

    /// Has the users' bank leave what is set aside for the ports of the users that there are now.
    pub(crate) fn limit_share(&self) {
        if !self.share.made {
            return;
        }
        let set_aside: u64 = self
            .members
            .iter()
            .map(|(_, member)| member.plan.reserve)
            .sum();
        let limit = self.share.most.saturating_sub(set_aside);
        if let Err(error) = self.share.bank.set_limit(self.host.sys(), limit) {
            log::warn!("{}", Failure::of("limiting what users may hold", error));
        }
    }

    /// Finds out whether users leave enough for another one to start.
    ///
    /// # Errors
    /// They don't.
    pub(crate) fn has_room(&self, plan: &Plan) -> Result<(), Failure> {
        let what = "making its bank";
        let usage = self.share.bank.usage(self.host.sys()).trying(what)?;
        let left = usage.limit.saturating_sub(held(usage));
        // With the bank's record.
        let needed = plan.least + 1;
        if left >= needed {
            return Ok(());
        }
        let why = format!(
            "there is no room for it: at least {needed} pages are needed, and users left {left} of \
             the {} that they may hold together",
            usage.limit
        );
        Err(Failure::new(what, why).advise("give the machine more memory, or revoke a user"))
    }

    /// Makes a user's bank.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn make_user_bank(&self, plan: &Plan, bank: Cap<Bank>) -> Result<(), Failure> {
        self.has_room(plan)?;
        let (sys, share) = (self.host.sys(), self.share.bank);
        share
            .sub_bank(sys, plan.limit, false, bank)
            .map(drop)
            .map_err(|error| Failure::buying(sys, share, "making its bank", error))
    }
}

/// Objects that a bank and those under it hold.
fn held(usage: Usage) -> u64 {
    usage.bought + usage.limbo
}
