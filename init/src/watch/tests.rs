//! Who answers beats lives; who doesn't is ended, whoever waits for it.

use core::cell::Cell;
use std::prelude::v1::*;

use abi::cap::CapAddr;
use abi::error::{self, Status, VOID};
use abi::method;
use sys::{Event, Message, Reply, Sys};

use super::*;

/// What is watched.
struct Watched {
    exists: Cell<bool>,
    /// Steps that its bank still takes to destroy.
    steps: Cell<u32>,
    beats: Cell<u32>,
    told: Cell<u32>,
}

impl Watched {
    fn new() -> Watched {
        Watched {
            exists: Cell::new(true),
            steps: Cell::new(5),
            beats: Cell::new(0),
            told: Cell::new(0),
        }
    }

    fn answer(&self, to: CapAddr, method: u64) -> Status {
        if to == grant::TELL.address() {
            self.told.set(self.told.get() + 1);
            return error::OK;
        }
        if !self.exists.get() {
            return VOID;
        }
        if to == grant::BEAT.address() {
            self.beats.set(self.beats.get() + 1);
        } else if to == grant::BANK.address() {
            assert_eq!(method, sys::bank::method::DESTROY);
            if self.steps.get() > 0 {
                self.steps.set(self.steps.get() - 1);
                return error::MORE;
            }
            self.exists.set(false);
        } else {
            assert_eq!(to, grant::PROCESS.address());
            assert_ne!(method, method::process::STOP);
        }
        error::OK
    }
}

impl Sys for Watched {
    fn call(&self, to: CapAddr, message: &Message) -> Reply {
        Reply {
            status: self.answer(to, message.words[0]),
            ..Reply::default()
        }
    }
    fn send(&self, to: CapAddr, message: &Message) -> Status {
        self.answer(to, message.words[0])
    }
    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!("the policy waits for nothing")
    }
    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!()
    }
    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        unreachable!()
    }
    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        unreachable!()
    }
    fn save_caller(&self, _: CapAddr) -> Status {
        unreachable!()
    }
}

fn beat(watch: &mut Watch, watched: &Watched) {
    watch.beat(watched, "ethdrv", "ethdrv");
}

#[test]
fn who_answers_late_but_answers_lives() {
    let (mut watch, watched) = (Watch::default(), Watched::new());
    for _ in 0..FIRST_MISSES {
        beat(&mut watch, &watched);
    }
    watch.alive();
    for _ in 0..50 {
        for _ in 0..MISSES {
            beat(&mut watch, &watched);
        }
        watch.alive();
    }
    assert!(watched.exists.get());
    assert_eq!(watched.beats.get(), FIRST_MISSES + 50 * MISSES);
}

#[test]
fn who_owes_too_many_answers_is_ended_in_full_and_init_told() {
    let (mut watch, watched) = (Watch::default(), Watched::new());
    watch.alive();
    for _ in 0..MISSES {
        beat(&mut watch, &watched);
    }
    assert!(watched.exists.get());
    beat(&mut watch, &watched);
    assert!(!watched.exists.get());
    assert_eq!((watched.steps.get(), watched.told.get()), (0, 1));
    // Nobody is watched until there is somebody again, and who comes then has time to begin.
    beat(&mut watch, &watched);
    assert_eq!(watched.told.get(), 1);
    watched.exists.set(true);
    for _ in 0..FIRST_MISSES {
        beat(&mut watch, &watched);
    }
    assert!(watched.exists.get());
}

#[test]
fn who_never_answers_is_ended_too() {
    let (mut watch, watched) = (Watch::default(), Watched::new());
    for _ in 0..=FIRST_MISSES {
        beat(&mut watch, &watched);
    }
    assert!(!watched.exists.get());
}
