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
