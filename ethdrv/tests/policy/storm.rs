//! Clients that keep the driver busy with nothing, and a wire that does.

use abi::error::{EAGAIN, status};
use dev::Program;
use dev::port::on_session;
use dev::statistics::Counter;
use sys::{Message, Sys};

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, mac};

/// A millisecond.
const MILLISECOND: u64 = 1_000_000;

/// One turn of the driver's; whether it would wait now.
fn turn(world: &World) -> bool {
    let mut driver = world.driver.borrow_mut();
    let busy = driver.round();
    !driver.poll() && !busy && !driver.ready()
}

/// What the driver looked at in a millisecond in which a client did nothing but notify it.
fn looks(world: &World, alice: &mut Client) -> u64 {
    let before = world.kernel.borrow().accesses;
    for _ in 0..1000 {
        alice.kick();
        world.advance(MILLISECOND / 1000);
        while !turn(world) {}
    }
    world.kernel.borrow().accesses - before
}

#[test]
fn pitfall_23_a_storm_of_kicks_is_looked_at_at_a_rate_and_loses_nothing() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.run();
    let at_first = looks(&world, &mut alice);
    assert_eq!(world.counter(alice.port, Counter::HeldBack), 0);
    looks(&world, &mut alice);
    let later = looks(&world, &mut alice);
    assert!(later * 10 < at_first, "{at_first} at first, {later} later");
    assert!(world.counter(alice.port, Counter::HeldBack) > 0);
    // What is to be sent in the midst of it is sent, a moment later.
    for n in 0..100 {
        alice.kick();
        while !turn(&world) {}
        let sent = frame(OUTSIDE, alice.port.mac, n, 60);
        assert_eq!(alice.send(std::slice::from_ref(&sent)), 1);
        world.advance(MILLISECOND / 5);
        while !turn(&world) {}
        assert_eq!(world.wire(), [sent]);
    }
    // When it is over, the driver rests.
    world.advance(MILLISECOND);
    world.run();
    let before = world.kernel.borrow().accesses;
    world.advance(1000 * MILLISECOND);
    world.run();
    assert_eq!(world.kernel.borrow().accesses, before, "nobody asked");
}

#[test]
fn pitfall_23_requests_beyond_a_rate_are_refused_and_change_nothing() {
    let world = World::new();
    let (alice, bob) = (world.attached(1), world.attached(2));
    world.run();
    let before = world.device.borrow().filters;
    let session = alice.session.as_ref().expect("attached");
    let group = dev::Mac::new([1, 0, 0x5e, 0, 0, 1]);
    let mut refused = 0;
    for n in 0..2000 {
        match session.subscribe(&alice.program, group, n % 2 == 0) {
            Ok(()) => {}
            Err(error) if error.0 == status(EAGAIN) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let told = world.device.borrow().filters - before;
    assert!(
        (200..300).contains(&told),
        "the device was told {told} times"
    );
    assert_eq!(world.counter(alice.port, Counter::TooManyRequests), refused);
    // Others ask as they like, and what was counted can still be read.
    let other = bob.session.as_ref().expect("attached");
    other.subscribe(&bob.program, group, true).unwrap();
    assert!(session.statistics(&alice.program).is_ok());
    // In time she may ask again; and whoever had enough can always go.
    world.advance(100 * MILLISECOND);
    session.subscribe(&alice.program, group, true).unwrap();
    for _ in 0..2000 {
        let caps = session.caps();
        let unknown = Message::new(&[on_session::UNSUBSCRIBE + 77]);
        let _ = alice.program.sys().call(caps.link.address(), &unknown);
    }
    let detached = alice.session.expect("attached");
    let link = detached.caps().link;
    link.detach(alice.program.sys()).unwrap();
}

/// Frames for others than bob come without end, each taking a microsecond of the driver's; how much time
/// of a second is left to others, and bob's frames that arrived of those that the device had room for.
fn beside_a_flood(world: &World, bob: &mut Client, to: dev::Mac, length: usize) -> u64 {
    world.device.borrow_mut().cost = 1000;
    let (end, mut left, mut n) = (world.kernel.borrow().now + 1000 * MILLISECOND, 0, 0);
    while world.kernel.borrow().now < end {
        while world.device.borrow().incoming.len() < 64 {
            n += 1;
            let (to, length) = match n % 8 {
                0 => (bob.port.mac, 100),
                _ => (to, length),
            };
            world.inject(frame(to, OUTSIDE, n, length));
        }
        if turn(world) {
            // Nobody interrupts it for what comes, until the time that it asked for.
            assert!(!world.device.borrow().interest.receive);
            left += MILLISECOND / 50;
            world.advance(MILLISECOND / 50);
            bob.receive();
        }
    }
    left
}

#[test]
fn pitfall_23_a_wire_that_floods_leaves_others_half_of_the_time() {
    for to in [mac(1), mac(99)] {
        let world = World::new();
        // She takes nothing; nobody has the other address.
        let (_alice, mut bob) = (world.attached(1), world.attached(2));
        world.run();
        let left = beside_a_flood(&world, &mut bob, to, 60);
        assert!(left >= 500 * MILLISECOND, "{to}: {left} ns");
        let got = world.counter(bob.port, Counter::ReceivedFrames);
        let all = got + world.counter(bob.port, Counter::NoPage);
        assert!(got * 2 >= all && got > 5_000, "{to}: {got} of {all}");
        // When it is over all comes at once.
        world.device.borrow_mut().incoming.clear();
        world.advance(10 * MILLISECOND);
        world.run();
        bob.receive();
        let last = frame(bob.port.mac, OUTSIDE, 1, 300);
        world.inject(last.clone());
        world.run();
        assert_eq!(bob.receive(), [last]);
        assert!(world.device.borrow().interest.receive);
    }
}

#[test]
fn pitfall_23_frames_of_many_buffers_that_nobody_takes_count_as_all_of_them() {
    let world = World::with(256, 9014);
    let mut bob = world.attached(2);
    world.run();
    let left = beside_a_flood(&world, &mut bob, mac(99), 9014);
    assert!(left >= 500 * MILLISECOND, "{left} ns");
}
