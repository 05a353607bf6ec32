//! Who tells whom, and when: at every index.
#![cfg(not(loom))]

use virtio::testing::{FakeDevice, FakeMemory, queue_areas};
use virtio::{Buffer, Queue};

const SIZE: u16 = 8;

/// Past every value of an index (fewer where an interpreter would take hours).
const ROUNDS: u32 = if cfg!(miri) { 100 } else { 66_000 };

fn pair(event_index: bool) -> (Queue<FakeMemory, u16>, FakeDevice<FakeMemory>) {
    let areas = queue_areas(SIZE, 0x10_0000);
    (
        Queue::new(SIZE, areas.clone(), event_index).expect("a good size"),
        FakeDevice::new(SIZE, areas, event_index),
    )
}

fn post(queue: &mut Queue<FakeMemory, u16>) {
    queue
        .post(&[Buffer::to_device(0x1000, 64)], 0)
        .expect("room");
}

fn give_all(device: &mut FakeDevice<FakeMemory>) {
    while let Some(chain) = device.take() {
        device.give(chain.head.into(), 0);
    }
}

fn take_all(queue: &mut Queue<FakeMemory, u16>) {
    while queue.take().expect("honest").is_some() {}
}

/// virtio-drivers 0.13 loses the kick for entry 65,535 because it compares indices by size.
#[test]
fn a_listening_device_is_told_at_every_index_and_batch() {
    for event_index in [false, true] {
        for batch in 1..=SIZE {
            let (mut queue, mut device) = pair(event_index);
            for _ in 0..ROUNDS.div_ceil(batch.into()) {
                assert!(!device.listen());
                for _ in 0..batch {
                    post(&mut queue);
                }
                assert_eq!(queue.should_notify(), Ok(true));
                assert_eq!(queue.should_notify(), Ok(false), "it was just told");
                give_all(&mut device);
                take_all(&mut queue);
            }
        }
    }
}

#[test]
fn a_quiet_device_is_not_told_at_any_index() {
    for event_index in [false, true] {
        let (mut queue, mut device) = pair(event_index);
        for turn in 0..ROUNDS {
            device.quiet();
            for _ in 0..=turn % 8 {
                post(&mut queue);
            }
            assert_eq!(queue.should_notify(), Ok(false), "turn {turn}");
            give_all(&mut device);
            take_all(&mut queue);
        }
    }
}

#[test]
fn a_device_that_listened_late_looks_again() {
    for event_index in [false, true] {
        let (mut queue, mut device) = pair(event_index);
        for _ in 0..ROUNDS {
            device.quiet();
            post(&mut queue);
            assert_eq!(queue.should_notify(), Ok(false));
            assert!(device.listen(), "what is there already is found on asking");
            give_all(&mut device);
            take_all(&mut queue);
        }
    }
}

#[test]
fn a_listening_driver_is_interrupted_at_every_index_and_batch() {
    for event_index in [false, true] {
        for batch in 1..=SIZE {
            let (mut queue, mut device) = pair(event_index);
            for _ in 0..ROUNDS.div_ceil(batch.into()) {
                for _ in 0..batch {
                    post(&mut queue);
                }
                assert_eq!(queue.listen(), Ok(false));
                give_all(&mut device);
                assert!(device.should_interrupt());
                assert!(!device.should_interrupt());
                take_all(&mut queue);
            }
        }
    }
}

#[test]
fn a_quiet_driver_is_not_interrupted_at_any_index() {
    for event_index in [false, true] {
        let (mut queue, mut device) = pair(event_index);
        for turn in 0..ROUNDS {
            assert_eq!(queue.listen(), Ok(false));
            assert_eq!(queue.quiet(), Ok(()));
            for _ in 0..=turn % 8 {
                post(&mut queue);
            }
            give_all(&mut device);
            assert!(!device.should_interrupt(), "turn {turn}");
            take_all(&mut queue);
        }
    }
}

#[test]
fn a_driver_that_listened_late_looks_again() {
    for event_index in [false, true] {
        let (mut queue, mut device) = pair(event_index);
        for _ in 0..ROUNDS {
            queue.quiet().expect("its own memory");
            post(&mut queue);
            give_all(&mut device);
            assert!(!device.should_interrupt());
            assert_eq!(queue.listen(), Ok(true));
            take_all(&mut queue);
        }
    }
}

#[test]
fn a_driver_that_stays_quiet_is_disturbed_at_most_once_in_a_turn_of_the_index() {
    let (mut queue, mut device) = pair(true);
    queue.quiet().expect("its own memory");
    let mut interrupts = 0;
    for _ in 0..4 * ROUNDS {
        post(&mut queue);
        give_all(&mut device);
        interrupts += u32::from(device.should_interrupt());
        take_all(&mut queue);
    }
    assert!(interrupts <= 4, "{interrupts} interrupts");
}

#[test]
#[cfg(not(miri))]
fn a_whole_turn_of_the_index_without_asking_loses_no_kick() {
    for posts in [65_534, 65_535, 65_536, 65_537] {
        let (mut queue, mut device) = pair(true);
        assert!(!device.listen());
        for _ in 0..posts {
            post(&mut queue);
            // A device that polls: it never asks to be told of another.
            give_all(&mut device);
            take_all(&mut queue);
        }
        assert_eq!(queue.should_notify(), Ok(true), "{posts} posts");
    }
}
