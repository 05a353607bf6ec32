//! Whole users come and go, thousands of times: bank, port, stack, session, traffic, and the bank's
//! destruction in the middle of that. After each cycle there must be of everything what there was
//! before: objects, capabilities, pins, spacebank's records, what the driver holds.

use std::rc::Rc;

use dev::program::BANK;
use sys::bank::Usage;

use super::{Init, WIRE, world_of};
use crate::account::Account;
use crate::actor::sleep;
use crate::actor::stack::Manner;
use crate::checks::Check;
use crate::heap;
use crate::world::{Settings, World};

/// Cycles with everybody at once, before anything is compared: what only grows to its size does.
const GROWING: u64 = 6;
/// Turns of init's between the beginning of a user and its end, at most.
const TURNS: u64 = 6;
/// Milliseconds within which everything is back.
const PATIENCE: u32 = 200;
/// Pieces of the host's heap that a simulation may take more of after its first cycles: its trace
/// fills up, its maps grow.
const GROWTH: i64 = 2_000;

/// A world with this scenario in it.
pub fn world(settings: Settings) -> Rc<World> {
    world_of(settings, Init::account)
}

impl Init {
    /// Cycles until the steps are used up, but for what it takes to end.
    fn account(&mut self) {
        let world = self.context.world().clone();
        let end = world.settings().steps * 9 / 10;
        let mut before = None;
        let mut pieces = None;
        let mut cycles = 0;
        while !self.context.is_gone() && world.steps() < end {
            let grown = cycles >= GROWING;
            if grown && before.is_none() {
                before = Some((self.reckon(), Account::particulars(&world)));
                pieces = heap::pieces();
            }
            self.cycle(!grown);
            cycles += 1;
            let after = self.reckon();
            if let Some((before, particulars)) = &before {
                world.checks.count(Check::Cycle);
                self.context.claim(after == *before, || {
                    let now = Account::particulars(&world);
                    let came: Vec<&String> = now.difference(particulars).collect();
                    let went: Vec<&String> = particulars.difference(&now).collect();
                    format!(
                        "cycle {cycles} left something:\nbefore: {before}\nafter: {after}\n\
                         came: {came:?}\nwent: {went:?}"
                    )
                });
            }
        }
        if let (Some(before), Some(after)) = (pieces, heap::pieces()) {
            let grown = after - before;
            self.context.claim(grown < GROWTH.max(cycles as i64), || {
                format!("{cycles} cycles took {grown} pieces of the host's heap and kept them")
            });
        }
        self.end();
    }

    /// Users come, do what they do, and lose everything in the middle of it.
    fn cycle(&mut self, all: bool) {
        let world = self.context.world().clone();
        let all_users = (0..self.users.len()).filter(|n| world.settings().has(*n));
        let mut who: Vec<usize> = all_users.filter(|_| all || self.dice().one_in(2)).collect();
        self.setting.card.set_talks(world.settings().has(WIRE));
        for n in &who {
            self.bring_up(*n);
            world.count("users who came and went");
            if self.dice().one_in(3) {
                self.pause();
            }
        }
        for _ in 0..self.dice().below(TURNS + 1) {
            self.pause();
            if let Some(n) = who.first().copied() {
                let steady = self.users[n].manner == Manner::Steady;
                match self.dice().below(8) {
                    0 if !steady => self.destroy_session(n),
                    1 => self.switch(n),
                    _ => {}
                }
            }
            self.dice().shuffle(&mut who);
        }
        for n in who {
            self.take_back(n);
        }
        self.setting.card.set_talks(false);
    }

    /// What there is of everything, as soon as nothing is on its way back any more.
    fn reckon(&self) -> Account {
        let world = self.context.world();
        world.accounts.wanted.set(true);
        // What the device has of who is gone comes back when it has filled it.
        self.setting.card.set_strays(true);
        let all_back = |usage: Usage| usage.limbo == 0;
        let mut account = Account::default();
        for _ in 0..PATIENCE {
            let usage = BANK.usage(&self.context);
            // The driver says what it holds before each round: whoever was answered knows that one has
            // begun since the last.
            for _ in 0..2 {
                let _ = self.admin.inspect(&self.context, u64::MAX, self.scratch);
            }
            world.accounts.init_slots.set(self.program.taken_slots());
            account = Account::of(world);
            let driver = account.driver;
            let busy =
                driver.sessions + driver.jobs + driver.in_flight + driver.fanouts + driver.slots;
            if usage.is_ok_and(all_back) && busy == 0 || self.context.is_gone() {
                break;
            }
            sleep(&self.program, 1_000_000);
        }
        world.accounts.wanted.set(false);
        self.setting.card.set_strays(false);
        world.look_at_all();
        let all = world.settings().objects;
        self.context.claim(account.adds_up(all), || {
            format!("what is bought, in limbo and free is not all {all}: {account}")
        });
        account.without_stores()
    }
}
