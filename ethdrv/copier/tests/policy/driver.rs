//! The driver dies, or the port is another one: the stack's session goes on if it can.

use dev::Mac;
use dev::statistics::Counter;

use crate::between::Between;
use crate::support::kernel::INIT;
use crate::support::{OUTSIDE, World, frame, mac, settings};

/// Both directions work.
fn works(between: &mut Between) {
    let coming = frame(mac(1), OUTSIDE, 77, 900);
    let going = frame(OUTSIDE, mac(1), 78, 901);
    between.world.inject(coming.clone());
    between.stack.send(std::slice::from_ref(&going));
    between.run();
    assert_eq!(between.stack.receive().last(), Some(&coming));
    assert_eq!(between.world.wire().last(), Some(&going));
}

#[test]
fn the_stacks_session_survives_the_drivers_death_at_every_access() {
    let mut n = 0;
    loop {
        let mut between = Between::attached();
        let link = between.stack.session().caps().link;
        let bank = between.session_bank(between.bank).unwrap();
        for n in 0..3 {
            between.world.inject(frame(mac(1), OUTSIDE, n, 1500));
        }
        let going: Vec<_> = (0..3).map(|n| frame(OUTSIDE, mac(1), n, 400)).collect();
        between.stack.send(&going);
        let kernel = between.world.kernel.clone();
        kernel
            .borrow_mut()
            .at_access(n, move |kernel| kernel.destroy(bank));
        between.run();
        if kernel.borrow().has_trigger() {
            break;
        }
        between.advance(2000);
        between.advance(2000);
        assert_eq!(between.counter(Counter::Revoked), 0, "access {n}");
        assert_eq!(between.counter(Counter::Misbehaved), 0, "access {n}");
        assert!(between.copier.borrow().is_attached(), "access {n}");
        // What came is whole; what was on its way may be lost, but not altered.
        for frame in between.stack.receive() {
            assert_eq!(frame.len(), 1500, "access {n}");
        }
        for sent in between.world.wire() {
            assert!(going.contains(&sent), "access {n}");
        }
        works(&mut between);
        assert_eq!(between.stack.session().caps().link, link);
        n += 1;
    }
    assert!(n > 200, "only {n} accesses were seen");
}

#[test]
fn a_long_frame_cut_off_by_the_drivers_death_keeps_no_pages() {
    let mut n = 0;
    loop {
        let mut between = Between::new(World::with(64, 9014), settings(1));
        between.stack.attach().unwrap();
        let bank = between.session_bank(between.bank).unwrap();
        between.world.inject(frame(mac(1), OUTSIDE, 1, 9014));
        let kernel = between.world.kernel.clone();
        kernel
            .borrow_mut()
            .at_access(n, move |kernel| kernel.destroy(bank));
        between.run();
        if kernel.borrow().has_trigger() {
            break;
        }
        between.advance(2000);
        between.advance(2000);
        let whole = frame(mac(1), OUTSIDE, 1, 9014);
        assert!(between.stack.receive().iter().all(|came| *came == whole));
        // All 16 pages are there: as many frames of three pages as fit.
        let coming: Vec<_> = (0..5).map(|n| frame(mac(1), OUTSIDE, n, 9014)).collect();
        coming.iter().cloned().for_each(|f| between.world.inject(f));
        between.run();
        assert!(between.stack.receive() == coming, "access {n}");
        // Odd, so that loads, stores and steps of copies are all met.
        n += 7;
    }
    assert!(n > 1000, "only {n} accesses were seen");
}

#[test]
fn frames_wait_while_there_is_no_driver() {
    let mut between = Between::attached();
    let group = Mac::new([0x33, 0x33, 0, 0, 0, 1]);
    let program = between.stack.program.clone();
    between
        .stack
        .session()
        .subscribe(&program, group, true)
        .unwrap();
    let idle = between.taken();
    let port = between.take_port();
    between
        .world
        .destroy(between.session_bank(between.bank).unwrap());
    let going: Vec<_> = (0..5).map(|n| frame(OUTSIDE, mac(1), n, 600)).collect();
    assert_eq!(between.stack.send(&going), 5);
    for _ in 0..10 {
        between.advance(700);
        assert!(!between.copier.borrow().is_attached());
    }
    // Its own groups and counters go on meanwhile.
    let other = Mac::new([0x33, 0x33, 0, 0, 0, 2]);
    let session = between.stack.session();
    session.subscribe(&program, other, true).unwrap();
    session.subscribe(&program, other, false).unwrap();
    session.statistics(&program).unwrap();
    assert!(between.world.wire().is_empty());
    between.give_port(port);
    between.advance(2100);
    assert!(between.copier.borrow().is_attached());
    assert_eq!(between.world.wire(), going);
    works(&mut between);
    assert_eq!(between.taken(), idle, "nothing is left of the old session");
    let coming = frame(group, OUTSIDE, 3, 100);
    between.world.inject(coming.clone());
    between.run();
    assert_eq!(
        between.stack.receive(),
        [coming],
        "groups are subscribed to again"
    );
}

#[test]
fn a_stack_that_is_not_attached_finds_out_that_there_is_no_driver() {
    let mut between = Between::new(World::new(), settings(1));
    let port = between.take_port();
    assert!(between.stack.attach().is_err());
    assert_eq!(between.taken(), between.idle);
    between.give_port(port);
    between.stack.attach().unwrap();
    works(&mut between);
}

#[test]
fn a_port_that_is_another_one_ends_the_stacks_session() {
    let mut between = Between::attached();
    let other = between.world.port(settings(2));
    between.take_port();
    let granted = between
        .world
        .kernel
        .borrow()
        .get(INIT, other.capability.address())
        .unwrap();
    between.give_port(granted);
    between
        .world
        .destroy(between.session_bank(between.bank).unwrap());
    between.advance(2000);
    assert_eq!(between.taken(), between.idle);
    between.stack.attach().unwrap();
    assert_eq!(between.stack.session().mac(), mac(2));
}
