//! Buying, selling, inspecting.

use abi::cap::{Kind, Rights};
use abi::error;
use sys::bank::{BankRights, method};

use crate::fake::{Capability, INIT, State};
use crate::world::{PRIME, World, refused, with_rights};

const KINDS: [Kind; 8] = [
    Kind::Page,
    Kind::Table1,
    Kind::Table2,
    Kind::Table3,
    Kind::Table4,
    Kind::CapTable,
    Kind::Process,
    Kind::Aperture,
];

#[test]
fn every_kind_is_sold_as_capabilities_with_all_rights() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let table = world.init_table();
    for (n, kind) in KINDS.into_iter().enumerate() {
        assert_eq!(
            world.buy_caps(bank, kind, 2, table, 2 * n as u64).status,
            error::OK
        );
        for slot in [2 * n, 2 * n + 1] {
            let bought = world.slot(table, slot);
            assert_eq!(
                (bought.kind, bought.rights),
                (kind as u8, Rights::FULL.bits())
            );
        }
        let count = world.call(bank, &[method::USAGE_OF_KIND, kind as u64], None);
        assert_eq!((count.status, count.words[0]), (error::OK, 2));
    }
    assert_eq!(world.bought(bank), 16);
}

#[test]
fn tables_are_sold_into_the_table_above() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    for (above, kind) in [
        (Kind::Table4, Kind::Table3),
        (Kind::Table3, Kind::Table2),
        (Kind::Table2, Kind::Table1),
        (Kind::Table1, Kind::Page),
    ] {
        let table = world.buy_one(bank, above);
        for wrong in KINDS.into_iter().filter(|other| *other != kind) {
            let words = [method::BUY, wrong as u64, 1, 0, 3];
            refused(world.call(bank, &words, Some(table)), error::EBADF);
        }
        let words = [method::BUY, kind as u64, 3, 509, 3];
        assert_eq!(world.call(bank, &words, Some(table)).status, error::OK);
        assert!(world.machine().objects[table.oid as usize].places[511].is_some());
    }
}

#[test]
fn a_purchase_fills_the_places_asked_for_with_the_rights_asked_for() {
    let mut world = World::new();
    let segment = world.buy_one(PRIME, Kind::Table1);
    let words = [
        method::BUY,
        Kind::Page as u64,
        64,
        100,
        Rights::READ.bits().into(),
    ];
    assert_eq!(world.call(PRIME, &words, Some(segment)).status, error::OK);
    let machine = world.machine();
    for (index, place) in machine.objects[segment.oid as usize]
        .places
        .iter()
        .enumerate()
    {
        let rights = place.map(|(_, rights)| rights);
        let expected = (100..164).contains(&index).then_some(Rights::READ.bits());
        assert_eq!(rights, expected);
    }
}

#[test]
fn a_purchase_with_bad_words_is_refused_and_takes_nothing() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let segment = world.buy_one(PRIME, Kind::Table1);
    let table = world.init_table();
    let page = Kind::Page as u64;
    for words in [
        [0, 1, 0, 0],
        [9, 1, 0, 0],
        [16, 1, 0, 0],
        [256 + page, 1, 0, 0],
        [u64::MAX, 1, 0, 0],
        [page, 0, 0, 0],
        [page, 65, 0, 0],
        [page, u64::MAX, 0, 0],
        [page, 1 << 32 | 1, 0, 0],
        [page, 1, 512, 0],
        [page, 64, 449, 0],
        [page, 1, u64::MAX, 0],
        [page, 1, 1 << 16, 0],
        [page, 1, 0, 256],
        [page, 1, 0, u64::MAX],
    ] {
        let [kind, count, first, rights] = words;
        let words = [method::BUY, kind, count, first, rights];
        refused(world.call(bank, &words, Some(segment)), error::EINVAL);
    }
    refused(
        world.buy_caps(bank, Kind::Page, 1, table, 128),
        error::EINVAL,
    );
    refused(
        world.buy_caps(bank, Kind::Page, 2, table, 127),
        error::EINVAL,
    );
    assert_eq!(world.bought(bank), 0);
    assert_eq!(world.usage(bank)[3], 0, "high-water");
}

#[test]
fn a_destination_that_is_not_one_is_refused_and_nothing_is_lost() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let words = [method::BUY, Kind::Page as u64, 4, 0, 3];
    refused(world.call(bank, &words, None), error::EBADF);

    let page = world.buy_one(PRIME, Kind::Page);
    refused(world.call(bank, &words, Some(page)), error::EBADF);
    // A process that would stand in for a table: its code would run, if anybody called it.
    let start = Capability {
        kind: Kind::Start as u8,
        ..world.machine().full(INIT)
    };
    refused(world.call(bank, &words, Some(start)), error::EBADF);
    let own = crate::world::bank(&world, bank);
    refused(world.call(bank, &words, Some(own)), error::EBADF);
    // Void while it is on its way.
    let gone = world.buy_one(PRIME, Kind::Table1);
    assert_eq!(
        world.call(PRIME, &[method::SELL], Some(gone)).status,
        error::OK
    );
    refused(world.call(bank, &words, Some(gone)), error::EBADF);
    // Too weak: the kernel says so.
    let weak = Capability {
        rights: 3,
        ..world.buy_one(PRIME, Kind::Table1)
    };
    refused(world.call(bank, &words, Some(weak)), error::EPERM);
    // What the kernel does not map.
    let segment = world.buy_one(PRIME, Kind::Table1);
    let words = [method::BUY, Kind::Page as u64, 4, 0, 7];
    refused(world.call(bank, &words, Some(segment)), error::EINVAL);
    assert_eq!(world.bought(bank), 0);
}

#[test]
fn a_stale_argument_is_never_used_again() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let segment = world.buy_one(PRIME, Kind::Table1);
    assert_eq!(world.buy_pages(bank, 1, segment, 0).status, error::OK);
    // The segment still lies where spacebank received it.
    let words = [method::BUY, Kind::Page as u64, 1, 1, 3];
    refused(world.call(bank, &words, None), error::EBADF);
    refused(world.call(bank, &[method::SELL], None), error::EBADF);
}

#[test]
fn selling_gives_the_object_back_and_voids_every_capability_to_it() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let before = world.machine().census();
    let page = world.buy_one(bank, Kind::Page);
    assert_eq!(
        world.call(bank, &[method::SELL], Some(page)).status,
        error::OK
    );
    assert!(!world.machine().alive(page));
    assert_eq!(world.machine().census(), before);
    assert_eq!(world.bought(bank), 0);
    assert_eq!(world.usage(bank)[3], 1, "high-water stays");
    refused(world.call(bank, &[method::SELL], Some(page)), error::EBADF);
}

#[test]
fn selling_needs_full_strength_and_the_bank_that_sold_it() {
    let mut world = World::new();
    let (mine, other) = (
        world.sub_bank(PRIME, 100, false),
        world.sub_bank(PRIME, 100, false),
    );
    let child = world.sub_bank(mine, 10, false);
    let page = world.buy_one(mine, Kind::Page);
    for bit in 0..8 {
        let weak = Capability {
            rights: page.rights & !(1 << bit),
            ..page
        };
        refused(world.call(mine, &[method::SELL], Some(weak)), error::EACCES);
    }
    for bank in [other, child, PRIME] {
        refused(world.call(bank, &[method::SELL], Some(page)), error::ERANGE);
    }
    let notify = world.notify(INIT, 3);
    refused(
        world.call(mine, &[method::SELL], Some(notify)),
        error::EBADF,
    );
    let own = crate::world::bank(&world, mine);
    refused(world.call(mine, &[method::SELL], Some(own)), error::EBADF);
    assert!(world.machine().alive(page));
    assert_eq!(
        world.call(mine, &[method::SELL], Some(page)).status,
        error::OK
    );
}

#[test]
fn a_sale_that_the_kernel_does_in_pieces_is_done_when_it_answers() {
    let mut world = World::new();
    world.machine().pieces = 4;
    let bank = world.sub_bank(PRIME, 100, false);
    let segment = world.buy_one(bank, Kind::Table1);
    assert_eq!(world.buy_pages(bank, 40, segment, 0).status, error::OK);
    assert_eq!(
        world.call(bank, &[method::SELL], Some(segment)).status,
        error::OK
    );
    assert_eq!(
        world.machine().objects[segment.oid as usize].state,
        State::Free
    );
    assert_eq!(world.bought(bank), 40);
}

#[test]
fn a_sale_too_long_for_one_request_is_finished_by_the_reaper() {
    let mut world = World::new();
    world.machine().pieces = 1;
    let bank = world.sub_bank(PRIME, 100, false);
    let process = world.buy_one(bank, Kind::Process);
    world.machine().objects[process.oid as usize].work = 100;
    world.machine().invocations = 0;
    assert_eq!(
        world.call(bank, &[method::SELL], Some(process)).status,
        error::OK
    );
    assert!(world.machine().invocations < 20, "a request is bounded");
    assert!(!world.machine().alive(process));
    assert_eq!(world.bought(bank), 1, "charged until the kernel is done");
    refused(world.call(bank, &[method::INSPECT, 0], None), error::ENOENT);
    assert!(world.idle() > 10);
    assert_eq!(world.bought(bank), 0);
}

#[test]
fn a_long_sale_of_a_bank_that_is_destroyed_meanwhile_ends_with_it() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let mut processes = Vec::new();
    for _ in 0..20 {
        let process = world.buy_one(bank, Kind::Process);
        world.machine().objects[process.oid as usize].work = 100;
        processes.push(process);
    }
    world.machine().pieces = 1;
    // More than the reaper holds: the last ones are finished on the spot.
    for process in &processes {
        assert_eq!(
            world.call(bank, &[method::SELL], Some(*process)).status,
            error::OK
        );
    }
    assert_eq!(world.bought(bank), 16);
    world.machine().pieces = 10_000;
    assert_eq!(world.end(bank, method::DESTROY), 1);
    assert_eq!(world.bought(PRIME), crate::fake::SOLD as u64);
    // What is sold next under the same numbers is not touched by what the reaper still has down.
    let page = world.buy_one(PRIME, Kind::Page);
    world.idle();
    assert!(world.machine().alive(page));
}

#[test]
fn rights_of_the_bank_capability_are_asked_for() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let table = world.init_table();
    let page = world.buy_one(bank, Kind::Page);
    let methods: [(u64, BankRights, &[u64], Option<Capability>); 7] = [
        (method::BUY, BankRights::BUY, &[1, 1, 9, 0], Some(table)),
        (method::SUB_BANK, BankRights::BUY, &[1, 0], None),
        (method::SELL, BankRights::SELL, &[], Some(page)),
        (method::INSPECT, BankRights::INSPECT, &[0], None),
        (method::SET_LIMIT, BankRights::LIMIT, &[100], None),
        (method::REMOVE, BankRights::REMOVE, &[], None),
        (method::DESTROY, BankRights::DESTROY, &[], None),
    ];
    for (method, right, words, capability) in methods {
        let words = [&[method], words].concat();
        let without = with_rights(bank, BankRights::all() - right);
        refused(world.call(without, &words, capability), error::EPERM);
    }
    for needless in [method::USAGE, method::RESTRICT] {
        let none = with_rights(bank, BankRights::empty());
        assert_eq!(world.call(none, &[needless, 0], None).status, error::OK);
    }
}

#[test]
fn restrict_weakens_and_never_strengthens() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let rights = BankRights::BUY | BankRights::SELL;
    let reply = world.call(bank, &[method::RESTRICT, rights.bits().into()], None);
    let weak = reply.capability.expect("a capability").badge;
    assert_eq!(weak, with_rights(bank, rights));
    refused(world.call(weak, &[method::RESTRICT, 7], None), error::EPERM);
    for undefined in [64, 128, 256, u64::MAX] {
        refused(
            world.call(bank, &[method::RESTRICT, undefined], None),
            error::EINVAL,
        );
    }
    // The kernel gave the prime bank bits that mean nothing (yet).
    let reply = world.call(PRIME, &[method::RESTRICT, 63], None);
    assert_eq!(reply.capability.map(|found| found.badge), Some(1 << 8 | 63));
    refused(
        world.call(PRIME, &[method::RESTRICT, 64], None),
        error::EINVAL,
    );
}

#[test]
fn inspection_shows_each_object_once_with_a_full_capability() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    let child = world.sub_bank(bank, 10, false);
    let mut bought = Vec::new();
    for kind in KINDS {
        for _ in 0..3 {
            bought.push(world.buy_one(bank, kind));
        }
    }
    world.buy_one(child, Kind::Page);
    let (mut cursor, mut shown) = (0, Vec::new());
    loop {
        let reply = world.call(bank, &[method::INSPECT, cursor], None);
        assert_eq!(reply.status, error::OK);
        let found = reply.capability.expect("a capability to each");
        assert_eq!(reply.words[1], u64::from(found.kind));
        shown.push(found);
        cursor = reply.words[0];
        if cursor == 0 {
            break;
        }
    }
    // Neither the child's page nor its record is among them.
    bought.sort();
    shown.sort();
    assert_eq!(shown, bought);
    // What it shows can be sold.
    assert_eq!(
        world.call(bank, &[method::SELL], Some(shown[0])).status,
        error::OK
    );
}

#[test]
fn an_inspection_cursor_is_checked() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 100, false);
    refused(world.call(bank, &[method::INSPECT, 0], None), error::ENOENT);
    let (first, second) = (
        world.buy_one(bank, Kind::Page),
        world.buy_one(bank, Kind::Page),
    );
    let reply = world.call(bank, &[method::INSPECT, 0], None);
    assert_eq!(reply.words[0], u64::from(first.oid) + 1);
    // What was bought meanwhile does not disturb it, what was sold does.
    world.buy_one(bank, Kind::Page);
    assert_eq!(
        world.call(bank, &[method::SELL], Some(first)).status,
        error::OK
    );
    refused(
        world.call(bank, &[method::INSPECT, reply.words[0]], None),
        error::ESTALE,
    );
    let others = world.buy_one(PRIME, Kind::Page);
    let record = (bank >> 8) as u32 & 0x3f_ffff;
    for oid in [0, u64::from(others.oid), u64::from(record)] {
        refused(
            world.call(bank, &[method::INSPECT, oid + 1], None),
            error::ESTALE,
        );
    }
    for cursor in [
        u64::MAX,
        1 << 32,
        1 << 32 | (u64::from(second.oid) + 1),
        701,
    ] {
        refused(
            world.call(bank, &[method::INSPECT, cursor], None),
            error::EINVAL,
        );
    }
}

#[test]
fn the_prime_bank_does_not_show_what_spacebank_is_made_of() {
    let mut world = World::new();
    refused(
        world.call(PRIME, &[method::INSPECT, 0], None),
        error::ENOENT,
    );
    let page = world.buy_one(PRIME, Kind::Page);
    let reply = world.call(PRIME, &[method::INSPECT, 0], None);
    assert_eq!((reply.words[0], reply.capability), (0, Some(page)));
    refused(
        world.call(PRIME, &[method::INSPECT, 1], None),
        error::ESTALE,
    );
    // But init can sell what it has, such as the archive's pages, and they are storage like any.
    let archive = world.machine().full(9);
    assert_eq!(
        world.call(PRIME, &[method::SELL], Some(archive)).status,
        error::OK
    );
    let again = world.buy_one(PRIME, Kind::Page);
    assert_eq!(again.oid, 9);
    let reply = world.call(PRIME, &[method::INSPECT, 0], None);
    assert_eq!(reply.capability, Some(again));
}
