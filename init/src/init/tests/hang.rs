//! The driver hangs, and the watchdog ends it.

use super::*;
use crate::driver::DriverPhase;
use crate::fake::Thing;
use crate::supervise::backoff::SECOND;
use crate::watch::grant;

/// What the watchdog was given in a slot.
fn given(world: &World, slot: u16) -> Option<Thing> {
    let dog = process(world, "watchdog").unwrap();
    let objects = world.objects.borrow();
    objects[&objects[&dog].process.root]
        .slots
        .get(&slot)
        .copied()
}

#[test]
fn each_driver_is_watched_and_gives_signs_of_life_to_the_watchdog() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let dog = process(world, "watchdog").unwrap();
    for _ in 0..2 {
        let driver = process(world, "ethdrv").unwrap();
        let watched = given(world, grant::PROCESS.address());
        assert_eq!(watched, Some(Thing::Object(driver)));
        let beat = Thing::Elsewhere {
            process: driver,
            bit: ethdrv::grant::BEAT_BIT,
        };
        assert_eq!(given(world, grant::BEAT.address()), Some(beat));
        let objects = world.objects.borrow();
        let alive = objects[&objects[&driver].process.root].slots[&ethdrv::grant::ALIVE];
        let bit = crate::watch::ALIVE_BIT;
        assert_eq!(alive, Thing::Elsewhere { process: dog, bit });
        assert!(objects[&dog].process.priority > objects[&driver].process.priority);
        drop(objects);
        world.fault(driver, 7);
        settle(&mut init);
        // A dead driver is init's alone to deal with.
        assert_eq!(given(world, grant::PROCESS.address()), None);
        assert_eq!(given(world, grant::BANK.address()), None);
        pass(&mut init, 2 * SECOND);
    }
    assert_eq!(process(world, "watchdog"), Some(dog));
}

#[test]
fn whatever_init_asked_a_driver_that_hangs_init_goes_on() {
    for line in ["net", "banks", "spawn carol", "revoke alice", "users"] {
        let world = world();
        let mut init = start(world, "", TWO_USERS);
        world.happened.borrow_mut().clear();
        world.driver_hangs.set(true);
        type_line(&mut init, &format!("{line}\r"));
        // Where nothing was asked, whoever watches sees it all the same.
        if world.driver_hangs.take() {
            world.watchdog_bites(process(world, "ethdrv").unwrap());
            settle(&mut init);
        }
        let order = ["bus mastering off", "device reset", "pins released"];
        assert_eq!(world.happened.borrow()[..3], order, "{line}");
        pass(&mut init, 5 * SECOND);
        assert!(
            init.driver.is_running() && is_running(&init, "bob"),
            "{line}"
        );
        assert_eq!(process(world, "alice").is_some(), line != "revoke alice");
        assert!(
            init.members
                .find("carol")
                .is_none_or(|_| is_running(&init, "carol"))
        );
    }
}

#[test]
fn users_who_come_up_when_the_driver_hangs_come_up_with_the_next() {
    let world = world();
    let program = program();
    let files = [
        ("bin/ethdrv", &program[..]),
        ("bin/netstack", &program[..]),
        ("bin/watchdog", &program[..]),
        ("etc/manifest.toml", TWO_USERS.as_bytes()),
    ];
    let mut init = start_with(world, "", &files);
    // The driver runs, the users' turn is still to come.
    world.driver_hangs.set(true);
    settle(&mut init);
    assert!(logged().contains("user alice: asking the driver for a port: "));
    pass(&mut init, 5 * SECOND);
    assert!(is_running(&init, "alice") && is_running(&init, "bob"));
    assert_eq!(member(&init, "alice").back_off.deaths(), 0);
}

#[test]
fn a_driver_that_hangs_at_its_start_is_started_again() {
    let world = world();
    world.driver_hangs.set(true);
    let mut init = start(world, "", TWO_USERS);
    assert!(matches!(init.driver.phase, DriverPhase::Resting { .. }));
    pass(&mut init, 2 * SECOND);
    assert!(init.driver.is_running() && is_running(&init, "alice"));
}

#[test]
fn a_watchdog_that_dies_is_replaced_and_nothing_of_it_left() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let (before, first) = (total(world), process(world, "watchdog").unwrap());
    world.fault(first, 7);
    settle(&mut init);
    assert!(logged().contains("watchdog (watchdog) stopped: gave up"));
    pass(&mut init, 2 * SECOND);
    assert!(init.driver.is_running() && is_running(&init, "alice"));
    assert_ne!(process(world, "watchdog").unwrap(), first);
    assert_eq!(total(world), before);
    assert!(type_line(&mut init, "kill watchdog\r").contains("started again with another"));
    pass(&mut init, 4 * SECOND);
    assert!(init.driver.is_running());
    assert_eq!(total(world), before);
}
