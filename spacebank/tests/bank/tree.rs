//! Making banks, limits, totals, verifying.

use abi::cap::Kind;
use abi::error;
use spacebank::{Entry, MAX_DEPTH};
use sys::bank::{BankRights, method};

use crate::fake::{INIT, SOLD};
use crate::world::{OBJECTS, PRIME, VERIFIER, World, bank, refused, with_rights};

#[test]
fn a_record_costs_the_parent_one_object_and_the_child_none() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 3, false);
    let child = world.sub_bank(parent, 100, false);
    assert_eq!(world.usage(parent)[..5], [3, 1, 0, 1, 1]);
    assert_eq!(world.usage(child)[..5], [100, 0, 0, 0, 0]);
    assert_eq!(world.bought(PRIME), u64::from(SOLD) + 2);
    // A record is not one of the pages that the bank sold.
    let pages = world.call(parent, &[method::USAGE_OF_KIND, Kind::Page as u64], None);
    assert_eq!(pages.words[0], 0);
}

#[test]
fn limits_hold_for_the_bank_and_every_ancestor_and_say_which_refused() {
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 12, false);
    let middle = world.sub_bank(top, 8, false);
    let low = world.sub_bank(middle, 5, false);
    let table = world.init_table();
    let mut buy = |bank, count, slot| {
        let reply = world.buy_caps(bank, Kind::Page, count, table, slot);
        (reply.status, reply.words[0])
    };
    let quota = error::status(error::EDQUOT);
    // top: 2 records and 10 left; middle: 1 record and 7 left; low: 5.
    assert_eq!(buy(low, 6, 0), (quota, 0));
    assert_eq!(buy(low, 5, 0), (error::OK, 0));
    assert_eq!(buy(middle, 3, 5), (quota, 0));
    assert_eq!(buy(middle, 2, 5), (error::OK, 0));
    assert_eq!(buy(low, 1, 7), (quota, 0));
    assert_eq!(buy(top, 3, 7), (error::OK, 0));
    world.call(low, &[method::SET_LIMIT, 100], None);
    let reply = world.buy_caps(low, Kind::Page, 1, table, 10);
    assert_eq!((reply.status, reply.words[0]), (quota, 1));
    world.call(middle, &[method::SET_LIMIT, 100], None);
    let reply = world.buy_caps(low, Kind::Page, 1, table, 10);
    assert_eq!((reply.status, reply.words[0]), (quota, 2));
    let reply = world.call(low, &[method::SUB_BANK, 1, 0], None);
    assert_eq!((reply.status, reply.words[0]), (quota, 2));
    assert_eq!(world.usage(top)[..4], [12, 12, 0, 12]);
    assert_eq!(world.usage(low)[..4], [100, 5, 0, 5]);
}

#[test]
fn an_overflowing_limit_is_only_a_large_one() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, u64::MAX, false);
    let table = world.init_table();
    assert_eq!(
        world.buy_caps(bank, Kind::Page, 64, table, 0).status,
        error::OK
    );
    assert_eq!(world.usage(bank)[0], u64::MAX);
}

#[test]
fn a_lowered_limit_stops_purchases_until_enough_is_sold() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 10, false);
    let pages: Vec<_> = (0..5).map(|_| world.buy_one(bank, Kind::Page)).collect();
    assert_eq!(
        world.call(bank, &[method::SET_LIMIT, 3], None).status,
        error::OK
    );
    assert_eq!(world.usage(bank)[..4], [3, 5, 0, 5]);
    let table = world.init_table();
    for page in &pages[..3] {
        refused(world.buy_caps(bank, Kind::Page, 1, table, 1), error::EDQUOT);
        assert_eq!(
            world.call(bank, &[method::SELL], Some(*page)).status,
            error::OK
        );
    }
    assert_eq!(
        world.buy_caps(bank, Kind::Page, 1, table, 1).status,
        error::OK
    );
    refused(world.buy_caps(bank, Kind::Page, 1, table, 2), error::EDQUOT);
}

#[test]
fn the_prime_bank_has_all_there_is_and_keeps_it() {
    let mut world = World::new();
    let id = abi::boot::badge::PRIME >> 8;
    let sold = u64::from(SOLD);
    assert_eq!(world.usage(PRIME), [OBJECTS as u64, sold, 0, sold, 0, id]);
    refused(
        world.call(PRIME, &[method::SET_LIMIT, 1], None),
        error::EPERM,
    );
    refused(world.call(PRIME, &[method::DESTROY], None), error::EPERM);
    refused(world.call(PRIME, &[method::REMOVE], None), error::EPERM);
    let kinds: u64 = (1..=8)
        .map(|kind| {
            world
                .call(PRIME, &[method::USAGE_OF_KIND, kind], None)
                .words[0]
        })
        .sum();
    assert_eq!(kinds, sold);
}

#[test]
fn when_nothing_is_left_a_purchase_says_so_and_takes_nothing() {
    let mut world = World::with_entries(vec![Entry::default(); 20]);
    let bank = world.sub_bank(PRIME, 100, false);
    world.sub_bank(PRIME, 100, false);
    let table = world.init_table();
    // Eight are left, for the prime bank as for anybody.
    refused(world.buy_caps(bank, Kind::Page, 9, table, 0), error::EDQUOT);
    assert_eq!(
        world.buy_caps(bank, Kind::Page, 8, table, 0).status,
        error::OK
    );
    let reply = world.call(bank, &[method::SUB_BANK, 1, 0], None);
    refused(reply, error::EDQUOT);
    assert_eq!(reply.words[0], 1);
}

#[test]
fn a_child_of_an_opaque_bank_is_opaque() {
    let mut world = World::new();
    let opaque = world.sub_bank(PRIME, 100, true);
    let child = world.sub_bank(opaque, 10, false);
    let grandchild = world.sub_bank(child, 5, false);
    for badge in [opaque, child, grandchild] {
        let asked = bank(&world, badge);
        let reply = world.call(VERIFIER, &[method::VERIFY], Some(asked));
        assert_eq!(reply.words[..3], [1, 1, badge >> 8]);
    }
    for words in [[method::SUB_BANK, 1, 2], [method::SUB_BANK, 1, u64::MAX]] {
        refused(world.call(PRIME, &words, None), error::EINVAL);
    }
}

#[test]
fn the_verifier_knows_banks_and_nothing_else() {
    let mut world = World::new();
    let transparent = world.sub_bank(PRIME, 100, false);
    let verify = [method::VERIFY];
    let asked = bank(&world, transparent);
    let reply = world.call(VERIFIER, &verify, Some(asked));
    assert_eq!(
        (reply.status, &reply.words[..3]),
        (error::OK, &[1, 0, transparent >> 8][..])
    );
    // Also through a weak capability, and the prime bank.
    let weak = bank(&world, with_rights(transparent, BankRights::empty()));
    assert_eq!(world.call(VERIFIER, &verify, Some(weak)).words[0], 1);
    let prime = bank(&world, PRIME);
    assert_eq!(
        world.call(VERIFIER, &verify, Some(prime)).words[..3],
        [1, 0, 1]
    );
    // Somebody else's `Start` with a bank's badge, the verifier itself, storage, nothing.
    let forged = crate::fake::Capability {
        badge: transparent,
        ..world.notify(INIT, 0)
    };
    let forged = crate::fake::Capability {
        kind: Kind::Start as u8,
        ..forged
    };
    let verifier = bank(&world, VERIFIER);
    let page = world.buy_one(PRIME, Kind::Page);
    for other in [Some(forged), Some(verifier), Some(page), None] {
        let reply = world.call(VERIFIER, &verify, other);
        assert_eq!((reply.status, reply.words), (error::OK, [0; 6]));
    }
    world.end(transparent, method::DESTROY);
    assert_eq!(world.call(VERIFIER, &verify, Some(asked)).words, [0; 6]);
    for method in [0, 2, method::USAGE, u64::MAX] {
        refused(world.call(VERIFIER, &[method], None), error::ENOSYS);
    }
}

#[test]
fn the_tree_is_at_most_so_deep() {
    let mut world = World::new();
    let mut bank = PRIME;
    for _ in 1..MAX_DEPTH {
        bank = world.sub_bank(bank, 1000, false);
    }
    refused(
        world.call(bank, &[method::SUB_BANK, 1, 0], None),
        error::EMLINK,
    );
    world.buy_one(bank, Kind::Page);
    assert_eq!(world.bought(bank), 1);
}

#[test]
fn a_bank_is_made_only_if_its_record_can_be_mapped_and_named() {
    let mut world = World::new();
    // The record segments cover this machine; one of them is lost.
    let segment = world.machine().full(4);
    world.machine().objects[4].version += 1;
    let reply = world.call(PRIME, &[method::SUB_BANK, 1, 0], None);
    refused(reply, error::EBADF);
    assert_eq!(world.bought(PRIME), u64::from(SOLD));
    world.machine().objects[4].version = segment.version;
    world.sub_bank(PRIME, 1, false);
}
