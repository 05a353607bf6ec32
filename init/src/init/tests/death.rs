//! Stacks and drivers die.

use dev::layout::FIRST_RECEIVE_PAGE;

use super::*;
use crate::driver::DriverPhase;
use crate::fake::Thing;
use crate::supervise::backoff::{HEALTHY, SECOND};

#[test]
fn a_stack_that_dies_is_reported_emptied_and_started_again() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    logged();
    let first = process(world, "alice").unwrap();
    let bank = member(&init, "alice").slots.bank;
    let id = bank.usage(world).unwrap().id;
    world.fault(first, 0x301);
    settle(&mut init);
    let log = logged();
    assert!(log.contains("alice (netstack) stopped: page fault: writing 0x1000, which it may not"));
    assert!(log.contains("    #0 netstack 0x400000"), "{log}");
    assert!(log.contains("started again in 1 s"), "{log}");
    assert!(matches!(
        member(&init, "alice").phase,
        Phase::Resting { .. }
    ));
    assert!(
        bank.usage(world).is_err(),
        "its bank is gone while it rests"
    );
    assert!(is_running(&init, "bob"));
    pass(&mut init, SECOND);
    assert!(is_running(&init, "alice"));
    assert_ne!(process(world, "alice"), Some(first));
    assert_ne!(bank.usage(world).unwrap().id, id);
    // The port stayed.
    assert_eq!(world.ports.borrow().len(), 2);
}

#[test]
fn waits_grow_and_health_is_rewarded() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    for seconds in [1, 2, 4] {
        logged();
        world.fault(process(world, "alice").unwrap(), 7);
        settle(&mut init);
        assert!(logged().contains(&format!("started again in {seconds} s")));
        pass(&mut init, seconds * SECOND);
        assert!(is_running(&init, "alice"));
    }
    pass(&mut init, HEALTHY);
    logged();
    world.fault(process(world, "alice").unwrap(), 7);
    settle(&mut init);
    assert!(logged().contains("started again in 1 s"));
}

#[test]
fn a_bit_without_a_death_means_nothing() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    logged();
    world
        .bits
        .borrow_mut()
        .extend([crate::user::bit_of(0), crate::user::bit_of(1000), 3, 4, 63]);
    settle(&mut init);
    assert!(is_running(&init, "alice") && init.driver.is_running());
    assert_eq!(logged(), "");
}

#[test]
fn a_dead_drivers_device_is_made_safe_before_anything_is_used_again() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let first = process(world, "ethdrv").unwrap();
    world.happened.borrow_mut().clear();
    world.fault(first, 0x101);
    settle(&mut init);
    let order = ["bus mastering off", "device reset", "pins released"];
    assert_eq!(*world.happened.borrow(), order);
    assert!(matches!(init.driver.phase, DriverPhase::Resting { .. }));
    assert!(logged().contains("ethdrv (ethdrv) stopped: page fault"));
    pass(&mut init, SECOND);
    assert!(init.driver.is_running());
    assert_ne!(process(world, "ethdrv"), Some(first));
    assert_eq!(world.ports.borrow().len(), 2);
    let reserves: u64 = init
        .members
        .iter()
        .map(|(_, m)| m.port.unwrap().reserve)
        .sum();
    assert_eq!(limit(world, init.driver.bank), init.driver.base + reserves);
}

#[test]
fn stacks_outlive_the_driver_and_find_their_new_ports_where_the_old_ones_were() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let stack = process(world, "alice").unwrap();
    let bank = member(&init, "alice").slots.bank;
    let alone = bank.usage(world).unwrap().bought;
    let mac = member(&init, "alice").user.mac.bytes();
    let session = world.attach(bank.usage(world).unwrap().id, mac, 150);
    settle(&mut init);
    let port = |number| {
        let objects = world.objects.borrow();
        objects[&objects[&number].process.root].slots[&crate::stack::PORT_SLOT]
    };
    let before = port(stack);
    world.fault(process(world, "ethdrv").unwrap(), 7);
    settle(&mut init);
    assert!(!world.banks.borrow().contains_key(&session));
    assert_eq!(bank.usage(world).unwrap().bought, alone);
    pass(&mut init, SECOND);
    assert_eq!(process(world, "alice"), Some(stack));
    assert!(world.runs(stack) && is_running(&init, "alice"));
    assert_ne!(port(stack), before);
    assert!(
        world
            .thing(member(&init, "alice").slots.port.address())
            .is_some()
    );
    assert_eq!(member(&init, "alice").back_off.deaths(), 0);
}

#[test]
fn what_a_driver_made_for_a_session_that_never_began_comes_back_when_it_dies() {
    for copier in ["", "copier = true\n"] {
        let world = world();
        let mut init = start(world, "", &format!("[[user]]\nname = 'alice'\n{copier}"));
        let attaches = match copier {
            "" => process(world, "alice").unwrap(),
            _ => process(world, "alice/copier").unwrap(),
        };
        let offered = || {
            let slot = match copier {
                "" => crate::stack::PORT_BANK_SLOT,
                _ => ::copier::grant::PORT_BANK.address(),
            };
            let objects = world.objects.borrow();
            match objects[&objects[&attaches].process.root].slots[&slot] {
                Thing::Bank { id, rights } => (id, rights),
                other => panic!("{other:?}"),
            }
        };
        let bank = member(&init, "alice").slots.bank;
        let alone = bank.usage(world).unwrap().bought;
        let (id, rights) = offered();
        assert_eq!(rights, crate::port_bank::RIGHTS.bits());
        // Two sessions' worth: whatever its user buys from it, the next driver doesn't wait for long.
        let holds = world.banks.borrow()[&id].limit;
        let session = 1
            + u64::from(FIRST_RECEIVE_PAGE)
            + crate::plan::receive_slots(&member(&init, "alice").user);
        assert_eq!(holds, 2 * session);
        assert!(holds < bank.usage(world).unwrap().limit / 4);
        // The driver has made the session's bank, and told nobody.
        let unknown = world.add_bank(id, 90);
        assert!(bank.usage(world).unwrap().bought > alone);
        world.fault(process(world, "ethdrv").unwrap(), 7);
        settle(&mut init);
        assert!(!world.banks.borrow().contains_key(&unknown));
        assert_eq!(bank.usage(world).unwrap().bought, alone);
        pass(&mut init, SECOND);
        assert!(is_running(&init, "alice"));
        let (again, rights) = offered();
        assert_ne!(again, id, "the old one is void");
        assert_eq!(rights, crate::port_bank::RIGHTS.bits());
        assert_eq!(bank.usage(world).unwrap().bought, alone);
    }
}

#[test]
fn a_device_that_does_not_reset_keeps_its_pins() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    *world.pci.device.borrow_mut() = Some(Box::new(|bytes, offset, _| {
        if offset == 0x98 {
            bytes[0x98] = 0x0f;
        }
    }));
    world.happened.borrow_mut().clear();
    world.fault(process(world, "ethdrv").unwrap(), 7);
    settle(&mut init);
    pass(&mut init, 2 * SECOND);
    assert_eq!(*world.happened.borrow(), ["bus mastering off"]);
    let DriverPhase::Off(why) = &init.driver.phase else {
        panic!("{:?}", init.driver.phase);
    };
    assert!(
        why.contains("resetting the network card: it doesn't finish"),
        "{why}"
    );
    assert!(type_line(&mut init, "spawn carol\r").contains("there is no network driver"));
}

#[test]
fn a_driver_that_dies_at_its_start_is_tried_again_ever_later() {
    let world = world();
    world.driver_dies.set(true);
    let mut init = start(world, "", TWO_USERS);
    assert!(logged().contains("the network driver: asking for its device"));
    for seconds in [1, 2, 4] {
        assert!(matches!(init.driver.phase, DriverPhase::Resting { .. }));
        pass(&mut init, seconds * SECOND);
    }
    assert!(!init.driver.is_running());
    world.driver_dies.set(false);
    pass(&mut init, 8 * SECOND);
    assert!(init.driver.is_running() && is_running(&init, "alice"));
}

#[test]
fn a_restart_that_fails_is_tried_again() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.fault(process(world, "alice").unwrap(), 7);
    settle(&mut init);
    // Nothing can be bought any more.
    let limit = world.banks.borrow()[&PRIME_ID].limit;
    world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = total(world) + 2;
    pass(&mut init, SECOND);
    assert!(logged().contains("user alice: starting bin/netstack: buying a"));
    assert!(matches!(
        member(&init, "alice").phase,
        Phase::Resting { .. }
    ));
    world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = limit;
    pass(&mut init, 2 * SECOND);
    assert!(is_running(&init, "alice"));
}
