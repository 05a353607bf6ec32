//! The queue against a device's side of it, honest and not.
#![cfg(not(loom))]

use virtio::queue::{Error, Misbehaviour, Overrun};
use virtio::testing::{FakeDevice, FakeFunction, FakeMemory, queue_areas};
use virtio::{Buffer, Offer, Queue, Stopped, features::NoFeatures};

const ADDRESS: u64 = 0x10_0000;

/// Past every value of an index (fewer where an interpreter would take hours).
const ROUNDS: u32 = if cfg!(miri) { 100 } else { 66_000 };

/// Both sides of a queue.
struct Pair {
    queue: Queue<FakeMemory, u32>,
    device: FakeDevice<FakeMemory>,
}

fn pair(size: u16, event_index: bool) -> Pair {
    let areas = queue_areas(size, ADDRESS);
    Pair {
        queue: Queue::new(size, areas.clone(), event_index).expect("a good size"),
        device: FakeDevice::new(size, areas, event_index),
    }
}

/// A device that was reset.
fn stopped() -> Stopped {
    let transport = FakeFunction::new(0, &[4], &[]).transport();
    let none = Offer::<NoFeatures>::default();
    transport
        .negotiate(none, none, || false)
        .expect("it is well");
    transport.reset(|| false).expect("it is well")
}

fn one(length: u32) -> [Buffer; 1] {
    [Buffer::from_device(0x5000, length)]
}

impl Pair {
    /// A chain goes out and comes back.
    fn round(&mut self, token: u32) {
        self.queue.post(&one(64), token).expect("room");
        let chain = self.device.take().expect("posted");
        self.device.give(chain.head.into(), 60);
        let done = self.queue.take().expect("honest").expect("given");
        assert_eq!((done.token, done.written), (token, Ok(60)));
    }

    fn misbehaviour(&mut self) -> Misbehaviour {
        match self.queue.take() {
            Err(Error::Misbehaved(what)) => what,
            other => panic!("not noticed: {other:?}"),
        }
    }
}

#[test]
fn every_size_works_at_every_index() {
    for log in 0..=8 {
        let size = 1 << log;
        let mut pair = pair(size, log % 2 == 0);
        for token in 0..ROUNDS {
            pair.round(token);
        }
        assert_eq!(pair.queue.free(), size);
        assert_eq!(pair.queue.take(), Ok(None));
    }
}

#[test]
fn full_and_empty_are_told_apart_at_every_index() {
    const SIZE: u16 = 4;
    let mut pair = pair(SIZE, true);
    for turn in 0..ROUNDS {
        for n in 0..4 {
            assert_eq!(pair.queue.post(&one(16), turn + n), Ok(()));
        }
        assert_eq!(pair.queue.post(&one(16), 0), Err(Error::Full));
        assert_eq!(pair.queue.outstanding(), 4);
        assert_eq!(pair.device.waiting(), 4);
        for n in 0..4 {
            let chain = pair.device.take().expect("posted");
            pair.device.give(chain.head.into(), n);
        }
        assert_eq!(pair.device.take(), None);
        for n in 0..4 {
            let done = pair.queue.take().expect("honest").expect("given");
            assert_eq!((done.token, done.written), (turn + n, Ok(n)));
        }
        assert_eq!(pair.queue.take(), Ok(None));
        // Only every fourth index is a multiple of the size here: shift by one.
        pair.round(turn);
    }
}

#[test]
fn chains_arrive_as_they_were_posted_and_come_back_out_of_order() {
    let mut pair = pair(8, false);
    let chains: [&[Buffer]; 3] = [
        &[
            Buffer::to_device(0x1000, 12),
            Buffer::to_device(0x2000, 1500),
            Buffer::from_device(0x3000, 1),
        ],
        &[Buffer::to_device(0xffff_ffff_f000, 42)],
        &[
            Buffer::from_device(0x4000, 4096),
            Buffer::from_device(0x8000, 100),
        ],
    ];
    for _ in 0..ROUNDS / 2 {
        let mut heads = Vec::new();
        for (token, chain) in (0..).zip(chains) {
            pair.queue.post(chain, token).expect("room");
            let seen = pair.device.take().expect("posted");
            assert_eq!(seen.buffers, chain);
            heads.push(seen.head);
        }
        assert_eq!(pair.queue.free(), 2);
        let three = [Buffer::to_device(0x1000, 1); 3];
        assert_eq!(pair.queue.post(&three, 9), Err(Error::Full));
        for token in [2u32, 0, 1] {
            pair.device.give(heads[token as usize].into(), token);
        }
        for token in [2, 0] {
            let done = pair.queue.take().expect("honest").expect("given");
            assert_eq!((done.token, done.written), (token, Ok(token)));
        }
        // The second chain has nothing to write to.
        let done = pair.queue.take().expect("honest").expect("given");
        let (claimed, room) = (1, 0);
        assert_eq!(done.token, 1);
        assert_eq!(done.written, Err(Overrun { claimed, room }));
        assert_eq!(pair.queue.free(), 8);
    }
}

#[test]
fn what_is_no_chain_is_refused_and_nothing_is_posted() {
    let mut pair = pair(4, true);
    let reads = Buffer::to_device(0x1000, 8);
    let writes = Buffer::from_device(0x2000, 8);
    let half = Buffer::to_device(0x1000, 1 << 31);
    let bad: [&[Buffer]; 6] = [
        &[],
        &[reads; 5],
        &[writes, reads],
        &[Buffer::to_device(0x1000, 0)],
        &[reads, Buffer::from_device(0x1000, 0)],
        &[half, half],
    ];
    for chain in bad {
        assert_eq!(pair.queue.post(chain, 1), Err(Error::BadChain));
        assert_eq!(pair.device.waiting(), 0);
        assert_eq!(pair.queue.free(), 4);
    }
    pair.round(1);
}

#[test]
fn sizes_and_areas_that_make_no_queue_are_refused() {
    for size in [0, 3, 257, 512, 32_768, 65_535] {
        let areas = queue_areas(size, ADDRESS);
        assert!(matches!(
            Queue::<_, ()>::new(size, areas, true),
            Err(Error::BadQueue)
        ));
    }
    let spoil: [fn(&mut virtio::queue::Areas<FakeMemory>); 6] = [
        |areas| areas.descriptors.address += 8,
        |areas| areas.available.address += 1,
        |areas| areas.used.address += 2,
        |areas| areas.descriptors.memory = FakeMemory::new(8 * 16 - 1),
        |areas| areas.available.memory = FakeMemory::new(4 + 2 * 8 + 1),
        |areas| areas.used.memory = FakeMemory::new(4 + 8 * 8 + 1),
    ];
    for spoil in spoil {
        let mut areas = queue_areas(8, ADDRESS);
        spoil(&mut areas);
        assert!(matches!(
            Queue::<_, ()>::new(8, areas, true),
            Err(Error::BadQueue)
        ));
    }
}

#[test]
fn a_wrong_length_is_reported_and_the_chain_is_back() {
    let mut pair = pair(4, true);
    for claimed in [65, 4096, u32::MAX] {
        pair.queue.post(&one(64), 5).expect("room");
        let chain = pair.device.take().expect("posted");
        pair.device.give(chain.head.into(), claimed);
        let done = pair.queue.take().expect("known").expect("given");
        assert_eq!(done.token, 5);
        let room = 64;
        assert_eq!(done.written, Err(Overrun { claimed, room }));
        assert_eq!(pair.queue.free(), 4);
    }
}

#[test]
fn entries_that_name_no_chain_are_passed_over() {
    let mut pair = pair(8, true);
    let chain = [Buffer::to_device(0x1000, 8), Buffer::from_device(0x2000, 8)];
    for turn in 0..ROUNDS / 6 {
        pair.queue.post(&chain, turn).expect("room");
        pair.queue.post(&chain, turn + 1).expect("room");
        let first = pair.device.take().expect("posted");
        let second = pair.device.take().expect("posted");
        // The middle of a chain, a descriptor that nobody posted, ones that don't exist.
        let all = 0..8u32;
        let heads = [u32::from(first.head), u32::from(second.head)];
        let mut wrong: Vec<u32> = all.filter(|id| !heads.contains(id)).collect();
        wrong.extend([8, 255, 0x1_0000 | heads[0], u32::MAX]);
        let id = wrong[turn as usize % wrong.len()];
        pair.device.give(id, 8);
        assert_eq!(pair.misbehaviour(), Misbehaviour::NotPosted { id });
        // The others come back as if nothing had been.
        for (head, token) in [(heads[1], turn + 1), (heads[0], turn)] {
            pair.device.give(head, 4);
            let done = pair.queue.take().expect("known").expect("given");
            assert_eq!(done.token, token);
        }
        assert_eq!(pair.queue.take(), Ok(None));
        assert_eq!(pair.queue.free(), 8);
    }
}

#[test]
fn a_repeated_id_brings_no_token_twice() {
    let mut pair = pair(4, true);
    pair.queue.post(&one(64), 1).expect("room");
    pair.queue.post(&one(64), 2).expect("room");
    let first = pair.device.take().expect("posted");
    let second = pair.device.take().expect("posted");
    pair.device.give(first.head.into(), 1);
    pair.device.give(first.head.into(), 1);
    assert_eq!(pair.queue.take().expect("known").expect("given").token, 1);
    let id = first.head.into();
    assert_eq!(pair.misbehaviour(), Misbehaviour::NotPosted { id });
    pair.device.give(second.head.into(), 1);
    assert_eq!(pair.queue.take().expect("known").expect("given").token, 2);
    assert_eq!(pair.queue.take(), Ok(None));
}

#[test]
fn an_index_that_jumps_fails_the_queue_until_reset() {
    for offset in [3u16, 4, 5, 256, 0x7fff, 0x8000, 0xffff] {
        let mut pair = pair(4, true);
        // Anywhere, close to the wrap too.
        for token in 0..ROUNDS.min(65_534) {
            pair.round(token);
        }
        pair.queue.post(&one(64), 7).expect("room");
        pair.queue.post(&one(64), 8).expect("room");
        let chain = pair.device.take().expect("posted");
        let expected = pair.device.used_index();
        let index = expected.wrapping_add(offset);
        pair.device.give(chain.head.into(), 1);
        pair.device.lie_about_index(index);
        let outstanding = 2;
        let jump = Misbehaviour::IndexJump {
            expected,
            index,
            outstanding,
        };
        assert_eq!(pair.misbehaviour(), jump);
        // It stays so, even if the device takes it back.
        pair.device.lie_about_index(expected.wrapping_add(1));
        assert_eq!(pair.misbehaviour(), jump);
        assert_eq!(pair.queue.post(&one(64), 9), Err(Error::Misbehaved(jump)));
        assert_eq!(pair.queue.listen(), Err(Error::Misbehaved(jump)));
        assert_eq!(pair.queue.failure(), Some(jump));

        let mut back = Vec::new();
        let reclaimed = pair.queue.reclaim(&stopped(), |token| back.push(token));
        assert_eq!(reclaimed, Ok(()));
        back.sort_unstable();
        assert_eq!(back, [7, 8]);
        assert_eq!(pair.queue.failure(), None);
    }
}

#[test]
fn a_reclaimed_queue_is_as_new() {
    let areas = queue_areas(8, ADDRESS);
    let mut queue = Queue::new(8, areas.clone(), true).expect("a good size");
    for turn in 0..3u32 {
        let mut pair = Pair {
            queue,
            device: FakeDevice::new(8, areas.clone(), true),
        };
        for token in 0..turn {
            pair.round(token);
        }
        for token in 0..8 {
            pair.queue.post(&one(64), token).expect("room");
        }
        let mut back = Vec::new();
        let reclaimed = pair.queue.reclaim(&stopped(), |token| back.push(token));
        assert_eq!(reclaimed, Ok(()));
        back.sort_unstable();
        assert_eq!(back, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(pair.queue.free(), 8);
        queue = pair.queue;
    }
}

#[test]
fn what_waits_is_known_before_it_is_taken() {
    let mut pair = pair(8, true);
    for token in 0..3 {
        pair.queue.post(&one(64), token).expect("room");
    }
    assert_eq!(pair.queue.waiting(), Ok(0));
    for waiting in 1..=2 {
        let chain = pair.device.take().expect("posted");
        pair.device.give(chain.head.into(), 60);
        assert_eq!(pair.queue.waiting(), Ok(waiting));
    }
    assert!(pair.queue.take().expect("honest").is_some());
    assert_eq!(pair.queue.waiting(), Ok(1));
    pair.device.lie_about_index(9);
    assert!(pair.queue.waiting().is_err());
}
