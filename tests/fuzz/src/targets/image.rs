//! Programs: ELF files, as whoever starts processes reads them.

use rt::child::Image;

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
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    for word in [address, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    file.extend(flags.to_le_bytes());
    for word in [120, address, address, bytes, memory, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(std::iter::repeat_n(0xcc, bytes as usize));
    file
}

fn seeds() -> Vec<Vec<u8>> {
    let image = abi::boot::layout::IMAGE;
    vec![
        elf(5, image, 64, 64),
        elf(6, image, 64, 8192),
        elf(7, image, 64, 64),
        elf(4, u64::MAX - 4095, 64, u64::MAX),
    ]
}
