//! Writes small ELF files.

use std::vec::Vec;

/// A segment of a file.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    address: u64,
    flags: u32,
    bytes: &'a [u8],
    memory: u64,
}

impl<'a> Segment<'a> {
    pub fn new(address: u64, flags: u32, bytes: &'a [u8]) -> Segment<'a> {
        Segment {
            address,
            flags,
            bytes,
            memory: bytes.len() as u64,
        }
    }

    pub fn with_memory(mut self, memory: u64) -> Segment<'a> {
        self.memory = memory;
        self
    }
}

/// A static x86_64 program of these segments.
pub fn elf(entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // ET_EXEC, EM_X86_64, EV_CURRENT.
    for half in [2u16, 62, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    // No flags; sizes of header and program header, count of those, no sections.
    for half in [0u16, 0, 64, 56, segments.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for segment in segments {
        file.extend(1u32.to_le_bytes());
        file.extend(segment.flags.to_le_bytes());
        let size = segment.bytes.len() as u64;
        for word in [
            offset,
            segment.address,
            segment.address,
            size,
            segment.memory,
            4096,
        ] {
            file.extend(word.to_le_bytes());
        }
        offset += size;
    }
    for segment in segments {
        file.extend(segment.bytes);
    }
    file
}
