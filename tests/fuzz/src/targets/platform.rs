//! ACPI's tables, as the kernel reads them.
//!
//! The input is a byte of settings, the offset of the root pointer in a piece of memory, and what lies
//! there. The kernel may look at that piece and at what else the memory map knows, and nowhere else. It
//! doesn't insist on checksums, so none have to be made right.

use core::ops::Range;

use kernel::physical::Physical;
use kernel::platform::Platform;
use kernel::ram::{PAGE, Ram, Region};
use sim::firmware::{self, Piece};

use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "platform",
    about: "ACPI tables",
    run,
    seeds,
};

/// Where the tables lie: in QEMU, behind RAM.
const BASE: u64 = 0x7fe_0000;
const END: u64 = BASE + 0x2_0000;
const FIRST_MIB: u64 = 1 << 20;

/// Ends of what is mapped: behind all registers, between those of the two kinds of interrupt controllers,
/// and before all.
const MAPPED_ENDS: [u64; 4] = [1 << 32, 0xfed0_0000, 0xfee0_0800, 1 << 30];

/// A memory map: where firmware's own piece is told apart, and where it lies within RAM; with RAM where
/// there are registers, and without.
fn map(settings: u8) -> Vec<Region> {
    let region = |start, end, usable| Region { start, end, usable };
    let mut map = match settings & 1 {
        0 => vec![region(FIRST_MIB, BASE, true), region(BASE, END, false)],
        _ => vec![region(FIRST_MIB, END, true)],
    };
    if settings & 2 != 0 {
        map.push(region(0xb800_0000, 0xe000_0000, true));
    }
    if settings & 4 != 0 {
        map.push(region(0xfec0_0800, 0xfee0_0001, true));
    }
    map
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = input.u8();
    let root_pointer = BASE + u64::from(input.u16());
    let map = map(settings);
    let mut piece = Piece::new(BASE, input.rest().to_vec());
    piece.allowed = map.iter().map(|region| region.start..region.end).collect();
    piece.allowed.push(0..FIRST_MIB);
    piece.mapped_end = MAPPED_ENDS[usize::from(settings >> 3 & 3)];
    let platform = Platform::read(&piece, &map, root_pointer);
    check(&platform, &piece, &map);
    withhold(&platform, &map, settings >> 5);
}

/// No RAM where registers are is anybody's: neither left, nor in use already without a word.
fn withhold(platform: &Platform, map: &[Region], pages: u8) {
    let mut ram = Ram::new(map);
    let bytes = u64::from(pages) << 24;
    let used = match ram.allocate(bytes, 1 << 32) {
        Ok(start) => start..start + bytes,
        Err(_) => 0..0,
    };
    let meet = |a: &Range<u64>, b: &Range<u64>| a.start.max(b.start) < a.end.min(b.end);
    let registers: Vec<Range<u64>> = platform.registers().collect();
    let usable = Ram::new(map);
    let is_used = registers.iter().any(|range| {
        let start = range.start & !(PAGE - 1);
        let end = range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        !range.is_empty() && meet(&(start..end), &used)
    });
    match ram.withhold(map, platform.registers()) {
        Err(in_use) => assert!(is_used && meet(&in_use.0, &used), "{in_use}"),
        Ok(()) => assert!(!is_used, "{used:x?} is in use"),
    }
    assert!(ram.pages() <= usable.pages());
    if !is_used {
        for piece in ram.free() {
            for range in &registers {
                assert!(
                    !meet(&(piece.start..piece.end), range),
                    "{range:x?} is left"
                );
            }
        }
    }
}

/// Where the kernel writes is no RAM.
fn check(platform: &Platform, piece: &Piece, map: &[Region]) {
    let are_registers = |start: u64, bytes: u64| {
        let in_ram =
            |region: &Region| region.usable && region.start < start + bytes && start < region.end;
        assert!(start.is_multiple_of(bytes), "{start:#x} is misaligned");
        assert!(
            piece.is_mapped(start..start + bytes),
            "{start:#x} isn't mapped"
        );
        assert!(!map.iter().any(in_ram), "{start:#x} is RAM");
    };
    if platform.local_apic != 0 {
        are_registers(platform.local_apic, 4096);
    }
    for apic in platform.io_apics.iter().filter(|apic| apic.address != 0) {
        are_registers(apic.address, 1024);
    }
    assert!(platform.cpus > 0);
    for (interrupt, ..) in platform.isa {
        if let Some(apic) = platform.io_apic(interrupt, |_| 24) {
            assert!((apic.first..=apic.first.saturating_add(23)).contains(&interrupt));
        }
    }
    let ends = platform.reserved.iter().filter(|region| region.end != 0);
    for region in ends {
        assert!(region.start < region.end && !region.usable, "{region:?}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |settings: u8, extended: bool, tables: &[Vec<u8>]| {
        let mut seed = vec![settings, 0, 0];
        seed.extend(firmware::tables(BASE, extended, tables));
        seed
    };
    // One of everything that is read, and of everything that isn't.
    let entries: Vec<(u8, Vec<u8>)> = (0..=0x12).map(|kind| (kind, vec![kind; 20])).collect();
    let all = firmware::interrupts(entries.iter().map(|(kind, entry)| (*kind, &entry[..])));
    vec![
        seed(0, true, &firmware::q35()),
        seed(0, false, &firmware::q35()),
        seed(1, true, &firmware::q35()),
        seed(2, true, &firmware::q35()),
        seed(6, false, &firmware::q35()),
        seed(4, true, &[]),
        seed(8, true, &firmware::q35()),
        seed(16, true, &firmware::q35()),
        seed(24, true, &firmware::q35()),
        seed(0x22, true, &firmware::q35()),
        seed(0xe3, true, &firmware::q35()),
        seed(0, true, &[firmware::fixed(1, 116, 0x604, 0), all]),
        seed(
            0,
            false,
            &[firmware::configuration(&[
                (1 << 32, 0, 9),
                (0, 3, 2),
                (u64::MAX, 0, 0),
            ])],
        ),
        seed(0, true, &[]),
    ]
}
