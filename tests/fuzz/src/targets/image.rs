//! Programs: ELF files, as whoever starts processes reads them.

use rt::child::Image;
use sim::image::{self, Segment};

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "image",
    about: "programs in ELF files",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    if let Err(error) = Image::from_elf(bytes) {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = Image::from_code(bytes) {
        assert!(!error.to_string().is_empty());
    }
}

/// An executable file of one segment with these flags, at this address.
fn elf(flags: u32, address: u64, bytes: u64, memory: u64) -> Vec<u8> {
    let segment = Segment {
        flags,
        address,
        bytes,
        memory,
    };
    image::file(address, &[segment])
}

fn seeds() -> Vec<Vec<u8>> {
    let at = abi::boot::layout::IMAGE;
    vec![
        elf(5, at, 64, 64),
        elf(6, at, 64, 8192),
        elf(7, at, 64, 64),
        elf(4, u64::MAX - 4095, 64, u64::MAX),
    ]
}
