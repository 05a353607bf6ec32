//! Whatever a client sends gets an answer, and the books balance.

use abi::cap::Kind;
use abi::error;
use proptest::prelude::*;
use sys::bank::method;

use crate::fake::{Capability, INIT, SOLD};
use crate::world::{PRIME, VERIFIER, World, bank};

#[test]
fn a_badge_that_names_no_bank_is_void_for_every_method() {
    let mut world = World::new();
    let badge = world.sub_bank(PRIME, 10, false);
    let page = world.buy_one(badge, Kind::Page);
    let object = badge >> 8 & 0x3f_ffff;
    let numbers = [
        0,
        3,
        object,
        badge >> 8 | 1 << 54,
        (badge >> 8) + (1 << 22),
        (badge >> 8) - (1 << 22),
        1 << 22 | u64::from(page.oid),
        1 << 22 | (object + 1),
        1 << 22 | 0x3f_ffff,
        u64::MAX >> 8,
    ];
    for number in numbers {
        for method in 0..12 {
            let reply = world.call(number << 8 | 0xff, &[method, 1, 1, 1], Some(page));
            assert_eq!(reply.status, error::VOID, "{number:x} {method}");
        }
    }
}

#[test]
fn unknown_methods_are_refused_without_looking_further() {
    let mut world = World::new();
    let badge = world.sub_bank(PRIME, 10, false);
    for method in [0, 11, 255, 1 << 32 | method::BUY, u64::MAX] {
        let reply = world.call(badge, &[method], None);
        assert_eq!(reply.status, error::status(error::ENOSYS));
    }
}

#[test]
fn a_dead_badge_never_names_the_bank_that_came_after() {
    let mut world = World::new();
    let first = world.sub_bank(PRIME, 10, false);
    world.end(first, method::DESTROY);
    let second = world.sub_bank(PRIME, 10, false);
    assert_eq!(
        first >> 8 & 0x3f_ffff,
        second >> 8 & 0x3f_ffff,
        "in the same object"
    );
    assert!(world.is_void(first));
    assert_eq!(
        world.call(first, &[method::DESTROY], None).status,
        error::VOID
    );
    assert!(!world.is_void(second));
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0u64..12,
        2 => 0u64..600,
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

proptest! {
    #[test]
    fn random_requests_never_break_the_books(
        requests in prop::collection::vec((any::<u64>(), 0usize..12, prop::array::uniform6(word()), 0usize..9), 1..60),
    ) {
        let mut world = World::new();
        let table = world.init_table();
        let mut badges = vec![PRIME, VERIFIER];
        let mut capabilities: Vec<Option<Capability>> = vec![None, Some(table)];
        capabilities.push(Some(world.notify(INIT, 7)));
        capabilities.push(Some(Capability { kind: Kind::Start as u8, ..world.machine().full(INIT) }));
        for (badge, of, mut words, capability) in requests {
            let badge = match of {
                0 => badge,
                of => badges[of % badges.len()] & !0xff | badge & 0xff,
            };
            let first = world.machine().objects[table.oid as usize].slots.clone();
            capabilities.extend(first.into_iter().flatten().map(Some).take(3));
            capabilities.push(Some(bank(&world, badge)));
            let capability = capabilities[capability * 31 % capabilities.len()];
            // Not the machinery itself: whoever holds the prime bank may sell what init is made of.
            let kept = capability.is_some_and(|found| found.kind < 16 && found.oid < SOLD);
            if kept && words[0] == method::SELL {
                words[0] = method::USAGE;
            }
            let reply = world.call(badge, &words, capability);
            if let Some(start) = reply.capability.filter(|found| found.kind == Kind::Start as u8) {
                badges.push(start.badge);
            }
        }
        world.idle();
    }
}
