//! The boot archive and the two programs in it, as the kernel takes them apart at its start.
//!
//! The input is a byte of settings and either an archive, or a command line and the two programs.

use core::sync::atomic::Ordering;

use kernel::Kernel;
use kernel::frame::Frame;
use kernel::genesis::Boot;
use kernel::genesis::archive::Archive;
use kernel::object::State;
use sim::image::{self, Segment};
use sim::lookup::{NO_EXECUTE, PRESENT, USER, frame_of};
use sim::machine::SimMachine;
use sim::memory::Memory;
use sim::random::Dice;

use super::archive::file;
use crate::input::pieces;
use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "genesis",
    about: "the first two programs",
    run,
    seeds,
};

/// Objects of a machine: enough for two programs of some pages, or hardly.
const OBJECTS: [usize; 2] = [256, 128];

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = input.u8();
    let objects = OBJECTS[usize::from(settings >> 1 & 1)];
    let archive_pages = usize::from(settings >> 4);
    if settings & 1 == 0 {
        let (command_line, spacebank) = (input.piece(), input.piece());
        start(
            objects,
            archive_pages,
            command_line,
            spacebank,
            input.rest(),
        );
        return;
    }
    let Some(archive) = Archive::open(input.rest()) else {
        return;
    };
    assert!(archive.program("there is no such program").is_none());
    if let (Some(spacebank), Some(init)) = (archive.program("spacebank"), archive.program("init")) {
        start(objects, archive_pages, b"", spacebank, init);
    }
}

/// Makes the two programs. If they are made, the kernel agrees with itself: each page has one place, and
/// none can be written and executed.
fn start(objects: usize, archive_pages: usize, command_line: &[u8], spacebank: &[u8], init: &[u8]) {
    let memory = Memory::take(objects, &Dice::new(0));
    let kernel = Kernel::new(
        SimMachine::new(memory, 0),
        &memory.objects,
        &memory.frames,
        &memory.timers,
        &memory.console,
    );
    let made = kernel.genesis(&Boot {
        spacebank,
        init,
        archive_pages,
        archive_bytes: archive_pages * abi::PAGE_SIZE,
        command_line,
        cpus: 1,
    });
    match made {
        Err(why) => assert!(!why.to_string().is_empty()),
        Ok(sold) => {
            if let Err(violation) = kernel.audit() {
                panic!("{violation}");
            }
            let free = |row: &&kernel::object::ObjectRow| row.state.get() == State::Free;
            let left = memory.objects.iter().filter(free).count();
            assert_eq!(left, objects - sold as usize, "what is sold");
            for (space, entry) in entries(&kernel, memory) {
                let layout = abi::boot::layout::IMAGE..abi::boot::layout::START;
                assert!(layout.contains(&entry), "it starts at {entry:#x}");
                assert!(is_code(memory, space, entry), "no code at {entry:#x}");
            }
        }
    }
    drop(kernel);
    Memory::give(memory);
}

/// Whether a program may execute an address, as its tables have it.
fn is_code(memory: &Memory, space: Frame, address: u64) -> bool {
    let mut table = space;
    (1..=4u32).rev().all(|level| {
        let index = (address >> (3 + 9 * level)) as usize & 511;
        let entry = memory.word(table, index).load(Ordering::Relaxed);
        table = frame_of(entry);
        entry & (PRESENT | USER | NO_EXECUTE) == PRESENT | USER
    })
}

/// The spaces of the processes that there are, and where they start.
fn entries(kernel: &Kernel<'_, SimMachine>, memory: &Memory) -> Vec<(Frame, u64)> {
    let oids = (0..memory.objects.len() as u32).map(kernel::object::Oid);
    let processes = oids.filter_map(|oid| kernel.live_process(oid));
    processes
        .map(|process| (process.space.get(), process.preserved.get().rip))
        .collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let at = abi::boot::layout::IMAGE;
    let segment = |flags, address, bytes, memory| Segment {
        flags,
        address,
        bytes,
        memory,
    };
    let (bank, init) = (image::elf(0), image::elf(1));
    let usual = image::file(
        at + 0x1004,
        &[
            segment(4, at, 100, 100),
            segment(5, at + 0x1000, 5000, 5000),
            segment(6, at + 0x3000, 10, 9000),
        ],
    );
    let images = [
        init.clone(),
        usual.clone(),
        image::file(
            at,
            &[segment(5, at, 64, 8192), segment(6, at + 4096, 64, 64)],
        ),
        image::file(at, &[segment(7, at, 64, 64)]),
        image::file(
            at,
            &[segment(5, at, 64, 64), segment(6, at + 4096, 0, 1 << 27)],
        ),
        image::file(1 << 47, &[segment(5, at, 64, 64)]),
    ];
    let programs = images.iter().map(|image| {
        let start = pieces([&b"log=debug users=off"[..], &bank]);
        [&[0x30][..], &start, image].concat()
    });
    let mut archive = file("bin/spacebank", &bank);
    archive.extend(file("etc/manifest.toml", b"[[user]]\n"));
    archive.extend(file("bin/init", &usual));
    archive.extend([0; 1024]);
    programs
        .chain([[&[1][..], &archive].concat(), vec![1; 1537]])
        .collect()
}
