//! Frames whose owner is gone while they are pinned.

use abi::boot::slot;
use abi::cap::Kind;
use abi::error::{EBUSY, ENODEV};
use kernel::object::Oid;
use sim::mmu::Access;
use sim::pci::FUNCTIONS;
use sys::{Event, Sys};

use crate::aperture::{APERTURE, BOTH, SEEN, setting};
use crate::common::*;

#[test]
fn a_pinned_frame_outlives_its_owner_until_the_last_pin_goes() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    notify_of(
        &set.parties,
        set.parties.bank(),
        3,
        set.parties.bank(),
        FREE,
    );
    let bank = set.parties.sys(set.parties.bank());
    sim::parties::RANGE
        .set_notify(&bank, cap(FREE))
        .expect("its own");
    notify_of(&set.parties, set.driver, 65, set.driver, FREE + 7);
    APERTURE
        .set_limbo_notify(&sys, cap(FREE + 7))
        .expect("its own");
    let frame = set.frame(4);
    set.pin(1, 4, BOTH).expect("may be pinned");
    set.pin(2, 4, BOTH).expect("twice");
    set.parties.write_word(frame, 64, 0xfeed);
    assert_eq!(set.parties.rescind(&[set.pages[4]]), [true], "into limbo");
    assert!(!touch(
        &set.parties,
        set.client,
        address_in(0, 4),
        Access::Read
    ));
    assert_eq!(set.parties.read_word(frame, 64), 0xfeed, "not zeroed yet");
    assert!(
        set.sees(1, Access::Write),
        "the driver never faults on what it pinned"
    );
    let told = Event::Notified { group: 1, bits: 2 };
    assert_eq!(sys.poll([0; 4]), Some(told));
    assert_eq!(set.orphans(), [2, 1], "the last that was pinned first");
    assert!(set.orphans().is_empty(), "each is told once");
    assert_eq!(set.info(), (2, 2, u64::from(FUNCTIONS[0]) + 1));
    assert!(set.parties.reap().is_empty());
    set.unpin(1).expect("pinned");
    assert_eq!(
        set.parties.read_word(frame, 64),
        0xfeed,
        "another pin holds it"
    );
    assert!(set.parties.reap().is_empty());
    set.unpin(2).expect("pinned");
    assert_eq!(
        set.parties.read_word(frame, 64),
        0xfeed,
        "of a batch, all pins may be last ones: too much to zero at once"
    );
    assert_eq!(
        bank.poll([0; 4]),
        Some(Event::Notified { group: 0, bits: 8 })
    );
    let (_, state, pins) = sim::parties::RANGE
        .query(&bank, set.pages[4].0)
        .expect("in range");
    assert_eq!((state, pins), (2, 0), "in limbo until it is reaped");
    assert_eq!(set.parties.reap(), [set.pages[4]]);
    assert_eq!(
        set.parties.read_word(frame, 64),
        0,
        "zeroed before anybody can buy it"
    );
    let (_, state, _) = sim::parties::RANGE
        .query(&bank, set.pages[4].0)
        .expect("in range");
    assert_eq!(state, 0);
}

#[test]
fn a_page_in_limbo_is_not_sold() {
    let set = setting();
    set.pin(1, 4, BOTH).expect("may be pinned");
    set.parties.rescind(&[set.pages[4]]);
    let bank = set.parties.sys(set.parties.bank());
    let mint = || sim::parties::RANGE.mint(&bank, set.pages[4].0, Kind::Page as u8, FREE);
    assert_eq!(mint(), Err(error(EBUSY)));
    set.unpin(1).expect("pinned");
    assert_eq!(mint(), Err(error(EBUSY)), "not before spacebank knows");
    set.parties.reap();
    mint().expect("free");
}

#[test]
fn orphans_can_be_unpinned_in_any_order_before_they_are_told() {
    let set = setting();
    for n in 0..40 {
        set.pin(10 + n, n, BOTH).expect("may be pinned");
    }
    let gone: Vec<Oid> = set.pages[..40].to_vec();
    assert_eq!(set.parties.rescind(&gone), [true; 40]);
    // From the middle, the head (the last) and the tail of the list.
    for slot in [25, 49, 10, 24, 26, 48] {
        set.unpin(slot).expect("pinned");
    }
    let first = set.orphans();
    assert_eq!(first.len(), 20, "as many as one answer holds");
    let second = set.orphans();
    let told: Vec<u16> = first.into_iter().chain(second).collect();
    let expected: Vec<u16> = (10..50)
        .rev()
        .filter(|slot| ![25, 49, 10, 24, 26, 48].contains(slot))
        .collect();
    assert_eq!(told, expected);
    assert!(set.orphans().is_empty());
    told.iter()
        .for_each(|slot| set.unpin(*slot).expect("pinned"));
    let mut reaped: Vec<Oid> = core::iter::repeat_with(|| set.parties.reap())
        .take_while(|some| !some.is_empty())
        .flatten()
        .collect();
    reaped.sort();
    let mut gone = gone;
    gone.sort();
    assert_eq!(reaped, gone);
}

#[test]
fn a_window_that_is_rescinded_leaves_the_pins() {
    let set = setting();
    let frame = set.frame(3);
    set.pin(1, 3, BOTH).expect("may be pinned");
    set.parties.rescind(&[set.window]);
    assert!(!set.sees(1, Access::Read));
    assert_eq!(set.info().0, 1);
    assert_eq!(set.pin(2, 4, BOTH), Err(error(ENODEV)));
    set.parties.rescind(&[set.pages[3]]);
    set.parties.write_word(frame, 0, 1);
    set.unpin(1).expect("pinned");
    assert_eq!(set.parties.reap(), [set.pages[3]]);
    assert_eq!(set.parties.read_word(frame, 0), 0);
    // Another window takes its place.
    set.parties.buy(set.driver, FREE + 5, Kind::Table1);
    let sys = set.parties.sys(set.driver);
    APERTURE
        .set_window(&sys, cap(FREE + 5))
        .expect("it has none");
    set.pin(1, 4, BOTH).expect("it has a window");
}

#[test]
fn a_frame_that_leaves_limbo_is_forgotten_before_it_is_zeroed() {
    let set = setting();
    set.pin(1, 4, BOTH).expect("may be pinned");
    set.parties.rescind(&[set.pages[4]]);
    // The driver has just looked at it, and its space stays loaded while it unpins.
    set.parties.run(set.driver);
    assert!(set.sees(1, Access::Write));
    set.unpin(1).expect("pinned");
    set.parties.check();
    assert!(!touch(
        &set.parties,
        set.driver,
        SEEN + (1 << 12),
        Access::Read
    ));
    assert_eq!(set.parties.reap(), [set.pages[4]]);
}

#[test]
fn each_frame_of_a_batch_that_leaves_limbo_is_forgotten_before_it_is_zeroed() {
    let set = setting();
    let slots: Vec<u16> = (0..8).collect();
    for slot in &slots {
        set.pin(*slot, *slot, BOTH).expect("may be pinned");
    }
    // Two of the frames outlive their pages, with others before, between and after them.
    let gone = [set.pages[2], set.pages[5]];
    set.parties.rescind(&gone);
    set.parties.run(set.driver);
    for slot in &slots {
        assert!(set.sees((*slot).into(), Access::Write));
    }
    let words: Vec<u64> = slots.iter().map(|slot| u64::from(*slot)).collect();
    set.parties.write_batch(set.driver, 0, &words);
    let sys = set.parties.sys(set.driver);
    let unpinned = APERTURE.unpin_batch(&sys, cap(slot::MESSAGE), 0, 8);
    assert_eq!(unpinned, Ok(8));
    set.parties.check();
    for slot in &slots {
        let address = SEEN + (u64::from(*slot) << 12);
        assert!(!touch(&set.parties, set.driver, address, Access::Read));
    }
    let mut reaped = set.parties.reap();
    reaped.sort_unstable();
    assert_eq!(reaped, gone);
}
