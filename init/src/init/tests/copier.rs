//! A user with a copier.

use super::*;
use crate::fake::Thing;
use crate::supervise::backoff::SECOND;

const ALICE_WITH_COPIER: &str = "[[user]]\nname = 'alice'\ncopier = true\n[[user]]\nname = 'bob'\n";

/// What a process finds where ports are.
fn port(world: &World, process: u64) -> Thing {
    let objects = world.objects.borrow();
    objects[&objects[&process].process.root].slots[&crate::stack::PORT_SLOT]
}

#[test]
fn a_copier_has_the_users_port_and_the_stack_has_the_copiers() {
    let world = world();
    let mut init = start(world, "", ALICE_WITH_COPIER);
    let stack = process(world, "alice").unwrap();
    let copier = process(world, "alice/copier").unwrap();
    let driver = process(world, "ethdrv").unwrap();
    let served = Thing::Start {
        process: copier,
        badge: ::copier::grant::PORT_BADGE,
    };
    assert_eq!(port(world, stack), served);
    assert!(matches!(port(world, copier), Thing::Start { process, .. } if process == driver));
    assert!(process(world, "bob/copier").is_none());
    let listed = type_line(&mut init, "ps\r");
    assert!(listed.contains("alice/copier"), "{listed}");
}

#[test]
fn a_copier_is_paid_by_its_user_and_goes_with_it() {
    let world = world();
    let mut init = start(world, "", ALICE_WITH_COPIER);
    let spawned = |init: &mut Init<'static, World>| {
        let line = "spawn carol --copier yes\r";
        type_line(init, line);
        assert!(process(world, "carol/copier").is_some());
        type_line(init, "revoke carol\r");
        assert!(init.members.find("carol").is_none());
        assert!(process(world, "carol/copier").is_none());
        total(world)
    };
    let before = spawned(&mut init);
    assert_eq!(spawned(&mut init), before);
    // The sum of what it may hold is what the manifest says, copier or not.
    let [alice, bob] = ["alice", "bob"].map(|name| limit(world, member(&init, name).slots.bank));
    assert_eq!(alice, bob);
    let refused = type_line(&mut init, "spawn dave --copier yes --bank 400\r");
    assert!(refused.contains("too small"), "{refused}");
}

#[test]
fn a_copier_that_dies_takes_its_user_to_a_new_start() {
    let world = world();
    let mut init = start(world, "", ALICE_WITH_COPIER);
    let stack = process(world, "alice").unwrap();
    logged();
    world.fault(process(world, "alice/copier").unwrap(), 0x301);
    settle(&mut init);
    let log = logged();
    assert!(
        log.contains("alice/copier (copier) stopped: page fault"),
        "{log}"
    );
    pass(&mut init, SECOND);
    assert!(is_running(&init, "alice") && is_running(&init, "bob"));
    assert_ne!(process(world, "alice"), Some(stack));
    assert!(process(world, "alice/copier").is_some());
}

#[test]
fn after_the_drivers_death_the_copier_gets_the_new_port() {
    let world = world();
    let mut init = start(world, "", ALICE_WITH_COPIER);
    let stack = process(world, "alice").unwrap();
    let copier = process(world, "alice/copier").unwrap();
    let (of_stack, of_copier) = (port(world, stack), port(world, copier));
    world.fault(process(world, "ethdrv").unwrap(), 7);
    settle(&mut init);
    pass(&mut init, SECOND);
    assert!(world.runs(stack) && world.runs(copier));
    assert_eq!(port(world, stack), of_stack, "the copier's, as before");
    assert_ne!(port(world, copier), of_copier);
}
