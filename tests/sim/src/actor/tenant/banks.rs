//! What a tenant does with banks: divides its own, ends parts of it, and looks whether they count right.

use abi::cap::Rights;
use abi::error::{EAGAIN, EMFILE, ENOENT, EPERM};
use dev::Program as _;
use dev::program::BANK;
use sys::bank::{Bank, BankRights};
use sys::object::Notify;
use sys::{Cap, Error, Event, Sys};

use super::{ENDED, Holding, Tenant, Thing};
use crate::actor::SLEEP;

impl Tenant {
    pub(super) fn divide(&mut self) {
        let Some(slot) = self.slots(1) else { return };
        let bank: Cap<Bank> = Cap::at(slot);
        let opaque = self.below(2) == 0;
        let limit = 4 + self.below(40) as u64;
        match BANK.sub_bank(&self.context, limit, opaque, bank) {
            Ok(_) => self.holdings.push(Holding {
                bank,
                opaque,
                things: Vec::new(),
            }),
            Err(error) => {
                self.expects("dividing", error);
                self.program.give_slot(slot);
            }
        }
    }

    pub(super) fn destroy(&mut self, holding: usize) {
        let Holding { bank, things, .. } = self.holdings.swap_remove(holding);
        self.context.world().count("sub-banks destroyed");
        self.uncounted |= things
            .iter()
            .any(|thing| matches!(thing, Thing::Segment { lent: true, .. }));
        if self.below(3) == 0 {
            let begun = bank.destroy_and_notify(&self.context, Cap::<Notify>::at(self.ended));
            if [EMFILE, EAGAIN]
                .map(|full| Err(Error::new(full)))
                .contains(&begun)
            {
                let done = bank.destroy(&self.context);
                self.claim(done.is_ok(), || format!("destroying: {done:?}"));
            } else {
                self.claim(begun.is_ok(), || format!("beginning to destroy: {begun:?}"));
                self.wait_for_end();
            }
        } else {
            let done = bank.destroy(&self.context);
            self.claim(done.is_ok(), || format!("destroying: {done:?}"));
        }
        let usage = bank.usage(&self.context);
        self.claim(usage == Err(Error::VOID), || {
            format!("a bank that is no more: {usage:?}")
        });
        self.program.give_slot(bank.address());
        things.into_iter().for_each(|thing| self.is_gone(thing));
    }

    /// Waits until the bank that is being destroyed is. Everybody is told within a time.
    fn wait_for_end(&self) {
        let deadline = self.program.now() + 5_000_000_000;
        while !self.context.is_gone() {
            let armed = self.program.arm(self.program.now() + 1_000_000, SLEEP);
            self.claim(armed.is_ok(), || format!("no timer: {armed:?}"));
            if let Event::Notified { group: 0, bits } = self.context.wait([0; 4])
                && bits >> ENDED & 1 != 0
            {
                return;
            }
            self.claim(self.program.now() < deadline, || {
                "a bank doesn't end".to_owned()
            });
        }
    }

    /// A transparent bank's storage becomes its parent's; an opaque one's doesn't.
    pub(super) fn remove(&mut self, holding: usize) {
        let Holding { bank, opaque, .. } = self.holdings[holding];
        let removed = bank.remove(&self.context);
        if opaque {
            let refused = removed == Err(Error::new(EPERM)) || self.context.is_gone();
            return self.claim(refused, || {
                format!("an opaque bank was removed: {removed:?}")
            });
        }
        self.claim(removed.is_ok(), || format!("removing: {removed:?}"));
        let Holding { things, .. } = self.holdings.swap_remove(holding);
        self.context.world().count("sub-banks removed");
        self.program.give_slot(bank.address());
        self.holdings[0].things.extend(things);
    }

    /// Its bank counts what it has, and no more.
    pub(super) fn count(&mut self) {
        let Ok(usage) = BANK.usage(&self.context) else {
            return;
        };
        let things = self.holdings.iter().flat_map(|holding| &holding.things);
        let bought: u64 = things.map(Thing::objects).sum();
        let banks = self.holdings.len() as u64 - 1;
        let known = self.before + bought + banks;
        let within = usage.bought + usage.limbo <= usage.limit;
        self.claim(within, || format!("beyond the limit: {usage:?}"));
        // Tables for slots come and stay.
        let slack = usage.bought.saturating_sub(known);
        self.claim(
            self.uncounted || (usage.bought >= known && slack <= 64),
            || format!("it has {known} objects, and its bank counts {usage:?}"),
        );
        self.claim(usage.children == banks, || {
            format!("it has {banks} banks, and its bank counts {usage:?}")
        });
    }

    /// Goes through what a bank shows of what it sold.
    pub(super) fn look(&mut self, holding: usize) {
        let Holding { bank, opaque, .. } = self.holdings[holding];
        let Some(slot) = self.slots(1) else { return };
        let mut cursor = 0;
        for _ in 0..4 {
            match bank.inspect(&self.context, cursor, slot) {
                Ok((next, kind)) => {
                    self.claim(!opaque, || "an opaque bank shows what it sold".to_owned());
                    let described = dev::program::describe(&self.program, slot);
                    let same =
                        described.is_ok_and(|(is, rights)| is == kind && rights == Rights::FULL);
                    self.claim(same || self.context.is_gone(), || {
                        format!("inspection shows {kind}, and gives {described:?}")
                    });
                    cursor = next;
                    if next == 0 {
                        break;
                    }
                }
                Err(error) => {
                    let expected = if opaque { EPERM } else { ENOENT };
                    let expected = error.is(expected) || self.context.is_gone();
                    self.claim(expected, || format!("inspecting: {error}"));
                    break;
                }
            }
        }
        self.program.give_slot(slot);
    }

    /// A weaker capability to a bank does less.
    pub(super) fn restrict(&mut self, holding: usize) {
        let bank = self.holdings[holding].bank;
        let Some(slot) = self.slots(1) else { return };
        let weak: Cap<Bank> = Cap::at(slot);
        if bank
            .restrict(&self.context, BankRights::INSPECT, weak)
            .is_ok()
        {
            let destroyed = weak.destroy(&self.context);
            let refused = destroyed == Err(Error::new(EPERM)) || self.context.is_gone();
            self.claim(refused, || {
                format!("destroyed without the right: {destroyed:?}")
            });
            let again = weak.restrict(&self.context, BankRights::BUY, weak);
            self.claim(again.is_err(), || "a bank gained a right".to_owned());
        }
        self.program.give_slot(slot);
    }
}
