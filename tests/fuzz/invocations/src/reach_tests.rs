//! Reach over tables that a test makes up.

use alloc::collections::BTreeMap;

use super::*;

/// Objects whose frames have the same numbers; object 0 is spacebank.
#[derive(Default)]
struct Toy {
    kinds: BTreeMap<u32, Kind>,
    words: BTreeMap<(u32, usize), u64>,
    domains: BTreeMap<u32, Domain>,
    pins: Vec<u32>,
}

impl Look for Toy {
    fn object(&self, oid: u32) -> Option<Object> {
        let live = Some(*self.kinds.get(&oid)?);
        Some(Object {
            live,
            version: 7,
            frame: oid,
        })
    }

    fn owner(&self, frame: u32) -> Option<u32> {
        self.kinds.contains_key(&frame).then_some(frame)
    }

    fn word(&self, frame: u32, index: usize) -> u64 {
        self.words.get(&(frame, index)).copied().unwrap_or(0)
    }

    fn domain(&self, process: u32) -> Domain {
        self.domains[&process]
    }

    fn pinned(&self, _: u32) -> Vec<u32> {
        self.pins.clone()
    }
}

impl Toy {
    /// A process (1) with a root table (2) and an address space (3), which it may not manage.
    fn new() -> Toy {
        let mut toy = Toy::default();
        let kinds = [Kind::Process, Kind::CapTable, Kind::Table4];
        for (oid, kind) in (1..).zip(kinds) {
            toy.kinds.insert(oid, kind);
        }
        toy.domains.insert(1, Domain { root: 2, space: 3 });
        toy
    }

    fn object(mut self, oid: u32, kind: Kind) -> Toy {
        self.kinds.insert(oid, kind);
        self
    }

    fn slot(mut self, table: u32, slot: usize, kind: Kind, rights: Rights, oid: u32) -> Toy {
        let head = kind as u64 | u64::from(rights.bits()) << 8 | u64::from(oid) << 32;
        self.words.insert((table, 4 * slot), head);
        self.words.insert((table, 4 * slot + 1), 7);
        self
    }

    fn badge(mut self, table: u32, slot: usize, badge: u64) -> Toy {
        self.words.insert((table, 4 * slot + 2), badge);
        self
    }

    fn entry(mut self, table: u32, index: usize, child: u32, bits: u64) -> Toy {
        let entry = u64::from(child) << 12 | PRESENT | USER | bits;
        self.words.insert((table, index), entry);
        self
    }

    fn reach(&self) -> Reach {
        Reach::of(self, [1])
    }

    /// What it has gained since it was nothing but [`Toy::new`].
    fn gained(&self) -> Option<Gained> {
        self.reach().exceeds(self, &Toy::new().reach(), &Mine)
    }
}

/// Objects from 100 on are bought, and banks whose badges are.
struct Mine;

impl Owned for Mine {
    fn object(&self, oid: u32) -> bool {
        oid >= 100
    }

    fn bank(&self, badge: u64) -> bool {
        badge >= 100
    }

    fn spacebank(&self) -> u32 {
        0
    }
}

#[test]
fn what_it_began_with_is_no_gain() {
    assert_eq!(Toy::new().gained(), None);
    assert_eq!(Toy::new().reach().count(), 2);
}

#[test]
fn a_slot_of_its_root_is_reached() {
    let toy = Toy::new()
        .object(9, Kind::Page)
        .slot(2, 5, Kind::Page, Rights::READ, 9);
    let Some(Gained::Object { oid: 9, held, .. }) = toy.gained() else {
        panic!("{:?}", toy.gained());
    };
    assert_eq!(held, Rights::READ);
    let bought = Toy::new()
        .object(109, Kind::Page)
        .slot(2, 5, Kind::Page, Rights::FULL, 109);
    assert_eq!(bought.gained(), None);
}

#[test]
fn a_right_more_to_what_it_had_is_a_gain() {
    let with = |rights| {
        Toy::new()
            .object(9, Kind::Table1)
            .slot(2, 5, Kind::Table1, rights, 9)
    };
    let before = with(Rights::READ).reach();
    let weaker = with(Rights::READ);
    assert_eq!(weaker.reach().exceeds(&weaker, &before, &Mine), None);
    let stronger = with(Rights::READ | Rights::MANAGE);
    let gained = stronger.reach().exceeds(&stronger, &before, &Mine);
    assert!(gained.is_some());
}

#[test]
fn only_who_manages_a_table_reaches_its_slots() {
    let with = |rights| {
        Toy::new()
            .object(100, Kind::CapTable)
            .object(9, Kind::Page)
            .slot(2, 5, Kind::CapTable, rights, 100)
            .slot(100, 127, Kind::Page, Rights::READ, 9)
    };
    assert_eq!(with(Rights::READ).gained(), None);
    assert!(with(Rights::MANAGE).gained().is_some());
}

#[test]
fn rights_are_those_of_all_entries_on_the_way() {
    let toy = |bits| {
        Toy::new()
            .object(104, Kind::Table1)
            .object(9, Kind::Page)
            .entry(3, 0, 104, NO_EXECUTE)
            .entry(104, 1, 9, bits)
    };
    for (bits, expected) in [
        (NO_EXECUTE, Rights::READ),
        (WRITABLE, Rights::READ),
        (0, Rights::READ),
    ] {
        let Some(Gained::Object { mapped, .. }) = toy(bits).gained() else {
            panic!("nothing was found");
        };
        assert_eq!(mapped, expected);
    }
}

#[test]
fn the_kernels_own_entries_lead_nowhere() {
    let mut toy = Toy::new().object(9, Kind::Page);
    toy.words.insert((3, 511), 9 << 12 | PRESENT | WRITABLE);
    assert_eq!(toy.gained(), None);
}

#[test]
fn who_commands_a_process_has_what_it_has() {
    let toy = |rights| {
        let mut toy = Toy::new()
            .object(101, Kind::Process)
            .object(102, Kind::CapTable)
            .object(103, Kind::Table4)
            .object(9, Kind::Page)
            .slot(2, 5, Kind::Process, rights, 101)
            .slot(102, 1, Kind::Page, Rights::READ, 9);
        let domain = Domain {
            root: 102,
            space: 103,
        };
        toy.domains.insert(101, domain);
        toy
    };
    assert_eq!(toy(Rights::INSPECT).gained(), None);
    assert!(toy(Rights::MANAGE).gained().is_some());
    assert!(toy(Rights::CONTROL).gained().is_some());
}

#[test]
fn what_an_aperture_pins_is_reached() {
    let mut toy = Toy::new()
        .object(100, Kind::Aperture)
        .object(9, Kind::Page)
        .slot(2, 5, Kind::Aperture, Rights::FULL, 100);
    assert_eq!(toy.gained(), None);
    toy.pins = [9].into();
    assert!(toy.gained().is_some());
}

#[test]
fn banks_and_authorities_that_it_did_not_have_are_gains() {
    let start = |oid, badge| {
        Toy::new()
            .object(0, Kind::Process)
            .object(8, Kind::Process)
            .object(108, Kind::Process)
            .slot(2, 5, Kind::Start, Rights::FULL, oid)
            .badge(2, 5, badge)
            .gained()
    };
    assert!(start(0, 1).is_some(), "somebody's bank");
    assert_eq!(start(0, 100), None, "a bank below its own");
    assert!(start(8, 100).is_some(), "somebody's process");
    assert_eq!(start(108, 1), None, "its own process");
    let reset = Toy::new().slot(2, 5, Kind::Reset, Rights::FULL, u32::MAX);
    assert!(reset.gained().is_some());
}

#[test]
fn device_memory_that_is_mapped_is_a_gain() {
    let toy = Toy::new()
        .object(104, Kind::Table1)
        .entry(3, 0, 104, 0)
        .entry(104, 1, 0xfe000, DEVICE);
    assert!(matches!(toy.gained(), Some(Gained::Authority(_))));
}

#[test]
fn a_capability_to_what_was_sold_anew_is_void() {
    let mut toy = Toy::new()
        .object(9, Kind::Page)
        .slot(2, 5, Kind::Page, Rights::FULL, 9);
    toy.words.insert((2, 4 * 5 + 1), 6);
    assert_eq!(toy.gained(), None);
}
