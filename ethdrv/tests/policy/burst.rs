//! Bursts that come before the client runs: what a session is promised to take, it takes.

use dev::burst;
use dev::settings::{PortSettings, Receive};
use dev::statistics::Counter;

use crate::flip::{FLIP, HYBRID, sealed, warm_up};
use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame, settings};

/// More than fits into the device's queue would be the device's to lose.
const AT_ONCE: usize = 16;

const WAYS: [Receive; 5] = [
    Receive {
        strategy: dev::settings::Strategy::Copy,
        threshold: 0,
        sealed: false,
    },
    FLIP,
    HYBRID,
    sealed(FLIP),
    sealed(HYBRID),
];

fn attached(world: &World, n: u8, receive: Receive, pages: u16) -> Client {
    let port = world.port(PortSettings {
        receive,
        receive_pages: pages,
        ..settings(n)
    });
    let mut client = world.client(port, 1000);
    client.receive_pages = pages;
    client.attach().unwrap();
    world.run();
    client
}

/// Alice takes nothing while as many frames of a length come as she is promised to hold; then all.
fn comes_whole(world: &World, alice: &mut Client, length: usize, what: &str) {
    let pages = alice.receive_pages;
    let promised = burst::frames(pages, length as u32);
    // Twice: the second burst finds the pages as the first one left them.
    for round in 0..2 {
        let sent: Vec<_> = (0..promised)
            .map(|n| frame(alice.port.mac, OUTSIDE, 1000 * round + n, length))
            .collect();
        for frames in sent.chunks(AT_ONCE) {
            frames.iter().for_each(|frame| world.inject(frame.clone()));
            world.run();
        }
        let got = alice.receive();
        let lost = world.counter(alice.port, Counter::NoPage);
        assert_eq!(lost, 0, "{what}, {pages} pages, {length} bytes");
        assert!(got == sent, "{what}, {pages} pages, {length} bytes");
        world.run();
    }
}

#[test]
fn a_window_that_comes_before_the_client_runs_loses_nothing() {
    for hers in WAYS {
        for his in [None, Some(Receive::default()), Some(FLIP)] {
            for pages in [8, 20, 64, 240] {
                let world = World::with_capacity(256);
                (0..3).for_each(|_| world.add_aperture());
                let mut alice = attached(&world, 1, hers, pages);
                // What comes for her lies in his pages, or in the driver's, or in her own.
                let mut bob = his.map(|his| attached(&world, 2, his, 240));
                let mut clients: Vec<_> = [Some(&mut alice), bob.as_mut()]
                    .into_iter()
                    .flatten()
                    .collect();
                warm_up(&world, &mut clients);
                for length in [1514, 60, 1000] {
                    comes_whole(&world, &mut alice, length, &format!("{hers}, {his:?}"));
                }
            }
        }
    }
}

#[test]
fn a_window_of_jumbo_frames_that_comes_before_the_client_runs_loses_nothing() {
    for hers in WAYS {
        for his in [Receive::default(), FLIP] {
            for pages in [20, 64, 240] {
                let world = World::with(256, 9014);
                (0..3).for_each(|_| world.add_aperture());
                let mut alice = attached(&world, 1, hers, pages);
                let mut bob = attached(&world, 2, his, 240);
                warm_up(&world, &mut [&mut alice, &mut bob]);
                for length in [9014, 4200, 1514] {
                    comes_whole(&world, &mut alice, length, &format!("{hers}, {his}"));
                }
            }
        }
    }
}

#[test]
fn who_flips_alone_has_most_frames_in_place_also_beside_somebody_who_copies() {
    let world = World::with_capacity(256);
    (0..3).for_each(|_| world.add_aperture());
    let mut alice = attached(&world, 1, FLIP, 240);
    let _quiet = attached(&world, 2, Receive::default(), 64);
    warm_up(&world, &mut [&mut alice]);
    let bring = |alice: &mut Client, frames| {
        for n in 0..frames {
            world.inject(frame(alice.port.mac, OUTSIDE, n, 1514));
            world.run();
            alice.receive();
        }
        [Counter::ReceivedFrames, Counter::InPlace].map(|one| world.counter(alice.port, one))
    };
    // What was posted before she flipped comes back first.
    let before = bring(&mut alice, 300);
    let after = bring(&mut alice, 1000);
    let [frames, in_place] = [after[0] - before[0], after[1] - before[1]];
    assert!(
        in_place * 3 >= frames * 2,
        "{in_place} of {frames} in place"
    );
}
