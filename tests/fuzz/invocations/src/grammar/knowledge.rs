//! What a process learns of its slots by what comes of its invocations.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, NONE};
use abi::error::{OK, Status, VOID};
use abi::invoke::unpack;
use abi::method::cap_table;
use sys::bank::method as bank;

use super::Grammar;
use crate::invocation::Invocation;
use crate::methods::Method;
use crate::plans::Plan;
use crate::slots::{NEST, ROOTS, Slots, What, is_bank};

impl Grammar {
    /// What came of an invocation: the status, the words, and the mask of what was received.
    pub fn learn(&mut self, done: &Invocation, status: Status, words: &[u64; 6], received: u8) {
        let target = done.target as CapAddr;
        if received & 1 != 0 {
            let what = if done.gives == 0 {
                Kind::Start as u8
            } else {
                done.gives
            };
            self.slots.set(unpack(done.receive)[0], what);
        }
        if status != OK {
            // A plan that fails is given up.
            self.plan = Plan::default();
            if status == VOID {
                self.slots.set(target, 0);
            }
            return;
        }
        if target == slot::ROOT || target == NEST {
            self.learn_slots(target, &done.words, unpack(done.send)[0], words);
        } else if is_bank(self.slots.at(target)) && done.words[0] == bank::BUY {
            self.learn_bought(&done.words, unpack(done.send)[0]);
        }
    }

    fn learn_slots(&mut self, table: CapAddr, asked: &[u64; 6], sent: CapAddr, said: &[u64; 6]) {
        let [method, first, second, ..] = *asked;
        let at = |slot: u64| Grammar::in_table(table, slot);
        match method {
            cap_table::PUT => {
                let what = self.slots.at(sent);
                self.slots.set(at(first), what);
            }
            cap_table::CLEAR => {
                for slot in first..first.saturating_add(second).min(ROOTS as u64) {
                    self.slots.set(at(slot), 0);
                }
            }
            cap_table::MOVE => {
                let what = self.slots.at(at(first));
                self.slots.set(at(first), 0);
                self.slots.set(at(second), what);
            }
            cap_table::DESCRIBE => {
                let known = self.slots.at(at(first));
                let bank = is_bank(known) && said[0] == Kind::Start as u64;
                if !bank {
                    self.slots.set(at(first), said[0] as What);
                }
            }
            _ => {}
        }
    }

    fn learn_bought(&mut self, asked: &[u64; 6], into: CapAddr) {
        let [_, kind, count, first, ..] = *asked;
        if into == slot::ROOT || into == NEST {
            for slot in first..first.saturating_add(count).min(ROOTS as u64) {
                self.slots.set(Grammar::in_table(into, slot), kind as What);
            }
        }
    }

    /// The address of a slot of a table that is kept track of; none beyond what is.
    fn in_table(table: CapAddr, slot: u64) -> CapAddr {
        match (table, slot < ROOTS as u64) {
            (slot::ROOT, true) => slot as CapAddr,
            (NEST, true) => Slots::address(ROOTS + slot as usize),
            _ => NONE,
        }
    }

    /// What comes back of a call, as far as one can say before.
    pub(super) fn gives(&self, method: &Method, target: CapAddr, words: &[u64; 6]) -> What {
        let what = self.slots.at(target);
        match method.number {
            cap_table::GET if what == Kind::CapTable as u8 => {
                self.slots.at(Grammar::in_table(target, words[1]))
            }
            // Of the same bank.
            bank::RESTRICT if is_bank(what) => what,
            _ => method.gives,
        }
    }
}
