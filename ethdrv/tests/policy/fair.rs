//! Who sends how much: shares, and rates.

use dev::settings::{PortSettings, Rate};
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, mac, settings};

/// Two ports that always have frames to send: how many bytes each got of what left first.
fn shares(shares: [u16; 2], lengths: [usize; 2], frames: usize) -> [usize; 2] {
    shares_after(shares, lengths, frames, |_, _| ())
}

fn shares_after(
    shares: [u16; 2],
    lengths: [usize; 2],
    frames: usize,
    before: impl FnOnce(&World, &mut Client),
) -> [usize; 2] {
    let world = World::with_capacity(8);
    world.device.borrow_mut().prompt = false;
    let mut clients: Vec<Client> = (0..2)
        .map(|n| {
            let port = world.port(PortSettings {
                rate: Rate {
                    share: shares[n],
                    ..Rate::default()
                },
                ..settings(n as u8 + 1)
            });
            let mut client = world.client(port, 1000);
            client.attach().unwrap();
            client
        })
        .collect();
    before(&world, &mut clients[0]);
    world.wire();
    let mut bytes = [0; 2];
    let mut left = 0;
    while left < frames {
        for (client, length) in clients.iter_mut().zip(lengths) {
            let more: Vec<_> = (0..16)
                .map(|n| frame(OUTSIDE, client.port.mac, n, length))
                .collect();
            client.send(&more);
            client.kick();
        }
        // The link takes one frame at a time, so both always have something to send.
        world.driver.borrow_mut().poll();
        world.driver.borrow_mut().round();
        world.device.borrow_mut().complete();
        for frame in world.wire() {
            left += 1;
            if frame[11] <= 2 && frame[6] == 2 {
                bytes[frame[11] as usize - 1] += frame.len();
            }
        }
    }
    bytes
}

#[test]
fn turns_are_fair_by_bytes() {
    for lengths in [[1514, 1514], [1514, 200], [64, 1514]] {
        let [a, b] = shares([1, 1], lengths, 3000);
        let ratio = a as f64 / b as f64;
        assert!((0.9..1.1).contains(&ratio), "{lengths:?}: {a} to {b}");
    }
    let [a, b] = shares([3, 1], [1000, 1514], 3000);
    let ratio = a as f64 / b as f64;
    assert!((2.7..3.3).contains(&ratio), "{a} to {b}");
}

#[test]
fn nobody_gains_by_attaching_again_in_the_midst_of_sending() {
    let [a, b] = shares_after([1, 1], [1000, 1000], 3000, |world, alice| {
        for slow in [true, false, true, false, true] {
            let bytes_per_second = if slow { 1000 } else { 0 };
            let rate = Rate {
                bytes_per_second,
                burst: 2000,
                share: 1,
            };
            let port = alice.port.number;
            world.admin.set_rate(&world.init.sys, port, rate).unwrap();
            let frames: Vec<_> = (0..16).map(|n| frame(OUTSIDE, mac(1), n, 1000)).collect();
            alice.send(&frames);
            world.run();
            world.device.borrow_mut().prompt = true;
            world.device.borrow_mut().complete();
            world.advance(1_000_000_000);
            alice.attach().unwrap();
            world.device.borrow_mut().prompt = false;
        }
        let port = alice.port.number;
        let unlimited = Rate::default();
        world
            .admin
            .set_rate(&world.init.sys, port, unlimited)
            .unwrap();
        world.advance(60_000_000_000);
    });
    let ratio = a as f64 / b as f64;
    assert!((0.9..1.1).contains(&ratio), "{a} to {b}");
}

#[test]
fn turns_that_a_rate_cut_short_are_not_saved_up() {
    let [a, b] = shares_after([1, 1], [100, 100], 300, |world, alice| {
        let rate = Rate {
            bytes_per_second: 10_000,
            burst: 1514,
            share: 1,
        };
        let port = alice.port.number;
        world.admin.set_rate(&world.init.sys, port, rate).unwrap();
        world.device.borrow_mut().prompt = true;
        for n in 0..300 {
            alice.send(&[
                frame(OUTSIDE, mac(1), n, 100),
                frame(OUTSIDE, mac(1), n, 100),
            ]);
            alice.kick();
            world.run();
            world.advance(10_000_000);
        }
        world.device.borrow_mut().prompt = false;
        let unlimited = Rate::default();
        world
            .admin
            .set_rate(&world.init.sys, port, unlimited)
            .unwrap();
        world.advance(60_000_000_000);
    });
    let ratio = a as f64 / b as f64;
    assert!((0.8..1.25).contains(&ratio), "{a} to {b}");
}

#[test]
fn a_port_is_held_to_its_rate_and_the_others_are_not() {
    let world = World::new();
    let port = world.port(PortSettings {
        rate: Rate {
            bytes_per_second: 100_000,
            burst: 2000,
            share: 1,
        },
        ..settings(1)
    });
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let mut bob = world.attached(2);
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(world.wire(), frames[..2], "the burst");
    bob.send(&[frame(OUTSIDE, bob.port.mac, 0, 1000)]);
    world.run();
    assert_eq!(world.wire().len(), 1);
    for n in 2..16 {
        world.advance(9_000_000);
        world.run();
        assert!(
            world.wire().is_empty(),
            "a thousand bytes take ten milliseconds"
        );
        world.advance(1_000_000);
        world.run();
        assert_eq!(world.wire(), frames[n..=n]);
    }
    assert_eq!(world.counter(port, Counter::Throttled), 14);
    // Rates can be changed while frames wait.
    alice.send(&frames[..4]);
    world.run();
    let unlimited = Rate::default();
    world
        .admin
        .set_rate(&world.init.sys, port.number, unlimited)
        .unwrap();
    world.advance(10_000_000);
    world.run();
    assert_eq!(world.wire(), frames[..4]);
}

#[test]
fn a_throttled_session_that_ends_is_forgotten() {
    let world = World::new();
    let port = world.port(PortSettings {
        rate: Rate {
            bytes_per_second: 1000,
            burst: 1514,
            share: 1,
        },
        ..settings(1)
    });
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let frames: Vec<_> = (0..4)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    alice.send(&frames);
    world.run();
    assert_eq!(world.wire(), frames[..1]);
    let session = alice.session.take().unwrap();
    session.detach(&alice.program);
    alice.attach().unwrap();
    world.advance(10_000_000_000);
    world.run();
    assert!(
        world.wire().is_empty(),
        "what the old session wanted to send"
    );
    alice.send(&frames[1..2]);
    world.run();
    assert_eq!(world.wire(), frames[1..2]);
}
