//! Frames from the wire and from other sessions to their recipients.

use dev::settings::PortSettings;
use dev::statistics::Counter;
use dev::{Mac, Program};
use ethdrv::transport::{DeviceFault, Received};
use proptest::prelude::*;

use crate::support::client::BIT;
use crate::support::{OUTSIDE, World, frame, mac, settings};

#[test]
fn frames_for_nobody_reach_nobody() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.port(settings(3));
    world.inject(frame(mac(2), OUTSIDE, 0, 60));
    world.inject(frame(Mac::from_word(0), OUTSIDE, 0, 60));
    world.inject(frame(Mac::new([1, 0, 0x5e, 0, 0, 1]), OUTSIDE, 0, 60));
    world.inject(frame(mac(3), OUTSIDE, 0, 60));
    world.run();
    assert!(alice.receive().is_empty());
    assert_eq!(world.device_counter(Counter::Nobody), 3);
}

#[test]
fn runts_and_giants_and_lies_of_the_device_are_survived() {
    let world = World::new();
    let mut alice = world.attached(1);
    let lie = |token, offset, length, more| {
        world.device.borrow_mut().lies.push_back(Ok(Received {
            token,
            offset,
            length,
            more,
        }));
    };
    // Tokens that are not posted: too large, and one that the device gives twice.
    lie(64, 12, 60, false);
    lie(u16::MAX, 12, 60, false);
    world.run();
    assert_eq!(world.device_counter(Counter::DeviceLie), 2);
    // Posted ones, with lengths that can't be.
    for (offset, length) in [
        (12, 0),
        (12, 13),
        (12, 2037),
        (12, u32::MAX),
        (u32::MAX, 60),
    ] {
        lie(3, offset, length, false);
        world.run();
    }
    assert_eq!(world.device_counter(Counter::DeviceRunt), 5);
    // A frame of three buffers counts once.
    lie(5, 12, 2000, true);
    lie(6, 0, 2000, true);
    lie(7, 0, 100, false);
    world.run();
    assert_eq!(world.device_counter(Counter::DeviceGiant), 1);
    world
        .device
        .borrow_mut()
        .lies
        .push_back(Err(DeviceFault { what: "nonsense" }));
    for what in [Ok(0), Ok(9999), Err(DeviceFault { what: "nonsense" })] {
        world.device.borrow_mut().sent_lies.push_back(what);
    }
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(world.device_counter(Counter::DeviceLie), 4);
    assert_eq!(world.device_counter(Counter::DeviceFault), 2);
    assert_eq!(alice.receive().len(), 1);
    assert!(alice.receive().is_empty());
}

/// Each part by itself is no longer than the link carries; but it is longer than its buffer.
#[test]
fn a_frame_with_a_part_longer_than_its_buffer_is_nobodys_and_its_buffers_are_posted_again() {
    let world = World::new();
    let mut alice = world.attached(1);
    let posted = world.device.borrow().posted.len();
    // First, in the middle, and last.
    for wrong in 0..3 {
        // A round posts buffers again: which there are changes.
        let tokens: Vec<u16> = {
            let device = world.device.borrow();
            device
                .posted
                .iter()
                .map(|(_, token, ..)| *token)
                .take(3)
                .collect()
        };
        for (n, token) in tokens.into_iter().enumerate() {
            world.device.borrow_mut().lies.push_back(Ok(Received {
                token,
                offset: if n == 0 { 12 } else { 0 },
                length: if n == wrong { 2100 } else { 20 },
                more: n < 2,
            }));
        }
        world.run();
        assert_eq!(world.device_counter(Counter::DeviceRunt), wrong as u64 + 1);
        assert_eq!(world.device.borrow().posted.len(), posted);
    }
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(alice.receive().len(), 1);
}

#[test]
fn pitfall_25_a_buffer_that_the_driver_still_uses_is_not_the_devices() {
    let world = World::new();
    let mut clients: Vec<_> = (1..=80).map(|n| world.attached(n)).collect();
    let sent = frame(Mac::BROADCAST, OUTSIDE, 5, 600);
    world.inject(sent.clone());
    let token = world.device.borrow().posted[0].1;
    world.driver.borrow_mut().round();
    // Half of them have the frame, the others get it out of the same buffer.
    for _ in 0..3 {
        world.device.borrow_mut().lies.push_back(Ok(Received {
            token,
            offset: 12,
            length: 60,
            more: false,
        }));
    }
    world.run();
    assert_eq!(world.device_counter(Counter::DeviceLie), 3);
    for client in &mut clients {
        assert_eq!(client.receive(), std::slice::from_ref(&sent));
    }
    assert_eq!(world.device.borrow().posted.len(), 64);
}

#[test]
fn a_client_without_pages_loses_frames_and_gets_them_again_when_it_gives_some_back() {
    let world = World::new();
    let mut alice = world.attached(1);
    // Sixteen pages, two full frames each.
    for n in 0..40 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
    }
    world.run();
    assert_eq!(world.counter(alice.port, Counter::NoPage), 8);
    assert_eq!(world.state(alice.port).spare_pages, 0);
    assert_eq!(alice.receive().len(), 32);
    for n in 0..32 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
    }
    world.run();
    assert_eq!(alice.receive().len(), 32);
    assert_eq!(world.counter(alice.port, Counter::NoPage), 8);
}

#[test]
fn a_client_is_notified_once_a_round_and_only_when_it_asked() {
    let world = World::new();
    let mut alice = world.attached(1);
    let told = |world: &World| {
        let key = (alice.pid, BIT);
        world
            .kernel
            .borrow()
            .signals
            .get(&key)
            .copied()
            .unwrap_or(0)
    };
    let inject = |world: &World| {
        for n in 0..10 {
            world.inject(frame(mac(1), OUTSIDE, n, 60));
        }
        world.run();
    };
    inject(&world);
    assert_eq!(told(&world), 0, "she didn't ask");
    let program = alice.program.clone();
    assert_eq!(
        alice.session.as_mut().unwrap().ask(&program, false),
        Ok(true)
    );
    let ask = |session: &mut dev::session::Session<_>| {
        while let Some(frame) = session.receive().unwrap() {
            session.give_back(frame);
        }
        session.flush(&program).unwrap();
        assert_eq!(session.ask(&program, false), Ok(false));
    };
    for round in 1..4 {
        ask(alice.session.as_mut().unwrap());
        inject(&world);
        inject(&world);
        assert_eq!(told(&world), round);
    }
}

#[test]
fn sessions_of_one_link_reach_each_other() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    for length in [14, 60, 128, 129, 1514] {
        let there = frame(bob.port.mac, alice.port.mac, 1, length);
        assert_eq!(alice.send(std::slice::from_ref(&there)), 1);
        world.run();
        assert_eq!(bob.receive(), [there]);
        let back = frame(alice.port.mac, bob.port.mac, 2, length);
        assert_eq!(bob.send(std::slice::from_ref(&back)), 1);
        world.run();
        assert_eq!(alice.receive(), [back]);
    }
    assert!(world.wire().is_empty(), "the wire needn't see it");
    assert_eq!(world.counter(alice.port, Counter::SentSwitched), 5);
    assert_eq!(world.counter(bob.port, Counter::ReceivedSwitched), 5);
    // The source is checked like any other.
    alice.send(&[frame(bob.port.mac, OUTSIDE, 3, 60)]);
    world.run();
    assert!(bob.receive().is_empty());
    assert_eq!(world.counter(alice.port, Counter::SpoofedMac), 1);
    // Nobody's own frames come back.
    alice.send(&[frame(alice.port.mac, alice.port.mac, 4, 60)]);
    world.run();
    assert!(alice.receive().is_empty());
}

#[test]
fn nothing_of_the_look_up_depends_on_the_number_of_ports() {
    let world = World::new();
    let mut clients: Vec<_> = (1..=100).map(|n| world.attached(n)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        world.inject(frame(client.port.mac, OUTSIDE, n as u32, 70));
    }
    world.run();
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(
            client.receive(),
            [frame(client.port.mac, OUTSIDE, n as u32, 70)]
        );
    }
}

#[test]
fn statistics_reach_the_client() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.inject(frame(alice.port.mac, OUTSIDE, 1, 100));
    alice.send(&[frame(OUTSIDE, OUTSIDE, 1, 100)]);
    world.run();
    let program = alice.program.clone();
    let counters = alice.session().statistics(&program).unwrap();
    assert_eq!(counters, world.counters(alice.port));
    assert_eq!(counters.get(Counter::ReceivedBytes), 100);
    assert_eq!(counters.get(Counter::Copied), 1);
    assert_eq!(counters.get(Counter::SpoofedMac), 1);
    let described = alice.capability.describe(&alice.program.sys).unwrap();
    assert_eq!((described.mac, described.frame_limit), (mac(1), 1514));
    assert!(described.link);
    let device = world.admin.device(&world.init.sys).unwrap();
    assert_eq!((device.ports, device.frame_limit), (1, 1514));
}

#[test]
fn pitfall_14_in_copy_a_client_sees_no_byte_that_is_not_its_own() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    let secret = b"bob's secret, and nobody else's";
    for n in 0..200u32 {
        let mut private = frame(bob.port.mac, OUTSIDE, n, 1514);
        for piece in private[18..].chunks_mut(secret.len()) {
            let length = piece.len();
            piece.copy_from_slice(&secret[..length]);
        }
        world.inject(private);
        world.inject(frame(alice.port.mac, OUTSIDE, n, 60 + n as usize));
        world.run();
        bob.receive();
        alice.receive();
    }
    let kernel = world.kernel.borrow();
    for bank in &kernel.banks {
        let of_alice = bank.parent == Some(alice.bank);
        for oid in bank.sold.iter().filter(|_| of_alice) {
            if let Some(crate::support::kernel::Object::Page { frame }) = kernel.objects[*oid] {
                let bytes = &kernel.frames[frame].bytes;
                assert!(!bytes.windows(12).any(|window| window == &secret[..12]));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the wire brings, each client gets exactly its own frames, in order, unaltered, and what
    /// it doesn't get is counted.
    #[test]
    fn each_gets_its_own_in_order(
        frames in proptest::collection::vec((0u8..4, 14usize..1515, any::<bool>()), 1..200)
    ) {
        let world = World::new();
        let mut clients: Vec<_> = (1..=3).map(|n| world.attached(n)).collect();
        let mut sent = vec![Vec::new(); 3];
        let mut got = vec![Vec::new(); 3];
        for (n, (to, length, drain)) in frames.iter().enumerate() {
            let bytes = frame(mac(to + 1), OUTSIDE, n as u32, *length);
            world.inject(bytes.clone());
            if let Some(sent) = sent.get_mut(*to as usize) {
                sent.push(bytes);
            }
            if *drain {
                world.run();
                for (client, got) in clients.iter_mut().zip(&mut got) {
                    got.extend(client.receive());
                }
            }
        }
        world.run();
        for (n, client) in clients.iter_mut().enumerate() {
            got[n].extend(client.receive());
            let counters = world.counters(client.port);
            let dropped = counters.get(Counter::NoPage) + counters.get(Counter::RingFull);
            prop_assert_eq!(counters.get(Counter::ReceivedFrames), got[n].len() as u64);
            prop_assert_eq!(dropped as usize + got[n].len(), sent[n].len());
            // A subsequence of what was sent.
            let mut rest = sent[n].iter();
            for frame in &got[n] {
                prop_assert!(rest.any(|other| other == frame));
            }
        }
        prop_assert_eq!(world.device.borrow().posted.len(), 64, "every buffer is posted again");
    }

    /// No frame that a client can write, and no entry, gets it anything but its own frames out.
    #[test]
    fn any_entry_and_any_bytes(
        steps in proptest::collection::vec(
            (any::<[u32; 4]>(), 0u8..8, proptest::collection::vec(any::<u8>(), 0..200)), 1..40)
    ) {
        let world = World::new();
        let mut alice = world.attached(1);
        let mut bob = world.attached(2);
        for (words, shape, mut bytes) in steps {
            if alice.session.is_none() {
                break;
            }
            if shape & 1 != 0 && bytes.len() >= 14 {
                bytes[6..12].copy_from_slice(&mac(1).bytes());
            }
            let good = alice.fill(words[0] % 8, (words[1] % 3000) as usize, &bytes);
            let entry = match shape >> 1 {
                0 => ring::Descriptor { page: words[0], offset: words[1], length: words[2], flags: words[3] },
                1 => ring::Descriptor { length: words[2] % 5000, ..good },
                _ => good,
            };
            alice.transmit_raw(entry);
            world.run();
            if world.counter(alice.port, Counter::Misbehaved) > 0 {
                alice.session = None;
            }
        }
        for frame in world.wire() {
            prop_assert_eq!(&frame[6..12], &mac(1).bytes());
        }
        for n in 0..3 {
            bob.receive();
            world.inject(frame(mac(2), OUTSIDE, n, 900));
            world.run();
            prop_assert_eq!(bob.receive().pop(), Some(frame(mac(2), OUTSIDE, n, 900)));
        }
    }
}

#[test]
fn a_port_for_few_pages_works() {
    let world = World::new();
    let port = world.port(PortSettings {
        receive_pages: 2,
        transmit_pages: 8,
        ..settings(1)
    });
    let mut alice = world.client(port, 100);
    alice.receive_pages = 2;
    alice.attach().unwrap();
    for n in 0..50 {
        world.inject(frame(port.mac, OUTSIDE, n, 1514));
        world.inject(frame(port.mac, OUTSIDE, n, 60));
        world.run();
        assert_eq!(alice.receive().len(), 2);
    }
    assert_eq!(world.counter(port, Counter::NoPage), 0);
    let _ = world.init.now();
}
