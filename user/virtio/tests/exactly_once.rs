//! Random interleavings of driver and device: each chain comes back exactly once, whatever the
//! device does.
#![cfg(not(any(loom, miri)))]

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use virtio::queue::{Error, Misbehaviour};
use virtio::testing::{Chain, FakeDevice, FakeFunction, queue_areas};
use virtio::{Buffer, Queue};

/// One side's next step.
#[derive(Clone, Debug)]
enum Step {
    /// The driver posts a chain of so many buffers to be read and to be written.
    Post { reads: usize, writes: usize },
    /// The driver takes what is there.
    Take,
    /// The driver asks whether to notify.
    Notify,
    /// The driver asks for interrupts.
    Listen,
    /// The driver wants none.
    Quiet,
    /// The device takes a chain.
    DeviceTake,
    /// The device gives back one of the chains it has.
    Give { which: usize, written: u32 },
    /// The device asks for notifications, or wants none.
    DeviceListen(bool),
    /// The device gives back what it hasn't got (or, by chance, what it has).
    Lie { id: u32, written: u32 },
    /// The device publishes an index.
    Jump(u16),
    /// The driver resets the device.
    Reset,
}

fn honest() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4usize, 0..4usize).prop_map(|(reads, writes)| Step::Post { reads, writes }),
        8 => Just(Step::Take),
        2 => Just(Step::Notify),
        2 => Just(Step::Listen),
        1 => Just(Step::Quiet),
        6 => Just(Step::DeviceTake),
        6 => (any::<usize>(), any::<u32>())
            .prop_map(|(which, written)| Step::Give { which, written }),
        2 => any::<bool>().prop_map(Step::DeviceListen),
    ]
}

fn hostile() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => honest(),
        2 => (prop_oneof![8 => 0..8u32, 3 => 0..300u32, 1 => any::<u32>()], any::<u32>())
            .prop_map(|(id, written)| Step::Lie { id, written }),
        1 => any::<u16>().prop_map(Step::Jump),
        1 => Just(Step::Reset),
    ]
}

/// Runs steps on a queue of `size`, from `start` chains on, and counts what comes back.
fn run(size: u16, start: u32, event_index: bool, steps: &[Step], honest: bool) {
    let areas = queue_areas(size, 0x10_0000);
    let mut queue = Queue::new(size, areas.clone(), event_index).expect("a good size");
    let mut device = FakeDevice::new(size, areas.clone(), event_index);
    for _ in 0..start {
        queue.post(&[Buffer::to_device(1, 1)], 0).expect("room");
        let chain = device.take().expect("posted");
        device.give(chain.head.into(), 0);
        queue.take().expect("honest").expect("given");
    }

    let mut next_token = 1u32;
    let mut in_flight: BTreeMap<u32, u32> = BTreeMap::new();
    let mut at_device: Vec<Chain> = Vec::new();
    // Given back by the device, in order: what the driver must see.
    let mut given: VecDeque<(u32, u32)> = VecDeque::new();
    let mut lied = false;
    // The device may have given back what it had not taken yet: then what it takes and gives from now
    // on means nothing, and only lies are left to it.
    let mut confused = false;

    for step in steps {
        match *step {
            Step::Post { reads, writes } => {
                // The token stands in the address, so that the device knows it too.
                let address = u64::from(next_token) << 32;
                let mut chain: Vec<_> = (0..reads as u64)
                    .map(|n| Buffer::to_device(address + n, 7))
                    .collect();
                chain.extend((0..writes as u64).map(|n| Buffer::from_device(address + n, 100)));
                let fits = chain.len() <= queue.free().into();
                match queue.post(&chain, next_token) {
                    Ok(()) => {
                        assert!(fits);
                        in_flight.insert(next_token, 100 * writes as u32);
                        next_token += 1;
                    }
                    Err(Error::Full) => assert!(!fits),
                    Err(Error::BadChain) => {
                        assert!(chain.is_empty() || chain.len() > size.into());
                    }
                    Err(Error::Misbehaved(Misbehaviour::IndexJump { .. })) => assert!(lied),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Take => loop {
                match queue.take() {
                    Ok(Some(done)) => {
                        let room = in_flight.remove(&done.token).expect("back only once");
                        if let Ok(written) = done.written {
                            assert!(written <= room);
                        }
                        if honest {
                            let expected = given.pop_front().expect("was given");
                            assert_eq!((done.token, done.written), (expected.0, Ok(expected.1)));
                        }
                    }
                    Ok(None) => {
                        assert!(!honest || given.is_empty(), "one is missing");
                        break;
                    }
                    Err(Error::Misbehaved(Misbehaviour::NotPosted { .. })) => assert!(lied),
                    Err(Error::Misbehaved(Misbehaviour::IndexJump { .. })) => {
                        assert!(lied);
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            },
            Step::Notify => {
                queue.should_notify().expect("its own memory");
            }
            Step::Listen => match queue.listen() {
                Ok(waiting) => assert!(!honest || waiting != given.is_empty()),
                Err(_) => assert!(lied),
            },
            Step::Quiet => queue.quiet().expect("its own memory"),
            Step::DeviceTake | Step::Give { .. } | Step::DeviceListen(_) if confused => {}
            Step::DeviceTake => {
                if let Some(chain) = device.take() {
                    let token = (chain.buffers[0].address >> 32) as u32;
                    assert!(
                        chain
                            .buffers
                            .iter()
                            .all(|b| b.address >> 32 == token.into())
                    );
                    // Whatever was said before, what is in flight isn't overwritten.
                    assert_eq!(in_flight.get(&token), Some(&chain.room()));
                    at_device.push(chain);
                }
            }
            Step::Give { which, written } => {
                if !at_device.is_empty() {
                    let chain = at_device.swap_remove(which % at_device.len());
                    let token = (chain.buffers[0].address >> 32) as u32;
                    let written = written % (chain.room() + 1);
                    device.give(chain.head.into(), written);
                    given.push_back((token, written));
                }
            }
            Step::DeviceListen(true) => {
                device.listen();
            }
            Step::DeviceListen(false) => device.quiet(),
            Step::Lie { id, written } => {
                lied = true;
                device.give(id, written);
                confused |= id < size.into();
            }
            Step::Jump(index) => {
                lied = true;
                confused = true;
                device.lie_about_index(index);
            }
            Step::Reset => {
                let function = FakeFunction::new(0, &[4], &[]);
                let stopped = function.transport().reset(|| false).expect("it is well");
                queue
                    .reclaim(&stopped, |token| {
                        in_flight.remove(&token).expect("back only once");
                    })
                    .expect("its own memory");
                assert!(in_flight.is_empty(), "lost: {in_flight:?}");
                device = FakeDevice::new(size, areas.clone(), event_index);
                at_device.clear();
                given.clear();
                lied = false;
                confused = false;
            }
        }
        assert_eq!(usize::from(queue.outstanding()), in_flight.len());
    }

    if honest {
        while let Some(chain) = device.take() {
            at_device.push(chain);
        }
        for chain in at_device.drain(..) {
            let token = (chain.buffers[0].address >> 32) as u32;
            device.give(chain.head.into(), 0);
            given.push_back((token, 0));
        }
        while let Some(done) = queue.take().expect("honest") {
            assert!(in_flight.remove(&done.token).is_some());
        }
        assert_eq!(queue.free(), size);
    } else {
        let function = FakeFunction::new(0, &[4], &[]);
        let stopped = function.transport().reset(|| false).expect("it is well");
        queue
            .reclaim(&stopped, |token| {
                in_flight.remove(&token).expect("back only once");
            })
            .expect("its own memory");
    }
    assert!(in_flight.is_empty(), "lost: {in_flight:?}");
}

fn sizes() -> impl Strategy<Value = u16> {
    (0..=8u32).prop_map(|log| 1 << log)
}

fn starts() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..4u32, 1 => 65_200..65_540u32]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_device_gives_each_chain_back_once(
        size in sizes(),
        start in starts(),
        event_index: bool,
        steps in prop::collection::vec(honest(), 1..600),
    ) {
        run(size, start, event_index, &steps, true);
    }

    #[test]
    fn a_hostile_device_gives_no_chain_back_twice_and_loses_none(
        size in sizes(),
        start in starts(),
        event_index: bool,
        steps in prop::collection::vec(hostile(), 1..600),
    ) {
        run(size, start, event_index, &steps, false);
    }
}
