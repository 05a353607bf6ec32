//! Slots against a bank that counts.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::vec::Vec;

use abi::cap::CapAddr;
use abi::error::{EDQUOT, OK, Status, status};
use sys::{Event, Message, Reply, Sys};

use super::*;

/// Sells `left` tables, and remembers which slots were emptied.
struct Fake {
    left: Cell<u32>,
    bought: RefCell<Vec<u64>>,
    cleared: RefCell<Vec<(CapAddr, u64)>>,
}

impl Fake {
    fn with(left: u32) -> Fake {
        Fake {
            left: Cell::new(left),
            bought: RefCell::default(),
            cleared: RefCell::default(),
        }
    }
}

impl Sys for Fake {
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let refused = Reply {
            status: status(EDQUOT),
            ..Reply::default()
        };
        if capability == slot::BANK {
            assert_eq!(
                message.words[..3],
                [sys::bank::method::BUY, Kind::CapTable as u64, 1]
            );
            assert_eq!(message.caps[0], slot::ROOT);
            if self.left.get() == 0 {
                return refused;
            }
            self.left.set(self.left.get() - 1);
            self.bought.borrow_mut().push(message.words[3]);
        } else {
            assert_eq!(message.words[0], abi::method::cap_table::CLEAR);
            self.cleared
                .borrow_mut()
                .push((capability, message.words[1]));
        }
        Reply {
            status: OK,
            ..Reply::default()
        }
    }

    fn send(&self, _: CapAddr, _: &Message) -> Status {
        unreachable!()
    }

    fn wait(&self, _: [CapAddr; 4]) -> Event {
        unreachable!()
    }

    fn reply_and_wait(&self, _: Status, _: &Message) -> Event {
        unreachable!()
    }

    fn resume(&self, _: CapAddr, _: Status, _: &Message) -> Status {
        unreachable!()
    }

    fn poll(&self, _: [CapAddr; 4]) -> Option<Event> {
        unreachable!()
    }

    fn save_caller(&self, _: CapAddr) -> Status {
        unreachable!()
    }
}

#[test]
fn those_that_are_taken_are_counted() {
    let (sys, mut slots) = (Fake::with(9), Slots::new());
    assert_eq!(slots.taken(), 0);
    let taken: Vec<_> = (0..300).map(|_| slots.take(&sys).unwrap()).collect();
    assert_eq!(slots.taken(), 300);
    taken[100..].iter().for_each(|slot| slots.give(&sys, *slot));
    assert_eq!((slots.taken(), slots.tables()), (100, 3));
}

#[test]
fn every_slot_is_handed_out_once() {
    let fake = Fake::with(u32::MAX);
    let mut slots = Slots::new();
    let mut seen = BTreeSet::new();
    while let Ok(address) = slots.take(&fake) {
        assert!(seen.insert(address), "{address} twice");
        assert!(address >= slot::FREE && usize::from(address) < abi::cap::CAP_ADDRESSES);
        // Root slots that hold tables are never handed out themselves.
        assert!(!(TABLES..128).contains(&address));
    }
    assert_eq!(
        seen.len(),
        usize::from(TABLES - slot::FREE) + TABLE_COUNT * CAP_TABLE_SLOTS
    );
    assert_eq!(fake.bought.borrow().len(), TABLE_COUNT);
}

#[test]
fn nothing_is_bought_before_the_root_is_full() {
    let fake = Fake::with(0);
    let mut slots = Slots::new();
    for _ in slot::FREE..TABLES {
        slots.take(&fake).unwrap();
    }
    assert_eq!(slots.take(&fake), Err(Error::new(EDQUOT)));
    fake.left.set(1);
    assert_eq!(slots.take(&fake), Ok(TABLES << 7));
}

#[test]
fn slots_given_back_are_emptied_and_used_again() {
    let fake = Fake::with(1);
    let mut slots = Slots::new();
    let first = slots.take(&fake).unwrap();
    let many: Vec<_> = (0..100).map(|_| slots.take(&fake).unwrap()).collect();
    slots.give(&fake, first);
    slots.give(&fake, many[99]);
    assert_eq!(
        *fake.cleared.borrow(),
        [
            (slot::ROOT, first.into()),
            (TABLES, (many[99] & 127).into())
        ]
    );
    assert_eq!(
        [slots.take(&fake), slots.take(&fake)],
        [Ok(first), Ok(many[99])]
    );
    // Not taken, not the program's, or in no table that there is: left alone.
    for address in [slot::BANK, TABLES, many[99] + 1, 127 << 7] {
        slots.give(&fake, address);
    }
    assert_eq!(fake.cleared.borrow().len(), 2);
}

#[test]
fn runs_lie_in_one_table() {
    let fake = Fake::with(2);
    let mut slots = Slots::new();
    let first = slots.take_run(&fake, 32).unwrap();
    assert_eq!(first, slot::FREE);
    let whole = slots.take_run(&fake, 128).unwrap();
    assert_eq!(whole, TABLES << 7);
    let part = slots.take_run(&fake, 100).unwrap();
    assert_eq!(slots.take_run(&fake, 28), Ok(part + 100));
    assert_eq!(slots.take_run(&fake, 129), Err(Error::new(EMFILE)));
    assert_eq!(slots.take_run(&fake, 0), Err(Error::new(EMFILE)));
}

#[test]
fn segments_lie_in_as_few_tables_as_hold_them() {
    let (sys, mut slots) = (Fake::with(u32::MAX), Slots::new());
    let table = |address: CapAddr| table_of(address).0.address();
    // Eight capabilities a session, one of them a segment.
    let mut others = BTreeSet::new();
    let mut segments = Vec::new();
    for _ in 0..256 {
        segments.push(slots.take_segment(&sys).unwrap());
        others.extend((0..7).map(|_| table(slots.take(&sys).unwrap())));
    }
    let tables: BTreeSet<CapAddr> = segments.iter().map(|slot| table(*slot)).collect();
    assert_eq!(tables.len(), 3);
    let shared: Vec<_> = tables.intersection(&others).collect();
    assert_eq!(shared, [&slot::ROOT]);
    // They are given back and found again like others.
    let last = segments.pop().unwrap();
    slots.give(&sys, last);
    assert_eq!(slots.take_segment(&sys), Ok(last));
}
