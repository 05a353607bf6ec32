//! Faults that are armed at the console come when they should, and the live system is looked at.

use super::*;
use abi::boot::slot;

/// What the console shows while the probe stops somebody.
fn entry_comes(init: &mut Init<'static, World>) -> String {
    init.host.console.borrow_mut().clear();
    init.host.entry_comes();
    settle(init);
    String::from_utf8(init.host.console.borrow().clone()).unwrap()
}

#[test]
fn a_revocation_comes_at_its_entry_and_at_once() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let before = total(world);
    let shown = type_line(&mut init, "inject revoke alice at entry 1234 of ethdrv\r");
    assert!(
        shown.contains("Armed: revoke alice at entry 1234 of ethdrv."),
        "{shown}"
    );
    let watched = world.watched.get().unwrap();
    assert_eq!(watched.entry, 1234);
    assert_eq!(watched.process, process(world, "ethdrv"));
    let shown = type_line(&mut init, "inject list\r");
    assert!(shown.contains("of ethdrv (17 so far)"), "{shown}");
    assert!(is_running(&init, "alice"));
    // Before init does anything else.
    world.entry_comes();
    init.turn();
    assert_eq!(process(world, "alice"), None);
    let shown = entry_shown(&mut init);
    assert!(shown.contains("alice is gone"), "{shown}");
    assert_eq!(world.watched.get(), None);
    assert!(total(world) < before);
    assert!(is_running(&init, "bob"));
    let shown = type_line(&mut init, "inject list\r");
    assert!(shown.contains("No fault is armed."), "{shown}");
}

/// What the console shows of what follows.
fn entry_shown(init: &mut Init<'static, World>) -> String {
    settle(init);
    String::from_utf8(init.host.console.borrow().clone()).unwrap()
}

#[test]
fn a_kill_at_an_entry_says_where_it_came() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    type_line(&mut init, "inject kill ethdrv at entry 5\r");
    assert_eq!(world.watched.get().unwrap().process, None);
    let shown = entry_comes(&mut init);
    assert!(
        shown.contains("Injected before system call 1 on aperture, method 2 of ethdrv at 0x401000"),
        "{shown}"
    );
    assert!(shown.contains("kill ethdrv. ethdrv is killed."), "{shown}");
    pass(&mut init, 2_000_000_000);
    assert!(init.driver.is_running());
}

#[test]
fn a_fault_comes_at_a_frame() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let shown = type_line(&mut init, "inject revoke bob at frame 20\r");
    assert!(shown.contains("Armed: revoke bob at frame 20."), "{shown}");
    pass(&mut init, 3_000_000);
    assert!(is_running(&init, "bob"));
    world.frames.set(9);
    pass(&mut init, 3_000_000);
    assert!(is_running(&init, "bob"));
    world.console.borrow_mut().clear();
    world.frames.set(11);
    pass(&mut init, 3_000_000);
    let shown = entry_shown(&mut init);
    assert!(
        shown.contains("Injected after 22 frames: revoke bob."),
        "{shown}"
    );
    assert!(init.members.find("bob").is_none() && is_running(&init, "alice"));
}

#[test]
fn a_device_is_stalled_and_faults_are_cleared() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.happened.borrow_mut().clear();
    let shown = type_line(&mut init, "inject device stall\r");
    assert!(shown.contains("Injected now: device stall."), "{shown}");
    assert_eq!(world.happened.borrow().concat(), "bus mastering off");
    type_line(&mut init, "inject kill alice at entry 9\r");
    type_line(&mut init, "inject kill bob at frame 9\r");
    let shown = type_line(&mut init, "inject revoke alice at entry 10\r");
    assert!(shown.contains("one fault at a time"), "{shown}");
    let shown = type_line(&mut init, "inject clear\r");
    assert!(shown.contains("2 were armed; none is now."), "{shown}");
    assert_eq!(world.watched.get(), None);
    for (line, wrong) in [
        ("inject revoke alcie", "did you mean alice?"),
        ("inject kill ethdvr at frame 3", "did you mean ethdrv?"),
        ("inject kill init", "nothing could go on without it"),
        ("inject session bob", "there is none"),
        ("inject", "usage: inject"),
    ] {
        let shown = type_line(&mut init, &format!("{line}\r"));
        assert!(shown.contains(wrong), "{line}: {shown}");
    }
}

#[test]
fn a_session_alone_is_ended() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let user = member(&init, "alice");
    let Some(crate::fake::Thing::Bank { id, .. }) = world.thing(user.slots.bank.address()) else {
        panic!("alice has no bank");
    };
    let session = world.attach(id, user.user.mac.bytes(), 30);
    settle(&mut init);
    let shown = type_line(&mut init, "inject session alice\r");
    assert!(
        shown.contains("session alice. Its bank was destroyed in"),
        "{shown}"
    );
    assert!(!world.banks.borrow().contains_key(&session));
    assert!(is_running(&init, "alice"));
}

#[test]
fn a_kernel_without_a_probe_is_named() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.slots.borrow_mut().remove(&slot::INIT_PROBE);
    let shown = type_line(&mut init, "inject revoke alice at entry 5\r");
    assert!(shown.contains("this kernel has no probe"), "{shown}");
    assert!(type_line(&mut init, "inject clear\r").contains("0 were armed"));
    let shown = type_line(&mut init, "invariants\r");
    assert!(shown.contains("BROKEN: the kernel doesn't look"), "{shown}");
}

#[test]
fn who_asks_again_while_the_kernel_looks_is_told_so() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let shown = type_line(&mut init, "invariants\rinvariants\r");
    assert!(shown.contains("being checked already"), "{shown}");
    assert_eq!(shown.matches("invariants hold.").count(), 1, "{shown}");
    let shown = type_line(&mut init, "invariants\r");
    assert!(shown.contains("invariants hold."), "{shown}");
}

#[test]
fn calls_that_could_not_be_compared_are_no_fault_and_are_said() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.uncompared.set(true);
    let shown = type_line(&mut init, "invariants\r");
    assert!(shown.contains("too fast to be compared"), "{shown}");
    assert!(shown.contains("invariants hold."), "{shown}");
}

#[test]
fn a_sound_system_is_said_to_be_and_a_broken_one_what_is_broken() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let shown = type_line(&mut init, "invariants\r");
    assert!(shown.contains("invariants hold."), "{shown}");
    assert!(!shown.contains("BROKEN"), "{shown}");
    for what in [
        "= 16384 objects",
        "banks: 4 within their limits",
        "sessions: 2 ports",
        "processes: 5 run that should",
    ] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
    world.violation.set(5);
    world.leaked.set(3);
    let bob = process(world, "bob").unwrap();
    world
        .objects
        .borrow_mut()
        .get_mut(&bob)
        .unwrap()
        .process
        .state = 0;
    let shown = type_line(&mut init, "invariants\r");
    for what in [
        "BROKEN: kernel: violation 5, which the log names",
        "BROKEN: the kernel has",
        "BROKEN: bob should run, and doesn't",
        "3 of ",
    ] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
}
