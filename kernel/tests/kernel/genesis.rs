//! Images of the first two programs, good and bad.

use abi::boot::layout::{IMAGE, START};
use kernel::Kernel;
use kernel::genesis::archive::Archive;
use kernel::genesis::{Boot, GenesisError};
use sim::image::{self, Segment};
use sim::machine::SimMachine;
use sim::memory::Memory;
use sim::random::Dice;

const CODE: Segment = Segment {
    flags: 5,
    address: IMAGE,
    bytes: 64,
    memory: 64,
};

/// What becomes of an image as init's. What was made before it is refused, and all of it if it isn't,
/// must agree with itself.
fn load(init: &[u8]) -> Result<u32, GenesisError> {
    let dice = Dice::new(1);
    let memory = Memory::take(300, &dice);
    let kernel = Kernel::new(
        SimMachine::new(memory, 1),
        &memory.objects,
        &memory.frames,
        &memory.timers,
        &memory.console,
    );
    let made = kernel.genesis(&Boot {
        spacebank: &image::elf(0),
        init,
        archive_pages: 0,
        archive_bytes: 0,
        command_line: b"",
        cpus: 1,
    });
    if made.is_ok() {
        kernel.audit().expect("the kernel agrees with itself");
    }
    drop(kernel);
    Memory::give(memory);
    made
}

fn refused(init: &[u8], why: &str) {
    match load(init) {
        Err(GenesisError::Image("init", said)) => assert!(said.contains(why), "{said}"),
        made => panic!("{why}: {made:?}"),
    }
}

/// Code, and this behind it.
fn with(segment: Segment) -> Vec<u8> {
    image::file(IMAGE, &[CODE, segment])
}

/// A good image with some bytes of its header changed.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = image::file(IMAGE, &[CODE]);
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn code_and_data_are_loaded() {
    let data = Segment {
        flags: 6,
        address: IMAGE + 0x1000,
        bytes: 10,
        memory: 3 * 4096,
    };
    let without = load(&image::file(IMAGE + 63, &[CODE])).expect("it is good");
    assert_eq!(load(&with(data)), Ok(without + 3));
}

#[test]
fn segments_that_overlap_are_refused() {
    // The first page at that place would stay sold, with a home that another has.
    for address in [IMAGE, IMAGE + 4096, IMAGE - 4096] {
        let long = Segment {
            memory: 2 * 4096,
            ..CODE
        };
        let second = Segment { address, ..CODE };
        refused(&image::file(IMAGE, &[long, second]), "on another");
    }
}

#[test]
fn segments_outside_are_refused() {
    for (address, memory) in [
        (START, 64),
        (START - 4096, 4097),
        (IMAGE + 4096, u64::MAX),
        (!4095, 64),
        (!4095, 1 << 20),
        (IMAGE + 4097, 64),
        (0xffff_8000_0000_0000, 64),
        (IMAGE + 4096, 63),
    ] {
        let segment = Segment {
            flags: 6,
            address,
            bytes: 64,
            memory,
        };
        refused(&with(segment), "outside");
    }
}

#[test]
fn segments_that_are_writable_and_executable_are_refused() {
    refused(
        &with(Segment {
            flags: 7,
            address: IMAGE + 4096,
            ..CODE
        }),
        "writable and executable",
    );
}

#[test]
fn an_image_that_is_larger_than_memory_is_a_shortage() {
    let bss = Segment {
        flags: 6,
        address: IMAGE + 4096,
        bytes: 0,
        memory: START - IMAGE - 4096,
    };
    assert_eq!(load(&with(bss)), Err(GenesisError::Memory));
}

#[test]
fn entries_outside_code_are_refused() {
    // The kernel goes there: at an address that isn't canonical it would fault itself.
    let data = Segment {
        flags: 6,
        address: IMAGE + 4096,
        ..CODE
    };
    for entry in [0, IMAGE - 1, IMAGE + 64, IMAGE + 4096, 1 << 47, u64::MAX] {
        refused(&image::file(entry, &[CODE, data]), "entry");
    }
    refused(&image::file(IMAGE, &[]), "");
}

#[test]
fn programs_of_other_kinds_are_refused() {
    refused(b"", "no ELF");
    refused(&image::file(IMAGE, &[CODE])[..63], "no ELF");
    refused(&changed(16, &3_u16.to_le_bytes()), "not a static");
    refused(&changed(18, &183_u16.to_le_bytes()), "not a static");
    let segment = 64;
    refused(&changed(segment + 8, &200_u64.to_le_bytes()), "cut off");
    refused(&changed(segment + 8, &u64::MAX.to_le_bytes()), "cut off");
    let pages = |n: u64| Segment {
        address: IMAGE + n * 4096,
        ..CODE
    };
    let many: Vec<Segment> = (0..9).map(pages).collect();
    refused(&image::file(IMAGE, &many), "too many");
}

#[test]
fn what_is_no_archive_has_no_programs() {
    for bytes in [&b""[..], &[0; 512], &[1; 4096], &[b'a'; 1000]] {
        assert!(Archive::open(bytes).is_none());
    }
    let empty = Archive::open(&[0; 1536]).expect("two blocks of zeros end it");
    assert!(empty.program("init").is_none() && empty.program("").is_none());
}
