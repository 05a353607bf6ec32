//! Many sessions that flip: what a frame for one takes does not grow with them.

use dev::settings::{Receive, Strategy};
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::kernel::DRIVER;
use crate::support::{OUTSIDE, World, frame};

/// Frames for everybody, in the same turn.
fn round(world: &World, clients: &mut [Client], number: u32) {
    for (n, client) in (number..).zip(clients.iter()) {
        world.inject(frame(client.port.mac, OUTSIDE, n, 600));
    }
    world.run();
    for client in clients {
        client.receive();
    }
}

#[test]
fn segments_in_more_tables_than_a_call_names_are_exchanged_all_the_same() {
    let world = World::with_capacity(64);
    for _ in 0..5 {
        world.add_aperture();
    }
    let receive = Receive {
        strategy: Strategy::Flip,
        ..Receive::default()
    };
    let mut clients: Vec<_> = (1..=80).map(|n| world.attached_with(n, receive)).collect();
    // Of the fourth table segments lie in.
    assert!(world.kernel.borrow().slots_taken(DRIVER) > 3 * 128);
    let sum = |clients: &[Client], counter| -> u64 {
        let counts = clients.iter().map(|it| world.counter(it.port, counter));
        counts.sum()
    };
    for n in 0..20 {
        round(&world, &mut clients, n * 100);
    }
    let copied = sum(&clients, Counter::Copied);
    let asked = world.kernel.borrow().limbo_asked;
    let before = sum(&clients, Counter::Exchanged);
    for n in 20..40 {
        round(&world, &mut clients, n * 100);
    }
    assert_eq!(sum(&clients, Counter::Copied), copied);
    assert_eq!(world.kernel.borrow().limbo_asked, asked);
    assert!(sum(&clients, Counter::Exchanged) > before + 100);
}

#[test]
fn frames_whose_exchange_was_refused_are_counted_so() {
    let world = World::with_capacity(16);
    world.add_aperture();
    let receive = Receive {
        strategy: Strategy::Flip,
        ..Receive::default()
    };
    let alice = world.attached_with(1, receive);
    let mut bob = world.attached_with(2, receive);
    let mut copied = 0;
    for n in 0..200 {
        world.inject(frame(bob.port.mac, OUTSIDE, n, 600));
        if n == 100 {
            // Some of hers are what the device has; nobody has heard that they are gone.
            world.kernel.borrow_mut().destroy(alice.bank);
        }
        world.run();
        assert_eq!(bob.receive().len(), 1);
        copied = world.counter(bob.port, Counter::Copied);
    }
    let count = |counter| world.counter(bob.port, counter);
    let reasons = [
        Counter::ChosePool,
        Counter::ChoseGoing,
        Counter::ChoseRefused,
    ];
    assert_eq!(reasons.map(count).iter().sum::<u64>(), copied);
}
