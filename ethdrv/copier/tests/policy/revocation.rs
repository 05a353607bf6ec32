//! The stack's memory goes at every instant that there is: the copier goes on.

use dev::statistics::Counter;

use crate::between::Between;
use crate::support::{OUTSIDE, World, frame, mac, settings};

/// What the copier does while a bank of the stack's goes, at its `n`-th access to memory that can go.
/// Answers whether the moment came at all.
fn at_access(n: u64, bank_of: impl Fn(&Between) -> usize) -> bool {
    // Few pages, so that returns are taken in soon.
    let mut between = Between::new(World::new(), settings(1));
    between.stack.receive_pages = 4;
    between.stack.attach().unwrap();
    let bought = between.bought(between.bank);
    let bank = bank_of(&between);
    for n in 0..8 {
        between.world.inject(frame(mac(1), OUTSIDE, n, 1500));
    }
    between.run();
    between.stack.receive();
    let going: Vec<_> = (0..2)
        .map(|n| frame(OUTSIDE, mac(1), n, 500 + n as usize))
        .collect();
    between.stack.send(&going);
    for (n, length) in [1500, 60, 700, 1500].into_iter().enumerate() {
        between
            .world
            .inject(frame(mac(1), OUTSIDE, n as u32, length));
    }
    let kernel = between.world.kernel.clone();
    kernel
        .borrow_mut()
        .at_access(n, move |kernel| kernel.destroy(bank));
    between.run();
    let came = !kernel.borrow().has_trigger();
    kernel.borrow_mut().take_trigger();
    // What left is whole, or didn't leave.
    for sent in between.world.wire() {
        assert!(going.contains(&sent), "access {n}");
    }
    if came {
        // A frame, or the look that is taken each second, shows it at the latest.
        between.world.inject(frame(mac(1), OUTSIDE, 0, 60));
        between.advance(2000);
        assert_eq!(between.counter(Counter::Revoked), 1, "access {n}");
        assert_eq!(between.counter(Counter::Misbehaved), 0, "access {n}");
        assert_eq!(between.taken(), between.idle, "access {n}");
        assert!(between.bought(between.bank) < bought, "access {n}");
        assert_eq!(kernel.borrow().limbo_frames(), 0, "access {n}");
        let of_copier = between.world.counter(between.port, Counter::Revoked);
        assert_eq!(of_copier, 0, "access {n}: the driver saw a client detach");
    }
    came
}

#[test]
fn pitfall_10_the_stacks_bank_goes_at_every_access() {
    let mut n = 0;
    while at_access(n, |between| between.stack.bank) {
        n += 1;
    }
    assert!(n > 300, "only {n} accesses were seen");
}

#[test]
fn pitfall_10_the_session_bank_goes_at_every_access() {
    let mut n = 0;
    while at_access(n, |between| {
        between.session_bank(between.stack.bank).unwrap()
    }) {
        n += 1;
    }
    assert!(n > 300, "only {n} accesses were seen");
}

#[test]
fn pitfall_10_a_session_whose_bank_goes_between_events_is_found_within_a_second() {
    let between = Between::attached();
    between
        .world
        .destroy(between.session_bank(between.stack.bank).unwrap());
    between.advance(2000);
    assert_eq!(between.taken(), between.idle);
}

#[test]
fn a_stack_that_lost_its_session_attaches_again() {
    let mut between = Between::attached();
    between
        .world
        .destroy(between.session_bank(between.stack.bank).unwrap());
    between.stack.attach().unwrap();
    let coming = frame(mac(1), OUTSIDE, 1, 60);
    between.world.inject(coming.clone());
    between.run();
    assert_eq!(between.stack.receive(), [coming]);
}
