//! What the CPU must forget, and that it does so before anybody runs, and before a frame is zeroed.

use abi::cap::{Kind, Rights};
use sim::mmu::Access;
use sim::parties::Parties;
use sys::Cap;
use sys::object::{Page, Table};

use crate::common::*;

#[test]
fn what_is_unmapped_is_forgotten() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    // One page, a few, and more than are flushed one by one.
    for count in [1, 3, 8, 9, 20] {
        for place in 10..10 + count {
            page_at(&parties, party, place, DATA);
            assert!(touch(&parties, party, address_of(place), Access::Write));
        }
        assert_eq!(SEGMENT.unmap(&sys, 10, count), Ok(count));
        parties.check();
        for place in 10..10 + count {
            assert!(!touch(&parties, party, address_of(place), Access::Read));
        }
    }
}

#[test]
fn what_is_protected_is_forgotten() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    page_at(&parties, party, 10, DATA);
    assert!(touch(&parties, party, address_of(10), Access::Write));
    SEGMENT.protect(&sys, 10, Rights::READ).expect("mapped");
    parties.check();
    assert!(!touch(&parties, party, address_of(10), Access::Write));
    SPACE
        .protect(&sys, address_of(0) >> 21, Rights::READ)
        .expect("mapped");
    parties.check();
}

#[test]
fn what_a_higher_table_loses_is_forgotten() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    parties.buy(party, FREE, Kind::Table1);
    parties.buy(party, FREE + 1, Kind::Page);
    let segment: Cap<Table> = cap(FREE);
    segment
        .map(&sys, 5, cap::<Page>(FREE + 1), DATA)
        .expect("empty");
    SPACE.map(&sys, 200, segment, DATA).expect("empty");
    let address = (200 << 21) + (5 << 12);
    assert!(touch(&parties, party, address, Access::Write));
    SPACE.unmap(&sys, 200, 1).expect("its own");
    parties.check();
    assert!(!touch(&parties, party, address, Access::Read));
    // And the page through every path that leads to it.
    for index in [200, 201, 202] {
        SPACE.map(&sys, index, segment, DATA).expect("empty");
        assert!(touch(
            &parties,
            party,
            (index << 21) + (5 << 12),
            Access::Write
        ));
    }
    segment.unmap(&sys, 5, 1).expect("its own");
    parties.check();
}

#[test]
fn what_is_rescinded_is_forgotten_before_it_is_zeroed() {
    let parties = Parties::new();
    let bank = parties.bank();
    let sys = parties.sys(bank);
    // In the address space of the one who rescinds, which stays loaded.
    let segment = parties.buy(bank, FREE, Kind::Table1);
    SPACE
        .map(&sys, 400, cap::<Table>(FREE), DATA)
        .expect("empty");
    let pages: Vec<_> = (0..12)
        .map(|n| {
            let page = parties.buy(bank, FREE + 1, Kind::Page);
            let into: Cap<Table> = cap(FREE);
            into.map(&sys, n, cap::<Page>(FREE + 1), DATA)
                .expect("empty");
            page
        })
        .collect();
    let address = |n: u64| (400 << 21) + (n << 12);
    (0..12).for_each(|n| assert!(touch(&parties, bank, address(n), Access::Write)));
    parties.rescind(&pages[..2]);
    assert!(!touch(&parties, bank, address(0), Access::Read));
    assert!(touch(&parties, bank, address(2), Access::Write));
    parties.rescind(&[segment]);
    assert!(!touch(&parties, bank, address(2), Access::Read));
    parties.rescind(&pages[2..]);
}
