//! Both sides on two threads, in every order that the memory model allows (loom).

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;
use sys::{Fault, Mem};

use crate::{CAPACITY, Consumer, Descriptor, Producer, RING_BYTES, Ring};

const RING: Ring = Ring {
    entries: 0,
    producer: RING_BYTES,
    consumer: 0,
};

/// Memory in which only the words that a test touches exist, so that loom has little to follow.
struct Memory {
    words: BTreeMap<usize, AtomicU32>,
    entries: BTreeMap<usize, AtomicU64>,
}

impl Memory {
    fn of_producer(slots: &[u32]) -> Memory {
        let halves = slots.iter().flat_map(|index| {
            let offset = RING.entry(*index);
            [offset, offset + 8]
        });
        Memory {
            words: [RING.producer, RING.producer + 4]
                .map(|offset| (offset, AtomicU32::new(0)))
                .into(),
            entries: halves.map(|offset| (offset, AtomicU64::new(0))).collect(),
        }
    }

    fn of_consumer() -> Memory {
        Memory {
            words: [RING.consumer, RING.consumer + 4]
                .map(|offset| (offset, AtomicU32::new(0)))
                .into(),
            entries: BTreeMap::new(),
        }
    }
}

impl Mem for Memory {
    fn len(&self) -> usize {
        RING_BYTES + 64
    }
    fn load_u16(&self, _: usize) -> Result<u16, Fault> {
        unreachable!("rings have no such access")
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        Ok(self.words[&offset].load(Ordering::Relaxed))
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        Ok(self.entries[&offset].load(Ordering::Relaxed))
    }
    fn store_u16(&self, _: usize, _: u16) -> Result<(), Fault> {
        unreachable!("rings have no such access")
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.words[&offset].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.entries[&offset].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn acquire_u16(&self, _: usize) -> Result<u16, Fault> {
        unreachable!("rings have no such access")
    }
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        Ok(self.words[&offset].load(Ordering::Acquire))
    }
    fn release_u16(&self, _: usize, _: u16) -> Result<(), Fault> {
        unreachable!("rings have no such access")
    }
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.words[&offset].store(value, Ordering::Release);
        Ok(())
    }
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), Fault> {
        unreachable!("rings move words")
    }
    fn write(&self, _: usize, _: &[u8]) -> Result<(), Fault> {
        unreachable!("rings move words")
    }
}

fn descriptor(number: u32) -> Descriptor {
    Descriptor {
        page: number,
        offset: number,
        length: number,
        flags: number,
    }
}

#[test]
fn pitfall_22_what_is_published_is_whole() {
    loom::model(|| {
        // The index wraps between the two entries.
        let start = u32::MAX;
        let left = Arc::new(Memory::of_producer(&[start, 0]));
        let right = Arc::new(Memory::of_consumer());
        let mut producer = Producer::new(RING, start);
        let mut consumer = Consumer::new(RING, start);
        producer.begin(&*left).unwrap();
        consumer.begin(&*right).unwrap();
        let theirs = left.clone();
        let writer = thread::spawn(move || {
            for number in [1, 2] {
                producer.push(&*theirs, descriptor(number)).unwrap();
                producer.publish(&*theirs).unwrap();
            }
        });
        let mut got = Vec::new();
        for _ in 0..2 {
            consumer.refresh(&*left).unwrap();
            while let Some(entry) = consumer.pop(&*left).unwrap() {
                got.push(entry);
            }
        }
        writer.join().unwrap();
        consumer.refresh(&*left).unwrap();
        while let Some(entry) = consumer.pop(&*left).unwrap() {
            got.push(entry);
        }
        assert_eq!(got, [descriptor(1), descriptor(2)]);
    });
}

#[test]
fn pitfall_22_a_slot_is_not_reused_before_it_was_read() {
    loom::model(|| {
        let left = Arc::new(Memory::of_producer(&[0]));
        let right = Arc::new(Memory::of_consumer());
        // A full ring: the entry that comes next goes where the oldest one lies.
        let mut producer = Producer::resume(RING, CAPACITY, 0);
        let mut consumer = Consumer::resume(RING, 0, CAPACITY);
        left.store_u64(0, 0x0000_0001_0000_0001).unwrap();
        left.store_u64(8, 0x0000_0001_0000_0001).unwrap();
        let (left_there, right_there) = (left.clone(), right.clone());
        let writer = thread::spawn(move || {
            if producer.refresh(&*right_there).unwrap() > 0 {
                producer.push(&*left_there, descriptor(2)).unwrap();
                producer.publish(&*left_there).unwrap();
            }
        });
        assert_eq!(consumer.pop(&*left).unwrap(), Some(descriptor(1)));
        consumer.release(1);
        consumer.publish(&*right).unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn pitfall_22_no_wake_up_of_the_consumer_is_lost() {
    loom::model(|| {
        let left = Arc::new(Memory::of_producer(&[0]));
        let right = Arc::new(Memory::of_consumer());
        let signalled = Arc::new(AtomicBool::new(false));
        let mut producer = Producer::new(RING, 0);
        let mut consumer = Consumer::new(RING, 0);
        producer.begin(&*left).unwrap();
        consumer.begin(&*right).unwrap();
        let theirs = (left.clone(), right.clone(), signalled.clone());
        let writer = thread::spawn(move || {
            let (left, right, signalled) = theirs;
            producer.push(&*left, descriptor(1)).unwrap();
            producer.publish(&*left).unwrap();
            if producer.must_notify(&*left, &*right).unwrap() {
                signalled.store(true, Ordering::Release);
            }
        });
        let ready = consumer.ask(&*right, &*left).unwrap();
        writer.join().unwrap();
        assert!(
            ready || signalled.load(Ordering::Acquire),
            "the consumer waits for ever"
        );
    });
}

#[test]
fn pitfall_22_no_wake_up_of_the_producer_is_lost() {
    loom::model(|| {
        let left = Arc::new(Memory::of_producer(&[0]));
        let right = Arc::new(Memory::of_consumer());
        let signalled = Arc::new(AtomicBool::new(false));
        let mut producer = Producer::resume(RING, CAPACITY, 0);
        let mut consumer = Consumer::resume(RING, 0, CAPACITY);
        let theirs = (left.clone(), right.clone(), signalled.clone());
        let reader = thread::spawn(move || {
            let (left, right, signalled) = theirs;
            consumer.pop(&*left).unwrap();
            consumer.release(1);
            consumer.publish(&*right).unwrap();
            if consumer.must_notify(&*right, &*left).unwrap() {
                signalled.store(true, Ordering::Release);
            }
        });
        let ready = producer.ask(&*left, &*right, CAPACITY - 1).unwrap();
        reader.join().unwrap();
        assert!(
            ready || signalled.load(Ordering::Acquire),
            "the producer waits for ever"
        );
    });
}
