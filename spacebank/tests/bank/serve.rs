//! The main loop: answers, notifications, and what is done unasked between them.

use abi::cap::Kind;
use abi::error;
use spacebank::{ALARM_BIT, Answer, LIMBO_BIT, PATIENCE, PAUSE};
use sys::bank::method;

use crate::fake::INIT;
use crate::world::{PRIME, World};

impl World {
    fn send(&mut self, badge: u64, words: &[u64], call: bool) {
        let mut all = [0; 6];
        all[..words.len()].copy_from_slice(words);
        self.machine().incoming.push_back((badge, all, None, call));
    }

    fn turn(&mut self, answer: Option<Answer>) -> Option<Answer> {
        let fake = self.fake.clone();
        let answer = self.server.turn(&fake, answer);
        self.check();
        answer
    }

    /// A bank of 300 pages whose end nobody drives.
    fn doom(&mut self) -> u64 {
        let bank = self.sub_bank(PRIME, 1000, false);
        for _ in 0..5 {
            let table = self.buy_one(bank, Kind::CapTable);
            assert_eq!(
                self.buy_caps(bank, Kind::Page, 60, table, 0).status,
                error::OK
            );
        }
        let done = self.notify(INIT, 9);
        assert_eq!(
            self.call(bank, &[method::DESTROY], Some(done)).status,
            error::OK
        );
        bank
    }
}

#[test]
fn each_call_is_answered_once_and_a_send_is_not() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 10, false);
    world.send(bank, &[method::USAGE], true);
    world.send(bank, &[method::SET_LIMIT, 77], false);
    world.send(bank, &[99], true);
    let mut answer = None;
    for _ in 0..3 {
        answer = world.turn(answer);
    }
    world.send(bank, &[method::USAGE], true);
    answer = world.turn(answer);
    assert_eq!(
        answer.map(|answer| answer.words[0]),
        Some(77),
        "a send is carried out"
    );
    let answers = world
        .machine()
        .answers
        .iter()
        .map(|(status, _)| *status)
        .collect::<Vec<_>>();
    assert_eq!(answers, [error::OK, error::status(error::ENOSYS)]);
}

#[test]
fn with_a_clock_a_step_is_done_at_each_alarm_and_not_otherwise() {
    let mut world = World::new();
    world.machine().has_clock = true;
    let doomed = world.doom();
    let start = world.bought(doomed);
    let mut answer = None;
    for _ in 0..40 {
        world.send(PRIME, &[method::USAGE], true);
        answer = world.turn(answer);
    }
    assert_eq!(
        world.machine().alarm,
        Some((PAUSE, ALARM_BIT)),
        "one alarm is set"
    );
    assert_eq!(world.bought(doomed), start, "requests come first");
    let mut last = start;
    while last > 0 {
        answer = world.turn(answer);
        if world.is_void(doomed) {
            break;
        }
        let left = world.bought(doomed);
        assert!(left < last && last - left <= 64);
        last = left;
    }
    assert!(world.is_void(doomed));
    assert_eq!(world.machine().alarm, None, "nothing to be woken for");
    assert_eq!(world.machine().told.len(), 1);
}

#[test]
fn a_request_waits_for_one_step_at_most() {
    for has_clock in [false, true] {
        let mut world = World::new();
        world.machine().has_clock = has_clock;
        let doomed = world.doom();
        let mut answer = None;
        while !world.is_void(doomed) {
            world.send(PRIME, &[method::USAGE], true);
            world.machine().rescinded.clear();
            let answered = world.machine().answers.len();
            answer = world.turn(answer);
            if answer.is_none() {
                // An alarm came before it.
                answer = world.turn(None);
            }
            assert!(world.machine().rescinded.len() <= 64);
            assert!(world.machine().answers.len() <= answered + 1);
            world.machine().now += PAUSE;
            if has_clock && world.machine().alarm.take().is_some() {
                world.machine().bits |= 1 << ALARM_BIT;
            }
        }
    }
}

#[test]
fn without_a_clock_steps_are_done_when_nobody_asks() {
    let mut world = World::new();
    let doomed = world.doom();
    // A call is answered before the steps, not after them; an end is told to the kernel's satisfaction.
    world.send(PRIME, &[method::USAGE], true);
    let answer = world.turn(None);
    world.machine().bits = 0;
    let fake = world.fake.clone();
    // With nothing pending the loop does all steps and then waits, which the fake ends by an event.
    world.machine().alarm = Some((1, 63));
    world.server.turn(&fake, answer);
    assert_eq!(world.machine().answers.len(), 1);
    assert!(world.is_void(doomed));
}

#[test]
fn without_a_clock_a_flood_of_requests_does_not_stop_the_reaper() {
    let mut world = World::new();
    let doomed = world.doom();
    for _ in 0..20 * PATIENCE {
        world.send(PRIME, &[method::USAGE], true);
    }
    let mut answer = None;
    for _ in 0..20 * PATIENCE {
        answer = world.turn(answer);
    }
    assert!(world.is_void(doomed));
}

#[test]
fn frames_that_leave_limbo_are_for_sale_as_soon_as_the_kernel_says_so() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 5, false);
    let page = world.buy_one(bank, Kind::Page);
    world.machine().pin(page.oid);
    assert_eq!(
        world.call(bank, &[method::SELL], Some(page)).status,
        error::OK
    );
    world.machine().unpin(page.oid);
    assert_eq!(world.machine().bits, 1 << LIMBO_BIT);
    assert_eq!(world.turn(None), None);
    assert_eq!(world.limbo(bank), 0);
    // Bits that are nobody's are nothing.
    let fake = world.fake.clone();
    world.server.notified(&fake, 3, u64::MAX);
    world.server.notified(&fake, 0, !3);
    assert!(!world.server.has_background_work());
}

#[test]
fn a_kernel_that_fails_does_not_make_the_loop_spin() {
    for has_clock in [false, true] {
        let mut world = World::new();
        world.machine().has_clock = has_clock;
        let doomed = world.doom();
        world.machine().failures = 1;
        world.machine().now = 1;
        if !has_clock {
            world.machine().alarm = Some((1, 63));
        }
        assert_eq!(world.turn(None), None);
        assert!(!world.is_void(doomed));
        world.send(PRIME, &[method::USAGE], true);
        let answer = world.turn(None);
        if !has_clock {
            world.machine().alarm = Some((1, 63));
        }
        let mut answer = world.turn(answer);
        for _ in 0..10 {
            if !world.is_void(doomed) {
                answer = world.turn(answer);
            }
        }
        assert!(world.is_void(doomed));
    }
}
