//! Strategies changed while frames come.

use dev::settings::Receive;
use dev::statistics::Counter;

use crate::flip::{FLIP, HYBRID, sealed, world};
use crate::support::{OUTSIDE, World, frame};

#[test]
fn no_frame_is_lost_by_a_change_of_strategy() {
    let all = [
        Receive::default(),
        FLIP,
        HYBRID,
        sealed(FLIP),
        sealed(HYBRID),
    ];
    for from in all {
        for to in all {
            // A frame that finds no buffer posted isn't the driver's to lose.
            let world = World::with_capacity(64);
            world.add_aperture();
            world.add_aperture();
            let mut alice = world.attached_with(1, from);
            let mut bob = world.attached_with(2, FLIP);
            let mut number = 0;
            for change in 0..12 {
                let receive = if change % 2 == 0 { to } else { from };
                world
                    .admin
                    .set_receive(&world.init.sys, alice.port.number, receive)
                    .unwrap();
                // Sometimes the next change comes before this one is over.
                for _ in 0..change * 3 {
                    let mut sent = Vec::new();
                    for _ in 0..4 {
                        number += 1;
                        let length = 60 + (number as usize * 53) % 1450;
                        sent.push(frame(alice.port.mac, OUTSIDE, number, length));
                        world.inject(sent[sent.len() - 1].clone());
                        world.inject(frame(bob.port.mac, OUTSIDE, number, length));
                    }
                    // One round at a time: the change goes on in between.
                    world.driver.borrow_mut().round();
                    let mut got = alice.receive();
                    world.run();
                    got.extend(alice.receive());
                    assert_eq!(got, sent, "between {from} and {to}");
                    assert_eq!(bob.receive().len(), 4);
                }
            }
        }
    }
}

#[test]
fn slots_are_given_back_by_who_copies_again() {
    let world = world();
    let mut alice = world.attached_with(1, sealed(FLIP));
    let idle = |world: &crate::support::World| {
        let kernel = world.kernel.borrow();
        kernel.frames.iter().filter(|frame| frame.pins > 0).count()
    };
    let pinned = idle(&world);
    for n in 0..20 {
        let receive = if n % 2 == 0 {
            Receive::default()
        } else {
            sealed(FLIP)
        };
        world
            .admin
            .set_receive(&world.init.sys, alice.port.number, receive)
            .unwrap();
        for n in 0..40 {
            world.inject(frame(alice.port.mac, OUTSIDE, n, 500));
            world.run();
            assert_eq!(alice.receive().len(), 1);
        }
        let now = idle(&world);
        if n % 2 == 0 {
            assert_eq!(now, pinned - 16 - 8);
        } else {
            assert_eq!(now, pinned);
        }
    }
}

#[test]
fn who_finds_no_slot_free_flips_when_enough_come_back() {
    let world = World::with_capacity(64);
    world.add_aperture();
    let attach = |n, receive_pages| {
        let port = world.port(dev::settings::PortSettings {
            receive: FLIP,
            receive_pages,
            ..crate::support::settings(n)
        });
        let mut client = world.client(port, 1000);
        client.receive_pages = receive_pages;
        client.attach().unwrap();
        world.run();
        client
    };
    let mut alice = attach(1, 240);
    let mut bob = attach(2, 240);
    let _carol = attach(3, 24);
    let warm_up = |bob: &mut crate::support::client::Client| {
        for n in 0..200 {
            world.inject(frame(bob.port.mac, OUTSIDE, n, 1000));
            world.run();
            bob.receive();
        }
    };
    warm_up(&mut bob);
    // What the device has of alice's stays pinned when she attaches anew: too few slots are left for
    // her pages until frames have come in them.
    alice.attach().unwrap();
    world.run();
    warm_up(&mut bob);
    let before = world.counter(alice.port, Counter::Copied);
    for n in 0..100 {
        let sent = frame(alice.port.mac, OUTSIDE, n, 1000);
        world.inject(sent.clone());
        world.run();
        assert_eq!(alice.receive(), [sent]);
    }
    let copied = world.counter(alice.port, Counter::Copied) - before;
    assert!(copied < 40, "{copied} of 100 are copied");
}
