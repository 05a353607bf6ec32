//! Users' ports: made, handed over, lost with a driver, removed.

use abi::cap::Rights;
use sys::Cap;
use sys::object::CapTable;

use super::{Init, Work};
use crate::failure::{Failure, Trying};
use crate::host::Host;
use crate::launch::clear;
use crate::port_bank;
use crate::stack::{PORT_BANK_SLOT, PORT_SLOT};
use crate::user::{Member, Phase, PortHeld};

impl<H: Host> Init<'_, H> {
    /// A user's port died with the driver. Its stack goes on: connections live there, and it attaches
    /// again as soon as it finds a new port where the old one was.
    pub(super) fn port_is_lost(&mut self, number: usize) {
        let host = self.host;
        if self.members.take_port(number).is_none() {
            return;
        }
        let Some(member) = self.members.get(number) else {
            return;
        };
        let slots = member.slots;
        for slot in [
            slots.port.address(),
            slots.aperture.address(),
            slots.window.address(),
        ] {
            clear(host, slot);
        }
        if matches!(member.phase, Phase::Running { .. }) {
            self.add_work(Work::EmptySession(number));
        }
    }

    /// Makes a user's port, if it has none.
    ///
    /// # Errors
    /// What was being done, and why it could not be.
    pub(crate) fn make_port(&mut self, number: usize) -> Result<(), Failure> {
        let Some(member) = self.members.get_mut(number) else {
            return Ok(());
        };
        if member.port.is_some() {
            return Ok(());
        }
        let (slots, reserve) = (member.slots, member.plan.reserve);
        let port = self
            .driver
            .add_port(self.host, &member.user, reserve, &slots)?;
        let held = PortHeld {
            number: port,
            reserve,
        };
        // Whoever had this number and is being removed has no port any more, and must not take this one
        // along.
        if let Some(other) = self.members.give_port(number, held) {
            self.port_is_removed(other);
        }
        Ok(())
    }

    /// A user's port is gone: what was bought for it comes back.
    pub(crate) fn port_is_removed(&mut self, number: usize) {
        if let Some(port) = self.members.take_port(number)
            && let Some(member) = self.members.get(number)
            && self.driver.is_running()
        {
            self.driver
                .finish_remove_port(self.host, &member.user, port.reserve, &member.slots);
        }
    }

    /// Makes a port for a user whose stack goes on, and puts it where the stack looks for it.
    pub(crate) fn give_port(&mut self, number: usize) -> bool {
        let waits =
            |member: &Member| waits_for_driver((number, member)) == Some(Work::GivePort(number));
        if !self.driver.is_running() || !self.members.get(number).is_some_and(waits) {
            return false;
        }
        let put = self
            .make_port(number)
            .and_then(|()| self.hand_over_port(number));
        if let Err(failure) = put {
            log::error!("{}", failure.during(self.whole(number)));
            self.restart_later(number);
        }
        false
    }

    /// Puts a new port, and the bank to offer, where whoever attaches to it looks for them.
    fn hand_over_port(&mut self, number: usize) -> Result<(), Failure> {
        let Some(member) = self.members.get(number) else {
            return Ok(());
        };
        // The stack's own is the copier's for life.
        let (held, bank_slot) = match member.user.copier {
            true => (member.slots.copier, ::copier::grant::PORT_BANK.address()),
            false => (member.slots.held, PORT_BANK_SLOT),
        };
        let (host, sys) = (self.host, self.host.sys());
        let root: Cap<CapTable> = Cap::at(held.root);
        let port = member.slots.port.address();
        // The bank first: whoever finds the port attaches at once.
        self.launcher
            .lend(host, member.driver_bank().1, port_bank::RIGHTS)
            .and_then(|bank| root.put(sys, bank_slot, bank, Rights::FULL))
            .trying("handing it the bank for its port")?;
        root.put(sys, PORT_SLOT, port, Rights::FULL)
            .trying("handing it its port")
    }
}

/// What has to be done for a user when there is a driver again.
pub(super) fn waits_for_driver((number, member): (usize, &Member)) -> Option<Work> {
    match member.phase {
        Phase::Starting => Some(Work::BringUp(number)),
        Phase::Running { .. } if member.port.is_none() => Some(Work::GivePort(number)),
        _ => None,
    }
}
