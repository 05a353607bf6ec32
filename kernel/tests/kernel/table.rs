//! Tables: who may map what where, what is forgotten when, and that nothing is ever both writable and
//! executable.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, EEXIST, EINVAL, EMLINK, ENOENT, ENOSYS, EPERM, ERANGE};
use abi::method::table as method;
use proptest::prelude::*;
use sim::machine::DEVICE_PAGES;
use sim::mmu::{Access, Reached};
use sim::parties::Parties;
use sys::Cap;
use sys::object::{Aperture, DeviceMemory, Page, Table};

use crate::common::*;

#[test]
fn a_page_is_mapped_in_one_place_at_most() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Page);
    let page: Cap<Page> = cap(FREE);
    SEGMENT.map(&sys, 10, page, DATA).expect("empty");
    assert_eq!(SEGMENT.map(&sys, 11, page, DATA), Err(error(EBUSY)));
    parties.buy(party, FREE + 1, Kind::Table1);
    assert_eq!(
        cap::<Table>(FREE + 1).map(&sys, 0, page, DATA),
        Err(error(EBUSY))
    );
    parties.buy(party, FREE + 2, Kind::Page);
    assert_eq!(
        SEGMENT.map(&sys, 10, cap::<Page>(FREE + 2), DATA),
        Err(error(EEXIST))
    );
    assert_eq!(SEGMENT.unmap(&sys, 10, 1), Ok(1));
    cap::<Table>(FREE + 1)
        .map(&sys, 0, page, DATA)
        .expect("it has no home");
    page.unmap(&sys).expect("with all rights");
    SEGMENT.map(&sys, 11, page, DATA).expect("it has no home");
}

#[test]
fn a_segment_that_goes_takes_its_pages_home_along() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    let segment = parties.buy(party, FREE, Kind::Table1);
    parties.buy(party, FREE + 1, Kind::Page);
    cap::<Table>(FREE)
        .map(&sys, 7, cap::<Page>(FREE + 1), DATA)
        .expect("empty");
    parties.rescind(&[segment]);
    SEGMENT
        .map(&sys, 9, cap::<Page>(FREE + 1), DATA)
        .expect("it has no home");
}

#[test]
fn entries_take_only_what_fits_them() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    let kinds = [
        Kind::Page,
        Kind::Table1,
        Kind::Table2,
        Kind::Table3,
        Kind::Table4,
    ];
    for (n, kind) in kinds.into_iter().enumerate() {
        parties.buy(party, FREE + n as u16, kind);
        parties.buy(party, FREE + 10 + n as u16, kind);
    }
    parties.buy(party, FREE + 20, Kind::CapTable);
    for level in 1..=4u16 {
        let table: Cap<Table> = cap(FREE + level);
        for n in 0..=4u16 {
            let mapped = table.map(&sys, 3, cap::<Table>(FREE + 10 + n), DATA);
            let expected = if n + 1 == level {
                Ok(())
            } else {
                Err(error(EBADF))
            };
            assert_eq!(mapped, expected, "level {n} into level {level}");
        }
        assert_eq!(
            table.map(&sys, 4, cap::<Table>(FREE + 20), DATA),
            Err(error(EBADF))
        );
        assert_eq!(
            table.map(&sys, 4, cap::<Table>(FREE + 99), DATA),
            Err(sys::Error::VOID)
        );
    }
}

#[test]
fn indices_rights_and_counts_are_bounded() {
    let parties = Parties::new();
    let party = parties.spawn();
    parties.buy(party, FREE, Kind::Page);
    parties.buy(party, FREE + 1, Kind::Table3);
    let segment = sim::parties::SEGMENT;
    let refused = |words: &[u64], expected: i32| {
        let status = status_of(&parties, party, segment, words, &[FREE]);
        assert_eq!(status, errno(expected), "{words:?}");
    };
    let read = u64::from(Rights::READ.bits());
    let write = u64::from(Rights::WRITE.bits());
    let all = u64::from((DATA | Rights::EXEC).bits());
    for index in [512, 513, 1 << 32, u64::MAX] {
        for method in [method::MAP, method::UNMAP, method::PROTECT, method::QUERY] {
            refused(&[method, index, read], EINVAL);
        }
    }
    for rights in [0, write, all, read | 8, read | 1 << 8, u64::MAX] {
        refused(&[method::MAP, 3, rights], EINVAL);
    }
    for (first, count) in [(0, 0), (0, 65), (500, 13), (511, 2), (0, u64::MAX)] {
        refused(&[method::UNMAP, first, count], EINVAL);
    }
    refused(&[method::PROTECT, 77, read], ENOENT);
    refused(&[99, 0], ENOSYS);
    // The last entry of an address space's lower half stays empty, and the upper half is the kernel's.
    for index in [255, 256, 511] {
        let status = status_of(
            &parties,
            party,
            sim::parties::TABLES,
            &[method::MAP, index, read],
            &[FREE + 1],
        );
        assert_eq!(status, errno(EINVAL));
    }
    let status = status_of(
        &parties,
        party,
        sim::parties::TABLES,
        &[method::MAP, 254, read],
        &[FREE + 1],
    );
    succeeds(status);
}

#[test]
fn mapping_needs_the_right_to_manage_and_grants_no_more_than_the_capability() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Page);
    ROOT.put(&sys, FREE + 1, sim::parties::SEGMENT, DATA)
        .expect("a copy");
    assert_eq!(
        cap::<Table>(FREE + 1).map(&sys, 3, cap::<Page>(FREE), DATA),
        Err(error(EPERM))
    );
    ROOT.put(&sys, FREE + 2, FREE, Rights::READ)
        .expect("a copy");
    SEGMENT
        .map(&sys, 3, cap::<Page>(FREE + 2), DATA)
        .expect("what it may grant");
    assert_eq!(SEGMENT.query(&sys, 3), Ok((1, Rights::READ)));
    assert!(touch(&parties, party, address_of(3), Access::Read));
    assert!(!touch(&parties, party, address_of(3), Access::Write));
    SEGMENT.unmap(&sys, 3, 1).expect("its own");
    ROOT.put(&sys, FREE + 3, FREE, Rights::WRITE | Rights::PIN)
        .expect("a copy");
    assert_eq!(
        SEGMENT.map(&sys, 3, cap::<Page>(FREE + 3), DATA),
        Err(error(EACCES))
    );
}

#[test]
fn nothing_is_writable_and_executable() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    page_at(&parties, party, 20, CODE);
    assert!(touch(&parties, party, address_of(20), Access::Execute));
    assert!(!touch(&parties, party, address_of(20), Access::Write));
    page_at(&parties, party, 21, DATA);
    assert!(!touch(&parties, party, address_of(21), Access::Execute));
    // Protecting takes rights away and never adds any.
    let all = DATA | Rights::EXEC;
    for (place, rights) in [(20, all), (20, DATA), (21, all), (21, CODE)] {
        SEGMENT.protect(&sys, place, rights).expect("mapped");
        let (_, left) = SEGMENT.query(&sys, place).expect("in range");
        assert!(!left.contains(Rights::WRITE | Rights::EXEC));
    }
    assert_eq!(SEGMENT.query(&sys, 20), Ok((1, Rights::READ)));
    assert_eq!(SEGMENT.query(&sys, 21), Ok((1, Rights::READ)));
}

#[test]
fn the_last_parent_is_for_who_manages_the_table() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Table1);
    ROOT.put(&sys, FREE + 1, FREE, DATA).expect("a copy");
    let (own, lent): (Cap<Table>, Cap<Table>) = (cap(FREE), cap(FREE + 1));
    for index in 100..103 {
        SPACE
            .map(&sys, index, lent, DATA)
            .expect("three are anybody's");
    }
    assert_eq!(SPACE.map(&sys, 103, lent, DATA), Err(error(EMLINK)));
    SPACE
        .map(&sys, 103, own, DATA)
        .expect("the fourth is the manager's");
    assert_eq!(SPACE.map(&sys, 104, own, DATA), Err(error(EMLINK)));
    SPACE.unmap(&sys, 101, 1).expect("its own");
    assert_eq!(SPACE.map(&sys, 104, lent, DATA), Err(error(EMLINK)));
    SPACE
        .map(&sys, 104, own, DATA)
        .expect("there is room for the manager");
}

#[test]
fn rights_are_those_of_all_levels_together() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Table1);
    parties.buy(party, FREE + 1, Kind::Page);
    let segment: Cap<Table> = cap(FREE);
    segment
        .map(&sys, 0, cap::<Page>(FREE + 1), DATA)
        .expect("empty");
    SPACE.map(&sys, 200, segment, Rights::READ).expect("empty");
    SPACE.map(&sys, 201, segment, DATA).expect("empty");
    let (weak, strong) = (200 << 21, 201 << 21);
    assert!(touch(&parties, party, weak, Access::Read));
    assert!(!touch(&parties, party, weak, Access::Write));
    assert!(touch(&parties, party, strong, Access::Write));
    assert_eq!(
        frame_at(&parties, party, weak),
        frame_at(&parties, party, strong)
    );
}

#[test]
fn device_memory_is_mapped_only_where_it_may_be() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.copy_from_init(slot::INIT_DEVICE_MEMORY, (party, FREE), Rights::FULL);
    let all: Cap<DeviceMemory> = cap(FREE);
    let narrow: Cap<DeviceMemory> = cap(FREE + 1);
    all.narrow(&sys, DEVICE_PAGES[0] << 12, 1, FREE + 1)
        .expect("it is device memory");
    let map = |index, count, rights, first, memory| {
        SEGMENT.map_device(&sys, index, count, rights, first, memory)
    };
    map(30, 1, DATA, 0, narrow).expect("device memory");
    assert_eq!(SEGMENT.query(&sys, 30), Ok((3, DATA)));
    assert_eq!(map(30, 1, DATA, 0, narrow), Err(error(EEXIST)));
    assert_eq!(
        map(31, 1, CODE, 0, narrow),
        Err(error(EINVAL)),
        "nobody executes a device"
    );
    assert_eq!(map(31, 1, DATA, 1, narrow), Err(error(ERANGE)));
    assert_eq!(map(31, 2, DATA, 0, narrow), Err(error(ERANGE)));
    assert_eq!(map(31, 1, DATA, u64::MAX, narrow), Err(error(ERANGE)));
    assert_eq!(map(31, 0, DATA, 0, narrow), Err(error(EINVAL)));
    assert_eq!(map(31, 65, DATA, 0, all), Err(error(EINVAL)));
    assert_eq!(
        map(511, 2, DATA, 0, all),
        Err(error(EINVAL)),
        "beyond the segment"
    );
    let ram = u64::from(sim::memory::FIRST_FRAME);
    assert_eq!(
        map(31, 1, DATA, ram, all),
        Err(error(ERANGE)),
        "RAM is no device"
    );
    assert_eq!(
        SPACE.map_device(&sys, 31, 1, DATA, 0, narrow),
        Err(error(EBADF))
    );
    parties.run(party);
    let reached = parties.processor.reach(address_of(30), Access::Write);
    assert_eq!(reached, Ok(Reached::Device(DEVICE_PAGES[0], 0)));
    SEGMENT.unmap(&sys, 30, 1).expect("its own");
    parties.check();
    assert!(!touch(&parties, party, address_of(30), Access::Read));
}

#[test]
fn a_segment_with_device_memory_can_be_rescinded() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.copy_from_init(slot::INIT_DEVICE_MEMORY, (party, FREE), Rights::FULL);
    let segment = parties.buy(party, FREE + 1, Kind::Table1);
    SPACE
        .map(&sys, 200, cap::<Table>(FREE + 1), DATA)
        .expect("empty");
    cap::<Table>(FREE + 1)
        .map_device(&sys, 511, 1, DATA, DEVICE_PAGES[1], cap(FREE))
        .expect("device memory");
    assert!(touch(
        &parties,
        party,
        (200 << 21) + (511 << 12),
        Access::Read
    ));
    assert_eq!(parties.rescind(&[segment]), [false]);
    assert!(!touch(
        &parties,
        party,
        (200 << 21) + (511 << 12),
        Access::Read
    ));
}

#[test]
fn a_window_is_its_apertures_alone_to_change() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Aperture);
    parties.buy(party, FREE + 1, Kind::Table1);
    parties.buy(party, FREE + 2, Kind::Page);
    cap::<Aperture>(FREE)
        .set_window(&sys, cap(FREE + 1))
        .expect("an empty segment");
    let window: Cap<Table> = cap(FREE + 1);
    let busy = Err(error(EBUSY));
    assert_eq!(window.map(&sys, 0, cap::<Page>(FREE + 2), DATA), busy);
    assert_eq!(window.unmap(&sys, 0, 1).map(|_| ()), busy);
    assert_eq!(window.protect(&sys, 0, DATA), busy);
    assert_eq!(window.query(&sys, 0), Ok((0, Rights::empty())));
}

/// One entry of each table on the way, each with some rights.
fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        Just(Rights::READ),
        Just(DATA),
        Just(CODE),
        Just(DATA | Rights::EXEC)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    /// An access is allowed exactly if every level allows it, and stays so when one of them loses a
    /// right.
    #[test]
    fn an_access_needs_every_level(
        levels in [rights(), rights(), rights()],
        page in prop_oneof![Just(Rights::READ), Just(DATA), Just(CODE)],
        lost in 0usize..4,
        kept in rights(),
    ) {
        let parties = Parties::new();
        parties.audit_each_step(false);
        let party = parties.spawn();
        let sys = parties.sys(party);
        for (n, kind) in [Kind::Table3, Kind::Table2, Kind::Table1, Kind::Page].into_iter().enumerate() {
            parties.buy(party, FREE + n as u16, kind);
        }
        let above = [sim::parties::TABLES, FREE, FREE + 1, FREE + 2];
        let granted = [levels[0], levels[1], levels[2], page];
        let index = [100, 3, 4, 5];
        for n in 0..4 {
            let table: Cap<Table> = cap(above[n]);
            table.map(&sys, index[n], cap::<Table>(FREE + n as u16), granted[n]).expect("empty");
        }
        let address = 100 << 39 | 3 << 30 | 4 << 21 | 5 << 12;
        let mut all = granted;
        let judge = |all: &[Rights; 4]| {
            let both = all.iter().fold(Rights::all(), |both, rights| both & *rights);
            for (access, right) in [
                (Access::Read, Rights::READ),
                (Access::Write, Rights::WRITE),
                (Access::Execute, Rights::EXEC),
            ] {
                assert_eq!(touch(&parties, party, address, access), both.contains(right));
            }
        };
        judge(&all);
        let table: Cap<Table> = cap(above[lost]);
        table.protect(&sys, index[lost], kept).expect("mapped");
        all[lost] &= kept;
        judge(&all);
        parties.check();
    }
}
