//! Frames that a stack wants sent, and to whom received ones go: the ethernet driver's first look.

use dev::Mac;
use ethdrv::bound::Bindings;
use ethdrv::check;
use ethdrv::frame::{HEADER, Header, LONGEST};
use sys::Mem;
use virtio::testing::FakeMemory;

use super::stack::frames;
use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "frame",
    about: "frames that a stack wants sent",
    run,
    seeds,
};

/// Bytes of a frame that are copied and looked at.
const COPIED: usize = 128;

fn run(bytes: &[u8]) {
    let memory = FakeMemory::new(4096);
    let copied = &bytes[..bytes.len().min(COPIED)];
    if memory.write(0, copied).is_err() {
        return;
    }
    let length = bytes.len() as u32;
    if !(HEADER..=LONGEST).contains(&length) {
        return;
    }
    let header = Header::read(&memory, 0);
    assert_eq!(Header::destination(&memory, 0), header.destination);
    let us = Mac::new(frames::STACK_MAC);
    if check::header(&header, us, length).is_err() {
        return;
    }
    assert_eq!(header.source, us, "nobody sends in another's name");
    let mut bindings = Bindings::default();
    for address in ["10.0.0.2", "fd00::2", "fe80::75:73ff:fe00:1"] {
        bindings.add(address.parse().expect("an address"));
    }
    let checked = check::addresses(&bindings, us, header.kind, copied, length);
    let source = copied.get(26..30);
    if checked.is_ok() && header.kind == 0x0800 {
        let free = [&[0; 4][..], &[10, 0, 0, 2]];
        assert!(source.is_some_and(|source| free.contains(&source)));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    frames::from_the_stack()
}
