//! Users come and go at the console, and everything comes back.

use super::*;
use crate::supervise::backoff::SECOND;

#[test]
fn what_a_spawned_user_had_comes_back_in_full() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let (before, slots) = (total(world), world.slots.borrow().len());
    let drivers_limit = limit(world, init.driver.bank);
    let shown = type_line(&mut init, "spawn carol --share 3\r");
    assert!(shown.contains("carol is up: 02:75:73:00:00:03"), "{shown}");
    assert!(is_running(&init, "carol") && total(world) > before);
    world.reluctance.set(3);
    world.lost.set(2);
    let shown = type_line(&mut init, "revoke carol\r");
    assert!(shown.contains("carol is gone: "), "{shown}");
    assert!(
        shown.contains(&format!(
            "The system holds {before} of {OBJECTS} objects now"
        )),
        "{shown}"
    );
    assert_eq!(total(world), before);
    assert_eq!(limit(world, init.driver.bank), drivers_limit);
    assert_eq!(world.ports.borrow().len(), 2);
    assert_eq!(world.slots.borrow().len(), slots);
    assert!(init.members.find("carol").is_none());
    assert!(is_running(&init, "alice") && is_running(&init, "bob"));
}

#[test]
fn a_bank_is_destroyed_in_steps_between_which_others_are_served() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    type_line(&mut init, "spawn carol\r");
    let id = member(&init, "carol").slots.bank.usage(world).unwrap().id;
    // As if its stack had filled its bank.
    world.banks.borrow_mut().get_mut(&id).unwrap().places = 1500;
    init.run_line("revoke carol");
    let mut steps = 0;
    while world.banks.borrow().contains_key(&id) {
        // Somebody types meanwhile, and is answered.
        world.console.borrow_mut().clear();
        init.run_line("ps");
        assert!(!world.console.borrow().is_empty());
        init.turn();
        steps += 1;
        assert!(steps < 1000);
    }
    assert!(steps >= 1500 / 64, "{steps}");
    assert!(matches!(member(&init, "carol").phase, Phase::Closing(_)));
    world.console.borrow_mut().clear();
    init.run_line("revoke carol");
    let shown = String::from_utf8(world.console.borrow().clone()).unwrap();
    assert!(shown.contains("destroyed already"), "{shown}");
}

#[test]
fn a_low_limit_takes_nothing() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let before = (
        total(world),
        world.slots.borrow().clone(),
        limit(world, init.driver.bank),
    );
    let shown = type_line(&mut init, "spawn carol --bank 50\r");
    assert!(
        shown.contains("user carol: a bank of 50 pages is too small: at least"),
        "{shown}"
    );
    let (_, least) = shown.split_once("at least ").unwrap();
    let least: u32 = least.split(' ').next().unwrap().parse().unwrap();
    assert!(shown.contains(&format!("(--bank {least})")), "{shown}");
    let after = (
        total(world),
        world.slots.borrow().clone(),
        limit(world, init.driver.bank),
    );
    assert_eq!(before.0, after.0);
    assert_eq!(before.1, after.1);
    assert_eq!(before.2, after.2);
}

#[test]
fn a_spawn_that_fails_halfway_takes_nothing() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let before = (total(world), limit(world, init.driver.bank));
    // Each stage in turn finds nothing left to buy.
    for left in [0, 1, 2, 3, 4, 10, 20] {
        let prime_limit = total(world) + left;
        world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = prime_limit;
        let shown = type_line(&mut init, "spawn carol\r");
        assert!(shown.contains("user carol: "), "{shown}");
        assert!(shown.contains("give the machine more memory"), "{shown}");
        assert_eq!(
            (total(world), limit(world, init.driver.bank)),
            before,
            "{left} left"
        );
        assert_eq!(world.ports.borrow().len(), 2);
        assert!(init.members.find("carol").is_none());
    }
    world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = OBJECTS;
    type_line(&mut init, "spawn carol\r");
    assert!(is_running(&init, "carol"));
}

#[test]
fn users_can_be_revoked_whatever_they_are_doing() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.fault(process(world, "alice").unwrap(), 7);
    settle(&mut init);
    assert!(matches!(
        member(&init, "alice").phase,
        Phase::Resting { .. }
    ));
    type_line(&mut init, "revoke alice\r");
    assert!(init.members.find("alice").is_none());
    pass(&mut init, 5 * SECOND);
    assert!(init.members.find("alice").is_none());

    // While its bank is being emptied to be started again.
    world.fault(process(world, "bob").unwrap(), 7);
    init.turn();
    assert!(matches!(member(&init, "bob").phase, Phase::Emptying(_)));
    init.run_line("revoke bob");
    settle(&mut init);
    pass(&mut init, 5 * SECOND);
    assert!(init.members.iter().next().is_none());
    assert!(world.ports.borrow().is_empty());
    assert_eq!(limit(world, init.driver.bank), init.driver.base);
}

#[test]
fn names_of_the_system_are_refused() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    for name in ["init", "ethdrv", "spacebank", "kernel"] {
        let shown = type_line(&mut init, &format!("spawn {name}\r"));
        assert!(
            shown.contains("a part of the system has this name"),
            "{shown}"
        );
    }
    let shown = type_line(&mut init, "spawn alice\r");
    assert!(shown.contains("there is a user alice already"), "{shown}");
}

#[test]
fn a_port_number_that_is_used_again_is_the_new_users() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    type_line(&mut init, "spawn carol\r");
    init.run_line("revoke carol");
    while !matches!(member(&init, "carol").phase, Phase::Closing(_)) {
        init.turn();
    }
    // The driver has removed the port, but init hasn't looked yet.
    let old = member(&init, "carol").port.unwrap().number;
    world.ports.borrow_mut().remove(&old);
    init.run_line("spawn dave");
    assert_eq!(member(&init, "dave").port.unwrap().number, old);
    settle(&mut init);
    assert!(init.members.find("carol").is_none());
    assert!(is_running(&init, "dave") && world.ports.borrow().contains_key(&old));
    let reserves: u64 = init
        .members
        .iter()
        .map(|(_, m)| m.port.unwrap().reserve)
        .sum();
    assert_eq!(limit(world, init.driver.bank), init.driver.base + reserves);
}
