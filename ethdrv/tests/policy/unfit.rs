//! Frames that the device takes never, or not now: they hold up nobody but, for as long as need be,
//! their sender.

use abi::PAGE_SIZE;
use dev::layout::MORE;
use dev::statistics::Counter;
use ethdrv::transport::Refused;
use ring::Descriptor;

use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame};

/// The first piece of a frame that goes on, at the end of a page.
fn beginning(client: &mut Client, bytes: &[u8]) -> Descriptor {
    let first = client.fill(0, PAGE_SIZE - bytes.len(), bytes);
    Descriptor {
        flags: MORE,
        ..first
    }
}

/// Frames of a session's that leave, of so many that it sends while time passes.
fn leave(world: &World, client: &mut Client, count: u32) -> usize {
    world.wire();
    for n in 0..count {
        client.send(&[frame(OUTSIDE, client.port.mac, n, 600)]);
        world.advance(1_000_000_000);
        world.run();
    }
    world.wire().len()
}

#[test]
fn pitfall_20_a_piece_without_bytes_ends_its_session_and_holds_up_nobody() {
    for limit in [1514, 9014] {
        // The last piece is empty, one in the middle, or one before others.
        for empty in 0..3 {
            let world = World::with(64, limit);
            let mut mallory = world.attached(1);
            let mut bob = world.attached(2);
            let bytes = frame(OUTSIDE, mallory.port.mac, 0, 200);
            let honest = beginning(&mut mallory, &bytes);
            let nothing = mallory.fill(1, 0, &[]);
            let at_the_end = Descriptor {
                offset: PAGE_SIZE as u32,
                flags: MORE,
                ..nothing
            };
            let rest = mallory.fill(2, 0, &[1; 100]);
            mallory.transmit_raw_all(&match empty {
                0 => vec![honest, nothing],
                1 => vec![honest, at_the_end, rest],
                _ => vec![at_the_end, rest],
            });
            world.run();
            assert_eq!(leave(&world, &mut bob, 20), 20);
            assert_eq!(world.counter(mallory.port, Counter::Misbehaved), 1);
            assert_eq!(world.counter(mallory.port, Counter::Untaken), 0);
        }
    }
}

#[test]
fn a_frame_that_the_device_never_takes_is_dropped_and_holds_up_nobody() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    world.device.borrow_mut().refuses = Some(Refused::Unfit);
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 600)]);
    world.run();
    assert_eq!(world.counter(alice.port, Counter::Untaken), 1);
    assert_eq!(world.counter(alice.port, Counter::SentFrames), 0);
    assert_eq!(world.state(alice.port).in_flight, 0);
    world.device.borrow_mut().refuses = None;
    assert_eq!(leave(&world, &mut bob, 20), 20);
    assert_eq!(leave(&world, &mut alice, 20), 20);
}

#[test]
fn room_that_no_frame_in_transmission_can_make_is_not_waited_for() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().refuses = Some(Refused::Full);
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 600)]);
    world.run();
    world.device.borrow_mut().refuses = None;
    assert_eq!(leave(&world, &mut alice, 20), 20);
    assert_eq!(world.counter(alice.port, Counter::Untaken), 1);
}

#[test]
fn a_frame_for_which_there_is_no_room_waits_until_another_has_left() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.prompt(false);
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 600)]);
    world.run();
    world.device.borrow_mut().refuses = Some(Refused::Full);
    alice.send(&[frame(OUTSIDE, alice.port.mac, 1, 600)]);
    world.run();
    world.device.borrow_mut().refuses = None;
    world.run();
    assert_eq!(world.device.borrow().sending.len(), 1, "the second waits");
    world.prompt(true);
    world.device.borrow_mut().complete();
    world.run();
    assert_eq!(world.wire().len(), 2);
    assert_eq!(world.counter(alice.port, Counter::Untaken), 0);
}
