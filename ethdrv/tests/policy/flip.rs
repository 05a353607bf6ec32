//! Frames that stay where the device put them.

use dev::admin::PortState;
use dev::settings::{PortSettings, Rate, Receive, Strategy};
use dev::statistics::Counter;

use crate::support::client::Client;
use crate::support::kernel::DMA_BASE;
use crate::support::{OUTSIDE, TestPort, World, frame, settings};

pub const FLIP: Receive = Receive {
    strategy: Strategy::Flip,
    threshold: 0,
    sealed: false,
};
pub const HYBRID: Receive = Receive {
    strategy: Strategy::Hybrid,
    threshold: 300,
    sealed: false,
};
pub const fn sealed(receive: Receive) -> Receive {
    Receive {
        sealed: true,
        ..receive
    }
}

pub fn world() -> World {
    let world = World::with_capacity(16);
    world.add_aperture();
    world
}

/// Brings frames one by one, the client taking each, until all that the device has are pages.
pub fn warm_up(world: &World, clients: &mut [&mut Client]) {
    for n in 0..64 {
        for client in clients.iter_mut() {
            world.inject(frame(client.port.mac, OUTSIDE, n, 400));
            world.run();
            client.receive();
        }
    }
}

fn ways(world: &World, port: TestPort) -> [u64; 4] {
    [
        Counter::Copied,
        Counter::InPlace,
        Counter::Exchanged,
        Counter::Recovered,
    ]
    .map(|counter| world.counter(port, counter))
}

#[test]
fn a_frame_in_a_page_of_its_recipients_is_delivered_in_place() {
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    warm_up(&world, &mut [&mut alice]);
    let before = ways(&world, alice.port);
    let frames: Vec<_> = (0..100)
        .map(|n| frame(alice.port.mac, OUTSIDE, n, 60 + 14 * n as usize))
        .collect();
    for frames in frames.chunks(4) {
        frames.iter().for_each(|frame| world.inject(frame.clone()));
        world.run();
        assert_eq!(alice.receive(), frames);
    }
    let after = ways(&world, alice.port);
    assert_eq!(after[0], before[0], "nothing is copied");
    assert_eq!(after[1], before[1] + 100);
    assert_eq!(world.kernel.borrow().exchanges, 0);
}

#[test]
fn a_frame_in_anothers_page_is_exchanged() {
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    let mut bob = world.attached_with(2, FLIP);
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let before = ways(&world, bob.port);
    for n in 0..200 {
        let sent = frame(bob.port.mac, OUTSIDE, n, 1000);
        world.inject(sent.clone());
        world.run();
        assert_eq!(bob.receive(), [sent]);
    }
    let after = ways(&world, bob.port);
    assert_eq!(after[0], before[0], "nothing is copied");
    assert!(after[2] > before[2] + 50, "{before:?} {after:?}");
    assert_eq!(after[1] + after[2], before[1] + before[2] + 200);
    assert_eq!(world.counter(alice.port, Counter::NoPage), 0);
}

#[test]
fn hybrid_copies_what_is_short_and_keeps_the_order() {
    let world = world();
    let mut alice = world.attached_with(1, HYBRID);
    let mut bob = world.attached_with(2, HYBRID);
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let before = ways(&world, bob.port);
    for round in 0..50u32 {
        let frames: Vec<_> = (0..6)
            .map(|n| {
                let length = if (round >> n) & 1 == 0 { 299 } else { 300 };
                frame(bob.port.mac, OUTSIDE, round * 10 + n, length)
            })
            .collect();
        frames.iter().for_each(|frame| world.inject(frame.clone()));
        world.run();
        assert_eq!(bob.receive(), frames);
    }
    let after = ways(&world, bob.port);
    assert!(after[0] > before[0] && after[1] + after[2] > before[1] + before[2]);
}

#[test]
fn pitfall_16_a_delivered_page_is_not_posted() {
    for receive in [FLIP, HYBRID, sealed(FLIP)] {
        let world = world();
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, receive);
        warm_up(&world, &mut [&mut alice, &mut bob]);
        // Alice takes frames and gives nothing back; the device goes on writing for bob.
        let mut held = Vec::new();
        for n in 0..6 {
            let sent = frame(alice.port.mac, OUTSIDE, n, 1000);
            world.inject(sent.clone());
            world.run();
            while let Some(got) = alice.session().receive().unwrap() {
                held.push((got, sent.clone()));
            }
        }
        assert_eq!(held.len(), 6);
        for n in 0..100 {
            world.inject(frame(bob.port.mac, OUTSIDE, n, 1514));
            world.run();
            bob.receive();
        }
        for (got, sent) in &held {
            let mut bytes = vec![0; got.len()];
            let memory = alice.session().receive_memory().clone();
            sys::Mem::read(&memory, got.offset(), &mut bytes).unwrap();
            assert_eq!(bytes, *sent, "{receive}");
        }
    }
}

#[test]
fn pitfall_17_who_has_no_page_to_give_loses_its_own_frames_only() {
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    let mut bob = world.attached_with(2, FLIP);
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let pages = world.state(bob.port).spare_pages;
    for n in 0..100 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1000));
        let sent = frame(bob.port.mac, OUTSIDE, n, 1000);
        world.inject(sent.clone());
        world.run();
        assert_eq!(bob.receive(), [sent], "alice takes nothing");
    }
    assert!(world.counter(alice.port, Counter::NoPage) > 50);
    assert_eq!(world.counter(bob.port, Counter::NoPage), 0);
    world.run();
    let now = world.state(bob.port).spare_pages;
    assert!(now + 2 >= pages, "{now} of {pages}");
    // When she gives her pages back, she receives again.
    alice.receive();
    world.inject(frame(alice.port.mac, OUTSIDE, 7, 1000));
    world.run();
    assert_eq!(alice.receive().len(), 1);
}

#[test]
fn pitfall_13_what_the_device_fills_for_others_is_recovered_from_a_page_taken_back() {
    for receive in [
        FLIP,
        HYBRID,
        sealed(FLIP),
        sealed(HYBRID),
        Receive::default(),
    ] {
        let world = world();
        let mut alice = world.attached_with(1, sealed(FLIP));
        let mut bob = world.attached_with(2, receive);
        warm_up(&world, &mut [&mut alice, &mut bob]);
        world.destroy(alice.bank);
        let limbo = world.kernel.borrow().limbo_frames();
        assert!(limbo > 0);
        let mut got = Vec::new();
        let mut sent = Vec::new();
        for n in 0..80 {
            sent.push(frame(bob.port.mac, OUTSIDE, n, 1000));
            world.inject(sent[n as usize].clone());
            if n % 3 == 0 {
                world.run();
                got.extend(bob.receive());
            }
        }
        world.run();
        got.extend(bob.receive());
        assert_eq!(got, sent, "{receive}");
        assert!(world.counter(bob.port, Counter::Recovered) > 0, "{receive}");
        assert_eq!(world.state(alice.port).state, PortState::Idle);
        assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{receive}");
    }
}

#[test]
fn pitfall_10_a_session_that_ends_orderly_leaves_the_others_their_pages() {
    for receive in [FLIP, HYBRID, sealed(FLIP)] {
        let world = world();
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, receive);
        let pinned = world
            .kernel
            .borrow()
            .frames
            .iter()
            .filter(|f| f.pins > 0)
            .count();
        for round in 0..10 {
            warm_up(&world, &mut [&mut alice, &mut bob]);
            let program = alice.program.clone();
            alice.session.take().unwrap().detach(&program);
            let transmit = 1 + 3 + 8;
            assert_eq!(world.kernel.borrow().banks[alice.bank].bought, transmit);
            for n in 0..40 {
                let sent = frame(bob.port.mac, OUTSIDE, n, 700);
                world.inject(sent.clone());
                world.run();
                assert_eq!(bob.receive(), [sent], "{receive} round {round}");
            }
            world.advance(1_000_000_000);
            alice.attach().unwrap();
            world.run();
        }
        let now = world
            .kernel
            .borrow()
            .frames
            .iter()
            .filter(|f| f.pins > 0)
            .count();
        assert!(now <= pinned + 16, "{receive}: {now} of {pinned}");
    }
}

#[test]
fn without_slots_everything_is_copied() {
    let world = World::with_capacity(16);
    let mut alice = world.attached_with(1, FLIP);
    for n in 0..50 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 900));
        world.run();
        assert_eq!(alice.receive().len(), 1);
    }
    assert_eq!(ways(&world, alice.port), [50, 0, 0, 0]);
    // As soon as there are some, it flips.
    world.add_aperture();
    world.run();
    warm_up(&world, &mut [&mut alice]);
    assert!(world.counter(alice.port, Counter::InPlace) > 0);
}

#[test]
fn a_bank_that_can_not_pay_for_hidden_pages_leaves_its_owner_copying() {
    let world = world();
    let port = world.port(dev::settings::PortSettings {
        receive: sealed(FLIP),
        ..crate::support::settings(1)
    });
    // Its own objects, the session's bank, rings and pages; hardly more.
    let mut alice = world.client(port, 12 + 1 + 2 + 16 + 2);
    alice.attach().unwrap();
    world.run();
    for n in 0..50 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 900));
        world.run();
        assert_eq!(alice.receive().len(), 1);
    }
    assert_eq!(ways(&world, alice.port), [50, 0, 0, 0]);
}

#[test]
fn who_gives_its_pages_back_late_flips_again() {
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    warm_up(&world, &mut [&mut alice]);
    // She takes nothing until none of her pages is the device's.
    for n in 0..100 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1000));
        world.run();
    }
    alice.receive();
    warm_up(&world, &mut [&mut alice]);
    let before = ways(&world, alice.port);
    for n in 0..100 {
        let sent = frame(alice.port.mac, OUTSIDE, n, 1000);
        world.inject(sent.clone());
        world.run();
        assert_eq!(alice.receive(), [sent]);
    }
    let after = ways(&world, alice.port);
    assert_eq!(after[0], before[0], "nothing is copied");
    assert_eq!(after[1], before[1] + 100);
}

/// Pages of a client's that the device has.
fn posted(world: &World, client: &Client) -> usize {
    let kernel = world.kernel.borrow();
    let owners: Vec<_> = world
        .device
        .borrow()
        .posted
        .iter()
        .filter_map(|(piece, _)| {
            let frame = (piece.address - DMA_BASE) as usize / abi::PAGE_SIZE;
            kernel.frames[frame].owner
        })
        .collect();
    let banks = kernel.banks.iter();
    banks
        .filter(|bank| bank.parent == Some(client.bank))
        .map(|bank| owners.iter().filter(|oid| bank.sold.contains(oid)).count())
        .sum()
}

#[test]
fn a_share_that_is_set_while_a_session_flips_is_its_share_of_the_buffers_posted() {
    let world = world();
    let attached = |n| {
        let port = world.port(PortSettings {
            receive: FLIP,
            ..settings(n)
        });
        let mut client = world.client(port, 1000);
        client.receive_pages = 32;
        client.attach().unwrap();
        client
    };
    let (mut alice, mut bob) = (attached(1), attached(2));
    world.run();
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let lent = |client: &Client| posted(&world, client);
    assert_eq!([lent(&alice), lent(&bob)], [6, 6]);
    let share = |share, port: TestPort| {
        let rate = Rate {
            share,
            ..Rate::default()
        };
        world.admin.set_rate(&world.init.sys, port.number, rate)
    };
    share(5, alice.port).unwrap();
    warm_up(&world, &mut [&mut alice, &mut bob]);
    // She keeps three quarters of her pages for what comes in other buffers.
    assert_eq!([lent(&alice), lent(&bob)], [8, 2]);
    share(1, alice.port).unwrap();
    share(3, bob.port).unwrap();
    warm_up(&world, &mut [&mut alice, &mut bob]);
    assert_eq!([lent(&alice), lent(&bob)], [3, 8]);
    // What was entered is what is left.
    let program = bob.program.clone();
    bob.session.take().unwrap().detach(&program);
    warm_up(&world, &mut [&mut alice]);
    assert_eq!(lent(&alice), 8);
}

#[test]
fn frames_of_several_pages_come_whole_and_in_order_by_every_strategy() {
    for receive in [
        Receive::default(),
        FLIP,
        HYBRID,
        sealed(FLIP),
        sealed(HYBRID),
    ] {
        let world = World::with(32, 9014);
        world.add_aperture();
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, FLIP);
        let mut flipped = 0;
        for n in 0..120u32 {
            let lengths = [9014, 100 + n as usize * 37, 4080, 4081, 60];
            let sent: Vec<_> = lengths[n as usize % 3..]
                .iter()
                .take(2)
                .map(|length| frame(alice.port.mac, OUTSIDE, n, *length))
                .collect();
            for frame in &sent {
                world.inject(frame.clone());
                world.run();
            }
            world.inject(frame(bob.port.mac, OUTSIDE, n, 3000));
            world.run();
            assert!(alice.receive() == sent, "{receive}, {n}");
            assert_eq!(bob.receive().len(), 1);
            let [_, in_place, exchanged, _] = ways(&world, alice.port);
            flipped = in_place + exchanged;
        }
        let copies = receive.strategy == Strategy::Copy;
        assert_eq!(flipped > 50, !copies, "{receive}: {flipped}");
        assert_eq!(world.counter(alice.port, Counter::NoPage), 0);
    }
}

#[test]
fn frames_longer_than_networks_have_come_whole_where_the_device_has_them() {
    // Clients here have 16 pages, and one of them may be open for short frames.
    for (receive, longest) in [
        (Receive::default(), 57_344),
        (FLIP, 16_384),
        (sealed(FLIP), 16_384),
    ] {
        let world = World::with(64, 65_536);
        world.add_aperture();
        let mut alice = world.attached_with(1, receive);
        for n in 0..60u32 {
            let length = [longest, 9015, 60, 12_288][n as usize % 4];
            let sent = frame(alice.port.mac, OUTSIDE, n, length);
            world.inject(sent.clone());
            world.run();
            assert!(alice.receive() == [sent], "{receive}, {n}");
        }
        assert_eq!(world.counter(alice.port, Counter::NoPage), 0);
        if receive.strategy == Strategy::Copy {
            // A group's frame in so many buffers is not kept: no network has any.
            world.inject(frame(dev::Mac::BROADCAST, OUTSIDE, 0, longest));
            world.run();
            assert!(alice.receive().is_empty());
            assert_eq!(world.device_counter(Counter::DeviceGiant), 1);
        }
    }
}
