//! Both sides of a queue on two threads, in every order that the memory model allows (loom).
#![cfg(loom)]

use std::collections::BTreeMap;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;
use sys::{Fault, Mem};
use virtio::queue::{Area, Areas};
use virtio::testing::FakeDevice;
use virtio::{Buffer, Queue, layout};

/// One of a queue's areas, word by word. Words exist in the width in which both sides use them.
struct Words {
    shorts: BTreeMap<usize, AtomicU16>,
    words: BTreeMap<usize, AtomicU32>,
    longs: BTreeMap<usize, AtomicU64>,
    length: usize,
    /// Whether fences do anything: see `a_lost_fence_is_found`.
    fences: bool,
}

#[derive(Clone)]
struct Shared(Arc<Words>);

impl Shared {
    fn new(
        length: usize,
        fences: bool,
        shorts: impl IntoIterator<Item = usize>,
        words: impl IntoIterator<Item = usize>,
        longs: impl IntoIterator<Item = usize>,
    ) -> Self {
        Self(Arc::new(Words {
            shorts: shorts
                .into_iter()
                .map(|at| (at, AtomicU16::new(0)))
                .collect(),
            words: words
                .into_iter()
                .map(|at| (at, AtomicU32::new(0)))
                .collect(),
            longs: longs
                .into_iter()
                .map(|at| (at, AtomicU64::new(0)))
                .collect(),
            length,
            fences,
        }))
    }
}

fn areas(size: u16, fences: bool) -> Areas<Shared> {
    let area = |memory| Area { memory, address: 0 };
    Areas {
        descriptors: area(Shared::new(
            layout::descriptor_bytes(size),
            fences,
            [],
            [],
            (0..size).flat_map(|n| [layout::descriptor_address(n), layout::descriptor_rest(n)]),
        )),
        available: area(Shared::new(
            layout::available_bytes(size),
            fences,
            [layout::FLAGS, layout::INDEX, layout::used_event(size)]
                .into_iter()
                .chain((0..size).map(layout::available_entry)),
            [],
            [],
        )),
        used: area(Shared::new(
            layout::used_bytes(size),
            fences,
            [layout::FLAGS, layout::INDEX, layout::available_event(size)],
            (0..size).flat_map(|n| [layout::used_id(n), layout::used_length(n)]),
            [],
        )),
    }
}

impl Mem for Shared {
    fn len(&self) -> usize {
        self.0.length
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        Ok(self.0.shorts[&offset].load(Ordering::Relaxed))
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        Ok(self.0.words[&offset].load(Ordering::Relaxed))
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        Ok(self.0.longs[&offset].load(Ordering::Relaxed))
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.0.shorts[&offset].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.0.words[&offset].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.0.longs[&offset].store(value, Ordering::Relaxed);
        Ok(())
    }
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        Ok(self.0.shorts[&offset].load(Ordering::Acquire))
    }
    fn acquire_u32(&self, _: usize) -> Result<u32, Fault> {
        unreachable!("indices are short")
    }
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.0.shorts[&offset].store(value, Ordering::Release);
        Ok(())
    }
    fn release_u32(&self, _: usize, _: u32) -> Result<(), Fault> {
        unreachable!("indices are short")
    }
    fn fence(&self) {
        if self.0.fences {
            fence(Ordering::SeqCst);
        }
    }
    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), Fault> {
        unreachable!("queues move words")
    }
    fn write(&self, _: usize, _: &[u8]) -> Result<(), Fault> {
        unreachable!("queues move words")
    }
}

type Sides = (Queue<Shared, u32>, FakeDevice<Shared>);

fn sides(size: u16, event_index: bool, fences: bool) -> Sides {
    let areas = areas(size, fences);
    (
        Queue::new(size, areas.clone(), event_index).unwrap(),
        FakeDevice::new(size, areas, event_index),
    )
}

/// A chain whose every word tells which it is.
fn chain(number: u32) -> [Buffer; 1] {
    [Buffer::from_device(number.into(), 100 * number)]
}

/// The device takes what is there and gives it back, written to the brim.
fn serve(device: &mut FakeDevice<Shared>) {
    while let Some(found) = device.take() {
        let number = found.buffers[0].address as u32;
        assert_eq!(found.buffers, chain(number), "half of one, half of another");
        device.give(found.head.into(), 100 * number);
    }
}

fn drain(queue: &mut Queue<Shared, u32>) -> Vec<u32> {
    let mut got = Vec::new();
    while let Some(done) = queue.take().expect("honest") {
        assert_eq!(done.written, Ok(100 * done.token), "another's length");
        got.push(done.token);
    }
    got
}

#[test]
fn pitfall_22_what_is_posted_and_given_back_is_whole() {
    loom::model(|| {
        let (mut queue, mut device) = sides(2, true, true);
        let driver = thread::spawn(move || {
            queue.post(&chain(1), 1).unwrap();
            queue.post(&chain(2), 2).unwrap();
            let got = drain(&mut queue);
            (queue, got)
        });
        serve(&mut device);
        let (mut queue, mut got) = driver.join().unwrap();
        serve(&mut device);
        got.extend(drain(&mut queue));
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn pitfall_22_a_descriptor_is_not_reused_before_it_was_given_back() {
    loom::model(|| {
        let (mut queue, mut device) = sides(1, true, true);
        queue.post(&chain(1), 1).unwrap();
        let driver = thread::spawn(move || {
            let mut got = drain(&mut queue);
            if queue.post(&chain(2), 2).is_ok() {
                got.extend(drain(&mut queue));
            }
            (queue, got)
        });
        serve(&mut device);
        serve(&mut device);
        let (mut queue, mut got) = driver.join().unwrap();
        serve(&mut device);
        got.extend(drain(&mut queue));
        assert!(got == [1] || got == [1, 2], "{got:?}");
    });
}

/// A chain is posted while the device goes to sleep: one of them must notice.
fn kick(event_index: bool, fences: bool) {
    loom::model(move || {
        let (mut queue, mut device) = sides(1, event_index, fences);
        device.quiet();
        let driver = thread::spawn(move || {
            queue.post(&chain(1), 1).unwrap();
            queue.should_notify().unwrap()
        });
        let found = device.listen();
        let notified = driver.join().unwrap();
        assert!(found || notified, "the device waits for ever");
    });
}

/// A chain is given back while the driver goes to sleep: one of them must notice.
fn interrupt(event_index: bool, fences: bool) {
    loom::model(move || {
        let (mut queue, mut device) = sides(1, event_index, fences);
        queue.quiet().unwrap();
        queue.post(&chain(1), 1).unwrap();
        let driver = thread::spawn(move || queue.listen().unwrap());
        serve(&mut device);
        let interrupted = device.should_interrupt();
        let found = driver.join().unwrap();
        assert!(found || interrupted, "the driver waits for ever");
    });
}

#[test]
fn pitfall_22_no_kick_is_lost() {
    kick(true, true);
    kick(false, true);
}

#[test]
fn pitfall_22_no_interrupt_is_lost() {
    interrupt(true, true);
    interrupt(false, true);
}

#[test]
#[should_panic = "the device waits for ever"]
fn a_lost_fence_before_the_kick_is_found() {
    kick(true, false);
}

#[test]
#[should_panic = "the driver waits for ever"]
fn a_lost_fence_before_sleeping_is_found() {
    interrupt(true, false);
}
