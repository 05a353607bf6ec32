//! Destroying, in steps.

use abi::cap::Kind;
use abi::error;
use spacebank::Entry;
use sys::bank::method;

use crate::fake::{INIT, SOLD, State};
use crate::world::{PRIME, VERIFIER, World, bank, refused};

/// Buys `count` pages by way of init's table.
pub fn fill(world: &mut World, bank: u64, mut count: u64) {
    let table = world.init_table();
    while count > 0 {
        let n = count.min(64);
        world.machine().objects[table.oid as usize].slots.fill(None);
        assert_eq!(
            world.buy_caps(bank, Kind::Page, n, table, 0).status,
            error::OK
        );
        count -= n;
    }
}

#[test]
fn destroy_takes_a_step_for_each_64_objects() {
    for (pages, steps) in [
        (0, 1),
        (1, 1),
        (63, 1),
        (64, 2),
        (127, 2),
        (128, 3),
        (400, 7),
    ] {
        let mut world = World::new();
        let bank = world.sub_bank(PRIME, 1000, false);
        fill(&mut world, bank, pages);
        assert_eq!(world.end(bank, method::DESTROY), steps, "{pages} pages");
        assert_eq!(world.bought(PRIME), SOLD.into());
        assert!(world.is_void(bank));
    }
}

#[test]
fn from_the_first_step_on_a_bank_and_its_descendants_refuse_all_but_usage() {
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 1000, false);
    let middle = world.sub_bank(top, 1000, false);
    let low = world.sub_bank(middle, 1000, true);
    let page = world.buy_one(middle, Kind::Page);
    let segment = world.buy_one(PRIME, Kind::Table1);
    for first in [0, 64, 128] {
        assert_eq!(world.buy_pages(low, 64, segment, first).status, error::OK);
    }
    assert_eq!(
        world.call(top, &[method::DESTROY], None).status,
        error::MORE
    );
    let table = world.init_table();
    for badge in [top, middle, low] {
        let before = world.usage(badge);
        assert_eq!(before[5], badge >> 8);
        for (words, capability) in [
            (vec![method::BUY, 1, 1, 0, 0], Some(table)),
            (vec![method::SELL], Some(page)),
            (vec![method::SUB_BANK, 1, 0], None),
            (vec![method::USAGE_OF_KIND, 1], None),
            (vec![method::RESTRICT, 0], None),
            (vec![method::INSPECT, 0], None),
            (vec![method::SET_LIMIT, 0], None),
            (vec![method::REMOVE], None),
        ] {
            let reply = world.call(badge, &words, capability);
            assert_eq!(
                (reply.status, reply.capability),
                (error::VOID, None),
                "{words:?}"
            );
        }
        assert_eq!(world.usage(badge), before);
        let asked = bank(&world, badge);
        assert_eq!(
            world.call(VERIFIER, &[method::VERIFY], Some(asked)).words,
            [0; 6]
        );
    }
}

#[test]
fn processes_go_first_then_tables_from_the_root_down_then_the_rest_in_the_whole_subtree() {
    let kinds = [
        Kind::Page,
        Kind::Aperture,
        Kind::Table1,
        Kind::CapTable,
        Kind::Table3,
        Kind::Process,
        Kind::Table2,
        Kind::Table4,
    ];
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 1000, false);
    let left = world.sub_bank(top, 1000, false);
    let right = world.sub_bank(top, 1000, false);
    let low = world.sub_bank(left, 1000, false);
    for badge in [low, top, right, left] {
        for kind in kinds {
            for _ in 0..5 {
                world.buy_one(badge, kind);
            }
        }
    }
    world.machine().rescinded.clear();
    world.end(top, method::DESTROY);
    let rank = |kind: Kind| match kind {
        Kind::Process => 0,
        Kind::Table4 => 1,
        Kind::Table3 => 2,
        Kind::Table2 => 3,
        Kind::Table1 => 4,
        _ => 5,
    };
    let machine = world.machine();
    let order: Vec<_> = machine
        .rescinded
        .iter()
        .map(|(_, kind, _)| rank(*kind))
        .collect();
    assert_eq!(order.len(), 4 * 8 * 5 + 4);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_table_that_the_kernel_clears_in_pieces_takes_more_steps_and_no_more() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 1000, false);
    let segments: Vec<_> = (0..3).map(|_| world.buy_one(bank, Kind::Table1)).collect();
    for segment in &segments {
        for place in [0, 64, 128] {
            assert_eq!(world.buy_pages(bank, 64, *segment, place).status, error::OK);
        }
    }
    world.machine().pieces = 16;
    // 3 * 192 entries and as many pages, by 16 a call, four calls a step.
    let steps = world.end(bank, method::DESTROY);
    assert!((18..24).contains(&steps), "{steps} steps");
    assert_eq!(world.bought(PRIME), SOLD.into());
}

#[test]
fn whoever_asks_the_topmost_dying_bank_does_the_work() {
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(top, 1000, false);
    fill(&mut world, child, 100);
    fill(&mut world, top, 100);
    // The child begins, the parent joins, the child's owner goes on.
    assert_eq!(
        world.call(child, &[method::DESTROY], None).status,
        error::MORE
    );
    assert_eq!(world.bought(child), 36);
    assert_eq!(
        world.call(top, &[method::DESTROY], None).status,
        error::MORE
    );
    let reply = world.call(child, &[method::DESTROY], None);
    assert!(
        reply.status == error::OK || reply.status == error::VOID,
        "{}",
        reply.status
    );
    assert!(world.is_void(child));
    assert_eq!(
        world.call(child, &[method::DESTROY], None).status,
        error::VOID
    );
    world.end(top, method::DESTROY);
    assert_eq!(world.bought(PRIME), SOLD.into());
    assert!(!world.server.has_background_work());
}

#[test]
fn a_child_that_was_dying_already_ends_with_its_parent() {
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 1000, false);
    let mut bank = top;
    let mut line = vec![top];
    fill(&mut world, top, 70);
    for _ in 0..5 {
        bank = world.sub_bank(bank, 1000, false);
        line.push(bank);
        fill(&mut world, bank, 70);
    }
    for badge in line.iter().rev() {
        assert_eq!(
            world.call(*badge, &[method::DESTROY], None).status,
            error::MORE
        );
    }
    world.idle();
    assert!(line.into_iter().all(|badge| world.is_void(badge)));
    assert_eq!(world.bought(PRIME), SOLD.into());
}

#[test]
fn an_abandoned_destroy_is_finished_unasked_while_others_are_served() {
    let mut world = World::new();
    let (doomed, other) = (
        world.sub_bank(PRIME, 1000, false),
        world.sub_bank(PRIME, 50, false),
    );
    fill(&mut world, doomed, 300);
    assert_eq!(
        world.call(doomed, &[method::DESTROY], None).status,
        error::MORE
    );
    let fake = world.fake.clone();
    let mut steps = 0;
    while world.server.background_step(&fake).expect("a step") {
        let page = world.buy_one(other, Kind::Page);
        assert_eq!(
            world.call(other, &[method::SELL], Some(page)).status,
            error::OK
        );
        steps += 1;
    }
    assert!(steps >= 3);
    assert!(world.is_void(doomed));
}

#[test]
fn dying_banks_take_turns() {
    let mut world = World::new();
    let (large, small) = (
        world.sub_bank(PRIME, 1000, false),
        world.sub_bank(PRIME, 50, false),
    );
    fill(&mut world, large, 500);
    fill(&mut world, small, 10);
    let done = world.notify(INIT, 1);
    assert_eq!(
        world.call(large, &[method::DESTROY], Some(done)).status,
        error::OK
    );
    assert_eq!(
        world.call(small, &[method::DESTROY], Some(done)).status,
        error::OK
    );
    let fake = world.fake.clone();
    for _ in 0..2 {
        world.server.background_step(&fake).expect("a step");
    }
    assert!(
        world.is_void(small),
        "a large bank does not hold up a small one"
    );
    assert!(!world.is_void(large));
    world.idle();
    assert_eq!(world.machine().told.len(), 2);
}

#[test]
fn a_notification_comes_when_all_is_void_and_only_once() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 1000, false);
    let child = world.sub_bank(bank, 1000, false);
    fill(&mut world, child, 100);
    let (first, second) = (world.notify(INIT, 1), world.notify(INIT, 2));
    let inner = world.notify(INIT, 3);
    world.machine().rescinded.clear();
    for (badge, done) in [(child, inner), (bank, first), (bank, second)] {
        let reply = world.call(badge, &[method::DESTROY], Some(done));
        assert_eq!(reply.status, error::OK, "answers at once");
    }
    assert!(
        world.machine().rescinded.is_empty(),
        "and does nothing meanwhile"
    );
    let fake = world.fake.clone();
    while world.server.background_step(&fake).expect("a step") {
        if !world.is_void(bank) {
            let told = world.machine().told.clone();
            assert!(!told.contains(&first) && !told.contains(&second));
        }
    }
    let mut told = world.machine().told.clone();
    told.sort();
    assert_eq!(told, [first, second, inner]);
    assert_eq!(world.server.audit().expect("sound").waiters, 0);
}

#[test]
fn a_kernel_that_fails_a_step_costs_nothing_but_the_step() {
    let mut world = World::new();
    let bank = world.sub_bank(PRIME, 1000, false);
    fill(&mut world, bank, 10);
    world.machine().failures = 3;
    refused(world.call(bank, &[method::DESTROY], None), error::EFAULT);
    let fake = world.fake.clone();
    assert!(world.server.background_step(&fake).is_err());
    world.check();
    assert_eq!(
        world.call(bank, &[method::DESTROY], None).status,
        error::status(error::EFAULT)
    );
    world.idle();
    assert!(world.is_void(bank));
    // The same at the very end, when only the record is left.
    let bank = world.sub_bank(PRIME, 1000, false);
    world.machine().failures = 1;
    refused(world.call(bank, &[method::DESTROY], None), error::EFAULT);
    assert_eq!(world.end(bank, method::DESTROY), 1);
    assert_eq!(world.bought(PRIME), SOLD.into());
}

#[test]
fn a_wide_tree_of_empty_banks_dies_in_bounded_steps() {
    let mut world = World::with_entries(vec![Entry::default(); 1000]);
    let top = world.sub_bank(PRIME, 1000, false);
    for _ in 0..300 {
        world.sub_bank(top, 0, false);
    }
    world.machine().invocations = 0;
    let steps = world.end(top, method::DESTROY);
    // Five times through all banks, 64 a step, then once with their records.
    assert!((24..=40).contains(&steps), "{steps} steps");
    assert_eq!(
        world
            .machine()
            .objects
            .iter()
            .filter(|o| o.state == State::Live)
            .count(),
        10
    );
}
