//! PITFALLS, "Space banks", 1 to 8, by number.

use abi::cap::{Kind, Rights};
use abi::error;
use spacebank::{Entry, State};
use sys::bank::{BankRights, method};

use crate::fake::{Capability, INIT, SOLD};
use crate::world::{PRIME, VERIFIER, World, bank, refused, with_rights};

/// Number 1: Payer keeps any strong capability to a page it "gave".
#[test]
fn pitfall_1_the_payer_never_holds_a_capability_to_what_an_opaque_bank_sold() {
    let mut world = World::new();
    let payer = world.sub_bank(PRIME, 500, false);
    let session = world.sub_bank(payer, 100, true);
    let verdict = {
        let asked = bank(&world, session);
        world.call(VERIFIER, &[method::VERIFY], Some(asked)).words
    };
    assert_eq!(verdict[..2], [1, 1], "the driver verifies before it buys");
    let segment = world.buy_one(PRIME, Kind::Table1);
    assert_eq!(world.buy_pages(session, 8, segment, 0).status, error::OK);

    // Neither by buying, for any kind, nor by listing, nor by taking the bank over.
    let table = world.init_table();
    for kind in 1..=8 {
        let words = [method::BUY, kind, 1, 0, 0];
        refused(world.call(session, &words, Some(table)), error::EACCES);
    }
    refused(
        world.call(session, &[method::INSPECT, 0], None),
        error::EPERM,
    );
    refused(world.call(session, &[method::REMOVE], None), error::EPERM);
    // Nor from above: the payer's own bank shows neither the pages nor the record.
    refused(
        world.call(payer, &[method::INSPECT, 0], None),
        error::ENOENT,
    );
    let places = world.machine().objects[segment.oid as usize].places.clone();
    for (oid, _) in places.into_iter().flatten() {
        refused(
            world.call(payer, &[method::INSPECT, u64::from(oid) + 1], None),
            error::ESTALE,
        );
    }
    // Nor by a child of its own making.
    let child = world.sub_bank(session, 10, false);
    refused(
        world.buy_caps(child, Kind::Page, 1, table, 0),
        error::EACCES,
    );
    // The parent removed, the session is still opaque.
    world.end(payer, method::REMOVE);
    refused(
        world.call(session, &[method::INSPECT, 0], None),
        error::EPERM,
    );
    refused(
        world.buy_caps(session, Kind::Page, 1, table, 0),
        error::EACCES,
    );
}

/// Number 1: Buying never runs anyone else's code, never blocks: the fake kernel panics on a call to anything
/// but the kernel's own capabilities, and here counts how few there are.
#[test]
fn pitfall_1_buying_is_prompt() {
    let mut world = World::new();
    let mut deep = PRIME;
    for _ in 0..20 {
        deep = world.sub_bank(deep, 500, true);
    }
    let segment = world.buy_one(PRIME, Kind::Table1);
    world.machine().invocations = 0;
    assert_eq!(world.buy_pages(deep, 64, segment, 0).status, error::OK);
    assert!(world.machine().invocations <= 2);
    // A process in place of the segment is not asked to do anything.
    let start = Capability {
        kind: Kind::Start as u8,
        ..world.machine().full(INIT)
    };
    refused(world.buy_pages(deep, 1, start, 0), error::EBADF);
    assert_eq!(world.machine().told, []);
}

/// Number 2: A separate right gives storage to the parent, and no opaque bank has it.
#[test]
fn pitfall_2_giving_storage_to_the_parent_is_a_right_of_its_own() {
    let mut world = World::new();
    let supplier = world.sub_bank(PRIME, 100, false);
    let untrusted = world.sub_bank(supplier, 50, false);
    let given = with_rights(untrusted, BankRights::all() - BankRights::REMOVE);
    for _ in 0..10 {
        world.buy_one(given, Kind::Page);
    }
    refused(world.call(given, &[method::REMOVE], None), error::EPERM);
    // Destroying gives nothing to the parent.
    world.end(given, method::DESTROY);
    assert_eq!(world.usage(supplier)[1..3], [0, 0]);
}

/// Every rooted tree of up to five banks, as the parent of each (0 is the root).
fn shapes() -> Vec<Vec<usize>> {
    let mut shapes = vec![vec![]];
    let mut all = shapes.clone();
    for n in 1..5 {
        shapes = shapes
            .iter()
            .flat_map(|shape| (0..n).map(move |parent| [shape.as_slice(), &[parent]].concat()))
            .collect();
        all.extend(shapes.clone());
    }
    all
}

/// Number 3: A wrong unlink lets a grandchild survive.
#[test]
fn pitfall_3_every_shape_of_tree_dies_whole_whichever_bank_is_destroyed() {
    for shape in shapes() {
        for victim in 0..=shape.len() {
            for pages in [1, 40] {
                let mut world = World::new();
                let mut banks = vec![world.sub_bank(PRIME, 1000, false)];
                for parent in &shape {
                    let badge = world.sub_bank(banks[*parent], 1000, false);
                    banks.push(badge);
                }
                let bought: Vec<Vec<_>> = banks
                    .iter()
                    .map(|badge| {
                        (0..pages)
                            .map(|_| world.buy_one(*badge, Kind::Page))
                            .collect()
                    })
                    .collect();
                world.end(banks[victim], method::DESTROY);
                for n in 0..banks.len() {
                    let mut above = n;
                    while above != victim && above != 0 {
                        above = shape[above - 1];
                    }
                    let doomed = above == victim;
                    assert_eq!(world.is_void(banks[n]), doomed, "{shape:?} {victim} {n}");
                    for page in &bought[n] {
                        assert_eq!(world.machine().alive(*page), !doomed);
                    }
                }
                if victim == 0 {
                    assert_eq!(world.bought(PRIME), SOLD.into());
                }
            }
        }
    }
}

/// Number 4: A caller that lives inside the bank that it destroys.
#[test]
fn pitfall_4_a_caller_inside_what_it_destroys_hangs_nobody_and_another_is_told() {
    let mut world = World::new();
    let doomed = world.sub_bank(PRIME, 500, false);
    let caller = world.buy_one(doomed, Kind::Process);
    let table = world.buy_one(doomed, Kind::CapTable);
    assert_eq!(
        world.buy_caps(doomed, Kind::Page, 64, table, 0).status,
        error::OK
    );
    // By plain steps it kills itself in the first, and spacebank finishes.
    let other = world.sub_bank(PRIME, 500, false);
    let inside = world.buy_one(other, Kind::Process);
    for slot in [0, 64] {
        let table = world.buy_one(other, Kind::CapTable);
        assert_eq!(
            world.buy_caps(other, Kind::Page, 64, table, slot).status,
            error::OK
        );
    }
    assert_eq!(
        world.call(other, &[method::DESTROY], None).status,
        error::MORE
    );
    assert!(!world.machine().alive(inside));
    world.idle();
    assert!(world.is_void(other));

    // With a notification for somebody outside, it gets its answer before anything happens.
    let outside = world.notify(INIT, 5);
    assert_eq!(
        world.call(doomed, &[method::DESTROY], Some(outside)).status,
        error::OK
    );
    assert!(world.machine().alive(caller));
    world.idle();
    assert!(!world.machine().alive(caller) && world.is_void(doomed));
    assert_eq!(world.machine().told, [outside]);

    // With one for itself: nobody is there to be told, and nobody waits for that.
    let doomed = world.sub_bank(PRIME, 500, false);
    let caller = world.buy_one(doomed, Kind::Process);
    let own = world.notify(caller.oid, 5);
    assert_eq!(
        world.call(doomed, &[method::DESTROY], Some(own)).status,
        error::OK
    );
    world.idle();
    assert!(world.is_void(doomed));
    assert_eq!(world.machine().told, [outside]);
}

/// Number 5: Destruction as one long loop stops the whole bank server.
#[test]
fn pitfall_5_others_are_served_between_bounded_steps() {
    let mut world = World::new();
    let doomed = world.sub_bank(PRIME, 500, false);
    for _ in 0..5 {
        let table = world.buy_one(doomed, Kind::CapTable);
        assert_eq!(
            world.buy_caps(doomed, Kind::Page, 64, table, 0).status,
            error::OK
        );
    }
    let other = world.sub_bank(PRIME, 10, false);
    let mut steps = 0;
    loop {
        world.machine().rescinded.clear();
        let reply = world.call(doomed, &[method::DESTROY], None);
        assert!(world.machine().rescinded.len() <= 64);
        let page = world.buy_one(other, Kind::Page);
        assert_eq!(
            world.call(other, &[method::SELL], Some(page)).status,
            error::OK
        );
        steps += 1;
        if reply.status == error::OK {
            break;
        }
    }
    assert_eq!(steps, 6);
}

/// Number 6: All or nothing, limits of all ancestors, with rollback.
#[test]
fn pitfall_6_a_purchase_that_fails_anywhere_takes_nothing_anywhere() {
    let mut world = World::new();
    let top = world.sub_bank(PRIME, 100, false);
    let middle = world.sub_bank(top, 20, false);
    let low = world.sub_bank(middle, 100, false);
    let segment = world.buy_one(PRIME, Kind::Table1);
    assert_eq!(world.buy_pages(low, 1, segment, 40).status, error::OK);
    let before = [top, middle, low].map(|badge| world.usage(badge));
    let census = world.machine().census();
    // One place of the last is taken; a limit in the middle; a right that no mapping may have.
    refused(world.buy_pages(low, 10, segment, 31), error::EEXIST);
    refused(world.buy_pages(low, 19, segment, 41), error::EDQUOT);
    let executable = (Rights::WRITE | Rights::EXEC).bits().into();
    let words = [method::BUY, Kind::Page as u64, 10, 50, executable];
    refused(world.call(low, &words, Some(segment)), error::EINVAL);
    assert_eq!([top, middle, low].map(|badge| world.usage(badge)), before);
    assert_eq!(world.machine().census(), census);
    assert_eq!(world.buy_pages(low, 18, segment, 41).status, error::OK);
}

/// Number 7: Metadata is paid by the client's side.
#[test]
fn pitfall_7_banks_cost_whoever_makes_them_and_come_back_to_him() {
    let mut world = World::new();
    let client = world.sub_bank(PRIME, 30, false);
    let before = world.bought(PRIME);
    let mut made = Vec::new();
    loop {
        let reply = world.call(client, &[method::SUB_BANK, 1000, 0], None);
        if reply.status != error::OK {
            refused(reply, error::EDQUOT);
            break;
        }
        made.push(reply.capability.expect("a bank").badge);
    }
    assert_eq!(made.len(), 30);
    assert_eq!(world.bought(PRIME), before + 30, "nobody else pays");
    for badge in made {
        world.end(badge, method::DESTROY);
    }
    assert_eq!(world.usage(client)[1..5], [0, 0, 30, 0]);
}

/// Number 8: Version wrap: serial numbers end rather than repeat.
#[test]
fn pitfall_8_an_object_whose_numbers_are_used_up_holds_no_more_records() {
    let nearly = || vec![Entry::worn(u32::MAX - 2); 16];
    let mut world = World::with_entries(nearly());
    let mut seen = Vec::new();
    for _ in 0..6 {
        for _ in 0..2 {
            let badge = world.sub_bank(PRIME, 10, false);
            assert!(!seen.contains(&badge), "a number was used again");
            for old in &seen {
                assert!(world.is_void(*old));
            }
            world.end(badge, method::DESTROY);
            seen.push(badge);
        }
    }
    // Every free object was used twice. They are good for anything else.
    refused(
        world.call(PRIME, &[method::SUB_BANK, 1, 0], None),
        error::ENOMEM,
    );
    assert_eq!(world.machine().census().0, 16 - SOLD as usize);
    let page = world.buy_one(PRIME, Kind::Page);
    refused(
        world.call(PRIME, &[method::SUB_BANK, 1, 0], None),
        error::ENOMEM,
    );
    assert_eq!(
        world.call(PRIME, &[method::SELL], Some(page)).status,
        error::OK
    );

    // Worn objects don't stand before others.
    let mut entries = nearly();
    entries[15] = Entry::default();
    let mut world = World::with_entries(entries);
    for _ in 0..100 {
        let badge = world.sub_bank(PRIME, 10, false);
        world.end(badge, method::DESTROY);
    }
}

/// Number 8: OID sold again while its old frame is in limbo.
#[test]
fn pitfall_8_an_object_in_limbo_is_not_sold_again() {
    let mut world = World::with_entries(vec![Entry::default(); 16]);
    let page = world.buy_one(PRIME, Kind::Page);
    world.machine().pin(page.oid);
    assert_eq!(
        world.call(PRIME, &[method::SELL], Some(page)).status,
        error::OK
    );
    let table = world.init_table();
    // Five of six are left: the sixth is in limbo. (The fake panics on a sale of it.)
    refused(
        world.buy_caps(PRIME, Kind::Page, 6, table, 1),
        error::EDQUOT,
    );
    assert_eq!(
        world.buy_caps(PRIME, Kind::Page, 5, table, 1).status,
        error::OK
    );
    world.machine().unpin(page.oid);
    // Not before the kernel was asked, either.
    assert_eq!(
        world.server.entry(page.oid).map(Entry::state),
        Some(State::Limbo)
    );
    world.idle();
    assert_eq!(world.buy_one(PRIME, Kind::Page).oid, page.oid);
}
