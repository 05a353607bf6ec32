//! The simulator's own parts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use kernel::frame::Frame;
use sim::fiber::{Fiber, Outcome};
use sim::memory::{FIRST_FRAME, Memory};
use sim::mmu::{Access, Miss, Mmu, Reached};
use sim::network::groups::{self, EVERYBODY};
use sim::network::{Network, SHORTEST, Stamp, WIRE};
use sim::random::Dice;

/// Entries for users: read-only code, data, tables.
const CODE: u64 = 5;
const DATA: u64 = 7 | 1 << 63;
const TABLE: u64 = 7;

fn frame(n: u32) -> Frame {
    Frame(FIRST_FRAME + n)
}

fn set(memory: &Memory, table: u32, index: usize, value: u64) {
    memory
        .word(frame(table), index)
        .store(value, Ordering::Relaxed);
}

/// Frames 0 to 3 are tables of levels 4 to 1; addresses from 0 on.
fn tables(memory: &Memory) {
    for n in 0..3 {
        set(memory, n, 0, frame(n + 1).physical() | TABLE);
    }
}

#[test]
fn translations_are_remembered_until_they_must_be_forgotten() {
    let memory = Memory::take(16, &Dice::new(1));
    let mmu = Mmu::new();
    tables(memory);
    set(memory, 3, 5, frame(9).physical() | DATA);
    mmu.load(frame(0));
    let reached = Reached::Ram(frame(9), 8);
    assert_eq!(mmu.reach(memory, 0x5008, Access::Read), Ok(reached));
    set(memory, 3, 5, 0);
    assert!(mmu.find_stale(memory).is_some());
    assert_eq!(
        mmu.reach(memory, 0x5008, Access::Read),
        Ok(reached),
        "remembered"
    );
    assert_eq!(
        mmu.stale().map(|stale| stale.frame),
        Some(frame(9)),
        "and noticed"
    );
    mmu.forget(0x5000);
    assert_eq!(
        mmu.reach(memory, 0x5008, Access::Read),
        Err(Miss { present: false })
    );
    assert_eq!(mmu.find_stale(memory), None);
    Memory::give(memory);
}

#[test]
fn rights_are_those_of_all_levels() {
    let memory = Memory::take(16, &Dice::new(1));
    let mmu = Mmu::new();
    tables(memory);
    set(memory, 3, 5, frame(9).physical() | DATA);
    set(memory, 3, 6, frame(10).physical() | CODE);
    mmu.load(frame(0));
    let may = |address, access| mmu.reach(memory, address, access).is_ok();
    assert!(may(0x5000, Access::Write) && !may(0x5000, Access::Execute));
    assert!(may(0x6000, Access::Execute) && !may(0x6000, Access::Write));
    // The dirty bit of what was written, the accessed bits of all on the way.
    let entry = |table: u32, index| memory.word(frame(table), index).load(Ordering::Relaxed);
    assert_eq!(entry(3, 5) & 0x60, 0x60);
    assert_eq!(entry(3, 6) & 0x60, 0x20);
    assert_eq!(entry(0, 0) & 0x20, 0x20);
    set(memory, 1, 0, frame(2).physical() | TABLE & !2);
    mmu.forget_all();
    assert!(!may(0x5000, Access::Write), "a level above is read-only");
    set(memory, 1, 0, frame(2).physical() | TABLE & !4);
    mmu.forget_all();
    assert!(!may(0x5000, Access::Read), "a level above is the kernel's");
    assert!(!may(1 << 47, Access::Read) && !may(u64::MAX, Access::Read));
    Memory::give(memory);
}

#[test]
fn memory_is_used_again_as_new() {
    let first = Memory::take(12, &Dice::new(1));
    set(first, 3, 4, 77);
    first.objects[2].version.set(9);
    Memory::give(first);
    let again = Memory::take(12, &Dice::new(2));
    assert!(std::ptr::eq(first, again));
    assert_eq!(again.word(frame(3), 4).load(Ordering::Relaxed), 0);
    assert_eq!(again.objects[2].version.get(), 1);
    Memory::give(again);
}

#[test]
fn bytes_are_read_as_they_were_written() {
    let memory = Memory::take(12, &Dice::new(1));
    let bytes: Vec<u8> = (0..200).collect();
    for offset in [0, 1, 7, 8, 13] {
        memory.write(frame(1), offset, &bytes[..150 + offset]);
        let mut read = vec![0; 150 + offset];
        memory.read(frame(1), offset, &mut read);
        assert_eq!(read, &bytes[..150 + offset]);
    }
    Memory::give(memory);
}

#[test]
fn a_fiber_pauses_and_goes_on() {
    let steps = Rc::new(Cell::new(0));
    let inside = steps.clone();
    let mut fiber = Fiber::new(move |pause| {
        for n in 1..=3 {
            inside.set(n);
            pause.pause();
        }
    });
    for n in 1..=3 {
        assert_eq!(fiber.resume(), &Outcome::Paused);
        assert_eq!(steps.get(), n);
    }
    assert_eq!(fiber.resume(), &Outcome::Finished);
    assert_eq!(fiber.resume(), &Outcome::Finished);
}

/// Says that it was dropped.
struct Tell(Rc<RefCell<Vec<&'static str>>>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[test]
fn a_fiber_that_is_dropped_is_unwound() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let (begun, never) = (told.clone(), told.clone());
    let mut fiber = Fiber::new(move |pause| {
        let _outer = Tell(begun.clone(), "outer");
        let _inner = Tell(begun.clone(), "inner");
        loop {
            pause.pause();
        }
    });
    fiber.resume();
    drop(fiber);
    assert_eq!(*told.borrow(), ["inner", "outer"]);
    let unused = Tell(never, "never begun");
    drop(Fiber::new(move |_| drop(unused)));
    assert_eq!(told.borrow().last(), Some(&"never begun"));
}

#[test]
fn a_panic_in_a_fiber_is_an_outcome() {
    let mut fiber = Fiber::new(|_| panic!("number {}", 5));
    assert_eq!(fiber.resume(), &Outcome::Panicked("number 5".to_owned()));
}

#[test]
fn a_frame_that_was_altered_is_noticed() {
    let stamp = Stamp {
        from: 2,
        to: 3,
        epoch: 1,
        sequence: 40,
    };
    let frame = stamp.frame(200);
    assert_eq!(Stamp::read(&frame), Ok(stamp));
    for n in 12..frame.len() {
        let mut altered = frame.clone();
        altered[n] ^= 0x10;
        let read = Stamp::read(&altered);
        assert!(read.is_err() || read != Ok(stamp), "byte {n}");
    }
    assert!(Stamp::read(&frame[..199]).is_err());
    assert!(Stamp::read(&frame[..SHORTEST - 1]).is_err());
}

#[test]
fn lost_repeated_and_reordered_frames_are_noticed() {
    let network = Network::default();
    for user in [2, 3] {
        network.set_user(user, user == 2);
        network.set_open(user, true);
    }
    let frames: Vec<Vec<u8>> = (0..4)
        .map(|_| network.next(WIRE, 2, 1).expect("there is room").frame(60))
        .collect();
    assert_eq!(network.arrived(2, &frames[0]), Ok(()));
    assert!(network.arrived(2, &frames[0]).is_err(), "twice");
    assert!(network.arrived(2, &frames[2]).is_err(), "one was lost");
    assert!(network.arrived(3, &frames[1]).is_err(), "for somebody else");
    assert!(!network.is_quiet());
    // Whoever isn't steady may lose frames, but sees none late.
    let frames: Vec<Vec<u8>> = (0..4)
        .map(|_| network.next(WIRE, 3, 1).expect("there is room").frame(60))
        .collect();
    assert_eq!(network.arrived(3, &frames[2]), Ok(()));
    assert!(network.arrived(3, &frames[1]).is_err(), "late");
    assert_eq!(network.arrived(3, &frames[3]), Ok(()));
}

#[test]
fn what_a_foul_sender_spoils_is_its_own_affair() {
    let network = Network::default();
    for user in [2, 3] {
        network.set_user(user, user == 2);
        network.set_open(user, true);
    }
    let sent = |from| {
        let stamp = network.next(from, WIRE, 1).expect("there is room");
        stamp.frame(60)
    };
    let (mut own, mut anothers) = (sent(3), sent(2));
    own[40] ^= 1;
    anothers[40] ^= 1;
    assert!(network.arrived(WIRE, &own).is_err());
    network.set_foul(3);
    assert_eq!(network.arrived(WIRE, &own), Ok(()));
    assert_eq!(network.arrived(WIRE, &own), Ok(()), "twice");
    assert!(network.arrived(WIRE, &anothers).is_err());
    assert!(network.arrived(2, &own).is_err(), "for somebody else");
}

#[test]
fn steady_receivers_are_not_sent_more_than_they_have_room_for() {
    let network = Network::default();
    network.set_user(2, true);
    assert_eq!(network.next(WIRE, 2, 1), None, "it has no session");
    network.set_open(2, true);
    let sent: Vec<_> = (0..100).filter_map(|_| network.next(WIRE, 2, 1)).collect();
    assert!((1..20).contains(&sent.len()));
    assert_eq!(network.arrived(2, &sent[0].frame(60)), Ok(()));
    assert_eq!(network.next(WIRE, 2, 1), None, "it has not given it back");
    network.given_back(2, 1);
    assert!(network.next(WIRE, 2, 1).is_some());
    assert_eq!(network.next(WIRE, 2, 1), None);
}

/// Two steady users, both reachable.
fn two_steady_users() -> Network {
    let network = Network::default();
    for user in [2, 3] {
        network.set_user(user, true);
        network.set_open(user, true);
    }
    network
}

#[test]
fn frames_for_a_group_must_reach_each_member_once() {
    let network = two_steady_users();
    let team = groups::TEAMS[0];
    network.asks_for(3, team);
    network.joined(3, team);
    let frame = |to| network.next(WIRE, to, 1).expect("there is room").frame(60);
    let frames = [frame(team), frame(EVERYBODY)];
    assert!(network.arrived(2, &frames[0]).is_err(), "not a member");
    assert_eq!(network.arrived(3, &frames[0]), Ok(()));
    assert!(network.arrived(3, &frames[0]).is_err(), "twice");
    assert_eq!(network.arrived(3, &frames[1]), Ok(()));
    assert!(!network.is_quiet(), "one did not get what is for everybody");
    assert_eq!(network.arrived(2, &frames[1]), Ok(()));
    assert!(network.is_quiet());
}

#[test]
fn a_frame_for_everybody_that_is_lost_or_comes_back_is_noticed() {
    let network = two_steady_users();
    let send = |from| {
        let stamp = network.next(from, EVERYBODY, 1).expect("there is room");
        stamp.frame(60)
    };
    let (own, frames) = (send(2), [send(WIRE), send(WIRE)]);
    assert!(network.arrived(2, &frames[1]).is_err(), "one was lost");
    assert!(network.arrived(2, &own).is_err(), "its own");
    assert_eq!(network.arrived(3, &own), Ok(()));
    assert_eq!(network.arrived(WIRE, &own), Ok(()));
}

#[test]
fn who_has_left_a_group_may_get_its_frames_or_not() {
    let network = two_steady_users();
    let team = groups::TEAMS[1];
    network.asks_for(2, team);
    network.joined(2, team);
    network.asks_for(2, team);
    let stamp = network.next(WIRE, team, 1).expect("there is room");
    assert!(network.is_quiet());
    assert_eq!(network.arrived(2, &stamp.frame(60)), Ok(()));
}

#[test]
fn what_a_sender_took_along_leaves_room_again() {
    let network = two_steady_users();
    while network.next(3, 2, 1).is_some() {}
    // It goes; what it sent may still lie in the receiver's ring, until that was empty.
    let before = network.moment();
    network.settled(3);
    assert_eq!(network.next(WIRE, 2, 1), None);
    network.drained(2, before);
    assert_eq!(network.next(WIRE, 2, 1), None);
    network.drained(2, network.moment());
    assert!(network.next(WIRE, 2, 1).is_some());
}

#[test]
fn words_that_only_look_like_a_frame_are_nobodys() {
    let network = two_steady_users();
    assert!(!network.is_foreign(2, 0xc5_f95f_00c5), "from 0 to 0");
    let others = network.next(WIRE, 3, 1).expect("there is room").frame(60);
    let word = |at: usize| u64::from_le_bytes(others[at..at + 8].try_into().expect("eight bytes"));
    assert!(network.is_foreign(2, word(40)));
    assert!(!network.is_foreign(3, word(40)));
}
