//! A user is up when its stack is attached, and not before; who can't attach leaves nothing behind.

use super::*;
use crate::supervise::backoff::{MOST, SECOND};
use crate::user::Attached;
use dev::refusal::Refusal;

/// Boots with a `carol` at the console whose stack doesn't attach; answers what there was before her.
fn unattached() -> (&'static World, Init<'static, World>, u64) {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let before = total(world);
    world.stacks_attach.set(false);
    let shown = type_line(&mut init, "spawn carol\r");
    assert!(!shown.contains("is up"), "{shown}");
    assert!(type_line(&mut init, "users\r").contains("attaches to its port"));
    (world, init, before)
}

/// What the console shows while something happens.
fn shown_while(
    init: &mut Init<'static, World>,
    act: impl FnOnce(&mut Init<'static, World>),
) -> String {
    init.host.console.borrow_mut().clear();
    act(init);
    String::from_utf8(init.host.console.borrow().clone()).unwrap()
}

#[test]
fn a_spawned_user_is_up_when_it_is_attached() {
    let (world, mut init, _) = unattached();
    world.stacks_attach.set(true);
    let stack = process(world, "carol").unwrap();
    let root = world.objects.borrow()[&stack].process.root;
    let shown = shown_while(&mut init, |init| {
        world.attach_stack(root);
        settle(init);
    });
    assert!(shown.contains("carol is up: 02:75:73:00:00:03"), "{shown}");
    // Once.
    let again = shown_while(&mut init, |init| pass(init, 30 * SECOND));
    assert_eq!(again, "");
    assert!(is_running(&init, "carol"));
}

#[test]
fn who_is_refused_is_told_why_and_leaves_nothing() {
    let reasons = [
        (
            Some(Refusal::BankTooSmall),
            "attaching to its port: nothing of this kind is left (status 12) (give the machine more memory",
        ),
        (
            Some(Refusal::DriverFull),
            "attaching to its port: the driver has no room left",
        ),
        (
            None,
            "its stack stopped before it attached: the log says why",
        ),
    ];
    for (refusal, why) in reasons {
        let (world, mut init, before) = unattached();
        let number = member(&init, "carol").port.unwrap().number;
        world.ports.borrow_mut().get_mut(&number).unwrap().refusal = refusal;
        let stack = process(world, "carol").unwrap();
        let shown = shown_while(&mut init, |init| {
            world.fault(stack, 7);
            settle(init);
        });
        assert!(shown.contains(&format!("user carol: {why}")), "{shown}");
        assert_eq!(total(world), before);
        assert_eq!(world.ports.borrow().len(), 2);
        assert!(init.members.find("carol").is_none());
        pass(&mut init, 30 * SECOND);
        assert!(init.members.find("carol").is_none());
    }
}

#[test]
fn a_bank_that_is_used_up_is_told_from_a_machine_that_is_full() {
    let (world, mut init, before) = unattached();
    let bank = member(&init, "carol").slots.bank.usage(world).unwrap();
    let room = bank.limit - bank.bought - 10;
    world.banks.borrow_mut().get_mut(&bank.id).unwrap().places += room;
    let stack = process(world, "carol").unwrap();
    let shown = shown_while(&mut init, |init| {
        world.fault(stack, 7);
        settle(init);
    });
    assert!(
        shown.contains("user carol: its stack stopped before it attached: the bank's limit"),
        "{shown}"
    );
    assert_eq!(total(world), before);
}

#[test]
fn who_does_not_attach_in_time_leaves_nothing() {
    let (world, mut init, before) = unattached();
    let shown = shown_while(&mut init, |init| pass(init, 11 * SECOND));
    assert!(
        shown.contains("user carol: attaching to its port: it did not within 10 s"),
        "{shown}"
    );
    assert_eq!(total(world), before);
    assert!(init.members.find("carol").is_none());
}

#[test]
fn a_revoked_user_is_not_given_up_as_late() {
    let (world, mut init, before) = unattached();
    let shown = type_line(&mut init, "revoke carol\r");
    assert!(shown.contains("carol is gone: "), "{shown}");
    assert_eq!(total(world), before);
    assert_eq!(shown_while(&mut init, |init| pass(init, 30 * SECOND)), "");
}

#[test]
fn a_stack_that_dies_again_and_again_is_given_up_in_the_end() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.stacks_attach.set(false);
    for death in 1..=MOST {
        assert!(is_running(&init, "alice"), "death {death}");
        world.fault(process(world, "alice").unwrap(), 7);
        settle(&mut init);
        if death < MOST {
            pass(&mut init, 64 * SECOND);
            // Whether it can attach makes no difference to how often it may die.
            init.members
                .get_mut(0)
                .unwrap()
                .back_off
                .started(world.now.get());
        }
    }
    pass(&mut init, 300 * SECOND);
    let shown = type_line(&mut init, "users\r");
    assert!(
        shown.contains(
            "failed: its stack stopped 8 times in a row; `revoke` it, and `spawn` it again"
        ),
        "{shown}"
    );
    assert!(member(&init, "alice").port.is_none() && !member(&init, "alice").has_bank);
    type_line(&mut init, "revoke alice\r");
    world.stacks_attach.set(true);
    assert!(type_line(&mut init, "spawn alice\r").contains("alice is up"));
}

#[test]
fn each_attachment_is_looked_at_once_however_many_users_there_are() {
    let world = world();
    let users: String = (0..60)
        .map(|n| format!("[[user]]\nname = 'user{n}'\nbank = 512\nipv6 = 'off'\n"))
        .collect();
    let init = start(world, "", &users);
    assert!((0..60).all(|n| member(&init, &format!("user{n}")).attached == Attached::Done));
    let looks = world.inspections.get();
    assert!(looks <= 2 * 60, "{looks} looks at 60 sessions");
}
