//! Transmit pages that are pinned while frames in them are being sent.

use dev::admin::PortState;
use dev::settings::Pinning;
use dev::statistics::Counter;
use dev::window::direction;

use crate::support::client::Client;
use crate::support::kernel::Object;
use crate::support::{OUTSIDE, World, frame};

/// Pages pinned to be sent from.
fn pinned(world: &World) -> usize {
    let kernel = world.kernel.borrow();
    let apertures = kernel.objects.iter().flatten();
    let slots = apertures.filter_map(|object| match object {
        Object::Aperture { slots, .. } => Some(slots.values()),
        _ => None,
    });
    slots
        .flatten()
        .filter(|pin| pin.direction == direction::TO_DEVICE)
        .count()
}

/// A client that pins per frame, of a device that sends when it is told to.
fn slow() -> (World, Client) {
    let world = World::new();
    let alice = world.attached_pinning(1, Pinning::Frame);
    world.device.borrow_mut().prompt = false;
    (world, alice)
}

/// The transmit page's object, of a client.
fn page_of(alice: &Client, world: &World, page: u16) -> usize {
    let segment = alice.segment.table().address();
    let kernel = world.kernel.borrow();
    let crate::support::kernel::What::Object(segment) =
        kernel.get(alice.pid, segment).unwrap().what
    else {
        panic!("no segment");
    };
    let Some(Object::Segment { entries, .. }) = &kernel.objects[segment] else {
        panic!("no segment");
    };
    entries[&(page + dev::layout::FIRST_TRANSMIT_PAGE as u16)].0
}

#[test]
fn pages_are_pinned_while_they_are_sent_from_and_not_beyond() {
    let (world, mut alice) = slow();
    assert_eq!(pinned(&world), 0);
    let sent: Vec<_> = (0..3)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    for frame in &sent {
        let descriptor = alice.fill(frame[14] as u32, 0, frame);
        alice.transmit_raw(descriptor);
    }
    world.run();
    assert_eq!(pinned(&world), 3);
    for left in (0..3).rev() {
        world.device.borrow_mut().complete();
        world.run();
        assert_eq!(pinned(&world), left);
    }
    assert_eq!(world.wire(), sent);
}

#[test]
fn frames_in_one_page_share_its_pin() {
    let (world, mut alice) = slow();
    let sent: Vec<_> = (0..8)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 500))
        .collect();
    let descriptors: Vec<_> = sent
        .iter()
        .enumerate()
        .map(|(n, frame)| alice.fill(3, n * 512, frame))
        .collect();
    // Some at once, some later, when the page is pinned already.
    alice.transmit_raw_all(&descriptors[..5]);
    world.run();
    alice.transmit_raw_all(&descriptors[5..]);
    world.run();
    assert_eq!(pinned(&world), 1);
    for _ in 0..7 {
        world.device.borrow_mut().complete();
        world.run();
        assert_eq!(pinned(&world), 1);
    }
    world.device.borrow_mut().complete();
    world.run();
    assert_eq!(pinned(&world), 0);
    assert_eq!(world.wire(), sent);
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 8);
}

#[test]
fn frames_that_do_not_leave_hold_no_pin() {
    let world = World::new();
    let mut alice = world.attached_pinning(1, Pinning::Frame);
    let mut bob = world.attached_pinning(2, Pinning::Frame);
    let mac = alice.port.mac;
    // Refused; copied whole; switched; for everybody.
    alice.send(&[
        frame(OUTSIDE, bob.port.mac, 1, 900),
        frame(OUTSIDE, mac, 2, 64),
        frame(bob.port.mac, mac, 3, 1000),
        frame(dev::Mac::BROADCAST, mac, 4, 700),
    ]);
    world.run();
    assert_eq!(pinned(&world), 0);
    assert_eq!(world.counter(alice.port, Counter::SpoofedMac), 1);
    assert_eq!(
        world.wire(),
        [
            frame(OUTSIDE, mac, 2, 64),
            frame(dev::Mac::BROADCAST, mac, 4, 700)
        ]
    );
    assert_eq!(
        bob.receive(),
        [
            frame(bob.port.mac, mac, 3, 1000),
            frame(dev::Mac::BROADCAST, mac, 4, 700)
        ]
    );
}

#[test]
fn a_flood_is_sent_in_order_with_its_pages_pinned_again_and_again() {
    let world = World::with_capacity(8);
    let mut alice = world.attached_pinning(1, Pinning::Frame);
    let mut sent = 0;
    for n in 0..500 {
        let length = 60 + n as usize * 7 % 1400;
        while alice.send(&[frame(OUTSIDE, alice.port.mac, n, length)]) == 0 {
            world.run();
        }
        sent += 1;
    }
    world.run();
    let wire = world.wire();
    assert_eq!(wire.len(), sent);
    for (n, left) in wire.iter().enumerate() {
        let length = 60 + n * 7 % 1400;
        assert_eq!(*left, frame(OUTSIDE, alice.port.mac, n as u32, length));
    }
    assert_eq!(pinned(&world), 0);
}

#[test]
fn a_page_that_others_have_pinned_twice_costs_its_frames_and_no_more() {
    let (world, mut alice) = slow();
    let mac = alice.port.mac;
    let taken = page_of(&alice, &world, 2);
    let frame_of = |kernel: &crate::support::kernel::Kernel| match kernel.objects[taken] {
        Some(Object::Page { frame }) => frame,
        _ => panic!("no page"),
    };
    {
        let mut kernel = world.kernel.borrow_mut();
        let number = frame_of(&kernel);
        kernel.frames[number].pins += 2;
    }
    let sent = [2, 1].map(|n| frame(OUTSIDE, mac, n, 1000));
    let descriptors = [alice.fill(2, 0, &sent[0]), alice.fill(1, 0, &sent[1])];
    alice.transmit_raw_all(&descriptors);
    world.run();
    world.device.borrow_mut().complete();
    world.run();
    assert_eq!(world.wire(), [sent[1].clone()]);
    assert_eq!(world.counter(alice.port, Counter::NotPinned), 1);
    assert_eq!(world.state(alice.port).state, PortState::Open);
    {
        let mut kernel = world.kernel.borrow_mut();
        let number = frame_of(&kernel);
        kernel.frames[number].pins -= 2;
    }
    alice.transmit_raw_all(&descriptors[..1]);
    world.run();
    world.device.borrow_mut().complete();
    assert_eq!(world.wire(), [sent[0].clone()]);
}

#[test]
fn pitfall_9_a_page_revoked_in_flight_stays_until_its_frame_has_left() {
    let (world, mut alice) = slow();
    let sent: Vec<_> = (0..4)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1400))
        .collect();
    alice.send(&sent);
    world.run();
    world.destroy(alice.bank);
    world.run();
    assert_eq!(world.state(alice.port).state, PortState::Closing);
    assert_eq!(world.state(alice.port).in_flight, 4);
    for _ in 0..4 {
        assert!(world.kernel.borrow().limbo_frames() > 0);
        world.device.borrow_mut().complete();
        world.run();
    }
    assert_eq!(world.wire(), sent);
    assert_eq!(pinned(&world), 0);
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert_eq!(world.kernel.borrow().limbo_frames(), 0);
}

#[test]
fn a_page_that_is_gone_when_its_frame_is_taken_ends_the_session() {
    let world = World::new();
    let mut alice = world.attached_pinning(1, Pinning::Frame);
    let page = page_of(&alice, &world, 5);
    let descriptor = alice.fill(5, 0, &frame(OUTSIDE, alice.port.mac, 1, 1000));
    world.kernel.borrow_mut().rescind(page);
    alice.transmit_raw(descriptor);
    world.run();
    assert_eq!(world.wire(), Vec::<Vec<u8>>::new());
    assert_eq!(world.counter(alice.port, Counter::Revoked), 1);
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert_eq!(pinned(&world), 0);
}

#[test]
fn pitfall_20_memory_named_twice_is_refused_even_if_it_is_taken_at_once() {
    let (world, mut alice) = slow();
    let descriptor = alice.fill(1, 0, &frame(OUTSIDE, alice.port.mac, 1, 1000));
    alice.transmit_raw_all(&[descriptor, descriptor]);
    world.run();
    assert_eq!(world.counter(alice.port, Counter::Misbehaved), 1);
    while world.device.borrow_mut().complete() {}
    world.run();
    assert_eq!(pinned(&world), 0);
    assert_eq!(world.state(alice.port).state, PortState::Idle);
}
