//! The driver's own buffers, where anybody flips: whole pages, out of which frames are exchanged.

use dev::Mac;
use dev::settings::{PortSettings, Receive, Strategy as Way};
use dev::statistics::Counter;
use proptest::prelude::*;

use crate::flip::{FLIP, HYBRID, sealed, warm_up};
use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, settings};

const CAPACITY: u16 = 64;

fn world() -> World {
    let world = World::with_capacity(CAPACITY);
    world.add_aperture();
    world
}

fn set(world: &World, client: &Client, receive: Receive) {
    let number = client.port.number;
    world
        .admin
        .set_receive(&world.init.sys, number, receive)
        .unwrap();
    world.run();
}

fn leave(client: &mut Client) {
    let program = client.program.clone();
    client.session.take().unwrap().detach(&program);
}

#[test]
fn who_goes_over_to_flip_beside_one_who_copies_has_its_frames_flipped() {
    for receive in [FLIP, HYBRID, sealed(FLIP), sealed(HYBRID)] {
        let world = world();
        // She has as many pages as one who copies, and lends a quarter of them: far fewer than the device
        // takes buffers.
        let mut alice = world.attached_with(1, Receive::default());
        let mut bob = world.attached_with(2, Receive::default());
        set(&world, &alice, receive);
        // Until what the device had before has been used up.
        warm_up(&world, &mut [&mut alice, &mut bob]);
        let before = world.counters(alice.port);
        for n in 0..300 {
            let sent = frame(alice.port.mac, OUTSIDE, n, 1000);
            let other = frame(bob.port.mac, OUTSIDE, n, 1000);
            world.inject(sent.clone());
            world.inject(other.clone());
            world.run();
            assert_eq!(alice.receive(), [sent], "{receive}, {n}");
            assert_eq!(bob.receive(), [other], "{receive}, {n}");
        }
        let after = world.counters(alice.port);
        let came = |counter| after.get(counter) - before.get(counter);
        assert_eq!(came(Counter::Copied), 0, "{receive}");
        let flipped = came(Counter::InPlace) + came(Counter::Exchanged);
        assert_eq!(flipped, 300, "{receive}");
        assert_eq!(world.counter(bob.port, Counter::Exchanged), 0);
        // Neither has fewer pages for it, nor has the driver.
        leave(&mut alice);
        leave(&mut bob);
        for n in 0..CAPACITY as u32 {
            world.inject(frame(OUTSIDE, OUTSIDE, n, 60));
            world.run();
        }
        let holdings = world.driver.borrow().holdings();
        assert_eq!(holdings.slots, 0, "{receive}");
        assert!(holdings.reserve.0 <= CAPACITY as usize, "{receive}");
        assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{receive}");
    }
}

#[test]
fn a_page_that_a_sealed_port_gave_the_driver_shows_nothing_to_who_gets_it_next() {
    const SECRET: [u8; 8] = *b"\xf7secret\xf8";
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    let mut bob = world.attached_with(2, sealed(FLIP));
    let mut carol = world.attached_with(3, Receive::default());
    warm_up(&world, &mut [&mut alice, &mut bob, &mut carol]);
    for n in 0..300 {
        // Bob's secrets come by the switch: the device never wrote them anywhere.
        let mut secret = frame(bob.port.mac, carol.port.mac, n, 1400);
        for (n, byte) in secret.iter_mut().enumerate().skip(18) {
            *byte = SECRET[n % SECRET.len()];
        }
        carol.send(&[secret]);
        world.run();
        bob.receive();
        // Frames for both, in the driver's own pages: he gives his for them, and she gets those.
        for to in [bob.port.mac, alice.port.mac, bob.port.mac] {
            world.inject(frame(to, OUTSIDE, n, 300));
        }
        world.run();
        bob.receive();
        alice.receive();
        let seen = alice.receive_pages();
        let shows = seen.windows(8).any(|bytes| *bytes == SECRET);
        assert!(!shows, "frame {n}");
    }
    assert!(world.counter(bob.port, Counter::Exchanged) > 100);
    assert!(world.counter(alice.port, Counter::Exchanged) > 100);
}

#[test]
fn what_came_for_a_sealed_port_in_the_drivers_pages_is_shown_to_nobody_who_gets_them() {
    const GROUP: Mac = Mac::new([0x33, 0x33, 0, 0, 0, 9]);
    let copied = sealed(Receive::default());
    // Copied, also if short ones are; for a port without a session; and for a group.
    for (receive, attached, group) in [
        (copied, true, None),
        (sealed(HYBRID), true, None),
        (copied, false, None),
        (copied, true, Some(GROUP)),
    ] {
        let world = world();
        let mut alice = world.attached_with(1, FLIP);
        let mut bob = world.attached_with(2, receive);
        warm_up(&world, &mut [&mut alice, &mut bob]);
        if !attached {
            leave(&mut bob);
        }
        let mut unseen = [false; 256];
        for n in 0..=255 {
            let mut secret = frame(group.unwrap_or(bob.port.mac), OUTSIDE, n, 250);
            secret[100..108].copy_from_slice(&[0xf7, n as u8, b's', b'e', b'c', b'r', b'e', 0xf8]);
            let before = alice.receive_pages();
            world.inject(secret);
            world.run();
            if attached {
                bob.receive();
            }
            // What came in a page that she lent the device she sees.
            unseen[n as usize] = alice.receive_pages() == before;
            // Now one and now two, so that they come in buffers that secrets were in.
            for _ in 0..1 + n % 2 {
                world.inject(frame(alice.port.mac, OUTSIDE, n, 60));
                world.run();
                alice.receive();
            }
            for seen in alice.receive_pages().windows(8) {
                if let [0xf7, n, b's', b'e', b'c', b'r', b'e', 0xf8] = seen {
                    assert!(!unseen[*n as usize], "{receive}, {n}");
                }
            }
        }
        let unseen = unseen.iter().filter(|unseen| **unseen).count();
        assert!(unseen > 100, "{unseen}");
        assert!(world.counter(alice.port, Counter::Exchanged) > 100);
    }
}

#[test]
fn own_buffers_take_no_slots_that_a_port_may_want() {
    let world = world();
    let wide = |n| {
        let port = world.port(PortSettings {
            receive_pages: 160,
            ..settings(n)
        });
        let mut client = world.client(port, 1000);
        client.receive_pages = 160;
        client.attach().unwrap();
        world.run();
        client
    };
    // With the pages behind those that they see, both may take 480 of 512.
    let (mut alice, mut bob) = (wide(1), wide(2));
    set(&world, &alice, FLIP);
    warm_up(&world, &mut [&mut alice, &mut bob]);
    for client in [&alice, &bob] {
        set(&world, client, sealed(FLIP));
    }
    warm_up(&world, &mut [&mut alice, &mut bob]);
    for client in [&alice, &bob] {
        let before = world.counter(client.port, Counter::Copied);
        assert!(
            world.counter(client.port, Counter::InPlace)
                + world.counter(client.port, Counter::Exchanged)
                > 0
        );
        for n in 0..20 {
            world.inject(frame(client.port.mac, OUTSIDE, n, 1000));
            world.run();
        }
        assert_eq!(world.counter(client.port, Counter::Copied), before);
    }
}

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Frames come for a client.
    Frames(usize, u8, u16),
    /// It takes what has come.
    Take(usize),
    /// It receives otherwise.
    Set(usize, Receive),
    /// It leaves, or attaches again.
    Turn(usize),
}

fn any_receive() -> impl Strategy<Value = Receive> {
    let ways = vec![Way::Copy, Way::Flip, Way::Hybrid];
    (prop::sample::select(ways), any::<bool>()).prop_map(|(strategy, sealed)| Receive {
        strategy,
        threshold: 300,
        sealed,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, 1..24u8, 60..1514u16).prop_map(|(n, count, length)| Step::Frames(n, count, length)),
        6 => (0..3usize).prop_map(Step::Take),
        3 => (0..3usize, any_receive()).prop_map(|(n, receive)| Step::Set(n, receive)),
        2 => (0..3usize).prop_map(Step::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever comes, goes and receives as it likes: each frame comes whole and in order, a silent wire
    /// keeps nobody's storage, and in the end the driver has no more than its reserve.
    #[test]
    fn own_buffers_change_nobodys_storage_and_no_frame(
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let world = world();
        let mut clients: Vec<_> = (1..4).map(|n| world.attached_with(n, Receive::default())).collect();
        let mut due = vec![Vec::new(); 3];
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Frames(n, count, length) => {
                    for one in 0..count as u32 {
                        let sent = frame(
                            clients[n].port.mac, OUTSIDE, number as u32 * 100 + one, length as usize);
                        world.inject(sent.clone());
                        due[n].push(sent);
                    }
                    world.run();
                }
                Step::Take(n) if clients[n].session.is_some() => {
                    take(&mut clients[n], &mut due[n])?;
                }
                Step::Set(n, receive) => set(&world, &clients[n], receive),
                Step::Turn(n) => match clients[n].session.is_some() {
                    true => {
                        leave(&mut clients[n]);
                        // Transmit pages, rings, their segment.
                        prop_assert_eq!(world.kernel.borrow().banks[clients[n].bank].bought, 12);
                    }
                    false => {
                        world.advance(1_000_000_000);
                        due[n].clear();
                        clients[n].attach().unwrap();
                        world.run();
                    }
                },
                _ => {}
            }
            let holdings = world.driver.borrow().holdings();
            prop_assert!(holdings.reserve.0 <= CAPACITY as usize);
        }
        for client in clients.iter_mut().filter(|client| client.session.is_some()) {
            leave(client);
            prop_assert_eq!(world.kernel.borrow().banks[client.bank].bought, 12);
        }
        for n in 0..CAPACITY as u32 {
            world.inject(frame(OUTSIDE, OUTSIDE, n, 60));
            world.run();
        }
        prop_assert_eq!(world.driver.borrow().holdings().slots, 0);
        prop_assert_eq!(world.kernel.borrow().limbo_frames(), 0);
    }
}

/// The client takes what came: of what was due, in order, all but what was dropped.
fn take(client: &mut Client, due: &mut Vec<Vec<u8>>) -> Result<(), TestCaseError> {
    let mut left = due.drain(..);
    for got in client.receive() {
        prop_assert!(left.any(|sent| sent == got), "a frame that was not due");
    }
    Ok(())
}
