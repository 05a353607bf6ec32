//! Clients that wait for the end of a bank: how many there can be, and that nobody takes all the room.

use abi::cap::Kind;
use abi::error;
use spacebank::{BRANCH_WAITERS, WAITER_SLOTS};
use sys::bank::method;

use crate::fake::INIT;
use crate::world::{PRIME, World, refused};

#[test]
fn who_finds_no_room_to_wait_is_told_and_can_destroy_all_the_same() {
    let mut world = World::new();
    let done = world.notify(INIT, 1);
    let banks: Vec<_> = (0..=WAITER_SLOTS)
        .map(|_| world.sub_bank(PRIME, 10, false))
        .collect();
    for badge in &banks[..WAITER_SLOTS] {
        assert_eq!(
            world.call(*badge, &[method::DESTROY], Some(done)).status,
            error::OK
        );
    }
    let last = banks[WAITER_SLOTS];
    refused(
        world.call(last, &[method::DESTROY], Some(done)),
        error::EMFILE,
    );
    world.buy_one(last, Kind::Page);
    assert_eq!(world.end(last, method::DESTROY), 1);
    world.idle();
    assert_eq!(world.machine().told.len(), WAITER_SLOTS);
    assert_eq!(world.server.audit().expect("sound").waiters, 0);
}

/// The slots once belonged to whoever came first: a user who destroyed many banks of his at a time kept
/// everybody else from waiting.
#[test]
fn one_banks_clients_cannot_use_up_all_room_to_wait() {
    let mut world = World::new();
    let done = world.notify(INIT, 1);
    let (greedy, other) = (
        world.sub_bank(PRIME, 1000, false),
        world.sub_bank(PRIME, 100, false),
    );
    let nested = world.sub_bank(greedy, 500, false);
    let wait = |world: &mut World, above: u64| {
        let below = world.sub_bank(above, 10, false);
        (below, world.call(below, &[method::DESTROY], Some(done)))
    };
    for _ in 1..BRANCH_WAITERS {
        assert_eq!(wait(&mut world, nested).1.status, error::OK);
    }
    let (bank, reply) = wait(&mut world, nested);
    refused(reply, error::EAGAIN);
    world.buy_one(bank, Kind::Page);
    // What is above it has something left, to the same bound.
    assert_eq!(wait(&mut world, greedy).1.status, error::OK);
    for _ in 0..WAITER_SLOTS {
        refused(wait(&mut world, greedy).1, error::EAGAIN);
    }
    refused(
        world.call(greedy, &[method::DESTROY], Some(done)),
        error::EAGAIN,
    );
    assert_eq!(wait(&mut world, other).1.status, error::OK);
    assert_eq!(
        world.server.audit().expect("sound").waiters,
        BRANCH_WAITERS + 1
    );
    // The share comes back as the banks go.
    world.idle();
    assert_eq!(world.machine().told.len(), BRANCH_WAITERS + 1);
    assert_eq!(wait(&mut world, nested).1.status, error::OK);
    world.idle();
    assert_eq!(world.server.audit().expect("sound").waiters, 0);
}

#[test]
fn children_take_their_waiters_along_when_their_bank_is_removed() {
    let mut world = World::new();
    let done = world.notify(INIT, 1);
    let parent = world.sub_bank(PRIME, 1000, false);
    let leaving = world.sub_bank(parent, 500, false);
    let child = world.sub_bank(leaving, 100, false);
    let reply = world.call(child, &[method::DESTROY], Some(done));
    assert_eq!(reply.status, error::OK);
    world.call(leaving, &[method::REMOVE], None);
    // The audit adds the waiters of each bank up.
    assert_eq!(world.server.audit().expect("sound").waiters, 1);
    world.idle();
    assert_eq!(world.machine().told.len(), 1);
    assert_eq!(world.server.audit().expect("sound").waiters, 0);
}
