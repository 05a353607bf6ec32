//! What a client sees of others: in `copy`, and sealed, nothing.

use dev::settings::{Receive, Strategy};
use dev::statistics::Counter;
use sys::Mem;

use crate::flip::{FLIP, HYBRID, sealed, world};
use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame};

/// What only others may see.
const SECRET: [u8; 8] = *b"\xf7secret\xf8";

/// A frame full of a secret.
fn secret(to: dev::Mac, number: u32, length: usize) -> Vec<u8> {
    let mut frame = frame(to, OUTSIDE, number, length);
    for (n, byte) in frame.iter_mut().enumerate().skip(18) {
        *byte = SECRET[n % SECRET.len()];
    }
    frame
}

/// A client's own frame: of a byte that no other frame has.
fn own(to: dev::Mac, number: u32, length: usize) -> Vec<u8> {
    let mut frame = frame(to, OUTSIDE, number, length);
    frame[18..].fill(0x11);
    frame
}

/// Whether any byte of the client's receive memory is somebody else's. The device's own mark in the
/// headroom is none of the client's either.
fn sees_others(client: &mut Client) -> bool {
    let pages = client.receive_pages();
    pages
        .windows(4)
        .any(|bytes| SECRET.windows(4).any(|secret| *secret == *bytes))
        || pages.contains(&0xee)
}

fn busy(world: &World, alice: &mut Client, bob: &mut Client, carol: &mut Client, rounds: u32) {
    for n in 0..rounds {
        for to in [bob.port.mac, carol.port.mac] {
            world.inject(secret(to, n, 60 + (n as usize * 97) % 1450));
        }
        world.inject(own(alice.port.mac, n, 60 + (n as usize * 61) % 1450));
        world.run();
        bob.receive();
        carol.receive();
        if n % 3 == 0 {
            for frame in alice.receive() {
                assert!(frame[18..].iter().all(|byte| *byte == 0x11));
            }
        }
    }
}

#[test]
fn pitfall_14_who_is_sealed_or_copies_sees_nothing_but_its_own_frames() {
    for mine in [
        Receive::default(),
        sealed(Receive::default()),
        sealed(FLIP),
        sealed(HYBRID),
    ] {
        for theirs in [
            Receive::default(),
            FLIP,
            HYBRID,
            sealed(FLIP),
            sealed(HYBRID),
        ] {
            let world = world();
            world.add_aperture();
            let mut alice = world.attached_with(1, mine);
            let mut bob = world.attached_with(2, theirs);
            let mut carol = world.attached_with(3, sealed(FLIP));
            for _ in 0..8 {
                busy(&world, &mut alice, &mut bob, &mut carol, 25);
                assert!(!sees_others(&mut alice), "{mine} among {theirs}");
            }
            let ways = world.counters(alice.port);
            if mine.strategy != Strategy::Copy {
                assert!(ways.get(Counter::Exchanged) > 0, "{mine} among {theirs}");
            }
        }
    }
}

#[test]
fn pitfall_15_who_is_sealed_shows_nothing_to_others_who_are() {
    // Bob's secrets come by the switch: they never were on the wire.
    for receive in [sealed(FLIP), sealed(HYBRID)] {
        let world = world();
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, receive);
        let mut carol = world.attached_with(3, Receive::default());
        for n in 0..100 {
            let mut said = secret(bob.port.mac, n, 1400);
            said[6..12].copy_from_slice(&carol.port.mac.bytes());
            carol.send(&[said]);
            world.inject(own(alice.port.mac, n, 80));
            world.inject(own(bob.port.mac, n, 500));
            world.run();
            bob.receive();
            alice.receive();
            assert!(!sees_others(&mut alice), "{receive}, frame {n}");
        }
    }
}

#[test]
fn pitfall_14_a_page_that_comes_back_shows_what_an_unsealed_neighbour_had_and_no_more() {
    // Plain flipping glimpses; that is what it says. But never what a sealed or copying one received.
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    let mut bob = world.attached_with(2, sealed(FLIP));
    let mut carol = world.attached_with(3, Receive::default());
    for n in 0..200 {
        let mut said = secret(bob.port.mac, n, 1400);
        said[6..12].copy_from_slice(&carol.port.mac.bytes());
        carol.send(&[said]);
        world.inject(own(alice.port.mac, n, 80));
        world.inject(own(bob.port.mac, n, 500));
        world.run();
        bob.receive();
        alice.receive();
        let seen = alice.receive_pages();
        let found = seen
            .windows(8)
            .any(|bytes| (0..8).all(|n| bytes[n] == SECRET[n]));
        assert!(!found, "frame {n}");
    }
}

#[test]
fn entering_sealed_or_copy_scrubs_what_could_be_seen() {
    for (before, after) in [
        (FLIP, sealed(FLIP)),
        (HYBRID, sealed(HYBRID)),
        (FLIP, Receive::default()),
        (HYBRID, sealed(FLIP)),
    ] {
        let world = world();
        world.add_aperture();
        let mut alice = world.attached_with(1, before);
        let mut bob = world.attached_with(2, FLIP);
        let mut carol = world.attached_with(3, HYBRID);
        busy(&world, &mut alice, &mut bob, &mut carol, 100);
        assert!(sees_others(&mut alice), "{before}: nothing to scrub");
        // She keeps some frames: they stay what they are.
        let mut held = Vec::new();
        for n in 0..5 {
            world.inject(own(alice.port.mac, n, 200 + 200 * n as usize));
            world.run();
            while let Some(frame) = alice.session().receive().unwrap() {
                held.push((frame, n));
            }
        }
        world
            .admin
            .set_receive(&world.init.sys, alice.port.number, after)
            .unwrap();
        busy(&world, &mut alice, &mut bob, &mut carol, 60);
        assert!(!sees_others(&mut alice), "from {before} to {after}");
        assert_eq!(held.len(), 5);
        for (got, n) in held {
            let mut bytes = vec![0; got.len()];
            let memory = alice.session().receive_memory().clone();
            memory.read(got.offset(), &mut bytes).unwrap();
            assert_eq!(bytes, own(alice.port.mac, n, 200 + 200 * n as usize));
        }
    }
}
