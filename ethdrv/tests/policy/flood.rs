//! More comes than the driver can take: who loses what of it.

use dev::settings::{PortSettings, Rate};
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, settings};

/// Frames that the driver takes in a turn, and that a session gets at once.
const TURN: u64 = ethdrv::flood::TURN as u64;
const BURST: u64 = ethdrv::flood::BURST as u64;

/// A port of this share with an attached client.
fn attached(world: &World, n: u8, share: u16) -> Client {
    let rate = Rate {
        share,
        ..Rate::default()
    };
    let port = world.port(PortSettings {
        rate,
        ..settings(n)
    });
    let mut client = world.client(port, 1000);
    client.attach().unwrap();
    client
}

/// The driver's turns while the wire brings more than it takes; the clients take what they get.
fn turns(world: &World, count: u64, clients: &mut [&mut Client]) -> Vec<Vec<Vec<u8>>> {
    let mut got = vec![Vec::new(); clients.len()];
    for _ in 0..count {
        world.driver.borrow_mut().round();
        for (client, got) in clients.iter_mut().zip(&mut got) {
            got.extend(client.receive());
        }
    }
    got
}

#[test]
fn pitfall_23_a_flood_for_one_session_costs_the_others_no_frame() {
    let world = World::new();
    let (mut alice, mut bob) = (attached(&world, 1, 1), attached(&world, 2, 3));
    world.run();
    let mut sent = Vec::new();
    for n in 0..6400 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 300));
        if n % 32 == 0 {
            sent.push(frame(bob.port.mac, OUTSIDE, n, 300));
            world.inject(sent[sent.len() - 1].clone());
        }
    }
    let all = (6400 + 200) / TURN;
    let got = turns(&world, all, &mut [&mut alice, &mut bob]);
    assert!(got[1] == sent, "bob lost some");
    // The quarter of each turn that is hers, beyond the burst.
    let (most, received) = (BURST + all * TURN / 4, got[0].len() as u64);
    assert!((most - TURN..=most).contains(&received), "{received}");
    // What was not taken within those turns.
    world.run();
    let received = received + alice.receive().len() as u64;
    let counters = world.counters(alice.port);
    assert_eq!(counters.get(Counter::ReceivedFrames), received);
    assert_eq!(counters.get(Counter::OverBudget), 6400 - received);
    assert_eq!(world.counter(bob.port, Counter::OverBudget), 0);
    // When it is over, she gets all that comes.
    for n in 0..BURST as u32 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 60));
    }
    world.run();
    assert_eq!(alice.receive().len() as u64, BURST);
}

#[test]
fn who_is_alone_gets_all_that_the_driver_takes() {
    let world = World::new();
    let (mut alice, _bob) = (attached(&world, 1, 1), attached(&world, 2, 7));
    world.run();
    let sent: Vec<_> = (0..6400)
        .map(|n| frame(alice.port.mac, OUTSIDE, n, 300))
        .collect();
    sent.iter().for_each(|frame| world.inject(frame.clone()));
    let got = turns(&world, 6400 / TURN, &mut [&mut alice]);
    assert!(got[0] == sent);
    assert_eq!(world.counter(alice.port, Counter::OverBudget), 0);
}

#[test]
fn who_leaves_in_the_midst_of_a_flood_leaves_its_share_of_it() {
    let world = World::new();
    let (mut alice, mut bob) = (attached(&world, 1, 1), attached(&world, 2, 1));
    world.run();
    let (hers, his) = (alice.port.mac, bob.port.mac);
    let flood = |frames: u64| {
        for n in 0..frames {
            let to = if n % TURN == 0 { his } else { hers };
            world.inject(frame(to, OUTSIDE, n as u32, 300));
        }
    };
    flood(14 * TURN);
    // Until the burst is used up.
    turns(&world, 10, &mut [&mut alice, &mut bob]);
    for _ in 0..3 {
        let got = turns(&world, 1, &mut [&mut alice, &mut bob]);
        assert_eq!(got[0].len() as u64, TURN / 2);
    }
    // The driver finds out by the next frame for him.
    world.destroy(bob.bank);
    flood(20 * TURN);
    turns(&world, 3, &mut [&mut alice]);
    let got = turns(&world, 10, &mut [&mut alice]);
    assert_eq!(got[0].len() as u64, 10 * (TURN - 1));
}
