//! The next thing that a hostile process does.

use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, NONE, Rights};
use abi::error::{OK, Status, VOID};
use abi::invoke::{Op, pack, unpack};
use abi::method::cap_table;
use sys::bank::method as bank;

use crate::methods::{Method, Sent, Word, methods};
use crate::plans::Plan;
use crate::sequence::Sequence;
use crate::slots::{BANK, CHILD, NEST, ROOTS, Slots, TRACKED, What, is_bank};

/// A system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Operation, and the status to reply with from bit 32 on.
    pub op: u64,
    /// The capability's address.
    pub target: u64,
    /// Words.
    pub words: [u64; 6],
    /// Addresses of the capabilities sent.
    pub send: u64,
    /// Addresses to receive into.
    pub receive: u64,
    /// What comes back first, if it succeeds; 0 for nothing known.
    pub gives: What,
}

impl Invocation {
    /// A call of a method.
    pub fn call(target: CapAddr, words: &[u64], send: [CapAddr; 4]) -> Invocation {
        let mut all = [0; 6];
        for (to, from) in all.iter_mut().zip(words) {
            *to = *from;
        }
        Invocation {
            op: Op::Call as u64,
            target: target.into(),
            words: all,
            send: pack(send),
            ..Invocation::default()
        }
    }

    /// The same, with a place for what comes back.
    pub fn giving(mut self, what: What, into: CapAddr) -> Invocation {
        self.receive = pack([into, 0, 0, 0]);
        self.gives = what;
        self
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It invokes.
    Invoke(Invocation),
    /// It writes a word into its message page, where batches lie.
    Store {
        /// Where, in bytes; a multiple of 8.
        offset: usize,
        /// What.
        word: u64,
    },
    /// It reads or writes an address at which nothing need be.
    Touch {
        /// The address, a multiple of 8.
        address: u64,
        /// Whether it writes.
        write: bool,
    },
}

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

    /// A slot for what comes: mostly one of its own.
    pub(crate) fn spare(&mut self) -> CapAddr {
        let all = (TRACKED - usize::from(FREE)) as u32;
        let place = usize::from(FREE) + self.sequence.below(all) as usize;
        match Slots::address(place) {
            NEST => FREE,
            address => address,
        }
    }

    /// An address that may hold anything, or not be one.
    fn somewhere(&mut self) -> CapAddr {
        match self.sequence.below(8) {
            0 => self.inside(),
            1 => NONE,
            2 => self.sequence.below(TRACKED as u32) as CapAddr,
            _ => self.slots.any(&mut self.sequence).unwrap_or(NONE),
        }
    }

    /// An address inside of a table: one of those that it has, or one that isn't there.
    fn inside(&mut self) -> CapAddr {
        let table = self.slots.pick(Kind::CapTable as u8, &mut self.sequence);
        match table.filter(|_| self.sequence.one_in(2)) {
            Some(table) => table << 7 | self.sequence.below(40) as CapAddr,
            None => self.sequence.word() as CapAddr,
        }
    }

    /// Whether it may do now what can be its last.
    pub(crate) fn dares(&mut self) -> bool {
        let last = self.manner.last;
        self.sequence.one_in(last)
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

    /// What comes back of a call, as far as one can say before.
    fn gives(&self, method: &Method, target: CapAddr, words: &[u64; 6]) -> What {
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

    /// Whether an invocation may be the last that the process makes: it takes away what it runs on, or
    /// waits for who may never answer.
    fn is_last(&self, call: &Invocation, method: u64) -> bool {
        let op = call.op as u8;
        if op != Op::Call as u8 && op != Op::Send as u8 {
            return matches!(
                Op::from_u8(op),
                Some(Op::Wait | Op::ReplyWait | Op::FaultDecline)
            );
        }
        let Ok(target) = u16::try_from(call.target) else {
            return false;
        };
        let what = self.slots.at(target);
        let takes = methods(what)
            .iter()
            .any(|known| known.number == method && known.takes);
        match what {
            // Its own table: slots of its own it may overwrite.
            _ if target == slot::ROOT && takes => {
                let [_, first, second, ..] = call.words;
                let moves = method == cap_table::MOVE;
                first < FREE.into() || moves && second < FREE.into()
            }
            _ if target < FREE && target != slot::MESSAGE => takes,
            BANK => takes,
            CHILD => false,
            // Only banks and the server are known to answer.
            _ if what == Kind::Start as u8 => op == Op::Call as u8 && target != SERVER,
            _ if what == 0 => false,
            _ => takes && (what == Kind::Table2 as u8 || what == Kind::Process as u8),
        }
    }

    /// What is to go with an invocation.
    fn sent(&mut self, sent: Sent, invoked: What) -> CapAddr {
        let into = [
            Kind::CapTable as u8,
            Kind::Table1 as u8,
            Kind::Table1 as u8,
            Kind::Table2 as u8,
        ];
        let what = match sent {
            Sent::A(kind) => kind as What,
            Sent::Bank => BANK,
            Sent::Into => self.sequence.pick(&into),
            // The number below a table's is the one of what goes into it.
            Sent::Below => invoked.saturating_sub(1),
            Sent::Any => return self.somewhere(),
        };
        match self.slots.pick(what, &mut self.sequence) {
            Some(address) => address,
            None => self.somewhere(),
        }
    }

    fn word(&mut self, word: Word) -> u64 {
        const MEMORY: [Rights; 4] = [
            Rights::READ,
            Rights::READ.union(Rights::WRITE),
            Rights::READ.union(Rights::WRITE),
            Rights::READ.union(Rights::EXEC),
        ];
        let s = &mut self.sequence;
        u64::from(match word {
            Word::Offset => 8 * s.below(512),
            Word::Batch => 16 * s.below(BATCH as u32 / 32),
            Word::Mapping => s.pick(&MEMORY).bits().into(),
            Word::Rights => match s.below(3) {
                0 => s.below(256),
                1 => 0xff & !(1 << s.below(8)),
                _ => 0xff,
            },
            Word::Place => match s.below(4) {
                0 => s.below(512),
                _ => s.below(12),
            },
            Word::Slot => match s.below(16) {
                0 => s.below(128),
                _ => u32::from(FREE) + s.below(ROOTS as u32 - u32::from(FREE) - 1),
            },
            Word::Count => {
                let most = 1 << s.below(7);
                1 + s.below(most)
            }
            Word::Address => return self.address(),
            Word::Priority => s.below(24),
            Word::Bit => match s.below(3) {
                0 => s.below(4096),
                _ => s.below(64),
            },
            Word::Direction => s.below(4),
            // Pages and segments are what most is made of.
            Word::Storage => match s.below(3) {
                0 => 1 + s.below(2),
                _ => 1 + s.below(8),
            },
            Word::Small => s.below(4),
            Word::Any => return s.wild(),
        })
    }

    /// A user's address.
    fn address(&mut self) -> u64 {
        let s = &mut self.sequence;
        match s.below(4) {
            0 => s.wild() & !7,
            1 => self.manner.entry,
            _ => layout::IMAGE + 8 * u64::from(s.below(2048)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
