//! What RAM is left while the kernel makes its tables, and how all of it is mapped.

use kernel::ram::{
    FRAMES_END, HUGE, InUse, LARGE, Mapping, PAGE, REGIONS, Ram, Region, Shortage, mapped_end,
    mappings,
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

const fn region(start: u64, end: u64, usable: bool) -> Region {
    Region { start, end, usable }
}

/// QEMU's map of a q35 with so many MiB: what exceeds 2 GiB lies above 4 if it is 2,816 MiB or more.
fn q35(mebibytes: u64) -> Vec<Region> {
    let bytes = mebibytes * MIB;
    let low = if bytes >= 0xb000_0000 {
        2 * HUGE
    } else {
        bytes
    };
    let high = 4 * HUGE + (bytes - low);
    let mut map = vec![
        region(0, 0x9_fc00, true),
        region(0x9_fc00, 0xa_0000, false),
        region(MIB, low - 128 * 1024, true),
        region(low - 128 * 1024, low, false),
        region(0xb000_0000, 0xc000_0000, false),
    ];
    if high > 4 * HUGE {
        map.push(region(4 * HUGE, high, true));
    }
    map
}

/// Pages follow each other to the end, each aligned to its size, each GiB in pages of one size, RAM
/// cached and nothing else.
fn check(map: &[Region], has_huge_pages: bool) {
    let mut next = 0;
    for Mapping {
        address,
        is_huge,
        is_ram,
    } in mappings(map, has_huge_pages)
    {
        let bytes = if is_huge { HUGE } else { LARGE };
        assert_eq!(address, next);
        assert!(address.is_multiple_of(bytes), "{address:#x} is misaligned");
        assert!(has_huge_pages || !is_huge);
        let overlaps =
            |region: &Region| region.start.max(address) < region.end.min(address + bytes);
        let usable = map.iter().any(|r| r.usable && overlaps(r));
        assert_eq!(is_ram, usable, "{address:#x}");
        next = address + bytes;
    }
    assert_eq!(next, mapped_end(map, has_huge_pages));
    assert!(next.is_multiple_of(HUGE));
    let ends = map.iter().filter(|region| region.usable).map(|r| r.end);
    assert!(ends.max().is_none_or(|end| end <= next));
}

#[test]
fn ram_that_ends_within_a_gib_above_four_is_mapped_in_pages_of_one_size() {
    for mebibytes in [16, 128, 2815, 2816, 3500, 3600, 4096, 5120, 8191, 1 << 20] {
        for has_huge_pages in [false, true] {
            check(&q35(mebibytes), has_huge_pages);
        }
    }
}

#[test]
fn tables_are_taken_from_ram_that_is_mapped_though_most_lies_above_four_gib() {
    let mut ram = Ram::new(&q35(8192));
    let start = ram.allocate(PAGE, HUGE).expect("2 GiB lie below 4 GiB");
    assert!(start + PAGE <= HUGE, "{start:#x} isn't mapped yet");
    // Later all is mapped, and the largest region is the upper one.
    let start = ram.allocate(PAGE, 512 * HUGE).expect("there is plenty");
    assert_eq!(start, 4 * HUGE);
}

#[test]
fn a_shortage_says_how_much_was_wanted_below_where() {
    let mut ram = Ram::new(&[region(4 * HUGE, 8 * HUGE, true)]);
    let shortage = ram.allocate(3 * PAGE, HUGE);
    assert_eq!(
        shortage,
        Err(Shortage {
            bytes: 3 * PAGE,
            below: HUGE
        })
    );
    let said = shortage.map_err(|shortage| shortage.to_string());
    let said = said.expect_err("there is none");
    assert!(
        said.contains("12288 more bytes") && said.contains("below 0x40000000"),
        "{said}"
    );
}

#[test]
fn what_is_kept_has_the_lowest_addresses() {
    let mut ram = Ram::new(&[
        region(4 * HUGE, 5 * HUGE, true),
        region(MIB, MIB + 10 * PAGE, true),
        region(8 * HUGE, 9 * HUGE, true),
    ]);
    let lost = ram.keep(30);
    assert_eq!(lost, 2 * (HUGE / PAGE) - 20);
    assert_eq!(ram.pages(), 30);
    assert_eq!(ram.end(), 4 * HUGE + 20 * PAGE);
    assert_eq!(ram.keep(1 << 40), 0);
    assert_eq!(ram.frames().count(), 30);
}

#[test]
fn an_odd_map_is_read_without_harm() {
    let mut ram = Ram::new(&[
        region(u64::MAX - 1, u64::MAX, true),
        region(2 * MIB + 1, 2 * MIB + 2, true),
        region(3 * MIB, 2 * MIB, true),
    ]);
    assert_eq!((ram.pages(), ram.end()), (0, 0));
    assert!(ram.allocate(u64::MAX, HUGE).is_err());
    assert!(ram.allocate(PAGE, HUGE).is_err());
}

#[test]
fn ram_that_is_named_twice_has_one_owner() {
    let ram = Ram::new(&[
        region(2 * MIB, 4 * MIB, true),
        region(3 * MIB, 5 * MIB, true),
        region(2 * MIB, 4 * MIB, true),
        region(MIB, 6 * MIB, true),
    ]);
    assert_eq!(ram.pages(), 5 * MIB / PAGE);
    let mut frames: Vec<u32> = ram.frames().map(|frame| frame.0).collect();
    frames.sort_unstable();
    frames.dedup();
    assert_eq!(frames.len() as u64, ram.pages());
}

#[test]
fn ram_that_somebody_else_uses_as_well_is_not_usable() {
    let ram = Ram::new(&[
        region(3 * MIB - 1, 3 * MIB + 1, false),
        region(MIB, 4 * MIB, true),
        region(u64::MAX - 5, u64::MAX, false),
    ]);
    assert_eq!(ram.pages(), 3 * MIB / PAGE - 2);
    assert!(!ram.holds(&(3 * MIB - PAGE..3 * MIB)));
    assert!(ram.holds(&(3 * MIB + PAGE..4 * MIB)));
}

#[test]
fn ram_beyond_all_frame_numbers_is_left_alone() {
    let map = [region(FRAMES_END - MIB, u64::MAX, true)];
    let ram = Ram::new(&map);
    assert_eq!((ram.pages(), ram.end()), (MIB / PAGE, FRAMES_END));
    assert_eq!(ram.frames().last().map(|frame| frame.0), Some(u32::MAX));
    // Beyond, the address space has no room for it either.
    assert_eq!(mapped_end(&map, true), FRAMES_END);
    let last = mappings(&map, true).last().expect("there are pages");
    assert_eq!(last.address + LARGE, FRAMES_END);
}

#[test]
fn a_region_that_is_allocated_whole_leaves_no_empty_one() {
    // It would take the place of one that isn't.
    let mut ram = Ram::new(&[region(MIB, 2 * MIB, true), region(4 * MIB, 8 * MIB, true)]);
    assert_eq!(ram.allocate(4 * MIB, HUGE), Ok(4 * MIB));
    assert_eq!(ram.free(), [region(MIB, 2 * MIB, true)]);
    assert_eq!(ram.allocate(0, HUGE), Ok(MIB));
    assert_eq!(ram.free(), [region(MIB, 2 * MIB, true)]);
}

#[test]
fn a_range_that_ends_before_it_begins_takes_nothing() {
    let mut ram = Ram::new(&[region(MIB, 4 * MIB, true)]);
    let (start, end) = (3 * MIB, 2 * MIB);
    ram.take(start..end);
    assert_eq!(ram.free(), [region(MIB, 4 * MIB, true)]);
}

/// As many regions as are kept, of four pages each, and the last larger.
fn full_map() -> Vec<Region> {
    let mut map: Vec<Region> = (1..=REGIONS as u64)
        .map(|n| region(n * MIB, n * MIB + 4 * PAGE, true))
        .collect();
    map[REGIONS - 1].end += MIB / 2;
    map
}

#[test]
fn of_as_many_regions_as_are_kept_none_is_lost_when_its_first_page_is_taken() {
    let mut ram = Ram::new(&full_map());
    let pages = ram.pages();
    assert_eq!(ram.allocate(PAGE, HUGE), Ok(REGIONS as u64 * MIB));
    assert_eq!(ram.pages(), pages - 1);
    ram.take(0..MIB + PAGE);
    assert_eq!(ram.pages(), pages - 2);
}

#[test]
fn where_two_pieces_are_one_too_many_the_larger_stays() {
    for taken in [1, 2] {
        let mut ram = Ram::new(&full_map());
        let pages = ram.pages();
        ram.take(MIB + taken * PAGE..MIB + (taken + 1) * PAGE);
        assert_eq!(ram.pages(), pages - 2);
        assert_eq!(ram.free().len(), REGIONS);
    }
}

#[test]
fn ram_where_registers_are_is_withheld() {
    let map = [region(MIB, 8 * MIB, true)];
    let mut ram = Ram::new(&map);
    // Two that overlap, one that meets no RAM, none, and one that isn't of whole pages.
    let (ecam, within) = (4 * MIB..6 * MIB, 5 * MIB..6 * MIB);
    let registers = [
        ecam,
        within,
        4 * HUGE..5 * HUGE,
        0..0,
        7 * MIB + 1..7 * MIB + 2,
    ];
    assert_eq!(ram.withhold(&map, registers), Ok(()));
    assert_eq!(ram.pages(), 5 * MIB / PAGE - 1);
    assert!(!ram.holds(&(5 * MIB..5 * MIB + PAGE)) && !ram.holds(&(7 * MIB..7 * MIB + PAGE)));
}

#[test]
fn ram_where_registers_are_is_refused_if_it_is_used_already() {
    let map = [region(MIB, 8 * MIB, true)];
    let mut ram = Ram::new(&map);
    assert_eq!(ram.allocate(3 * PAGE, HUGE), Ok(MIB));
    let withheld = ram.withhold(&map, Some(MIB + 2 * PAGE..2 * MIB));
    let in_use = InUse(MIB + 2 * PAGE..2 * MIB);
    assert!(
        in_use.to_string().contains("from 0x102000 to 0x200000"),
        "{in_use}"
    );
    assert_eq!(withheld, Err(in_use));
    assert_eq!(ram.withhold(&map, Some(MIB + 3 * PAGE..2 * MIB)), Ok(()));
}

fn any_map() -> impl Strategy<Value = Vec<Region>> {
    let any_region = (0..1u64 << 23, 0..1u64 << 21, any::<bool>());
    prop::collection::vec(any_region, 1..12).prop_map(|regions| {
        let parts = regions.into_iter();
        parts
            .map(|(first, pages, usable)| region(first * PAGE, (first + pages) * PAGE, usable))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_map_is_mapped_whole(map in any_map(), has_huge_pages: bool) {
        check(&map, has_huge_pages);
    }

    /// Of one region, which nothing overlaps, every page is either taken or left.
    #[test]
    fn what_is_taken_is_not_left(
        pages in 1..10_000u64,
        taken in prop::collection::vec((0..12_000u64, 0..500u64), 0..20),
    ) {
        let base = 256;
        let mut ram = Ram::new(&[region(base * PAGE, (base + pages) * PAGE, true)]);
        for (start, count) in &taken {
            ram.take(start * PAGE..(start + count) * PAGE);
        }
        let is_taken = |n: u64| taken.iter().any(|(start, count)| (*start..start + count).contains(&n));
        let mut left: Vec<u64> = ram.frames().map(|frame| u64::from(frame.0)).collect();
        left.sort_unstable();
        let expected: Vec<u64> = (base..base + pages).filter(|n| !is_taken(*n)).collect();
        prop_assert_eq!(ram.pages(), expected.len() as u64);
        prop_assert_eq!(left, expected);
    }
}
