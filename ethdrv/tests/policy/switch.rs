//! Strategies changed while frames come.

use dev::settings::Receive;

use crate::flip::{FLIP, HYBRID, sealed, world};
use crate::support::{OUTSIDE, frame};

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
            let world = world();
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
