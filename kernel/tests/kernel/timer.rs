//! Timers, against a model.

use std::collections::BTreeMap;

use abi::boot::slot;
use abi::cap::Rights;
use abi::error::EINVAL;
use proptest::prelude::*;
use sim::parties::{Parties, Party};
use sys::object::Clock;
use sys::{Cap, Event, Sys};

use crate::common::*;

const CLOCK: Cap<Clock> = cap(slot::CLOCK);

fn with_clocks(count: usize) -> (Parties, Vec<Party>) {
    let parties = Parties::new();
    parties.audit_each_step(false);
    let all: Vec<Party> = (0..count).map(|_| parties.spawn()).collect();
    for party in &all {
        parties.copy_from_init(slot::CLOCK, (*party, slot::CLOCK), Rights::FULL);
    }
    (parties, all)
}

/// The machine's timer fires, if it is time.
fn let_it_fire(parties: &Parties) {
    // More than 32 timers take several interrupts.
    while parties.machine().take_alarm() {
        parties.processor.tick();
        parties.note();
    }
    parties.check();
}

fn told(parties: &Parties, party: Party) -> Option<Event> {
    parties.sys(party).poll([0; 4])
}

#[test]
fn a_timer_fires_once_and_not_before_its_time() {
    let (parties, all) = with_clocks(1);
    let sys = parties.sys(all[0]);
    let now = CLOCK.now(&sys).expect("a clock").nanoseconds;
    CLOCK.arm(&sys, now + 1_000_000, 130).expect("in range");
    parties.machine().advance(900_000);
    let_it_fire(&parties);
    assert_eq!(told(&parties, all[0]), None);
    parties.machine().advance(100_000);
    let_it_fire(&parties);
    assert_eq!(
        told(&parties, all[0]),
        Some(Event::Notified { group: 2, bits: 4 })
    );
    parties.machine().advance(10_000_000);
    let_it_fire(&parties);
    assert_eq!(told(&parties, all[0]), None);
}

#[test]
fn a_process_has_one_timer_and_can_disarm_it() {
    let (parties, all) = with_clocks(1);
    let sys = parties.sys(all[0]);
    CLOCK.arm(&sys, 1_000_000, 1).expect("in range");
    CLOCK.arm(&sys, 2_000_000, 2).expect("instead of the first");
    parties.machine().advance(1_500_000);
    let_it_fire(&parties);
    assert_eq!(told(&parties, all[0]), None);
    CLOCK.arm(&sys, 0, 3).expect("disarms");
    parties.machine().advance(1_500_000);
    let_it_fire(&parties);
    assert_eq!(told(&parties, all[0]), None);
    CLOCK.arm(&sys, 1, 4).expect("a time that has passed");
    let_it_fire(&parties);
    assert_eq!(
        told(&parties, all[0]),
        Some(Event::Notified { group: 0, bits: 16 })
    );
    assert_eq!(CLOCK.arm(&sys, 1, 4096), Err(error(EINVAL)));
}

#[test]
fn a_deadline_beyond_all_time_never_comes() {
    let (parties, all) = with_clocks(1);
    CLOCK
        .arm(&parties.sys(all[0]), u64::MAX, 1)
        .expect("in range");
    parties.machine().advance(1 << 60);
    let_it_fire(&parties);
    assert_eq!(told(&parties, all[0]), None);
}

#[test]
fn a_timer_goes_with_its_process() {
    let (parties, all) = with_clocks(3);
    for (n, party) in all.iter().enumerate() {
        CLOCK
            .arm(&parties.sys(*party), 1_000_000 + n as u64, 7)
            .expect("in range");
    }
    parties.rescind(&[all[0].oid()]);
    parties.machine().advance(5_000_000);
    let_it_fire(&parties);
    for party in &all[1..] {
        assert_eq!(
            told(&parties, *party),
            Some(Event::Notified {
                group: 0,
                bits: 128
            })
        );
    }
}

/// Deadlines a millisecond apart, armed in an order that has nothing to do with them.
#[test]
fn timers_fire_in_the_order_of_their_deadlines_not_of_their_arming() {
    const COUNT: usize = if cfg!(miri) { 5 } else { 19 };
    let (parties, all) = with_clocks(COUNT);
    let start = parties.machine().now() + 1_000_000;
    // 7 and the count have no common divisor: each comes once.
    let deadline = |who: usize| start + 1_000_000 * (who * 7 % COUNT) as u64;
    for (who, party) in all.iter().enumerate() {
        CLOCK
            .arm(&parties.sys(*party), deadline(who), who as u64)
            .expect("in range");
        parties.check_tables();
    }
    let mut fired = Vec::new();
    for n in 0..COUNT as u64 {
        let until = start + 1_000_000 * n + 500_000;
        parties.machine().advance(until - parties.machine().now());
        let_it_fire(&parties);
        for (who, party) in all.iter().enumerate() {
            if let Some(event) = told(&parties, *party) {
                assert_eq!(
                    event,
                    Event::Notified {
                        group: 0,
                        bits: 1 << who
                    }
                );
                fired.push(who);
            }
        }
        assert_eq!(fired.len() as u64, n + 1, "one each millisecond");
    }
    let mut expected: Vec<usize> = (0..COUNT).collect();
    expected.sort_by_key(|who| deadline(*who));
    assert_eq!(fired, expected);
}

#[test]
fn timers_with_one_deadline_all_fire_at_once() {
    let (parties, all) = with_clocks(if cfg!(miri) { 3 } else { 24 });
    let deadline = parties.machine().now() + 5_000_000;
    for party in &all {
        CLOCK
            .arm(&parties.sys(*party), deadline, 3)
            .expect("in range");
    }
    parties.machine().advance(5_000_000);
    let_it_fire(&parties);
    for party in &all {
        let event = told(&parties, *party);
        assert_eq!(event, Some(Event::Notified { group: 0, bits: 8 }));
    }
    assert!(
        parties.machine().alarm() > deadline,
        "nothing is left to fire"
    );
}

/// Moved back, it doesn't fire at its old time; moved forward, it doesn't wait for somebody else's.
#[test]
fn a_timer_that_is_armed_again_keeps_its_new_time_among_others() {
    let (parties, all) = with_clocks(6);
    let start = parties.machine().now() + 1_000_000;
    let at = |millisecond: u64| start + 1_000_000 * millisecond;
    let arm = |who: usize, when: u64| {
        CLOCK
            .arm(&parties.sys(all[who]), when, who as u64)
            .expect("in range");
    };
    for who in 0..6 {
        arm(who, at(10 * (who as u64 + 1)));
    }
    // The first becomes the last, the last the first, and one in the middle is disarmed.
    arm(0, at(70));
    arm(5, at(5));
    arm(2, 0);
    let mut fired = Vec::new();
    for millisecond in 0..80 {
        let until = at(millisecond) + 500_000;
        parties.machine().advance(until - parties.machine().now());
        let_it_fire(&parties);
        for (who, party) in all.iter().enumerate() {
            if told(&parties, *party).is_some() {
                fired.push((millisecond, who));
            }
        }
    }
    assert_eq!(fired, [(5, 5), (20, 1), (40, 3), (50, 4), (70, 0)]);
}

#[test]
fn a_timer_wakes_who_waits() {
    let (parties, all) = with_clocks(1);
    CLOCK
        .arm(&parties.sys(all[0]), 1_000_000, 1)
        .expect("in range");
    let wait = sim::parties::registers(abi::invoke::Op::Wait, 0, 0, &sys::Message::default());
    parties.begin(all[0], wait);
    assert_eq!(parties.answer(all[0]), None);
    parties.machine().advance(1_000_000);
    let_it_fire(&parties);
    let answer = parties.answer(all[0]).expect("woken");
    let told = sim::parties::event(&answer);
    assert_eq!(told, Event::Notified { group: 0, bits: 2 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

    /// Whoever armed a timer is told when its time has come, and nobody else.
    #[test]
    fn timers_are_those_of_a_model(steps in prop::collection::vec((0usize..12, 0u64..60, any::<bool>()), 1..80)) {
        let (parties, all) = with_clocks(12);
        let mut model: BTreeMap<usize, u64> = BTreeMap::new();
        for (who, delay, advance) in steps {
            if advance {
                parties.machine().advance(delay * 1_000_000);
            } else {
                let sys = parties.sys(all[who]);
                let deadline = parties.machine().now() + delay * 1_000_000;
                // Below a millisecond of system calls pass in between.
                let deadline = if delay == 0 { 0 } else { deadline };
                CLOCK.arm(&sys, deadline, who as u64).expect("in range");
                model.remove(&who);
                if deadline != 0 {
                    model.insert(who, deadline);
                }
            }
            let now = parties.machine().now();
            while parties.machine().take_alarm() {
                parties.processor.tick();
                parties.note();
            }
            for (n, party) in all.iter().enumerate() {
                let due = model.get(&n).is_some_and(|deadline| *deadline <= now);
                let told = told(&parties, *party);
                let close = model.get(&n).is_some_and(|deadline| deadline.abs_diff(now) < 100_000);
                if due {
                    prop_assert_eq!(told, Some(Event::Notified { group: 0, bits: 1 << n }));
                    model.remove(&n);
                } else if !close {
                    prop_assert_eq!(told, None);
                } else if told.is_some() {
                    model.remove(&n);
                }
            }
            parties.check_tables();
        }
    }
}
