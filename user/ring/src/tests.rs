//! Tests of both sides on one thread: every wrap value, hostile peers, failing memory, and a model.

extern crate std;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use sys::{Fault, Mem};

use crate::{CAPACITY, Consumer, Descriptor, Error, Misbehaved, Producer, RING_BYTES, Ring};

const RING: Ring = Ring {
    entries: 0,
    producer: RING_BYTES,
    consumer: 64,
};

/// Bytes that answer `Revoked` from the `fuse`-th access on.
struct Memory {
    bytes: RefCell<Vec<u8>>,
    fuse: Cell<usize>,
}

impl Memory {
    fn new() -> Memory {
        Memory {
            bytes: RefCell::new(vec![0; RING_BYTES + 128]),
            fuse: Cell::new(usize::MAX),
        }
    }

    fn burn(&self) -> Result<(), Fault> {
        let left = self.fuse.get().checked_sub(1).ok_or(Fault::Revoked)?;
        self.fuse.set(left);
        Ok(())
    }

    fn load<const N: usize>(&self, offset: usize) -> Result<[u8; N], Fault> {
        self.burn()?;
        assert_eq!(offset % N, 0, "unaligned access");
        let bytes = self.bytes.borrow();
        let slice = bytes.get(offset..offset + N).ok_or(Fault::OutOfRange)?;
        Ok(slice.try_into().unwrap())
    }

    fn store<const N: usize>(&self, offset: usize, value: [u8; N]) -> Result<(), Fault> {
        self.burn()?;
        assert_eq!(offset % N, 0, "unaligned access");
        let mut bytes = self.bytes.borrow_mut();
        let slice = bytes.get_mut(offset..offset + N).ok_or(Fault::OutOfRange)?;
        slice.copy_from_slice(&value);
        Ok(())
    }
}

impl Mem for Memory {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load(offset).map(u16::from_le_bytes)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load(offset).map(u32::from_le_bytes)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.load(offset).map(u64::from_le_bytes)
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.store(offset, value.to_le_bytes())
    }
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load_u16(offset)
    }
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load_u32(offset)
    }
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store_u16(offset, value)
    }
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store_u32(offset, value)
    }
    fn fence(&self) {}
    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), Fault> {
        unreachable!("rings move words")
    }
    fn write(&self, _: usize, _: &[u8]) -> Result<(), Fault> {
        unreachable!("rings move words")
    }
}

/// Both sides of one ring.
struct Pair {
    left: Memory,
    right: Memory,
    producer: Producer,
    consumer: Consumer,
}

impl Pair {
    fn at(index: u32) -> Pair {
        let pair = Pair {
            left: Memory::new(),
            right: Memory::new(),
            producer: Producer::new(RING, index),
            consumer: Consumer::new(RING, index),
        };
        pair.producer.begin(&pair.left).unwrap();
        pair.consumer.begin(&pair.right).unwrap();
        pair
    }

    fn claim_tail(&self, index: u32) {
        self.left.store_u32(RING.producer, index).unwrap();
    }

    fn claim_head(&self, index: u32) {
        self.right.store_u32(RING.consumer, index).unwrap();
    }
}

fn descriptor(number: u32) -> Descriptor {
    Descriptor {
        page: number,
        offset: number ^ 0xffff,
        length: number.wrapping_mul(7),
        flags: number.rotate_left(8),
    }
}

#[test]
fn pitfall_19_full_and_empty_at_every_wrap() {
    // Every position of the wrap within the ring, and the far side of the sign bit.
    let near = (0..=CAPACITY + 2).map(|n| 0u32.wrapping_sub(n));
    let middle = (0..=CAPACITY + 2).map(|n| 0x8000_0000u32.wrapping_sub(n));
    for start in near.chain(middle).chain([0, 1, 77]) {
        let mut pair = Pair::at(start);
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(0));
        assert_eq!(pair.producer.refresh(&pair.right), Ok(CAPACITY));
        for n in 0..CAPACITY {
            pair.producer.push(&pair.left, descriptor(n)).unwrap();
        }
        assert_eq!(
            pair.producer.push(&pair.left, descriptor(0)),
            Err(Error::Full)
        );
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(0), "not published");
        pair.producer.publish(&pair.left).unwrap();
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(CAPACITY));
        for n in 0..CAPACITY {
            assert_eq!(pair.consumer.pop(&pair.left), Ok(Some(descriptor(n))));
        }
        assert_eq!(pair.consumer.pop(&pair.left), Ok(None));
        assert_eq!(pair.producer.refresh(&pair.right), Ok(0), "not released");
        pair.consumer.release(CAPACITY);
        pair.consumer.publish(&pair.right).unwrap();
        assert_eq!(pair.producer.refresh(&pair.right), Ok(CAPACITY));
    }
}

#[test]
fn pitfall_19_a_jump_of_the_producers_index_is_misbehaviour() {
    for start in [0, 5, u32::MAX, u32::MAX - 100, 0x8000_0000] {
        let mut pair = Pair::at(start);
        pair.claim_tail(start.wrapping_add(10));
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(10));
        for jump in [CAPACITY + 1, CAPACITY + 2, 0x7fff_ffff, 0x8000_0000, 9, 0] {
            pair.claim_tail(start.wrapping_add(jump));
            let error = Error::Misbehaved(Misbehaved {
                seen: start.wrapping_add(10),
                claimed: start.wrapping_add(jump),
                limit: CAPACITY - 10,
            });
            assert_eq!(pair.consumer.refresh(&pair.left), Err(error), "by {jump}");
            assert_eq!(pair.consumer.available(), 10, "nothing was taken");
        }
        pair.claim_tail(start.wrapping_add(CAPACITY));
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(CAPACITY));
    }
}

#[test]
fn pitfall_19_what_is_held_bounds_the_producer() {
    let mut pair = Pair::at(0);
    pair.claim_tail(CAPACITY);
    assert_eq!(pair.consumer.refresh(&pair.left), Ok(CAPACITY));
    pair.consumer.pop(&pair.left).unwrap();
    // Read and not released: the slot is not the producer's yet.
    pair.claim_tail(CAPACITY + 1);
    assert!(matches!(
        pair.consumer.refresh(&pair.left),
        Err(Error::Misbehaved(_))
    ));
    pair.consumer.release(1);
    assert!(
        matches!(pair.consumer.refresh(&pair.left), Err(Error::Misbehaved(_))),
        "released, but the producer can't know"
    );
    pair.consumer.publish(&pair.right).unwrap();
    assert_eq!(pair.consumer.refresh(&pair.left), Ok(CAPACITY));
}

#[test]
fn pitfall_19_a_jump_of_the_consumers_index_is_misbehaviour() {
    for start in [0, 3, u32::MAX - 1, 0x7fff_fffe] {
        let mut pair = Pair::at(start);
        for n in 0..4 {
            pair.producer.push(&pair.left, descriptor(n)).unwrap();
        }
        pair.producer.publish(&pair.left).unwrap();
        pair.producer.push(&pair.left, descriptor(4)).unwrap();
        for jump in [5, CAPACITY, u32::MAX, 0x8000_0000] {
            pair.claim_head(start.wrapping_add(jump));
            assert!(
                matches!(
                    pair.producer.refresh(&pair.right),
                    Err(Error::Misbehaved(_))
                ),
                "by {jump}"
            );
            assert_eq!(pair.producer.room(), CAPACITY - 5);
        }
        pair.claim_head(start.wrapping_add(4));
        assert_eq!(pair.producer.refresh(&pair.right), Ok(CAPACITY - 1));
    }
}

#[test]
fn no_more_is_released_than_was_read() {
    let mut pair = Pair::at(u32::MAX);
    pair.producer.push(&pair.left, descriptor(1)).unwrap();
    pair.producer.publish(&pair.left).unwrap();
    pair.consumer.refresh(&pair.left).unwrap();
    pair.consumer.pop(&pair.left).unwrap();
    pair.consumer.release(7);
    pair.consumer.publish(&pair.right).unwrap();
    assert_eq!(pair.producer.refresh(&pair.right), Ok(CAPACITY));
}

#[test]
fn a_consumers_wish_is_answered_once() {
    for start in [0, u32::MAX, 0x7fff_ffff] {
        let mut pair = Pair::at(start);
        let push = |pair: &mut Pair| {
            pair.producer.push(&pair.left, descriptor(0)).unwrap();
            pair.producer.publish(&pair.left).unwrap();
            pair.producer.must_notify(&pair.left, &pair.right).unwrap()
        };
        let drain = |pair: &mut Pair| {
            pair.consumer.refresh(&pair.left).unwrap();
            while pair.consumer.pop(&pair.left).unwrap().is_some() {}
            pair.consumer.release(u32::MAX);
            pair.consumer.publish(&pair.right).unwrap();
            pair.producer.refresh(&pair.right).unwrap();
        };
        assert!(!push(&mut pair), "nobody asked yet");
        assert_eq!(pair.consumer.ask(&pair.right, &pair.left), Ok(true));
        drain(&mut pair);
        assert_eq!(pair.consumer.ask(&pair.right, &pair.left), Ok(false));
        assert_eq!(
            pair.producer.must_notify(&pair.left, &pair.right),
            Ok(false)
        );
        assert!(push(&mut pair), "asked");
        assert!(!push(&mut pair), "answered already");
        drain(&mut pair);
        assert!(!push(&mut pair), "not asked again");
        // Several publications before the producer looks count as one.
        drain(&mut pair);
        assert_eq!(pair.consumer.ask(&pair.right, &pair.left), Ok(false));
        pair.producer.push(&pair.left, descriptor(0)).unwrap();
        pair.producer.publish(&pair.left).unwrap();
        assert!(push(&mut pair));
    }
}

#[test]
fn a_producers_wish_counts_what_is_left() {
    for start in [0, u32::MAX - 3, 0x7fff_ffff] {
        let mut pair = Pair::at(start);
        for n in 0..10 {
            pair.producer.push(&pair.left, descriptor(n)).unwrap();
        }
        pair.producer.publish(&pair.left).unwrap();
        assert_eq!(
            pair.producer.ask(&pair.left, &pair.right, 10),
            Ok(true),
            "no more than ten are there"
        );
        assert_eq!(pair.producer.ask(&pair.left, &pair.right, 4), Ok(false));
        pair.consumer.refresh(&pair.left).unwrap();
        let mut woken = Vec::new();
        for n in 0..10 {
            assert_eq!(pair.consumer.awaited(&pair.left), Ok(false));
            pair.consumer.pop(&pair.left).unwrap();
            assert_eq!(pair.consumer.awaited(&pair.left), Ok(n == 5));
            pair.consumer.release(1);
            pair.consumer.publish(&pair.right).unwrap();
            woken.push(pair.consumer.must_notify(&pair.right, &pair.left).unwrap());
        }
        let expected: Vec<bool> = (1..=10).map(|released| released == 6).collect();
        assert_eq!(woken, expected);
    }
}

#[test]
fn pitfall_27_memory_that_vanishes_leaves_no_half_written_entry() {
    for fuse in 0..3 {
        let mut pair = Pair::at(0);
        pair.left.fuse.set(fuse);
        let pushed = pair
            .producer
            .push(&pair.left, descriptor(9))
            .and_then(|()| pair.producer.publish(&pair.left));
        assert_eq!(pushed, Err(Error::Fault(Fault::Revoked)));
        pair.left.fuse.set(usize::MAX);
        assert_eq!(pair.consumer.refresh(&pair.left), Ok(0));
        if fuse < 2 {
            assert_eq!(pair.producer.tail(), 0, "the entry doesn't count");
        }
    }
    for fuse in 0..2 {
        let mut pair = Pair::at(0);
        pair.producer.push(&pair.left, descriptor(9)).unwrap();
        pair.producer.publish(&pair.left).unwrap();
        pair.consumer.refresh(&pair.left).unwrap();
        pair.left.fuse.set(fuse);
        assert_eq!(
            pair.consumer.pop(&pair.left),
            Err(Error::Fault(Fault::Revoked))
        );
        assert_eq!(pair.consumer.available(), 1, "nothing was taken");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Publish,
    RefreshProducer,
    RefreshConsumer,
    Pop(u8),
    Release(u8),
    PublishConsumer,
    /// The consumer publishes an index of its choice.
    LieAboutHead(u32),
    /// The producer publishes an index of its choice.
    LieAboutTail(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u8>().prop_map(Step::Push),
        4 => Just(Step::Publish),
        3 => Just(Step::RefreshProducer),
        4 => Just(Step::RefreshConsumer),
        6 => any::<u8>().prop_map(Step::Pop),
        6 => any::<u8>().prop_map(Step::Release),
        4 => Just(Step::PublishConsumer),
        1 => any::<u32>().prop_map(Step::LieAboutHead),
        1 => any::<u32>().prop_map(Step::LieAboutTail),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Against a queue: what comes out is what went in, once, in order; and a lie is either refused or
    /// can't be told from honest behaviour, and moves no index out of bounds.
    #[test]
    fn behaves_like_a_queue(start in any::<u32>(), steps in steps()) {
        let mut pair = Pair::at(start);
        let mut pushed: VecDeque<Descriptor> = VecDeque::new();
        let mut visible: VecDeque<Descriptor> = VecDeque::new();
        let mut number = 0;
        let mut honest = true;
        for step in steps {
            match step {
                Step::Push(count) => for _ in 0..count % 80 {
                    let room = pair.producer.room();
                    let result = pair.producer.push(&pair.left, descriptor(number));
                    prop_assert_eq!(result.is_ok(), room > 0);
                    if result.is_ok() {
                        pushed.push_back(descriptor(number));
                        number += 1;
                    }
                },
                Step::Publish => {
                    pair.producer.publish(&pair.left).unwrap();
                    visible.append(&mut pushed);
                }
                Step::RefreshProducer => {
                    let result = pair.producer.refresh(&pair.right);
                    prop_assert!(result.is_ok() || !honest);
                }
                Step::RefreshConsumer => {
                    let result = pair.consumer.refresh(&pair.left);
                    prop_assert!(result.is_ok() || !honest);
                    if honest {
                        prop_assert_eq!(pair.consumer.available() as usize, visible.len());
                    }
                }
                Step::Pop(count) => for _ in 0..count % 80 {
                    let popped = pair.consumer.pop(&pair.left).unwrap();
                    if honest && popped.is_some() {
                        prop_assert_eq!(popped, visible.pop_front());
                    }
                },
                Step::Release(count) => pair.consumer.release(count as u32),
                Step::PublishConsumer => pair.consumer.publish(&pair.right).unwrap(),
                Step::LieAboutHead(index) => {
                    honest = false;
                    pair.claim_head(index);
                }
                Step::LieAboutTail(index) => {
                    honest = false;
                    pair.claim_tail(index);
                }
            }
            prop_assert!(pair.producer.room() <= CAPACITY);
            prop_assert!(pair.consumer.available() + pair.consumer.held() <= CAPACITY);
        }
    }
}
