//! Signs of life, and a device that gives none.

use abi::boot::slot;
use ethdrv::grant::{ALIVE, BEAT_BIT};
use ethdrv::pulse::STILL_BEATS;

use crate::support::kernel::{Capability, DRIVER, INIT, What};
use crate::support::{OUTSIDE, World, frame};
use abi::cap::Rights;

/// init's bit that stands for the watchdog's.
const BIT: u64 = 9;

fn notify(pid: usize, bit: u64) -> Capability {
    Capability {
        what: What::Notify { pid, bit },
        rights: Rights::all(),
    }
}

fn beat(world: &World) {
    world.kernel.borrow_mut().signal(notify(DRIVER, BEAT_BIT));
    world.run();
}

#[test]
fn each_beat_is_answered() {
    let world = World::new();
    world
        .kernel
        .borrow_mut()
        .put(DRIVER, ALIVE, notify(INIT, BIT));
    for count in 1..5 {
        beat(&world);
        assert_eq!(world.kernel.borrow().signals[&(INIT, BIT)], count);
    }
}

#[test]
fn a_device_that_stops_sending_is_given_up_and_a_slow_one_is_not() {
    let world = World::new();
    let mut alice = world.attached(1);
    let long = frame(OUTSIDE, alice.port.mac, 1, 1000);
    world.device.borrow_mut().prompt = false;
    assert_eq!(alice.send(&[long.clone(), long]), 2);
    world.run();
    for _ in 1..STILL_BEATS {
        beat(&world);
    }
    assert!(world.device.borrow_mut().complete());
    for _ in 0..STILL_BEATS {
        assert!(!world.driver.borrow().is_still());
        beat(&world);
    }
    beat(&world);
    assert!(world.driver.borrow().is_still());
    // Nobody watches here, and that is no harm.
    assert!(world.kernel.borrow().get(DRIVER, slot::GRANT + 6).is_none());
}
