//! Frames for many.

use dev::Mac;
use dev::statistics::Counter;
use sys::Error;

use crate::support::{OUTSIDE, World, frame};

const GROUP: Mac = Mac::new([0x33, 0x33, 0, 0, 0, 0xfb]);

#[test]
fn pitfall_24_broadcast_reaches_everybody_and_groups_their_members() {
    let world = World::new();
    let mut clients: Vec<_> = (1..=5).map(|n| world.attached(n)).collect();
    for n in [1, 3] {
        let program = clients[n].program.clone();
        clients[n]
            .session()
            .subscribe(&program, GROUP, true)
            .unwrap();
        clients[n]
            .session()
            .subscribe(&program, GROUP, true)
            .unwrap();
    }
    world.inject(frame(Mac::BROADCAST, OUTSIDE, 1, 60));
    world.inject(frame(GROUP, OUTSIDE, 2, 1514));
    world.run();
    for (n, client) in clients.iter_mut().enumerate() {
        let mut expected = vec![frame(Mac::BROADCAST, OUTSIDE, 1, 60)];
        if n == 1 || n == 3 {
            expected.push(frame(GROUP, OUTSIDE, 2, 1514));
        }
        assert_eq!(client.receive(), expected, "client {n}");
    }
    let program = clients[1].program.clone();
    clients[1]
        .session()
        .subscribe(&program, GROUP, false)
        .unwrap();
    assert!(
        clients[1]
            .session()
            .subscribe(&program, GROUP, false)
            .is_err()
    );
    world.inject(frame(GROUP, OUTSIDE, 3, 60));
    world.run();
    assert!(clients[1].receive().is_empty());
    assert_eq!(clients[3].receive().len(), 1);
    assert_eq!(world.device.borrow().posted.len(), 64);
}

#[test]
fn a_sender_reaches_the_wire_and_the_others_and_not_itself() {
    let world = World::new();
    let mut clients: Vec<_> = (1..=4).map(|n| world.attached(n)).collect();
    for length in [60, 128, 129, 1514] {
        let sent = frame(Mac::BROADCAST, clients[0].port.mac, 9, length);
        clients[0].send(std::slice::from_ref(&sent));
        world.run();
        assert_eq!(world.wire(), std::slice::from_ref(&sent));
        assert!(clients[0].receive().is_empty());
        for client in &mut clients[1..] {
            assert_eq!(client.receive(), std::slice::from_ref(&sent));
        }
    }
    assert_eq!(world.counter(clients[0].port, Counter::SentMulticast), 4);
    assert_eq!(
        world.counter(clients[1].port, Counter::ReceivedMulticast),
        4
    );
    world.inject(frame(OUTSIDE, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(world.state(clients[0].port).in_flight, 0);
}

#[test]
fn a_storm_leaves_pages_for_what_is_for_the_client_alone() {
    let world = World::new();
    let mut alice = world.attached(1);
    for n in 0..300 {
        world.inject(frame(Mac::BROADCAST, OUTSIDE, n, 1500));
        world.run();
    }
    assert!(world.counter(alice.port, Counter::MulticastQuota) > 0);
    for n in 0..4 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
    }
    world.run();
    let own = frame(alice.port.mac, OUTSIDE, 0, 6)[..6].to_vec();
    let got = alice.receive();
    assert_eq!(
        got.iter().filter(|frame| frame.starts_with(&own)).count(),
        4
    );
    // Small ones may not fill the ring either.
    for n in 0..300 {
        world.inject(frame(Mac::BROADCAST, OUTSIDE, n, 60));
        world.run();
    }
    for n in 0..60 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 60));
    }
    world.run();
    let got = alice.receive();
    assert_eq!(
        got.iter().filter(|frame| frame.starts_with(&own)).count(),
        60
    );
}

#[test]
fn what_the_wire_may_keep_waiting_is_bounded_and_unicast_goes_on() {
    let world = World::with_capacity(64);
    let mut clients: Vec<_> = (1..=60).map(|n| world.attached(n)).collect();
    for n in 0..40 {
        world.inject(frame(Mac::BROADCAST, OUTSIDE, n, 60));
    }
    for n in 0..20 {
        world.inject(frame(clients[0].port.mac, OUTSIDE, n, 60));
    }
    world.driver.borrow_mut().round();
    let waiting = 64 - world.device.borrow().posted.len();
    assert_eq!(waiting, 16);
    let own = frame(clients[0].port.mac, OUTSIDE, 0, 6)[..6].to_vec();
    let got = clients[0].receive();
    let unicast = got.iter().filter(|frame| frame.starts_with(&own)).count();
    assert_eq!(unicast, 20, "they don't wait for the broadcast ones");
    world.run();
    assert_eq!(world.device_counter(Counter::DeviceMulticast), 24);
    for client in &mut clients {
        let got = client.receive();
        assert!(got.len() >= 15, "{}", got.len());
    }
    assert_eq!(world.device.borrow().posted.len(), 64);
}

#[test]
fn a_sender_pays_for_all_its_recipients() {
    // Two senders want to send without end; one of them broadcasts to thirty.
    let world = World::with_capacity(8);
    world.device.borrow_mut().prompt = false;
    let mut storm = world.attached(1);
    let mut quiet = world.attached(2);
    let _others: Vec<_> = (3..=32).map(|n| world.attached(n)).collect();
    let mut left = [0usize; 2];
    for _ in 0..4000 {
        let frames: Vec<_> = (0..16)
            .map(|n| frame(Mac::BROADCAST, storm.port.mac, n, 1000))
            .collect();
        storm.send(&frames);
        storm.kick();
        let frames: Vec<_> = (0..16)
            .map(|n| frame(OUTSIDE, quiet.port.mac, n, 1000))
            .collect();
        quiet.send(&frames);
        quiet.kick();
        world.driver.borrow_mut().poll();
        world.driver.borrow_mut().round();
        world.device.borrow_mut().complete();
        for frame in world.wire() {
            left[(frame[0] == 2) as usize] += 1;
        }
    }
    assert!(left[0] > 50, "{left:?}");
    assert!(left[1] > 20 * left[0], "{left:?}");
}

#[test]
fn a_session_that_ends_while_its_broadcast_is_under_way_is_waited_for() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut others: Vec<_> = (2..=80).map(|n| world.attached(n)).collect();
    let sent = frame(Mac::BROADCAST, alice.port.mac, 3, 1200);
    alice.send(std::slice::from_ref(&sent));
    world.driver.borrow_mut().poll();
    world.driver.borrow_mut().round();
    // Half of them have it; she destroys her bank.
    world.destroy(alice.bank);
    world.run();
    let mut got = 0;
    for other in &mut others {
        for frame in other.receive() {
            assert_eq!(frame, sent);
            got += 1;
        }
    }
    assert_eq!(got, 79, "each once");
    assert_eq!(world.kernel.borrow().limbo_frames(), 0);
    assert_eq!(world.counter(alice.port, Counter::Revoked), 1);
}

#[test]
fn groups_are_checked_and_bounded() {
    let world = World::new();
    let mut alice = world.attached(1);
    let program = alice.program.clone();
    let session = alice.session();
    assert!(session.subscribe(&program, Mac::BROADCAST, true).is_err());
    assert!(session.subscribe(&program, OUTSIDE, true).is_err());
    let bridges = Mac::new([1, 0x80, 0xc2, 0, 0, 0]);
    let refused = session.subscribe(&program, bridges, true).unwrap_err();
    assert!(refused.is(abi::error::EINVAL), "{refused}");
    for n in 0..32 {
        let group = Mac::new([1, 0, 0x5e, 0, 0, n]);
        session.subscribe(&program, group, true).unwrap();
    }
    assert_eq!(
        session.subscribe(&program, GROUP, true),
        Err(Error::new(abi::error::EMFILE))
    );
    // They end with the session.
    let session = alice.session.take().unwrap();
    session.detach(&program);
    world.inject(frame(Mac::new([1, 0, 0x5e, 0, 0, 0]), OUTSIDE, 1, 60));
    world.run();
    assert_eq!(world.device_counter(Counter::Nobody), 1);
}

#[test]
fn the_device_learns_for_whom_frames_are_wanted_when_that_changes() {
    let world = World::new();
    let mut clients: Vec<_> = (1..=2).map(|n| world.attached(n)).collect();
    world.run();
    let stations: Vec<_> = clients.iter().map(|client| client.port.mac).collect();
    assert!(world.device.borrow().filter.iter().eq(&stations));

    let told = world.device.borrow().filters;
    let mut subscribe = |n: usize, wanted| {
        let client = &mut clients[n];
        let program = client.program.clone();
        client.session().subscribe(&program, GROUP, wanted).unwrap();
        world.run();
        let device = world.device.borrow();
        (device.filter.contains(&GROUP), device.filters - told)
    };
    assert_eq!(subscribe(0, true), (true, 1));
    assert_eq!(subscribe(1, true), (true, 1));
    assert_eq!(subscribe(0, false), (true, 1));
    assert_eq!(subscribe(1, false), (false, 2));

    world.inject(frame(stations[0], OUTSIDE, 1, 60));
    world.run();
    assert_eq!(world.device.borrow().filters - told, 2, "not for traffic");
}
