//! The next thing that a hostile process does.
//!
//! - `arguments`: what goes with an invocation; `last`: those that it seldom dares to make;
//! - `knowledge`: what it makes of what came of one.

mod arguments;
mod knowledge;
mod last;

use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, NONE};
use abi::invoke::{Op, pack};
use abi::method::cap_table;

use crate::invocation::{Action, Invocation};
use crate::methods::methods;
use crate::plans::Plan;
use crate::sequence::Sequence;
use crate::slots::{BANK, NEST, ROOTS, Slots, What};

/// How a process is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Where processes begin that it makes.
    pub entry: u64,
    /// Once in so many it does what may be the last that it does: takes its own memory or bank away,
    /// or waits for what may never come. Never for 0.
    pub last: u32,
}

/// Bytes at the start of the message page that it uses for batches.
pub const BATCH: usize = 1024;
/// Where it has the `Start` of a server that answers, if it has been granted one.
pub const SERVER: CapAddr = slot::GRANT;
/// The first of the slots that it moves about as it likes.
const FREE: u16 = slot::FREE;

/// A process's mind.
pub struct Grammar {
    pub(crate) sequence: Sequence,
    pub(crate) slots: Slots,
    pub(crate) manner: Manner,
    plan: Plan,
}

impl Grammar {
    /// A mind that begins with these capabilities. Slots of its own and services it knows.
    pub fn new(seed: u64, manner: Manner, granted: &[(CapAddr, What)]) -> Grammar {
        let mut slots = Slots::new();
        let own = [
            (slot::ROOT, Kind::CapTable as u8),
            (slot::PROCESS, Kind::Process as u8),
            (slot::SPACE, Kind::Table2 as u8),
            (slot::BANK, BANK),
            (slot::LOG, Kind::Log as u8),
            (slot::CLOCK, Kind::Clock as u8),
            (slot::RANDOM, Kind::Random as u8),
            (slot::MESSAGE, Kind::Page as u8),
        ];
        for (address, what) in own.iter().chain(granted) {
            slots.set(*address, *what);
        }
        Grammar {
            sequence: Sequence::new(seed),
            slots,
            manner,
            plan: Plan::default(),
        }
    }

    /// What it does next. What comes of an invocation goes to [`Grammar::learn`].
    pub fn act(&mut self) -> Action {
        if let Some(next) = self.plan.step() {
            return Action::Invoke(next);
        }
        match self.sequence.below(64) {
            0..=2 => self.store(),
            3 => {
                self.plan = Plan::make(self);
                Action::Invoke(self.plan.step().unwrap_or_else(|| self.look()))
            }
            4 | 5 => Action::Invoke(self.wild()),
            6..=8 => Action::Invoke(self.look()),
            9 => Action::Invoke(self.other()),
            10 => self.touch(),
            _ => Action::Invoke(self.guided()),
        }
    }

    fn store(&mut self) -> Action {
        let s = &mut self.sequence;
        let offset = 8 * s.below(BATCH as u32 / 8) as usize;
        // Small numbers in all four quarters: slots and places, or objects that it may not name.
        let word = match s.below(4) {
            0 => s.wild(),
            _ => (0..4).fold(0, |word, _| word << 16 | u64::from(s.below(12))),
        };
        Action::Store { offset, word }
    }

    fn touch(&mut self) -> Action {
        let s = &mut self.sequence;
        let base = match s.below(8) {
            0 => s.word(),
            1 => layout::START,
            2 => layout::IMAGE,
            _ => layout::SHARED + (u64::from(s.below(8)) << 21),
        };
        let address = base.wrapping_add(u64::from(s.below(16)) << 12) & !7;
        let write = s.one_in(2);
        Action::Touch { address, write }
    }

    /// Looks at one of its slots.
    pub(crate) fn look(&mut self) -> Invocation {
        let slot = u64::from(self.sequence.below(ROOTS as u32));
        let table = if self.sequence.one_in(3) {
            NEST
        } else {
            slot::ROOT
        };
        Invocation::call(table, &[cap_table::DESCRIBE, slot], [0; 4])
    }

    /// Any registers.
    fn wild(&mut self) -> Invocation {
        let mut wild = Invocation {
            op: Op::Call as u64,
            target: self.somewhere().into(),
            send: pack([(); 4].map(|()| self.somewhere())),
            receive: pack([(); 4].map(|()| self.spare())),
            ..Invocation::default()
        };
        wild.words = [(); 6].map(|()| self.sequence.wild());
        wild.words[0] = u64::from(self.sequence.below(14));
        match self.sequence.below(8) {
            0 => wild.op = Op::Send as u64,
            1 => {
                wild.op = self.sequence.wild() << 32 | u64::from(self.sequence.below(256));
                wild.target = self.sequence.wild();
            }
            // Who is there may never answer; an object does what it is sent, too.
            _ if self.slots.at(wild.target as CapAddr) == 0 => wild.op = Op::Send as u64,
            _ => {}
        }
        if self.is_last(&wild, wild.words[0]) && !self.dares() {
            wild.op = Op::Null as u64;
        }
        wild
    }

    /// Operations that invoke nothing.
    fn other(&mut self) -> Invocation {
        let ops = [
            Op::Poll,
            Op::Poll,
            Op::SaveCaller,
            Op::Yield,
            Op::Null,
            Op::FaultReturn,
        ];
        let last = [Op::Wait, Op::ReplyWait, Op::FaultDecline];
        let op = match self.dares() {
            true => self.sequence.pick(&last),
            false => self.sequence.pick(&ops),
        };
        Invocation {
            op: op as u64,
            target: self.spare().into(),
            receive: pack([(); 4].map(|()| self.spare())),
            ..Invocation::default()
        }
    }

    /// A method that there is, of something that it has.
    fn guided(&mut self) -> Invocation {
        let Some(target) = self.slots.any(&mut self.sequence) else {
            return self.look();
        };
        let what = self.slots.at(target);
        let method = &methods(what)[self.sequence.below(methods(what).len() as u32) as usize];
        let mut words = [0; 6];
        words[0] = method.number;
        for (to, word) in words[1..].iter_mut().zip(method.words) {
            *to = self.word(*word);
        }
        if self.sequence.one_in(12) {
            let n = 1 + self.sequence.below(5) as usize;
            words[n] = self.sequence.wild();
        }
        let mut send = [NONE; 4];
        for (to, sent) in send.iter_mut().zip(method.sent) {
            *to = self.sent(*sent, what);
        }
        if self.sequence.one_in(12) {
            send[self.sequence.below(4) as usize] = self.somewhere();
        }
        let gives = self.gives(method, target, &words);
        let mut call = Invocation::call(target, &words, send).giving(gives, self.spare());
        if self.sequence.one_in(16) {
            call.op = Op::Send as u64;
        }
        if self.is_last(&call, method.number) && !self.dares() {
            return self.look();
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use abi::error::OK;
    use sys::bank::method as bank;

    use super::*;

    const MANNER: Manner = Manner {
        entry: layout::IMAGE,
        last: 0,
    };

    /// What a process does to which everything succeeds.
    fn actions(seed: u64, count: usize) -> std::vec::Vec<Action> {
        let mut grammar = Grammar::new(seed, MANNER, &[]);
        let act = |_| {
            let action = grammar.act();
            if let Action::Invoke(call) = &action {
                let kind = 1 + call.words[1] % 8;
                grammar.learn(call, OK, &[kind, 0, 0, 0, 0, 0], 1);
            }
            action
        };
        (0..count).map(act).collect()
    }

    #[test]
    fn the_same_seed_does_the_same() {
        assert_eq!(actions(5, 2000), actions(5, 2000));
        assert_ne!(actions(5, 2000), actions(6, 2000));
    }

    #[test]
    fn all_methods_of_storage_and_banks_are_tried() {
        let mut tried = BTreeSet::new();
        for action in actions(1, 200_000) {
            if let Action::Invoke(call) = action {
                tried.insert((call.target.min(u64::from(FREE)), call.words[0]));
            }
        }
        for method in methods(BANK).iter().filter(|method| !method.takes) {
            let known = tried.contains(&(slot::BANK.into(), method.number));
            assert!(known, "bank method {}", method.number);
        }
    }

    #[test]
    fn who_doesnt_dare_goes_on() {
        // It learns nothing, and goes on believing in what it began with.
        let mut grammar = Grammar::new(9, MANNER, &[]);
        for _ in 0..200_000 {
            let Action::Invoke(call) = grammar.act() else {
                continue;
            };
            let op = Op::from_u8(call.op as u8);
            let waits = [Op::Wait, Op::ReplyWait, Op::FaultDecline];
            assert!(!op.is_some_and(|op| waits.contains(&op)), "{call:?}");
            let ends = call.target == u64::from(slot::BANK) && call.words[0] == bank::DESTROY;
            let invokes = matches!(op, Some(Op::Call | Op::Send));
            assert!(!(ends && invokes), "{call:?}");
        }
    }
}
