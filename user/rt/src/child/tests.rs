//! Images, and processes built in a model of bank, tables and pages.

mod elf_file;
mod model;

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Rights};
use abi::error::{EDQUOT, EMSGSIZE};
use abi::{PAGE_SIZE, SEGMENT_SIZE};
use sys::Error;

use super::*;
use crate::slots::table_of;
use elf_file::{Segment, elf};
use model::{Model, Thing};

const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

/// Where the tests let the child's process and root be held, and the builder's slots.
const PROCESS: CapAddr = 40;
const ROOT: CapAddr = 41;
const SCRATCH: CapAddr = 64 << 7 | 5;

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) | 1)
        .collect()
}

fn build(model: &Model, program: &Program<'_>) -> Result<Child, BuildError> {
    Builder::new(model, model, SCRATCH).build(program, PROCESS, ROOT)
}

#[test]
fn every_page_of_an_image_has_its_bytes_and_rights() {
    // Constants, much code, and data with zeros behind it that reach into the next segment.
    let constants = bytes(100, 1);
    let code = bytes(70 * PAGE_SIZE + 3, 2);
    let data = bytes(PAGE_SIZE + 1, 3);
    let code_at = layout::IMAGE + 0x1000;
    let data_at = code_at + 71 * 0x1000;
    let file = elf(
        code_at + 8,
        &[
            Segment::new(layout::IMAGE, R, &constants),
            Segment::new(code_at, R | X, &code),
            Segment::new(data_at, R | W, &data).with_memory(SEGMENT_SIZE as u64),
        ],
    );
    let image = Image::from_elf(&file).unwrap();
    let model = Model::new(usize::MAX);
    let child = build(&model, &Program::new("x", &image, model::BANK)).unwrap();

    let space = model.space_of(child.process);
    let page = |address: u64| model.page_at(space, address);
    let read = Rights::READ;
    let expect = |at: u64, bytes: &[u8], rights: Rights| {
        for (number, bytes) in bytes.chunks(PAGE_SIZE).enumerate() {
            let (contents, have) = page(at + (number * PAGE_SIZE) as u64).unwrap();
            assert_eq!(have, rights, "{at:#x} page {number}");
            assert_eq!(contents[..bytes.len()], *bytes, "{at:#x} page {number}");
            assert!(contents[bytes.len()..].iter().all(|byte| *byte == 0));
        }
    };
    expect(layout::IMAGE, &constants, read);
    expect(code_at, &code, read | Rights::EXEC);
    let mut whole = data;
    whole.resize(SEGMENT_SIZE, 0);
    expect(data_at, &whole, read | Rights::WRITE);
    assert_eq!(page(data_at + SEGMENT_SIZE as u64), None);
    assert_eq!(page(layout::IMAGE - 1), None);
    assert_eq!(model.process(child.process).instruction, code_at + 8);
    assert!(!model.process(child.process).runs);
}

#[test]
fn a_program_finds_what_boot_promises() {
    let code = bytes(10, 0);
    let image = Image::from_code(&code).unwrap();
    let model = Model::new(usize::MAX);
    let shared = model.new_segment();
    let program = Program {
        arguments: b"hello",
        argument: 7,
        priority: 9,
        stack_pages: 3,
        grants: &[
            Grant::new(slot::BANK, slot::BANK),
            Grant::new(20, slot::LOG).with(Rights::READ),
        ],
        segments: &[Shared {
            address: layout::SHARED,
            segment: shared,
            rights: Rights::READ | Rights::WRITE,
        }],
        ..Program::new("a program with a long name", &image, model::BANK)
    };
    let child = build(&model, &program).unwrap();
    let space = model.space_of(child.process);
    let data = Rights::READ | Rights::WRITE;

    let (arguments, rights) = model.page_at(space, layout::ARGUMENTS).unwrap();
    assert_eq!(
        (&arguments[..9], rights),
        (&b"\x05\0\0\0hello"[..], Rights::READ)
    );
    assert_eq!(model.page_at(space, layout::MESSAGE).unwrap().1, data);
    assert_eq!(
        model.page_at(space, layout::FAULT_STACK_TOP - 8).unwrap().1,
        data
    );
    assert_eq!(model.page_at(space, layout::FAULT_STACK_TOP - 0x1008), None);
    for number in 1..=3 {
        assert_eq!(
            model
                .page_at(space, layout::STACK_TOP - number * 0x1000)
                .unwrap()
                .1,
            data
        );
    }
    assert_eq!(model.page_at(space, layout::STACK_TOP - 0x4000), None);
    assert_eq!(model.segment_at(space, layout::SHARED), Some(shared));

    let grant = |slot| model.granted(child.root, slot);
    let process = model.process(child.process);
    assert_eq!(grant(slot::ROOT), Some((model.held(ROOT), Rights::MANAGE)));
    let manage = Rights::MANAGE | Rights::INSPECT;
    assert_eq!(grant(slot::PROCESS), Some((model.held(PROCESS), manage)));
    let all = Rights::READ | Rights::WRITE | Rights::EXEC | Rights::MANAGE;
    assert_eq!(grant(slot::SPACE), Some((model.first_gib(space), all)));
    let message = model.thing_at(space, layout::MESSAGE).unwrap();
    assert_eq!(grant(slot::MESSAGE), Some((message, data)));
    assert_eq!(grant(slot::BANK), Some((Thing::Bank, Rights::FULL)));
    assert_eq!(grant(20), Some((Thing::Service(slot::LOG), Rights::READ)));
    assert_eq!(grant(21), None);
    assert_eq!(
        (process.argument, process.priority, process.stack),
        (7, 9, layout::STACK_TOP)
    );
    assert_eq!(process.name, *b"a program with a");

    // Nothing of the child is left in the builder's slots or window.
    let (table, first) = table_of(SCRATCH);
    assert!((first..first + SCRATCH_SLOTS).all(|n| model.slot(table, n).is_none()));
    assert!(!model.shows_anything());
    child.start(&model).unwrap();
    assert!(model.process(child.process).runs);
}

#[test]
fn a_bank_that_runs_dry_at_any_object_gives_an_error_and_leaves_nothing_open() {
    let code = bytes(2 * PAGE_SIZE, 0);
    let image = Image::from_code(&code).unwrap();
    let rich = Model::new(usize::MAX);
    build(&rich, &Program::new("x", &image, model::BANK)).unwrap();
    let needed = rich.bought();
    // Tables 4 to 1 (two of those), process, root; code; arguments, message, two stacks.
    assert_eq!(needed, 7 + 2 + 3 + STACK_PAGES);
    for limit in 0..needed {
        let model = Model::new(limit);
        let error = build(&model, &Program::new("x", &image, model::BANK)).unwrap_err();
        assert!(matches!(error.step, Step::Buy(_)), "{error}");
        assert_eq!(error.error, Error::new(EDQUOT));
        assert!(!model.shows_anything(), "with {limit} objects");
    }
    let exact = Model::new(needed);
    build(&exact, &Program::new("x", &image, model::BANK)).unwrap();
}

#[test]
fn arguments_and_stacks_that_do_not_fit_are_refused() {
    let code = bytes(1, 0);
    let image = Image::from_code(&code).unwrap();
    let long = vec![0; PAGE_SIZE - 3];
    let too_long = Error::new(EMSGSIZE);
    let model = Model::new(usize::MAX);
    let program = Program {
        arguments: &long,
        ..Program::new("x", &image, model::BANK)
    };
    let error = build(&model, &program).unwrap_err();
    assert_eq!((error.step, error.error), (Step::Arguments, too_long));
    for stack_pages in [0, MOST_STACK_PAGES + 1] {
        let model = Model::new(usize::MAX);
        let program = Program {
            stack_pages,
            ..Program::new("x", &image, model::BANK)
        };
        let error = build(&model, &program).unwrap_err();
        assert_eq!((error.step, error.error), (Step::Stack, too_long));
    }
    let model = Model::new(usize::MAX);
    let most = Program {
        arguments: &long[1..],
        stack_pages: MOST_STACK_PAGES,
        ..Program::new("x", &image, model::BANK)
    };
    build(&model, &most).unwrap();
}

#[test]
fn a_grant_of_nothing_names_its_slot() {
    let code = bytes(1, 0);
    let image = Image::from_code(&code).unwrap();
    let model = Model::new(usize::MAX);
    let grants = [Grant::new(17, 55)];
    let program = Program {
        grants: &grants,
        ..Program::new("x", &image, model::BANK)
    };
    let error = build(&model, &program).unwrap_err();
    assert_eq!((error.step, error.error), (Step::Grant(17), Error::VOID));
    assert!(
        error
            .to_string()
            .starts_with("can't grant slot 17: void capability")
    );
}

#[test]
fn files_that_are_no_programs_are_told_apart() {
    let code = [1; 16];
    let at = layout::IMAGE;
    let good = elf(at, &[Segment::new(at, R | X, &code)]);
    assert!(Image::from_elf(&good).is_ok());
    let refused = |file: &[u8]| Image::from_elf(file).unwrap_err();
    assert_eq!(refused(b""), ImageError::NotElf);
    assert_eq!(refused(b"\x7fELF"), ImageError::NotElf);
    assert_eq!(refused(&good[..good.len() - 1]), ImageError::NotElf);
    for (offset, value) in [(16, 3), (18, 3)] {
        let mut file = good.clone();
        file[offset] = value;
        assert_eq!(refused(&file), ImageError::WrongKind);
    }
    let mut big_endian = good.clone();
    big_endian[5] = 2;
    assert_eq!(refused(&big_endian), ImageError::NotElf);
    let with = |entry, segments: &[Segment<'_>]| refused(&elf(entry, segments));
    assert_eq!(with(at, &[]), ImageError::Pieces);
    let many: Vec<_> = (0..9)
        .map(|n| Segment::new(at + n * 4096, R | X, &code))
        .collect();
    assert_eq!(with(at, &many), ImageError::Pieces);
    assert_eq!(
        with(at, &[Segment::new(at + 8, R | X, &code)]),
        ImageError::Unaligned(at + 8)
    );
    let below = at - 4096;
    assert_eq!(
        with(at, &[Segment::new(below, R | X, &code)]),
        ImageError::Misplaced(below)
    );
    let high = layout::START - 4096;
    let over = Segment::new(high, R | X, &code).with_memory(4097);
    assert_eq!(with(high, &[over]), ImageError::Misplaced(high));
    let huge = Segment::new(at, R | X, &code).with_memory(u64::MAX);
    assert_eq!(with(at, &[huge]), ImageError::Misplaced(at));
    let twice = [Segment::new(at, R | X, &code), Segment::new(at, R, &code)];
    assert_eq!(with(at, &twice), ImageError::Misplaced(at));
    for flags in [W | X | R, X, W, 0] {
        assert_eq!(
            with(at, &[Segment::new(at, flags, &code)]),
            ImageError::Rights(at)
        );
    }
    assert_eq!(
        with(at, &[Segment::new(at, R, &code)]),
        ImageError::Entry(at)
    );
    let past = at + 16;
    assert_eq!(
        with(past, &[Segment::new(at, R | X, &code)]),
        ImageError::Entry(past)
    );
    let less = Segment::new(at, R | X, &[7; 5000]).with_memory(100);
    assert_eq!(with(at, &[less]), ImageError::Misplaced(at));
}

#[test]
fn damaged_files_are_refused_or_make_sound_images() {
    use proptest::prelude::*;
    let code = [1; 64];
    let at = layout::IMAGE;
    let good = elf(
        at,
        &[
            Segment::new(at, R | X, &code),
            Segment::new(at + 4096, R | W, &code),
        ],
    );
    let damage = proptest::collection::vec((0..good.len(), any::<u8>()), 1..6);
    proptest!(|(damage in damage)| {
        let mut file = good.clone();
        for (place, value) in damage {
            file[place] = value;
        }
        if let Ok(image) = Image::from_elf(&file) {
            let mut from = layout::IMAGE;
            for piece in image.pieces() {
                prop_assert!(piece.address >= from && piece.bytes.len() <= piece.pages * PAGE_SIZE);
                prop_assert!(!piece.rights.contains(Rights::WRITE | Rights::EXEC));
                from = piece.address + (piece.pages * PAGE_SIZE) as u64;
            }
            prop_assert!(from <= layout::START);
        }
    });
}
