//! Where a function says that its MSI-X table is, and where the kernel writes it.

use core::ops::Range;

use kernel::machine::Width;
use kernel::msix::{Functions, Table};
use proptest::prelude::*;
use sim::parties::Parties;
use sim::pci::{FUNCTIONS, MSIX};

const FUNCTION: u16 = FUNCTIONS[0];

/// Sets the registers that name the table: base address register *n*, where in it, and the base.
fn place(parties: &Parties, register: u16, offset: u32, base: [u32; 2]) {
    let pci = &parties.machine().pci;
    pci.write(
        FUNCTION,
        MSIX + 4,
        Width::Long,
        offset | u32::from(register),
    );
    for (n, value) in base.into_iter().enumerate() {
        let at = 0x10 + 4 * (register + n as u16);
        if at <= 0x24 {
            pci.write(FUNCTION, at, Width::Long, value);
        }
    }
}

fn table(parties: &Parties) -> Option<Table> {
    Table::read(parties.machine(), FUNCTION)
}

/// A table whose bytes these are: the function's four entries are 64.
fn table_at(parties: &Parties, start: u64) -> Table {
    place(parties, 0, 0, [start as u32 | 4, (start >> 32) as u32]);
    table(parties).expect("64 bytes from there")
}

#[test]
fn a_table_is_where_its_registers_say() {
    let parties = Parties::new();
    assert_eq!(table(&parties), None, "not assigned");
    place(&parties, 1, 0x800, [0xfe00_0000, 0]);
    let found = table(&parties).expect("32 bits wide");
    assert_eq!(found.bytes(), 0xfe00_0800..0xfe00_0840);
    assert_eq!((found.entries, found.capability), (4, MSIX));
    assert_eq!(found.entry(3), Some(0xfe00_0830));
    assert_eq!(found.entry(4), None, "it has four");
    place(&parties, 4, 0x2000, [0xc, 0x70]);
    let found = table(&parties).expect("64 bits wide, prefetchable");
    assert_eq!(found.bytes().start, 0x70_0000_2000);
}

#[test]
fn a_table_that_no_memory_register_holds_is_none() {
    let parties = Parties::new();
    let wrong = [
        (0, [0, 0], "not assigned"),
        (0, [4, 0], "64 bits wide, not assigned"),
        (0, [0xc001, 0], "an I/O port register"),
        (0, [0xfe00_0002, 0], "below 1 MiB, as there once was"),
        (0, [0xfe00_0006, 0], "a reserved type"),
        (
            5,
            [0xfe00_0004, 0],
            "the upper half would lie behind the last register",
        ),
        (6, [0xfe00_0000, 0], "no such register"),
        (7, [0xfe00_0000, 0], "no such register"),
    ];
    for (register, base, why) in wrong {
        place(&parties, register, 0, base);
        assert_eq!(table(&parties), None, "{why}");
    }
}

/// The kernel writes where the table is: the end must not wrap to something low.
#[test]
fn a_table_that_would_end_beyond_all_addresses_is_none() {
    let parties = Parties::new();
    place(&parties, 0, !7, [0xffff_fff4, u32::MAX]);
    assert_eq!(table(&parties), None, "its start wraps");
    place(&parties, 0, 0, [0xffff_fff4, u32::MAX]);
    assert_eq!(table(&parties), None, "its end wraps");
}

/// A register pointed at RAM, say, would have made the kernel write an interrupt message there.
#[test]
fn a_table_on_something_else_than_registers_of_devices_is_not_written() {
    let parties = Parties::new();
    let (ram, ecam, chipset) = (
        0..0x4000_0000,
        0xb000_0000..0xc000_0000,
        0xfec0_0000..1 << 32,
    );
    let may = |start: u64| {
        let taken = [ram.clone(), ecam.clone(), chipset.clone()];
        table_at(&parties, start).may_be_written(1 << 39, taken.into_iter())
    };
    for clear in [
        0x4000_0000,
        0xafff_ffc0,
        0xc000_0000,
        0xfebf_ffc0,
        1 << 32,
        (1 << 39) - 64,
    ] {
        assert!(may(clear), "{clear:#x}");
    }
    for wrong in [
        0x1000,
        0x3fff_fff0,
        0xafff_ffd0,
        0xbfff_fff0,
        0xb800_0000,
        0xfebf_fff0,
        0xfec0_0000,
        0xfee0_0000,
        (1 << 39) - 48,
        1 << 39,
        1 << 63,
    ] {
        assert!(!may(wrong), "{wrong:#x}");
    }
}

/// Whether a page may be mapped was found out by asking all functions that there could be, with
/// interrupts off: 8,192 reads at least.
#[test]
fn pages_are_told_from_tables_without_asking_all_functions() {
    let parties = Parties::new();
    let (machine, pci) = (parties.machine(), &parties.machine().pci);
    let functions = Functions::<4>::find(machine);
    assert_eq!(functions.all(), FUNCTIONS);
    assert_eq!(functions.left_out, 0);
    let page = 0xfe00_0000..0xfe00_1000;
    let before = pci.reads();
    assert!(!functions.claim(machine, &page), "not assigned");
    // What one function answers: status, a chain of at most 48 capabilities, and where the table is.
    assert!(pci.reads() - before <= 2 * 56);
    // Where the table is may change after the functions were found.
    place(&parties, 1, 0x800, [0xfe00_0000, 0]);
    assert!(functions.claim(machine, &page));
    assert!(!functions.claim(machine, &(0xfe00_1000..0xfe00_2000)));
    place(&parties, 1, 0x800, [0xfe00_1000, 0]);
    assert!(!functions.claim(machine, &page));
}

#[test]
fn functions_beyond_those_that_are_known_are_counted() {
    let parties = Parties::new();
    let functions = Functions::<1>::find(parties.machine());
    assert_eq!(functions.all(), &FUNCTIONS[..1]);
    assert_eq!(functions.left_out, 1);
    assert!(functions.contains(FUNCTIONS[0]));
    assert!(!functions.contains(FUNCTIONS[1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

    /// Whatever the registers hold, every entry of a table that may be written lies within the limit
    /// and outside of what is taken.
    #[test]
    fn no_entry_that_may_be_written_is_anybody_elses(
        registers in prop::collection::vec(any::<u32>(), 6),
        location in any::<u32>(),
        control in any::<u16>(),
        taken in prop::collection::vec((any::<u64>(), any::<u32>()), 0..8),
        limit in any::<u64>(),
    ) {
        let parties = Parties::new();
        parties.audit_each_step(false);
        let pci = &parties.machine().pci;
        for (n, value) in registers.iter().enumerate() {
            pci.write(FUNCTION, 0x10 + 4 * n as u16, Width::Long, *value);
        }
        pci.write(FUNCTION, MSIX + 2, Width::Word, control.into());
        pci.write(FUNCTION, MSIX + 4, Width::Long, location);
        let taken: Vec<Range<u64>> = taken
            .into_iter()
            .map(|(start, bytes)| start..start.saturating_add(bytes.into()))
            .collect();
        if let Some(table) = table(&parties)
            && table.may_be_written(limit, taken.iter().cloned())
        {
            for n in 0..table.entries {
                let entry = table.entry(n).expect("it has so many");
                let end = entry.checked_add(16).expect("it doesn't wrap");
                prop_assert!(end <= limit);
                prop_assert!(taken.iter().all(|range| end <= range.start || range.end <= entry));
            }
            prop_assert_eq!(table.entry(table.entries), None);
        }
    }
}
