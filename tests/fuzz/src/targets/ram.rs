//! Memory maps that overlap, wrap and lie, and what is taken of the RAM in them.
//!
//! The input is regions and what is done with the RAM, a few bytes each. Addresses are pages, or some
//! bytes more, at one of several scales, so that they meet.

use core::ops::Range;

use kernel::ram::{FRAMES_END, HUGE, LARGE, PAGE, REGIONS, Ram, Region, mapped_end, mappings};

use crate::{Input, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "ram",
    about: "memory maps",
    run,
    seeds,
};

/// How many of the pages that map memory are looked at: those of 4 GiB and some above; of a map of many
/// regions those of 1 GiB, as each page is compared with all of them.
const MAPPINGS: [usize; 2] = [2100, 520];
/// How many regions are many.
const MANY: usize = 16;
/// Most regions of a map, which are more than are kept, and most that is done with one.
const MOST: u8 = REGIONS as u8 + 8;

fn address(input: &mut Input<'_>) -> u64 {
    let scale = input.u8();
    let pages = u64::from(input.u16());
    let address = match scale & 7 {
        0..=3 => pages * PAGE,
        4 => pages * LARGE,
        5 => pages * HUGE,
        6 => FRAMES_END - pages * PAGE,
        _ => u64::MAX - pages * PAGE,
    };
    address.wrapping_add(u64::from(scale >> 4))
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut map = Vec::new();
    for _ in 0..input.u8() % MOST {
        map.push(Region {
            usable: input.u8() & 1 == 0,
            start: address(&mut input),
            end: address(&mut input),
        });
    }
    check_mappings(&map);
    let mut ram = Ram::new(&map);
    let mut taken = Vec::new();
    check(&ram, &map, &taken);
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let pages = ram.pages();
        match input.u8() % 3 {
            0 => {
                let range = address(&mut input) & !(PAGE - 1)..address(&mut input) & !(PAGE - 1);
                let (held, has_room) = (ram.holds(&range), ram.free().len() < REGIONS);
                ram.take(range.clone());
                assert!(range.is_empty() || !ram.holds(&range));
                assert!(
                    !held || ram.pages() <= pages - range.end.saturating_sub(range.start) / PAGE
                );
                if held && has_room {
                    let bytes = range.end.saturating_sub(range.start);
                    assert_eq!(ram.pages(), pages - bytes / PAGE);
                }
                taken.push(range);
            }
            1 => {
                let (bytes, below) = (address(&mut input), address(&mut input));
                if let Ok(start) = ram.allocate(bytes, below) {
                    let end = start + bytes.next_multiple_of(PAGE);
                    assert!(end <= below.max(start) && start.is_multiple_of(PAGE));
                    assert_eq!(ram.pages(), pages - (end - start) / PAGE);
                    taken.push(start..end);
                }
            }
            _ => {
                let kept = address(&mut input) / PAGE;
                let lost = ram.keep(kept);
                assert_eq!(ram.pages(), pages.min(kept));
                assert_eq!(lost, pages - ram.pages());
            }
        }
        check_pieces(&ram, &taken);
    }
    check(&ram, &map, &taken);
}

/// What is left is usable, and otherwise as it should be.
pub fn check(ram: &Ram, map: &[Region], taken: &[Range<u64>]) {
    check_pieces(ram, taken);
    for piece in ram.free() {
        check_usable(map, &(piece.start..piece.end));
    }
}

/// Each of these pages is usable: those where anything changes, and so all.
pub fn check_usable(map: &[Region], pages: &Range<u64>) {
    let edges = map.iter().flat_map(|region| [region.start, region.end]);
    let edges = edges.map(|edge| edge & !(PAGE - 1));
    let near = edges.flat_map(|edge| [edge.saturating_sub(PAGE), edge, edge.saturating_add(PAGE)]);
    for page in near.chain([pages.start, pages.end - PAGE]) {
        if pages.contains(&page) {
            assert!(is_usable(map, page), "{page:#x} isn't usable");
        }
    }
}

/// What is left is whole pages, none of them twice, and nothing that was taken.
fn check_pieces(ram: &Ram, taken: &[Range<u64>]) {
    let free = ram.free();
    assert!(free.len() <= REGIONS);
    let overlap = |a: &Region, b: Range<u64>| a.start < b.end && b.start < a.end;
    for (n, piece) in free.iter().enumerate() {
        assert!(
            piece.start < piece.end && piece.end <= FRAMES_END,
            "{piece:x?}"
        );
        assert!(piece.start.is_multiple_of(PAGE) && piece.end.is_multiple_of(PAGE));
        for other in &free[..n] {
            assert!(
                !overlap(piece, other.start..other.end),
                "{piece:x?} {other:x?}"
            );
        }
        let taken = taken.iter().filter(|range| !range.is_empty());
        for range in taken {
            assert!(!overlap(piece, range.clone()), "{piece:x?} was taken");
        }
    }
    assert!(ram.pages() <= FRAMES_END / PAGE);
    assert_eq!(
        ram.end(),
        free.iter().map(|piece| piece.end).max().unwrap_or(0)
    );
}

/// Whether a page is whole in a usable region, and none of it is anybody else's.
fn is_usable(map: &[Region], page: u64) -> bool {
    let end = page + PAGE;
    let whole = |region: &Region| region.usable && region.start <= page && end <= region.end;
    let touched = |region: &Region| {
        !region.usable && region.start < region.end && region.start < end && page < region.end
    };
    page >= 1 << 20 && map.iter().any(whole) && !map.iter().any(touched)
}

/// Pages that map memory follow each other, aligned to their size, up to an end that is behind all RAM. They
/// are cached where RAM is, and nowhere else.
pub fn check_mappings(map: &[Region]) {
    let most = MAPPINGS[usize::from(map.len() > MANY)];
    for has_huge_pages in [false, true] {
        let end = mapped_end(map, has_huge_pages);
        assert!(end.is_multiple_of(HUGE) && (4 * HUGE..=FRAMES_END).contains(&end));
        let usable = map.iter().filter(|region| region.usable);
        usable.for_each(|region| assert!(region.end.min(FRAMES_END) <= end));
        let mut next = 0;
        for page in mappings(map, has_huge_pages).take(most) {
            let bytes = if page.is_huge { HUGE } else { LARGE };
            assert!(page.address == next && next.is_multiple_of(bytes));
            assert!(has_huge_pages || !page.is_huge);
            // Of RAM that isn't cached all is slow; of registers that are, reads are stale.
            let has_ram = map.iter().any(|region| {
                let is_there = region.start.max(next) < region.end.min(next + bytes);
                region.usable && is_there
            });
            assert_eq!(page.is_ram, has_ram, "{page:x?}");
            next += bytes;
            assert!(next <= end);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let region = |kind: u8, start: [u8; 3], end: [u8; 3]| [&[kind][..], &start, &end].concat();
    let mut q35 = vec![3];
    q35.extend(region(0, [0, 0, 1], [0, 0xe0, 0x7f]));
    q35.extend(region(1, [0, 0xe0, 0x7f], [4, 0x40, 0]));
    q35.extend(region(0, [5, 4, 0], [5, 6, 0]));
    q35.extend([
        0, 0, 0, 1, 0, 0x10, 1, 1, 0, 3, 0, 5, 1, 0, 2, 0, 0xff, 0x1f,
    ]);
    let mut careless = vec![4];
    careless.extend(region(0, [0, 0, 1], [0x10, 0, 9]));
    careless.extend(region(0, [0x30, 0, 8], [0, 0, 10]));
    careless.extend(region(1, [0x10, 0, 4], [0x20, 0, 4]));
    careless.extend(region(0, [6, 0, 1], [7, 0, 0]));
    careless.extend([0, 0, 0, 9, 0, 0, 2, 0, 0, 0, 5, 0, 0, 6]);
    // As many regions as are kept, the last the largest; then a page of it, and the first's first page.
    let mut full = vec![REGIONS as u8];
    for n in 1..REGIONS as u8 {
        full.extend(region(0, [0, 0, n], [0, 4, n]));
    }
    full.extend(region(0, [0, 0, REGIONS as u8], [0, 0, 0xff]));
    full.extend([1, 0, 1, 0, 4, 0xff, 0xff]);
    full.extend([0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 2, 0, 1, 2]);
    vec![q35, full, careless, vec![1, 0, 7, 0, 0, 0, 0, 1]]
}
