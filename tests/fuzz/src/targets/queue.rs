//! A virtio queue whose device gives back what it likes.

use std::collections::BTreeSet;

use virtio::testing::{FakeDevice, FakeFunction, queue_areas};
use virtio::{Buffer, Queue};

use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "queue",
    about: "used rings of a virtio device",
    run,
    seeds,
};

const SIZE: u16 = 16;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let event_index = input.u8() & 1 != 0;
    let areas = queue_areas(SIZE, 0x10_0000);
    let Ok(mut queue) = Queue::<_, u32>::new(SIZE, areas.clone(), event_index) else {
        panic!("the areas are as they should be");
    };
    let mut device = FakeDevice::new(SIZE, areas, event_index);
    let (mut lent, mut next) = (BTreeSet::new(), 0);
    let mut taken = Vec::new();
    while !input.is_empty() {
        match input.u8() % 8 {
            0 | 1 => {
                let count = usize::from(input.u8() % 4);
                let read = Buffer::to_device(0x20_0000, 64);
                if queue.post(&vec![read; count], next).is_ok() {
                    lent.insert(next);
                    next += 1;
                }
            }
            2 | 3 => {
                if let Ok(Some(completion)) = queue.take() {
                    assert!(lent.remove(&completion.token), "it comes back once");
                }
            }
            4 => taken.extend(device.take_whatever().map(|chain| u32::from(chain.head))),
            5 => {
                let id = match taken.pop() {
                    Some(id) if input.u8() & 1 == 0 => id,
                    _ => input.u32(),
                };
                device.give(id, input.u32());
            }
            6 => device.lie_about_index(input.u16()),
            _ => {
                let _ = (queue.should_notify(), queue.waiting());
                let _ = (queue.listen(), queue.quiet());
            }
        }
        assert!(usize::from(queue.outstanding()) <= usize::from(SIZE));
    }
    // However it went, the driver gets back what it lent.
    let stopped = FakeFunction::new(0, &[SIZE], &[])
        .transport()
        .reset(|| false);
    if let Ok(stopped) = stopped
        && queue
            .reclaim(&stopped, |token| assert!(lent.remove(&token)))
            .is_ok()
    {
        assert!(lent.is_empty(), "{lent:?} are lost");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 1, 0, 2, 4, 5, 0, 0, 0, 0, 0, 2, 7],
        vec![1, 0, 1, 4, 5, 0, 64, 0, 0, 0, 2, 6, 9, 0, 2, 7, 2],
        [0, 1].into_iter().cycle().take(64).collect(),
        given_back_before_it_was_taken(),
    ]
}

/// Chains come back before the device has looked at them, until the driver has posted more than the queue
/// holds since it last did.
fn given_back_before_it_was_taken() -> Vec<u8> {
    let mut bytes = vec![0];
    for _ in 0..2 * SIZE as u8 {
        bytes.extend([0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
    bytes.push(4);
    bytes
}
