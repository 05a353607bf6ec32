//! Banks that go at every access and every system call while frames are copied, exchanged and posted.

use dev::Mac;
use dev::admin::PortState;
use dev::settings::{PortSettings, Receive};

use crate::flip::{FLIP, HYBRID, sealed};
use crate::support::client::Client;
use crate::support::kernel::DRIVER;
use crate::support::{OUTSIDE, World, frame, settings};

/// Short frames are copied, the others flipped: either is short enough to be looked at byte by byte.
const HYBRID_100: Receive = Receive {
    threshold: 100,
    ..HYBRID
};

fn attached(world: &World, n: u8, receive: Receive) -> Client {
    let port = world.port(PortSettings {
        receive,
        ..settings(n)
    });
    let mut client = world.client(port, 1000);
    client.receive_pages = 20;
    client.attach().unwrap();
    world.run();
    client
}

/// Bob receives while the memory of alice, who receives otherwise, goes at the `n`-th access or system
/// call of the driver's. Answers whether that came.
fn at(n: u64, hers: Receive, his: Receive) -> bool {
    let world = World::with_capacity(64);
    world.add_aperture();
    let mut alice = attached(&world, 1, hers);
    let mut bob = attached(&world, 2, his);
    for n in 0..12 {
        for client in [&mut alice, &mut bob] {
            world.inject(frame(client.port.mac, OUTSIDE, n, 150));
            world.run();
            assert_eq!(client.receive().len(), 1);
        }
    }
    let bank = alice.bank;
    let mut sent = Vec::new();
    for n in 0..3 {
        for length in [150, 80] {
            world.inject(frame(alice.port.mac, OUTSIDE, n, length));
            sent.push(frame(bob.port.mac, OUTSIDE, n, length));
            world.inject(sent[sent.len() - 1].clone());
        }
    }
    sent.push(frame(Mac::BROADCAST, OUTSIDE, 9, 70));
    world.inject(sent[sent.len() - 1].clone());
    world
        .kernel
        .borrow_mut()
        .at_access(n, move |kernel| kernel.destroy(bank));
    world.run();
    let came = !world.kernel.borrow().has_trigger();
    world.kernel.borrow_mut().take_trigger();
    let mut got = bob.receive();
    // A broadcast may come behind what was for him alone, not before its time.
    got.sort_by_key(|frame| frame[0] == 0xff);
    let lengths = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&got), lengths(&sent), "{hers}, {his}, access {n}");
    assert!(got == sent, "{hers}, {his}, access {n}");
    if !came {
        return false;
    }
    // What she had goes back as the device gives it back; then nothing of hers is left.
    for n in 0..64 {
        let sent = frame(bob.port.mac, OUTSIDE, n, 150);
        world.inject(sent.clone());
        world.run();
        assert!(bob.receive() == [sent], "{hers}, {his}, access {n}");
    }
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    let kernel = world.kernel.borrow();
    assert_eq!(kernel.limbo_frames(), 0, "{hers}, {his}, access {n}");
    let slots = kernel.slots_taken(DRIVER);
    drop(kernel);
    // Her next session is like the first.
    let mut second = world.client(alice.port, 1000);
    second.receive_pages = 20;
    second.attach().unwrap();
    world.run();
    for n in 0..12 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 150));
        world.run();
        assert_eq!(second.receive().len(), 1);
    }
    assert!(world.kernel.borrow().slots_taken(DRIVER) > slots);
    true
}

fn sweep(hers: Receive, his: Receive) {
    let mut n = 0;
    while at(n, hers, his) {
        n += 1;
    }
    assert!(n > 60, "{hers}, {his}: only {n} accesses were seen");
}

#[test]
fn pitfall_13_flipping_beside_flipping() {
    sweep(FLIP, FLIP);
}

#[test]
fn pitfall_13_flipping_beside_hybrid() {
    sweep(FLIP, HYBRID_100);
    sweep(HYBRID_100, FLIP);
}

#[test]
fn pitfall_13_flipping_beside_copying() {
    sweep(FLIP, Receive::default());
    sweep(Receive::default(), FLIP);
}

#[test]
fn pitfall_13_sealed_beside_sealed() {
    sweep(sealed(FLIP), sealed(HYBRID_100));
    sweep(sealed(HYBRID_100), sealed(FLIP));
}

#[test]
fn pitfall_13_sealed_beside_flipping() {
    sweep(sealed(FLIP), FLIP);
    sweep(FLIP, sealed(FLIP));
}

#[test]
fn a_bank_that_goes_while_its_owner_goes_over_costs_nobody_anything() {
    for (from, to) in [
        (Receive::default(), sealed(FLIP)),
        (sealed(FLIP), FLIP),
        (FLIP, Receive::default()),
    ] {
        for n in 0..400 {
            let world = World::with_capacity(8);
            world.add_aperture();
            let mut alice = attached(&world, 1, from);
            let mut bob = attached(&world, 2, FLIP);
            for n in 0..12 {
                for client in [&mut alice, &mut bob] {
                    world.inject(frame(client.port.mac, OUTSIDE, n, 150));
                    world.run();
                    client.receive();
                }
            }
            let bank = alice.bank;
            let number = alice.port.number;
            world
                .admin
                .set_receive(&world.init.sys, number, to)
                .unwrap();
            world
                .kernel
                .borrow_mut()
                .at_access(n, move |kernel| kernel.destroy(bank));
            for n in 0..20 {
                world.inject(frame(alice.port.mac, OUTSIDE, n, 150));
                let sent = frame(bob.port.mac, OUTSIDE, n, 150);
                world.inject(sent.clone());
                world.run();
                assert!(bob.receive() == [sent], "from {from} to {to}, access {n}");
            }
            let came = !world.kernel.borrow().has_trigger();
            if came {
                for n in 0..20 {
                    world.inject(frame(bob.port.mac, OUTSIDE, n, 150));
                    world.run();
                    assert_eq!(bob.receive().len(), 1, "from {from} to {to}, access {n}");
                }
                assert_eq!(world.state(alice.port).state, PortState::Idle);
                assert_eq!(world.kernel.borrow().limbo_frames(), 0);
            }
        }
    }
}
