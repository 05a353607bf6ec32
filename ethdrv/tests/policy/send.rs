//! What may be sent, and when its memory comes back.

use dev::Mac;
use dev::session::TransmitSegment;
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, mac, settings};

pub fn send_raw(world: &World, client: &mut Client, bytes: &[u8]) -> Vec<Vec<u8>> {
    let descriptor = client.fill(0, 0, bytes);
    client.transmit_raw(descriptor);
    world.run();
    world.wire()
}

#[test]
fn refused_frames_are_counted_by_reason_and_the_next_goes_through() {
    let world = World::new();
    let mut alice = world.attached(1);
    let port = alice.port;
    let typed = |kind: u16, length: usize| {
        let mut frame = frame(OUTSIDE, port.mac, 0, length);
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        frame
    };
    let good = frame(OUTSIDE, port.mac, 9, 600);
    let bad = [
        (Vec::new(), Counter::Runt),
        (good[..1].to_vec(), Counter::Runt),
        (good[..13].to_vec(), Counter::Runt),
        (frame(OUTSIDE, port.mac, 0, 1515), Counter::TooLong),
        (frame(OUTSIDE, port.mac, 0, 4096), Counter::TooLong),
        (frame(OUTSIDE, OUTSIDE, 0, 100), Counter::SpoofedMac),
        (frame(OUTSIDE, mac(2), 0, 100), Counter::SpoofedMac),
        (typed(0x8808, 60), Counter::LinkControl),
        (
            frame(Mac::new([1, 0x80, 0xc2, 0, 0, 0x0f]), port.mac, 0, 60),
            Counter::LinkControl,
        ),
        (typed(0x05ff, 100), Counter::BadType),
        (typed(1501, 1514), Counter::BadType),
        (typed(87, 100), Counter::BadType),
    ];
    for (bytes, counter) in bad {
        let before = world.counter(port, counter);
        assert!(
            send_raw(&world, &mut alice, &bytes).is_empty(),
            "{counter:?}"
        );
        assert_eq!(world.counter(port, counter), before + 1, "{counter:?}");
        assert_eq!(
            send_raw(&world, &mut alice, &good),
            std::slice::from_ref(&good)
        );
    }
    for good in [
        typed(86, 100),
        typed(0x0600, 100),
        typed(0, 14),
        typed(1500, 1514),
    ] {
        assert_eq!(
            send_raw(&world, &mut alice, &good),
            std::slice::from_ref(&good)
        );
    }
    // Entries of refused frames are released like the others.
    assert_eq!(world.counter(port, Counter::Misbehaved), 0);
}

#[test]
fn no_port_stops_the_link_or_has_it_lead_elsewhere() {
    let world = World::new();
    let mut mallory = world.attached(1);
    let mut bob = world.attached(2);
    let group = |n| Mac::new([1, 0x80, 0xc2, 0, 0, n]);
    // PAUSE, to the group, to a station and to a neighbour on the same link; then what bridges say.
    let pauses = [group(1), OUTSIDE, bob.port.mac].map(|to| (to, 0x8808u16));
    let others = (0..16).map(|n| (group(n), 38));
    let mut refused = 0;
    for (to, kind) in pauses.into_iter().chain(others) {
        let mut bytes = frame(to, mallory.port.mac, 0, 60);
        bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        assert!(send_raw(&world, &mut mallory, &bytes).is_empty(), "{to}");
        refused += 1;
        assert_eq!(
            world.counter(mallory.port, Counter::LinkControl),
            refused,
            "{to}"
        );
    }
    assert!(bob.receive().is_empty());
    // The groups behind are as good as any.
    let good = frame(group(0x10), mallory.port.mac, 0, 60);
    assert_eq!(send_raw(&world, &mut mallory, &good), [good]);
}

#[test]
fn pitfall_26_entries_are_released_when_the_frame_has_left_and_not_before() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1000))
        .collect();
    // Eight pages hold sixteen buffers.
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(alice.send(&frames), 0, "all buffers are in transmission");
    world.run();
    for _ in 0..3 {
        world.device.borrow_mut().complete();
    }
    let program = alice.program.clone();
    assert_eq!(alice.session().ask(&program, true), Ok(false));
    world.run();
    assert_eq!(alice.session().room(), Ok(3));
    // Half of what was under way has left: she is told, once.
    let told = |world: &World| {
        let key = (alice.pid, crate::support::client::BIT);
        world
            .kernel
            .borrow()
            .signals
            .get(&key)
            .copied()
            .unwrap_or(0)
    };
    let before = told(&world);
    assert!(
        world.device.borrow().interest.transmit,
        "somebody waits for it"
    );
    for _ in 0..5 {
        world.device.borrow_mut().complete();
        world.run();
    }
    assert_eq!(told(&world), before + 1);
    world.device.borrow_mut().prompt = true;
    alice.send(&[]);
    world.run();
    assert_eq!(world.wire().len(), 16);
    world.device.borrow_mut().prompt = false;
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 60)]);
    world.run();
    assert!(!world.device.borrow().interest.transmit);
}

#[test]
fn frames_that_leave_out_of_order_are_released_in_order() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    // Long, short, long, short: the short ones are copied and done at once.
    let frames = [1000, 60, 1000, 60].map(|length| frame(OUTSIDE, alice.port.mac, 1, length));
    assert_eq!(alice.send(&frames), 4);
    world.run();
    assert_eq!(alice.session().room(), Ok(12), "nothing before the first");
    {
        let mut device = world.device.borrow_mut();
        // The device is done with the third before the first.
        device.sending.rotate_left(2);
        device.complete();
    }
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    let memory = alice.session().receive_memory().clone();
    let index = |memory: &crate::support::program::FakeMem| {
        sys::Mem::load_u32(memory, dev::layout::TRANSMIT.consumer).unwrap()
    };
    assert_eq!(index(&memory), 0);
    world.device.borrow_mut().prompt = true;
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(index(&memory), 4);
    assert_eq!(world.state(alice.port).in_flight, 0);
}

#[test]
fn more_frames_than_the_device_takes_wait_for_it() {
    let world = World::with_capacity(8);
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let frames: Vec<_> = (0..16)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 60))
        .collect();
    assert_eq!(alice.send(&frames), 16);
    world.run();
    assert_eq!(world.device.borrow().sending.len(), 8);
    assert!(world.device.borrow().interest.transmit);
    world.device.borrow_mut().prompt = true;
    world.device.borrow_mut().complete();
    world.run();
    assert_eq!(world.wire(), frames);
}

#[test]
fn the_ring_goes_round_many_times() {
    let world = World::new();
    let mut alice = world.attached(1);
    for n in 0..200 {
        let frames: Vec<_> = (0..7)
            .map(|k| {
                frame(
                    OUTSIDE,
                    alice.port.mac,
                    n * 7 + k,
                    60 + (k as usize * 97) % 700,
                )
            })
            .collect();
        assert_eq!(alice.send(&frames), 7);
        world.run();
        alice.kick();
        world.run();
        assert_eq!(world.wire(), frames);
    }
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 1400);
}

#[test]
fn a_frame_of_several_pages_leaves_whole() {
    let world = World::with(16, 9014);
    let mut alice = world.client(world.port(settings(1)), 1000);
    alice.attach().unwrap();
    let said = frame(OUTSIDE, alice.port.mac, 1, 9000);
    let mut entries = Vec::new();
    // It begins with the last 100 bytes of a page: less than what is copied and checked.
    let mut rest = &said[..];
    for (page, offset) in [(0, 3996), (3, 0), (1, 0), (2, 0)] {
        let length = rest.len().min(4096 - offset);
        let (piece, others) = rest.split_at(length);
        entries.push(alice.fill(page, offset, piece));
        rest = others;
    }
    assert!(rest.is_empty());
    let last = entries.len() - 1;
    for entry in &mut entries[..last] {
        entry.flags = dev::layout::MORE;
    }
    alice.transmit_raw_all(&entries);
    world.run();
    assert_eq!(world.wire(), [said]);
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 1);
    assert_eq!(world.state(alice.port).in_flight, 0);
}

#[test]
fn a_client_sends_as_long_frames_as_the_link_carries() {
    for (pages, longest) in [(24, 9014), (16, 8192), (8, 4096)] {
        let world = World::with(64, 9014);
        let port = world.port(settings(1));
        let mut alice = world.client(port, 1000);
        alice.segment = TransmitSegment::buy(&alice.program, pages).unwrap();
        alice.attach().unwrap();
        let limit = alice.session().send_limit();
        assert_eq!(limit, longest, "of {pages} pages");
        let frames: Vec<_> = [limit, 60, limit - 1, 4097.min(limit), 4096, limit]
            .into_iter()
            .zip(0..)
            .map(|(length, n)| frame(OUTSIDE, alice.port.mac, n, length as usize))
            .collect();
        assert_eq!(alice.send(&frames), frames.len());
        world.run();
        assert!(world.wire() == frames, "of {pages} pages");
        assert_eq!(world.state(alice.port).in_flight, 0);
    }
}

#[test]
fn pitfall_19_a_frame_that_goes_on_in_nothing_ends_its_session() {
    let full = |page, flags| ring::Descriptor {
        page: dev::layout::FIRST_TRANSMIT_PAGE + page,
        offset: 0,
        length: 4096,
        flags,
    };
    let more = dev::layout::MORE;
    for entries in [
        vec![full(0, more)],
        vec![
            full(0, more),
            full(1, more),
            full(2, more),
            full(3, more),
            full(4, 0),
        ],
        vec![full(0, more), full(0, 0)],
    ] {
        let world = World::with(16, 9014);
        let mut alice = world.client(world.port(settings(1)), 1000);
        alice.attach().unwrap();
        alice.transmit_raw_all(&entries);
        world.run();
        assert_eq!(world.counter(alice.port, Counter::Misbehaved), 1);
        assert!(world.wire().is_empty());
    }
}
