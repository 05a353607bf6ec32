//! Removing, in steps: objects and children go to the parent.

use abi::cap::Kind;
use abi::error;
use sys::bank::method;

use crate::end::fill;
use crate::fake::SOLD;
use crate::world::{PRIME, VERIFIER, World, bank};

#[test]
fn remove_gives_objects_and_children_to_the_parent_in_steps() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let leaving = world.sub_bank(parent, 1000, false);
    let child = world.sub_bank(leaving, 100, true);
    let page = world.buy_one(leaving, Kind::Page);
    fill(&mut world, leaving, 99);
    let segment = world.buy_one(PRIME, Kind::Table1);
    assert_eq!(world.buy_pages(child, 5, segment, 0).status, error::OK);
    let (total, high) = (world.bought(parent), world.usage(parent)[3]);
    assert_eq!(total, 1 + 100 + 1 + 5);

    assert_eq!(
        world.call(leaving, &[method::REMOVE], None).status,
        error::MORE
    );
    assert_eq!(world.bought(parent), total, "the parent had it all along");
    refused_void(&mut world, leaving);
    // The child does not notice.
    assert_eq!(world.buy_pages(child, 1, segment, 10).status, error::OK);
    let asked = bank(&world, leaving);
    assert_eq!(
        world.call(VERIFIER, &[method::VERIFY], Some(asked)).words,
        [0; 6]
    );

    assert_eq!(world.end(leaving, method::REMOVE), 1);
    assert!(world.is_void(leaving));
    assert_eq!(world.usage(parent)[1..5], [total, 0, high + 1, 1]);
    assert_eq!(world.usage(child)[1], 6);
    assert_eq!(
        world.call(parent, &[method::SELL], Some(page)).status,
        error::OK
    );
    world.end(parent, method::DESTROY);
    assert!(world.is_void(child));
    assert!(!world.machine().alive(page));
}

fn refused_void(world: &mut World, badge: u64) {
    let table = world.init_table();
    let reply = world.buy_caps(badge, Kind::Page, 1, table, 100);
    assert_eq!(reply.status, error::VOID);
    assert_eq!(
        world.call(badge, &[method::SUB_BANK, 1, 0], None).status,
        error::VOID
    );
}

#[test]
fn a_half_removed_bank_keeps_its_books() {
    let mut world = World::new();
    let parent = world.sub_bank(PRIME, 1000, false);
    let leaving = world.sub_bank(parent, 1000, false);
    for _ in 0..40 {
        let child = world.sub_bank(leaving, 1000, false);
        world.buy_one(child, Kind::Page);
        let page = world.buy_one(leaving, Kind::Page);
        world.machine().pin(page.oid);
        assert_eq!(
            world.call(leaving, &[method::SELL], Some(page)).status,
            error::OK
        );
    }
    let total = world.usage(parent);
    assert_eq!(world.usage(leaving)[1..5], [80, 40, 120, 40]);
    // Children first, then what is in limbo.
    assert_eq!(
        world.call(leaving, &[method::REMOVE], None).status,
        error::MORE
    );
    assert_eq!(world.usage(leaving)[1..5], [0, 16, 120, 0]);
    assert_eq!(world.usage(parent)[..4], total[..4]);
    assert_eq!(
        world.call(leaving, &[method::REMOVE], None).status,
        error::OK
    );
    assert_eq!(world.usage(parent)[1..5], [80, 40, total[3], 40]);
}

#[test]
fn an_abandoned_removal_is_finished_unasked() {
    let mut world = World::new();
    let leaving = world.sub_bank(PRIME, 1000, false);
    fill(&mut world, leaving, 200);
    assert_eq!(
        world.call(leaving, &[method::REMOVE], None).status,
        error::MORE
    );
    world.idle();
    assert!(world.is_void(leaving));
    assert_eq!(world.bought(PRIME), u64::from(SOLD) + 200);
}

#[test]
fn a_bank_that_is_being_removed_can_still_be_destroyed() {
    let mut world = World::new();
    let leaving = world.sub_bank(PRIME, 1000, false);
    fill(&mut world, leaving, 200);
    assert_eq!(
        world.call(leaving, &[method::REMOVE], None).status,
        error::MORE
    );
    // What the parent has by now is the parent's; the rest goes.
    world.end(leaving, method::DESTROY);
    assert!(world.is_void(leaving));
    assert_eq!(world.bought(PRIME), u64::from(SOLD) + 64);
    assert!(!world.server.has_background_work());
}

#[test]
fn removing_a_chain_from_the_middle_and_from_both_ends() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let mut world = World::new();
        let mut line = Vec::new();
        let mut badge = PRIME;
        for _ in 0..3 {
            badge = world.sub_bank(badge, 1000, false);
            fill(&mut world, badge, 150);
            line.push(badge);
        }
        for n in order {
            assert_eq!(
                world.call(line[n], &[method::REMOVE], None).status,
                error::MORE
            );
        }
        world.idle();
        assert!(line.into_iter().all(|badge| world.is_void(badge)));
        assert_eq!(world.bought(PRIME), u64::from(SOLD) + 450);
    }
}
