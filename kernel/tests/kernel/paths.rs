//! The direct-switch path of messages and the general one do the same.
//!
//! A message with a capability address that names nothing takes the general path, and means the same
//! as one without. So a sequence of messages is played twice, with and without, and after each step
//! everybody must be in the same state with the same registers.

use abi::error::OK;
use abi::invoke::{Op, pack};
use kernel::process::Registers;
use proptest::prelude::*;
use sim::parties::{Parties, Party, call, registers};
use sys::{Message, Sys};

use crate::common::*;

/// Processes that take part: each has a `Start` of each, with a badge of its own.
const ALL: usize = 3;
/// A slot that is always empty.
const EMPTY: u16 = 100;

fn start_slot(whom: usize) -> u16 {
    FREE + whom as u16
}

fn notify_slot(whom: usize) -> u16 {
    FREE + (ALL + whom) as u16
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call(usize, usize, u64),
    ReplyAndWait(usize, u32, u64),
    Wait(usize),
    Poll(usize),
    Send(usize, usize, u64),
    /// By somebody who never waits.
    Signal(usize),
    SaveCaller(usize),
    ReplyThrough(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..ALL;
    prop_oneof![
        1 => (who.clone(), who.clone(), any::<u64>()).prop_map(|(a, b, w)| Step::Call(a, b, w)),
        8 => (1..ALL, any::<u64>()).prop_map(|(a, w)| Step::Call(a, 0, w)),
        6 => (0u32..9, any::<u64>()).prop_map(|(s, w)| Step::ReplyAndWait(0, s, w)),
        2 => (who.clone(), 0u32..9, any::<u64>()).prop_map(|(a, s, w)| Step::ReplyAndWait(a, s, w)),
        3 => who.clone().prop_map(Step::Wait),
        1 => who.clone().prop_map(Step::Poll),
        2 => (who.clone(), who.clone(), any::<u64>()).prop_map(|(a, b, w)| Step::Send(a, b, w)),
        2 => Just(Step::Wait(0)),
        4 => who.clone().prop_map(Step::Signal),
        1 => who.clone().prop_map(Step::SaveCaller),
        1 => (who, any::<u64>()).prop_map(|(a, w)| Step::ReplyThrough(a, w)),
    ]
}

fn world() -> (Parties, Vec<Party>) {
    let parties = Parties::new();
    parties.audit_each_step(false);
    let all: Vec<Party> = (0..ALL).map(|_| parties.spawn()).collect();
    for (n, party) in all.iter().enumerate() {
        for (m, other) in all.iter().enumerate() {
            start_of(&parties, *other, (10 * n + m) as u64, *party, start_slot(m));
        }
        notify_of(
            &parties,
            *party,
            (70 * n) as u64,
            parties.bank(),
            notify_slot(n),
        );
    }
    (parties, all)
}

/// Takes a step, if the one who is to take it can.
fn take(parties: &Parties, all: &[Party], step: Step, slowly: bool) {
    let words = |word: u64| Message::new(&[word, word ^ 1, word ^ 2, word ^ 3, word ^ 4, word ^ 5]);
    let (who, mut with) = match step {
        Step::Call(who, whom, word) => (who, call(start_slot(whom), &words(word))),
        Step::ReplyAndWait(who, status, word) => {
            (who, registers(Op::ReplyWait, status, 0, &words(word)))
        }
        Step::Wait(who) => (who, registers(Op::Wait, OK, 0, &Message::default())),
        Step::Poll(who) => (who, registers(Op::Poll, OK, 0, &Message::default())),
        Step::Send(who, whom, word) => {
            (who, registers(Op::Send, OK, start_slot(whom), &words(word)))
        }
        Step::Signal(whom) => {
            let bank = parties.sys(parties.bank());
            assert_eq!(bank.send(notify_slot(whom), &Message::default()), OK);
            return;
        }
        Step::SaveCaller(who) => (who, registers(Op::SaveCaller, OK, EMPTY + 1, &words(0))),
        Step::ReplyThrough(who, word) => {
            (who, registers(Op::ReplyWait, 1, EMPTY + 1, &words(word)))
        }
    };
    let ready = abi::method::process::state::READY;
    if parties
        .processor
        .process(all[who].oid())
        .map(|p| p.state.get())
        != Some(ready)
    {
        return;
    }
    if slowly && matches!(step, Step::Call(..) | Step::ReplyAndWait(..)) {
        with.r13 = pack([EMPTY, 0, 0, 0]);
    }
    parties.begin(all[who], with);
}

fn seen(parties: &Parties, all: &[Party]) -> Vec<(u8, Option<Registers>)> {
    let see = |party: &Party| (parties.state(*party), parties.answer(*party));
    all.iter().map(see).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 1000 }))]

    #[test]
    fn the_fast_path_and_the_general_one_agree(steps in prop::collection::vec(step(), 1..100)) {
        let (fast, all) = world();
        let (slow, same) = world();
        prop_assert_eq!(&all, &same);
        for step in steps {
            take(&fast, &all, step, false);
            take(&slow, &all, step, true);
            prop_assert_eq!(seen(&fast, &all), seen(&slow, &all), "after {:?}", step);
        }
        fast.check();
        slow.check();
    }
}

#[test]
fn a_server_that_waits_is_switched_to_directly() {
    let (parties, all) = world();
    let wait = registers(Op::Wait, OK, 0, &Message::default());
    // An equal that is ready would have its turn first.
    for other in [parties.bank()].iter().chain(&all[2..]) {
        parties.begin(*other, wait);
    }
    parties.begin(all[0], wait);
    parties.begin(all[1], call(start_slot(0), &Message::new(&[1])));
    let runs = parties.processor.current().map(|process| process.oid.get());
    assert_eq!(runs, Some(all[0].oid()));
    parties.begin(all[0], registers(Op::ReplyWait, OK, 0, &Message::new(&[1])));
    let runs = parties.processor.current().map(|process| process.oid.get());
    assert_eq!(runs, Some(all[1].oid()));
}

#[test]
fn a_direct_switch_never_passes_by_someone_more_urgent() {
    let (parties, all) = world();
    let low = |who: Party| {
        PROCESS
            .set_priority(&parties.sys(who), 50)
            .expect("its own process")
    };
    low(all[0]);
    // The others go on at 60: the server, at 50, is woken but must wait.
    let process = parties.process(all[0]);
    assert_eq!(process.priority.get(), 50);
    let current = parties
        .processor
        .current()
        .map(|process| process.priority.get());
    assert_eq!(current, Some(60));
    assert_eq!(
        parties.sys(all[1]).send(start_slot(0), &Message::default()),
        OK
    );
    let current = parties
        .processor
        .current()
        .map(|process| process.priority.get());
    assert_eq!(current, Some(60));
}
