//! Objects that pins hold back: void at once, charged until the last pin goes.

use abi::cap::Kind;
use abi::error;
use sys::bank::method;

use crate::fake::{Capability, SOLD};
use crate::world::{PRIME, World};

/// A bank with pages in a segment of somebody else's, some of them pinned.
fn pinned(world: &mut World, bank: u64, pages: u64, pins: usize) -> Vec<u32> {
    let segment = world.buy_one(PRIME, Kind::Table1);
    let mut first = 0;
    while first < pages {
        let n = (pages - first).min(64);
        assert_eq!(world.buy_pages(bank, n, segment, first).status, error::OK);
        first += n;
    }
    let oids = world.machine().objects[segment.oid as usize].places[..pins]
        .iter()
        .map(|place| place.expect("filled").0)
        .collect::<Vec<_>>();
    oids.iter().for_each(|oid| world.machine().pin(*oid));
    assert_eq!(
        world.call(PRIME, &[method::SELL], Some(segment)).status,
        error::OK
    );
    oids
}

fn unpin(world: &mut World, oids: &[u32]) {
    oids.iter().for_each(|oid| world.machine().unpin(*oid));
}

#[test]
fn a_pinned_page_that_is_sold_stays_charged_until_it_is_unpinned() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 10, false);
    let page = world.buy_one(bank, Kind::Page);
    world.machine().pin(page.oid);
    assert_eq!(
        world.call(bank, &[method::SELL], Some(page)).status,
        error::OK
    );
    assert_eq!(world.usage(bank)[..4], [10, 0, 1, 1]);
    assert_eq!(world.limbo(PRIME), 1);
    assert!(!world.machine().alive(page));
    unpin(&mut world, &[page.oid]);
    assert_eq!(world.limbo(bank), 1, "not told yet");
    world.idle();
    assert_eq!(world.usage(bank)[..4], [10, 0, 0, 1]);
    assert_eq!(world.limbo(PRIME), 0);
}

#[test]
fn limbo_counts_against_the_limit() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 3, false);
    for _ in 0..3 {
        let page = world.buy_one(bank, Kind::Page);
        world.machine().pin(page.oid);
        assert_eq!(
            world.call(bank, &[method::SELL], Some(page)).status,
            error::OK
        );
    }
    let table = world.init_table();
    let reply = world.buy_caps(bank, Kind::Page, 1, table, 9);
    assert_eq!(reply.status, error::status(error::EDQUOT));
}

#[test]
fn pitfall_12_revoking_and_buying_again_gains_nobody_memory_and_drains_nobody_else() {
    let mut world = World::new();
    let everything = world.bought(PRIME);
    // A user, and a neighbour under the same parent.
    let user = world.sub_bank(PRIME, 100, false);
    let neighbour = world.sub_bank(PRIME, 50, false);
    let mut pins = Vec::new();
    // Each time a driver has pinned half of what a session bank sold when the user destroys it. What is
    // in limbo is neither free nor anybody else's.
    for round in 1..=8 {
        let session = world.sub_bank(user, 20, true);
        pins.extend(pinned(&mut world, session, 20, 10));
        world.end(session, method::DESTROY);
        assert_eq!(world.usage(user)[1..3], [0, 10 * round]);
        assert_eq!(world.usage(neighbour)[1..3], [0, 0]);
    }
    // 80 of its 100 are in limbo, and one is the record of its next bank: 19 are left.
    let session = world.sub_bank(user, 20, true);
    let segment = world.buy_one(PRIME, Kind::Table1);
    let reply = world.buy_pages(session, 20, segment, 0);
    assert_eq!(reply.status, error::status(error::EDQUOT));
    assert_eq!(world.buy_pages(session, 19, segment, 0).status, error::OK);
    // The neighbour has all of its own.
    assert_eq!(
        world.buy_pages(neighbour, 50, segment, 100).status,
        error::OK
    );
    world.end(session, method::DESTROY);
    world.end(neighbour, method::DESTROY);
    let reply = world.call(PRIME, &[method::SELL], Some(segment));
    assert_eq!(reply.status, error::OK);
    unpin(&mut world, &pins);
    world.idle();
    assert_eq!(world.usage(user)[1..3], [0, 0]);
    world.end(user, method::DESTROY);
    assert_eq!((world.bought(PRIME), world.limbo(PRIME)), (everything, 0));
}

#[test]
fn what_a_destroyed_bank_leaves_in_limbo_is_charged_to_its_parent_at_once() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(parent, 1000, true);
    let grandchild = world.sub_bank(child, 1000, true);
    let mut pins = pinned(&mut world, child, 100, 30);
    pins.extend(pinned(&mut world, grandchild, 20, 7));
    world.end(child, method::DESTROY);
    assert_eq!(world.usage(parent)[1..5], [0, 37, 122, 0]);
    assert_eq!(world.usage(PRIME)[2], 37);
    unpin(&mut world, &pins[..20]);
    world.idle();
    assert_eq!(world.limbo(parent), 17);
    unpin(&mut world, &pins[20..]);
    world.idle();
    assert_eq!(world.usage(parent)[1..3], [0, 0]);
    assert_eq!(world.bought(PRIME), u64::from(SOLD) + 1);
}

#[test]
fn limbo_from_before_the_end_moves_up_too() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(parent, 1000, false);
    let low = world.sub_bank(child, 1000, false);
    let mut pins = Vec::new();
    for bank in [child, low] {
        for _ in 0..70 {
            let page = world.buy_one(bank, Kind::Page);
            world.machine().pin(page.oid);
            assert_eq!(
                world.call(bank, &[method::SELL], Some(page)).status,
                error::OK
            );
            pins.push(page.oid);
        }
    }
    assert!(
        world.end(child, method::DESTROY) >= 3,
        "a step is bounded for limbo, too"
    );
    assert_eq!(world.usage(parent)[1..5], [0, 140, 142, 0]);
    unpin(&mut world, &pins);
    assert!(world.idle() >= 2, "so is reaping");
    assert_eq!(world.limbo(PRIME), 0);
}

#[test]
fn limbo_leaves_a_dying_subtree_by_the_step_and_never_stops_in_it() {
    let mut world = World::new();
    let heir = world.sub_bank(PRIME, 1000, false);
    let top = world.sub_bank(heir, 1000, false);
    let middle = world.sub_bank(top, 1000, false);
    let low = world.sub_bank(middle, 1000, false);
    for _ in 0..100 {
        let page = world.buy_one(low, Kind::Page);
        world.machine().pin(page.oid);
        assert_eq!(
            world.call(low, &[method::SELL], Some(page)).status,
            error::OK
        );
    }
    assert_eq!(
        world.call(top, &[method::DESTROY], None).status,
        error::MORE
    );
    for badge in [low, middle, top] {
        assert_eq!(world.limbo(badge), 36);
    }
    assert_eq!(world.limbo(heir), 100);
    assert_eq!(world.end(top, method::DESTROY), 1);
    assert_eq!(world.usage(heir)[1..5], [0, 100, 103, 0]);
}

#[test]
fn limbo_of_a_bank_whose_parent_dies_next_goes_further_up() {
    let mut world = World::new();
    let mut line = vec![PRIME];
    for _ in 0..4 {
        let next = world.sub_bank(*line.last().expect("one"), 1000, false);
        line.push(next);
    }
    let pins = pinned(&mut world, line[4], 10, 10);
    for n in (1..=4).rev() {
        world.end(line[n], method::DESTROY);
        assert_eq!(world.limbo(line[n - 1]), 10);
    }
    unpin(&mut world, &pins);
    world.idle();
    assert_eq!(world.usage(PRIME)[1..3], [SOLD.into(), 0]);
}

#[test]
fn limbo_goes_to_the_parent_that_is_alive_not_to_one_that_is_dying() {
    let mut world = World::new();
    let living = world.sub_bank(PRIME, 1000, false);
    let dying = world.sub_bank(living, 1000, false);
    let child = world.sub_bank(dying, 1000, false);
    let pins = pinned(&mut world, child, 70, 70);
    // The child's end is half done when the parent's begins.
    assert_eq!(
        world.call(child, &[method::DESTROY], None).status,
        error::MORE
    );
    assert_eq!(world.limbo(dying), 64);
    assert_eq!(
        world.call(dying, &[method::DESTROY], None).status,
        error::MORE
    );
    world.idle();
    assert!(world.is_void(dying) && world.is_void(child));
    assert_eq!(world.limbo(living), 70);
    unpin(&mut world, &pins);
    world.idle();
    assert_eq!(world.limbo(living), 0);
}

#[test]
fn limbo_that_ends_during_the_end_is_taken_from_whoever_is_charged_then() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(parent, 1000, true);
    let pins = pinned(&mut world, child, 150, 150);
    assert_eq!(
        world.call(child, &[method::DESTROY], None).status,
        error::MORE
    );
    unpin(&mut world, &pins[100..]);
    unpin(&mut world, &pins[..50]);
    world.idle();
    assert!(world.is_void(child));
    assert_eq!(world.limbo(parent), 50);
}

#[test]
fn a_removed_bank_leaves_its_limbo_to_the_parent() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(parent, 1000, false);
    let page: Capability = world.buy_one(child, Kind::Page);
    world.machine().pin(page.oid);
    assert_eq!(
        world.call(child, &[method::SELL], Some(page)).status,
        error::OK
    );
    world.end(child, method::REMOVE);
    assert_eq!(world.usage(parent)[1..3], [0, 1]);
    unpin(&mut world, &[page.oid]);
    world.idle();
    assert_eq!(world.limbo(parent), 0);
}

#[test]
fn what_the_kernel_reaps_that_was_never_in_limbo_is_ignored() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 10, false);
    let page = world.buy_one(bank, Kind::Page);
    let before = world.server.audit();
    for oid in [
        page.oid,
        0,
        699,
        700,
        u32::MAX,
        (bank >> 8) as u32 & 0x3f_ffff,
    ] {
        world.machine().reapable.push_back(oid);
    }
    let fake = world.fake.clone();
    world.server.notified(&fake, 0, 1);
    assert_eq!(world.server.audit(), before);
}
