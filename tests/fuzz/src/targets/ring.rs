//! Rings whose other side writes whatever it likes.

use ring::{CAPACITY, Consumer, Descriptor, Producer, RING_BYTES, Ring};
use sys::Mem;
use virtio::testing::FakeMemory;

use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "ring",
    about: "indices and descriptors of a session's other side",
    run,
    seeds,
};

const RING: Ring = Ring {
    entries: 0,
    producer: RING_BYTES,
    consumer: 64,
};

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let start = input.u32();
    // Each side's memory: the other writes into one of them.
    let [own, peer] = [(); 2].map(|()| {
        let memory = FakeMemory::new(RING_BYTES + 128);
        memory
            .write(0, &[0; RING_BYTES + 128])
            .expect("there is room");
        memory
    });
    let mut consumer = Consumer::new(RING, start);
    let mut producer = Producer::new(RING, start);
    let (mut popped, mut limit) = (0_u64, u64::from(CAPACITY));
    while !input.is_empty() {
        match input.u8() % 8 {
            0 => {
                let word = 8 * (usize::from(input.u16()) % (RING_BYTES / 8 + 16));
                let _ = peer.write(word, input.bytes(8));
            }
            1 => {
                let index = RING_BYTES + 4 * usize::from(input.u8() % 4);
                let _ = peer.store_u32(index, start.wrapping_add(input.u16().into()));
            }
            2 => {
                if let Ok(Some(_)) = consumer.pop(&peer) {
                    popped += 1;
                }
                assert!(consumer.available() <= CAPACITY && consumer.held() <= CAPACITY);
            }
            3 => {
                let count = consumer.held().min(input.u8().into());
                consumer.release(count);
                limit += u64::from(count);
            }
            4 => {
                let _ = consumer.publish(&own);
                let _ = consumer.must_notify(&own, &peer);
            }
            5 => {
                let _ = consumer.ask(&own, &peer);
                let _ = consumer.awaited(&peer);
            }
            6 => {
                let _ = producer.push(&own, Descriptor::default());
                let _ = producer.refresh(&peer);
            }
            _ => {
                let _ = producer.publish(&own);
                let _ = producer.must_notify(&own, &peer);
                let _ = producer.ask(&own, &peer, 1);
            }
        }
        assert!(popped <= limit, "more entries than there can be");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let step = |bytes: &[u8]| bytes.to_vec();
    let publish = step(&[1, 0, 3, 0]);
    let used = [&[0; 4][..], &publish, &[2, 2, 2, 3, 2, 4, 5, 6, 7]].concat();
    let wrapped = [&[0xff; 4][..], &publish, &[2, 2, 3, 9, 4, 1, 0, 0, 1, 2]].concat();
    vec![used, wrapped, vec![0x80; 64]]
}
