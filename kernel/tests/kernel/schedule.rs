//! Who runs, against a model: fixed priorities, round robin among equals.

use std::collections::VecDeque;

use abi::error::{EINVAL, OK};
use abi::invoke::Op;
use proptest::prelude::*;
use sim::machine::FREQUENCY;
use sim::parties::{Parties, Party, registers};
use sys::{Cap, Message};

use crate::common::*;

const ALL: usize = 5;
/// Priorities that they have: above init's and spacebank's.
const LOWEST: u8 = 61;
const PRIORITIES: u8 = 3;
/// How long a turn is.
const SLICE: u64 = FREQUENCY / 100;

/// Slot of the n-th party's `Notify`, and of its process.
fn notify_slot(n: usize) -> u16 {
    FREE + n as u16
}

fn process_slot(n: usize) -> u16 {
    FREE + (ALL + n) as u16
}

/// What the scheduler should do.
struct Model {
    queues: Vec<VecDeque<usize>>,
    priority: [u8; ALL],
    waiting: [bool; ALL],
    told: [bool; ALL],
    current: Option<usize>,
    /// Whose the turn of each priority is, and when it ends.
    turns: [(Option<usize>, u64); PRIORITIES as usize],
    now: u64,
}

impl Model {
    fn ready(&mut self, who: usize) {
        if self.current != Some(who) {
            self.stand_last(who);
        }
    }

    fn stand_last(&mut self, who: usize) {
        let priority = usize::from(self.priority[who]);
        self.queues[priority].push_back(who);
        if self.turns[priority].0 == Some(who) {
            self.turns[priority].0 = None;
        }
    }

    fn leave(&mut self, who: usize) {
        self.queues
            .iter_mut()
            .for_each(|queue| queue.retain(|other| *other != who));
    }

    /// The most urgent runs; who is passed by comes first among its equals.
    fn choose(&mut self) {
        let urgent = self.queues.iter().rposition(|queue| !queue.is_empty());
        let goes_on = self.current.filter(|who| !self.waiting[*who]);
        match (goes_on, urgent) {
            (Some(who), Some(urgent)) if urgent <= usize::from(self.priority[who]) => {}
            (Some(_), None) => {}
            (Some(who), Some(_)) => {
                self.queues[usize::from(self.priority[who])].push_front(who);
                self.next();
            }
            (None, _) => self.next(),
        }
    }

    fn next(&mut self) {
        self.current = None;
        let Some(urgent) = self.queues.iter().rposition(|queue| !queue.is_empty()) else {
            return;
        };
        let mut next = self.queues[urgent].pop_front().expect("it is not empty");
        let (holder, end) = self.turns[urgent];
        if holder != Some(next) || self.now >= end {
            if holder == Some(next) {
                self.stand_last(next);
                next = self.queues[urgent].pop_front().expect("it was put there");
            }
            self.turns[urgent] = (Some(next), self.now + SLICE);
        }
        self.current = Some(next);
    }

    /// One who waited, and is more urgent than the one who runs and all that are ready, runs at once,
    /// within the turn that is.
    fn woken_directly(&mut self, whom: usize) -> bool {
        let Some(who) = self.current else {
            return false;
        };
        let priority = usize::from(self.priority[whom]);
        let passed_by = usize::from(self.priority[who]);
        let all_below = self.queues[priority + 1..].iter().all(VecDeque::is_empty);
        let directly = priority > passed_by && all_below;
        if directly {
            self.queues[passed_by].push_front(who);
            self.current = Some(whom);
        }
        directly
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The one who runs gives up its turn.
    Yield,
    /// The one who runs waits.
    Wait,
    /// The one who runs notifies another.
    Notify(usize),
    /// The one who runs sets another's priority.
    Priority(usize, u8),
    /// The timer fires after the turn is over.
    Tick,
    /// An interrupt that changes nothing.
    Interrupt,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Yield),
        2 => Just(Step::Wait),
        4 => (0..ALL).prop_map(Step::Notify),
        2 => (0..ALL, 0..PRIORITIES).prop_map(|(who, priority)| Step::Priority(who, priority)),
        2 => Just(Step::Tick),
        1 => Just(Step::Interrupt),
    ]
}

fn setting() -> (Parties, Vec<Party>) {
    let parties = Parties::new();
    parties.audit_each_step(false);
    let all: Vec<Party> = (0..ALL).map(|_| parties.spawn()).collect();
    for party in &all {
        // They may have any priority here.
        parties.process(*party).ceiling.set(63);
    }
    for holder in &all {
        for (n, party) in all.iter().enumerate() {
            notify_of(&parties, *party, 0, *holder, notify_slot(n));
            parties.give(
                *holder,
                process_slot(n),
                party.oid(),
                abi::cap::Rights::FULL,
            );
        }
    }
    (parties, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]

    #[test]
    fn the_scheduler_is_that_of_a_model(steps in prop::collection::vec(step(), 1..120)) {
        let (parties, all) = setting();
        // The first raises itself above the bank, then the others; all are in one queue then.
        parties.run(all[0]);
        for n in 0..ALL {
            let process: Cap<sys::object::Process> = cap(process_slot(n));
            process.set_priority(&parties.sys(all[0]), LOWEST).expect("in range");
        }
        let mut model = Model {
            queues: vec![VecDeque::new(); usize::from(PRIORITIES)],
            priority: [0; ALL],
            waiting: [false; ALL],
            told: [false; ALL],
            current: Some(0),
            turns: [(None, 0); PRIORITIES as usize],
            now: parties.machine().now(),
        };
        (1..ALL).for_each(|who| model.ready(who));
        let oid = |who: usize| all[who].oid();
        for step in steps {
            let runs = parties.processor.current().map(|process| process.oid.get());
            let Some(who) = model.current else {
                // Nobody of them: the bank runs, which is less urgent, and ends the game.
                prop_assert_eq!(runs, Some(parties.bank().oid()));
                break;
            };
            prop_assert_eq!(runs, Some(oid(who)));
            model.now = parties.machine().now();
            match step {
                Step::Yield => {
                    parties.processor.system_call(registers(Op::Yield, OK, 0, &Message::default()));
                    model.stand_last(who);
                    model.next();
                }
                Step::Wait => {
                    parties.processor.system_call(registers(Op::Wait, OK, 0, &Message::default()));
                    if !std::mem::take(&mut model.told[who]) {
                        model.waiting[who] = true;
                        model.current = None;
                    }
                    model.choose();
                }
                Step::Notify(whom) => {
                    let signal = registers(Op::Send, OK, notify_slot(whom), &Message::default());
                    parties.processor.system_call(signal);
                    if std::mem::take(&mut model.waiting[whom]) {
                        if model.woken_directly(whom) {
                            continue;
                        }
                        model.ready(whom);
                    } else {
                        model.told[whom] = true;
                    }
                    model.choose();
                }
                Step::Priority(whom, priority) => {
                    let words = [abi::method::process::SET_PRIORITY, u64::from(LOWEST + priority)];
                    let set = sim::parties::call(process_slot(whom), &Message::new(&words));
                    parties.processor.system_call(set);
                    let ready = !model.waiting[whom] && whom != who;
                    if ready {
                        model.leave(whom);
                    }
                    model.priority[whom] = priority;
                    if ready {
                        model.ready(whom);
                    }
                    model.choose();
                }
                Step::Tick => {
                    parties.machine().advance(FREQUENCY / 50);
                    parties.machine().take_alarm();
                    parties.processor.tick();
                    model.now = parties.machine().now();
                    model.stand_last(who);
                    model.next();
                }
                Step::Interrupt => {
                    parties.processor.interrupt(None);
                    model.choose();
                }
            }
            parties.check_tables();
        }
    }
}

#[test]
fn equals_get_their_turn_when_a_slice_is_over_and_not_before() {
    let (parties, all) = setting();
    parties.run(all[0]);
    let runs = || parties.processor.current().map(|process| process.oid.get());
    parties.machine().advance(FREQUENCY / 1000);
    parties.processor.tick();
    assert_eq!(runs(), Some(all[0].oid()), "a tick within the slice");
    assert!(
        parties.machine().alarm() < u64::MAX,
        "the slice's end is waited for"
    );
    parties.machine().advance(FREQUENCY / 100);
    parties.processor.tick();
    assert_ne!(runs(), Some(all[0].oid()));
}

#[test]
fn time_is_charged_to_who_uses_it() {
    let (parties, all) = setting();
    let cycles = |party: Party| {
        let info = PROCESS.info(&parties.sys(party)).expect("its own process");
        info.cycles
    };
    let before = (cycles(all[0]), cycles(all[1]));
    parties.run(all[0]);
    parties.machine().advance(5_000_000);
    let after = (cycles(all[0]), cycles(all[1]));
    assert!(after.0 - before.0 >= 5_000_000);
    assert!(after.1 - before.1 < 1_000_000);
}

#[test]
fn priorities_are_bounded() {
    let (parties, all) = setting();
    let sys = parties.sys(all[0]);
    assert_eq!(PROCESS.set_priority(&sys, 64), Err(error(EINVAL)));
    assert_eq!(PROCESS.set_priority(&sys, 255), Err(error(EINVAL)));
    PROCESS.set_priority(&sys, 63).expect("in range");
}

/// Two equals, of which the first runs, and one who is more urgent and waits.
fn rivals(parties: &Parties, all: &[Party]) -> (Party, Party, Party) {
    for other in &all[2..] {
        parties.begin(*other, registers(Op::Wait, OK, 0, &Message::default()));
    }
    parties.run(all[0]);
    for (n, priority) in [(2, 63), (0, 62), (1, 62)] {
        let process: Cap<sys::object::Process> = cap(process_slot(n));
        process
            .set_priority(&parties.sys(all[0]), priority)
            .expect("in range");
    }
    (all[0], all[1], all[2])
}

fn runs(parties: &Parties, party: Party) -> bool {
    let current = parties.processor.current();
    current.map(|process| process.oid.get()) == Some(party.oid())
}

/// Whoever runs executes `syscall`.
fn execute(parties: &Parties, op: Op, address: u16) {
    let registers = registers(op, OK, address, &Message::default());
    parties.processor.system_call(registers);
}

#[test]
fn who_is_interrupted_again_and_again_gets_no_new_turn_while_equals_wait() {
    let (parties, all) = setting();
    let (a, b, urgent) = rivals(&parties, &all);
    let mut rounds = 0;
    while !runs(&parties, b) {
        rounds += 1;
        assert!(rounds < 20, "the other gets no turn");
        assert!(runs(&parties, a));
        // Less than a turn passes, then it has itself interrupted.
        parties.machine().advance(FREQUENCY / 500);
        execute(&parties, Op::Send, notify_slot(2));
        assert!(runs(&parties, urgent));
        execute(&parties, Op::Wait, 0);
    }
    assert!(rounds >= 4, "it was its turn until then");
}

#[test]
fn who_calls_and_is_answered_passes_no_equal_by_for_more_than_a_turn() {
    for capabilities in [0, 1] {
        let (parties, all) = setting();
        let start = FREE + 30;
        start_of(&parties, all[2], 1, all[0], start);
        let (a, b, server) = rivals(&parties, &all);
        let mut rounds = 0;
        while !runs(&parties, b) {
            rounds += 1;
            assert!(rounds < 20, "the other gets no turn");
            assert!(runs(&parties, a));
            parties.machine().advance(FREQUENCY / 500);
            // With a capability the call goes the long way.
            let sent = &[abi::boot::slot::ROOT; 1][..capabilities];
            let message = Message::new(&[1]).with_caps(sent);
            let call = sim::parties::call(start, &message);
            parties.processor.system_call(call);
            assert!(runs(&parties, server));
            execute(&parties, Op::ReplyWait, 0);
        }
    }
}

#[test]
fn a_turn_ends_for_who_was_answered_directly_after_an_equal_became_ready() {
    let (parties, all) = setting();
    let (start, notify) = (FREE + 30, FREE + 31);
    start_of(&parties, all[2], 1, all[0], start);
    notify_of(&parties, all[1], 0, all[2], notify);
    let (a, b, server) = rivals(&parties, &all);
    // The other waits: there is nobody to take turns with, and nothing to end one.
    execute(&parties, Op::Yield, 0);
    assert!(runs(&parties, b));
    execute(&parties, Op::Wait, 0);
    assert!(runs(&parties, a));
    parties.machine().advance(FREQUENCY);
    parties.machine().take_alarm();
    execute(&parties, Op::Call, start);
    assert!(runs(&parties, server));
    execute(&parties, Op::Send, notify);
    execute(&parties, Op::ReplyWait, 0);
    if !runs(&parties, b) {
        let latest = parties.machine().now() + FREQUENCY / 100;
        assert!(parties.machine().alarm() <= latest, "nothing ends the turn");
    }
}
