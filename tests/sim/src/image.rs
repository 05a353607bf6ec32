//! Images of programs that have no instructions.
//!
//! What a process does in the simulator is a Rust function on the host. Which one, its instruction
//! pointer says when it starts: each has an entry of its own in an image of one page.

use abi::boot::layout::IMAGE;

/// Programs that there can be.
pub const PROGRAMS: usize = 64;

/// Bytes from one entry to the next.
const STEP: u64 = 16;

/// Where the instruction pointer stands while a program runs.
pub const RUNNING: u64 = IMAGE + 0x800;
/// The fault entry of programs that have one.
pub const FAULT_ENTRY: u64 = IMAGE + 0x900;

/// The entry of a program.
pub const fn entry(program: usize) -> u64 {
    IMAGE + program as u64 * STEP
}

/// The program that starts at an instruction pointer.
pub fn program(instruction: u64) -> Option<usize> {
    let offset = instruction.checked_sub(IMAGE)?;
    let number = usize::try_from(offset / STEP).ok()?;
    (offset % STEP == 0 && number < PROGRAMS).then_some(number)
}

/// A segment of an ELF file that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its flags: 1 execute, 2 write, 4 read.
    pub flags: u32,
    /// Where it is loaded.
    pub address: u64,
    /// Bytes of it in the file.
    pub bytes: u64,
    /// Bytes of it in memory.
    pub memory: u64,
}

/// An ELF file of one page of code that starts with this program.
pub fn elf(program: usize) -> Vec<u8> {
    const CODE: u64 = PROGRAMS as u64 * STEP;
    let code = Segment {
        flags: 5,
        address: IMAGE,
        bytes: CODE,
        memory: CODE,
    };
    file(entry(program), &[code])
}

/// An ELF file of these segments, which are full of instructions that trap.
pub fn file(entry: u64, segments: &[Segment]) -> Vec<u8> {
    const HEADER: usize = 64;
    const SEGMENT: usize = 56;
    let mut file = Vec::new();
    let long = |file: &mut Vec<u8>, value: u64| file.extend_from_slice(&value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend_from_slice(&value.to_le_bytes());
    let half = |file: &mut Vec<u8>, value: u16| file.extend_from_slice(&value.to_le_bytes());
    // ELF-64 object file format: file header.
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    half(&mut file, 2); // an executable
    half(&mut file, 62); // x86-64
    word(&mut file, 1);
    long(&mut file, entry);
    long(&mut file, HEADER as u64);
    long(&mut file, 0);
    word(&mut file, 0);
    let count = segments.len() as u16;
    for value in [HEADER as u16, SEGMENT as u16, count, 64, 0, 0] {
        half(&mut file, value);
    }
    let mut offset = (HEADER + SEGMENT * segments.len()) as u64;
    for segment in segments {
        let Segment {
            flags,
            address,
            bytes,
            memory,
        } = *segment;
        word(&mut file, 1);
        word(&mut file, flags);
        for value in [offset, address, address, bytes, memory, 4096] {
            long(&mut file, value);
        }
        offset += bytes;
    }
    file.resize(offset as usize, 0xcc);
    file
}

const _: () = assert!(IMAGE + PROGRAMS as u64 * STEP <= RUNNING);
