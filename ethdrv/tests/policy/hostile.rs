//! Clients that break the protocol: each is found out, by name, and loses its own session only.

use abi::PAGE_SIZE;
use dev::admin::PortState;
use dev::layout::{FILLED, FIRST_TRANSMIT_PAGE, RETURNED, TRANSMIT};
use dev::statistics::Counter;
use ring::Descriptor;
use sys::Mem;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame};

/// Lets alice misbehave, and checks that she loses her session, and bob nothing.
fn misbehaves(name: &str, act: impl FnOnce(&World, &mut Client)) {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    let bought = world.kernel.borrow().banks[bob.bank].bought;
    act(&world, &mut alice);
    world.run();
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 100));
    for n in 0..20 {
        world.inject(frame(bob.port.mac, OUTSIDE, n, 100));
    }
    world.run();
    assert_eq!(world.counter(alice.port, Counter::Misbehaved), 1, "{name}");
    assert_eq!(world.state(alice.port).state, PortState::Idle, "{name}");
    assert_eq!(bob.receive().len(), 20, "{name}");
    bob.send(&[frame(OUTSIDE, bob.port.mac, 0, 500)]);
    world.run();
    let wire = world.wire();
    assert_eq!(
        wire.last(),
        Some(&frame(OUTSIDE, bob.port.mac, 0, 500)),
        "{name}"
    );
    assert_eq!(world.kernel.borrow().banks[bob.bank].bought, bought);
    assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{name}");
    // She may try again.
    world.advance(1_000_000_000);
    alice.attach().unwrap();
}

fn good(client: &mut Client) -> Descriptor {
    let bytes = frame(OUTSIDE, client.port.mac, 1, 200);
    client.fill(0, 0, &bytes)
}

#[test]
fn pitfall_19_index_jumps() {
    for (ring, name) in [(TRANSMIT, "transmit"), (RETURNED, "returned")] {
        for jump in [257, 0x8000_0000, u32::MAX] {
            misbehaves(&format!("{name} by {jump}"), |world, alice| {
                let memory = alice.session().transmit_memory().clone();
                memory.store_u32(ring.producer, jump).unwrap();
                alice.kick();
                // Returns are looked at when pages run out.
                for n in 0..64 {
                    world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
                }
            });
        }
    }
    for index in [1, 257, 0x8000_0000, u32::MAX] {
        misbehaves(&format!("filled at {index}"), |world, alice| {
            // Packed small, so that the ring is full before the pages are.
            alice.receive_pages = 32;
            alice.attach().unwrap();
            let memory = alice.session().transmit_memory().clone();
            memory.store_u32(FILLED.consumer, index).unwrap();
            for n in 0..if index == 257 { 256 } else { 300 } {
                world.inject(frame(alice.port.mac, OUTSIDE, n, 60));
                world.run();
                if index == 1 && n == 0 {
                    // An honest index by now: go one further.
                    memory.store_u32(FILLED.consumer, 400).unwrap();
                }
            }
        });
    }
}

#[test]
fn pitfall_20_places_that_are_no_transmit_pages() {
    for page in [0, 1, 2, FIRST_TRANSMIT_PAGE + 8, 255, 511, 512, u32::MAX] {
        misbehaves(&format!("page {page}"), |_, alice| {
            let descriptor = Descriptor {
                page,
                ..good(alice)
            };
            alice.transmit_raw(descriptor);
        });
    }
}

#[test]
fn pitfall_20_ranges_beyond_the_page() {
    let end = PAGE_SIZE as u32;
    for (offset, length) in [
        (end, 1),
        (end - 1, 2),
        (0, end + 1),
        (1, end),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (1, u32::MAX),
        (end - 60, 64),
        (0x8000_0000, 0x8000_0000),
    ] {
        misbehaves(&format!("{offset}, {length}"), |_, alice| {
            let descriptor = Descriptor {
                offset,
                length,
                ..good(alice)
            };
            alice.transmit_raw(descriptor);
        });
    }
}

#[test]
fn flags_that_mean_nothing() {
    for flags in [1, 2, 3, 0x8000_0000] {
        misbehaves(&format!("flags {flags:#x}"), |_, alice| {
            let descriptor = Descriptor {
                flags,
                ..good(alice)
            };
            alice.transmit_raw(descriptor);
        });
    }
}

#[test]
fn pitfall_20_memory_that_is_in_transmission_already() {
    for offset in [0, 1, 128, 255, 256, 456] {
        misbehaves(&format!("at {offset}"), |world, alice| {
            world.device.borrow_mut().prompt = false;
            let bytes = frame(OUTSIDE, alice.port.mac, 1, 300);
            let first = alice.fill(1, 200, &bytes);
            alice.transmit_raw(first);
            alice.transmit_raw(Descriptor { offset, ..first });
            world.run();
            assert_eq!(world.state(alice.port).in_flight, 1);
            assert_eq!(world.state(alice.port).state, PortState::Closing);
            // The first still leaves, and nothing is unpinned before.
            world.device.borrow_mut().prompt = true;
        });
    }
}

#[test]
fn memory_beside_what_is_in_transmission_is_free() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let frames = [0, 1, 2].map(|n| frame(OUTSIDE, alice.port.mac, n, 256));
    for (bytes, offset) in frames.iter().zip([256, 0, 512]) {
        let descriptor = alice.fill(0, offset, bytes);
        alice.transmit_raw(descriptor);
    }
    world.run();
    assert_eq!(world.state(alice.port).in_flight, 3);
    world.device.borrow_mut().prompt = true;
    world.run();
    world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
    world.run();
    assert_eq!(world.wire(), frames);
}

#[test]
fn pitfall_20_returns_of_what_is_not_held() {
    let ret = |page, offset, length, flags| Descriptor {
        page,
        offset,
        length,
        flags,
    };
    // At most two frames are held in page 2, and none in the page after the last.
    for descriptor in [
        ret(2, 0, 3, 0),
        ret(2, 0, 0, 0),
        ret(2, 0, u32::MAX, 0),
        ret(3, 0, 3, 0),
        ret(0, 0, 1, 0),
        ret(1, 0, 1, 0),
        ret(18, 0, 1, 0),
        ret(u32::MAX, 0, 1, 0),
        ret(2, 1, 1, 0),
        ret(2, 0, 1, 1),
    ] {
        misbehaves(&format!("{descriptor:?}"), |world, alice| {
            world.inject(frame(alice.port.mac, OUTSIDE, 1, 1500));
            world.run();
            alice.return_raw(descriptor);
            for n in 0..64 {
                world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
            }
        });
    }
    misbehaves("the same return twice", |world, alice| {
        for n in 0..3 {
            world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
        }
        world.run();
        alice.return_raw(ret(2, 0, 2, 0));
        alice.return_raw(ret(2, 0, 2, 0));
        for n in 0..64 {
            world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
        }
    });
}

#[test]
fn pitfall_18_what_is_sent_is_what_was_checked() {
    // The header is rewritten after the driver took its copy, while the device holds the frame.
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let bytes = frame(OUTSIDE, alice.port.mac, 1, 1000);
    let descriptor = alice.fill(0, 0, &bytes);
    alice.transmit_raw(descriptor);
    world.run();
    let spoofed = frame(OUTSIDE, OUTSIDE, 2, 1000);
    alice.fill(0, 0, &spoofed);
    world.device.borrow_mut().complete();
    world.run();
    let wire = world.wire();
    assert_eq!(wire[0][..128], bytes[..128], "the checked copy");
    assert_eq!(wire[0][128..], spoofed[128..], "the client's own page");
}

#[test]
fn pitfall_21_a_client_that_never_drains_loses_only_its_own() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    for n in 0..1000 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 100));
        world.inject(frame(bob.port.mac, OUTSIDE, n, 100));
        world.run();
        assert_eq!(bob.receive(), [frame(bob.port.mac, OUTSIDE, n, 100)]);
    }
    let counters = world.counters(alice.port);
    assert_eq!(counters.get(Counter::ReceivedFrames), 256);
    assert_eq!(counters.get(Counter::RingFull), 744);
    let frames = alice.receive();
    assert_eq!(frames.len(), 256);
    for (n, got) in frames.iter().enumerate() {
        assert_eq!(*got, frame(alice.port.mac, OUTSIDE, n as u32, 100));
    }
    world.inject(frame(alice.port.mac, OUTSIDE, 7, 100));
    world.run();
    assert_eq!(alice.receive().len(), 1);
}

#[test]
fn pitfall_23_kicks_without_work_cost_a_bounded_round_each() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    for n in 0..100 {
        alice.kick();
        bob.send(&[frame(OUTSIDE, bob.port.mac, n, 60)]);
        world.run();
        assert_eq!(world.wire().len(), 1);
    }
    assert_eq!(world.state(alice.port).state, PortState::Open);
}

#[test]
fn a_piece_that_others_follow_and_that_is_short_is_named_so() {
    use dev::layout::MORE;
    use ethdrv::misbehaviour::{BadRun, Kind};

    let world = World::new();
    let mut alice = world.attached(1);
    let mut first = alice.fill(0, 0, &frame(OUTSIDE, alice.port.mac, 1, 60));
    first.flags = MORE;
    let second = alice.fill(1, 0, &[0; 60]);
    alice.transmit_raw_all(&[first, second]);
    world.run();
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert_eq!(world.counter(alice.port, Counter::Misbehaved), 1);
    let (offset, length) = (0, 60);
    let kind = Kind::TransmitRun {
        page: first.page,
        what: BadRun::Short { offset, length },
    };
    let text = kind.to_string();
    assert!(text.contains("goes on after 60 bytes from 0 on"), "{text}");
}
