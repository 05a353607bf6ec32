//! Batches: where they may lie, how long they may be, what they need, and that each entry is read once.

use std::sync::atomic::{AtomicBool, Ordering};

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, EEXIST, EINVAL, EPERM, OK, VOID};
use abi::method::{aperture, log, range};
use kernel::object::{Oid, State};
use sim::parties::Parties;
use sys::Cap;
use sys::object::Table;

use crate::aperture::{APERTURE, setting};
use crate::common::*;

/// Free objects, highest first, whose numbers nobody has used.
fn fresh(parties: &Parties, count: u32) -> Vec<Oid> {
    let all = parties.processor.memory().objects.len() as u32;
    (0..count).map(|n| Oid(all - 1 - n)).collect()
}

fn order(oid: Oid, kind: Kind, rights: Rights, index: u16) -> u64 {
    u64::from(oid.0) | (kind as u64) << 32 | u64::from(rights.bits()) << 40 | u64::from(index) << 48
}

fn mint_into(parties: &Parties, into: u16, offset: u64, count: u64) -> u32 {
    let words = [range::MINT_INTO, offset, count];
    status_of(
        parties,
        parties.bank(),
        slot::BANK_RANGE,
        &words,
        &[slot::MESSAGE, into],
    )
}

/// Bounds that all batches have, for entries of this size.
fn out_of_bounds(size: u64) -> Vec<(u64, u64)> {
    vec![
        (0, 0),
        (0, 65),
        (0, u64::MAX),
        (1, 1),
        (size / 2, 1),
        (size - 1, 1),
        (4096, 1),
        (4096 - size, 2),
        (4096 - 63 * size, 64),
        (u64::MAX, 1),
        (u64::MAX - size + 1, 1),
        (1 << 32, 1),
    ]
}

#[test]
fn a_batch_lies_in_its_page() {
    let set = setting();
    let (bank, driver) = (set.parties.bank(), set.driver);
    let batches: [(_, u16, u64, &[u16], u64); 5] = [
        (
            bank,
            slot::BANK_RANGE,
            range::MINT_INTO,
            &[slot::MESSAGE, slot::ROOT],
            16,
        ),
        (bank, slot::BANK_RANGE, range::RESCIND, &[slot::MESSAGE], 8),
        (
            driver,
            FREE,
            aperture::PIN_BATCH,
            &[slot::MESSAGE, FREE + 2],
            16,
        ),
        (driver, FREE, aperture::UNPIN_BATCH, &[slot::MESSAGE], 8),
        (
            driver,
            FREE,
            aperture::EXCHANGE_BATCH,
            &[slot::MESSAGE, slot::ROOT],
            16,
        ),
    ];
    for (who, whom, method, caps, size) in batches {
        for (offset, count) in out_of_bounds(size) {
            let status = status_of(&set.parties, who, whom, &[method, offset, count], caps);
            assert_eq!(status, errno(EINVAL), "{method}: {count} at {offset}");
        }
        let mut none = caps.to_vec();
        none[0] = 0;
        assert_eq!(
            status_of(&set.parties, who, whom, &[method, 0, 1], &none),
            VOID
        );
        none[0] = slot::ROOT;
        assert_eq!(
            status_of(&set.parties, who, whom, &[method, 0, 1], &none),
            errno(EBADF)
        );
        // The page must be readable and writable.
        let sys = set.parties.sys(who);
        for rights in [Rights::READ, Rights::WRITE] {
            ROOT.put(&sys, 110, slot::MESSAGE, rights).expect("a copy");
            none[0] = 110;
            let status = status_of(&set.parties, who, whom, &[method, 0, 1], &none);
            assert_eq!(status, errno(EACCES));
        }
        // The last place that is just inside, with orders for nothing.
        let last = 4096 - 64 * size;
        set.parties
            .write_batch(who, last as usize, &vec![u64::MAX; 8 * size as usize]);
        let status = status_of(&set.parties, who, whom, &[method, last, 64], caps);
        let refused = if method == range::MINT_INTO {
            errno(EINVAL)
        } else {
            OK
        };
        assert_eq!(status, refused, "{method}");
    }
}

#[test]
fn objects_are_sold_into_slots_or_not_at_all() {
    let parties = Parties::new();
    let bank = parties.bank();
    let oids = fresh(&parties, 64);
    parties.buy(bank, FREE, Kind::CapTable);
    let orders: Vec<u64> = oids
        .iter()
        .enumerate()
        .flat_map(|(n, oid)| {
            let kind = [Kind::Page, Kind::Process, Kind::Table4, Kind::Aperture][n % 4];
            [order(*oid, kind, Rights::READ, n as u16 + 60), 0]
        })
        .collect();
    // The last one is beyond the table at first.
    let mut wrong = orders.clone();
    wrong[126] = order(oids[63], Kind::Page, Rights::READ, 128);
    parties.write_batch(bank, 1024, &wrong);
    assert_eq!(mint_into(&parties, FREE, 1024, 64), errno(EINVAL));
    assert_eq!(
        parties.read_batch(bank, 1024 + 127 * 8),
        u64::from(errno(EINVAL))
    );
    let free = |oid: &Oid| {
        parties.processor.memory().objects[oid.0 as usize]
            .state
            .get()
    };
    assert!(oids.iter().all(|oid| free(oid) == State::Free));
    parties.check();
    parties.write_batch(bank, 1024, &orders);
    assert_eq!(mint_into(&parties, FREE, 1024, 64), OK);
    let table: Cap<sys::object::CapTable> = cap(FREE);
    for n in 0..64 {
        let (kind, rights) = table.describe(&parties.sys(bank), n + 60).expect("its own");
        assert_eq!(
            (kind, rights),
            ((orders[n as usize * 2] >> 32) as u8, Rights::FULL)
        );
    }
    // Again: all is sold, and in use.
    assert_eq!(mint_into(&parties, FREE, 1024, 1), errno(EBUSY));
    let other = fresh(&parties, 65)[64];
    parties.write_batch(bank, 0, &[order(other, Kind::Page, DATA, 60), 0]);
    assert_eq!(mint_into(&parties, FREE, 0, 1), errno(EEXIST));
}

#[test]
fn an_order_for_the_same_object_or_place_twice_undoes_the_batch() {
    let parties = Parties::new();
    let bank = parties.bank();
    let oids = fresh(&parties, 3);
    parties.buy(bank, FREE, Kind::Table1);
    parties.buy(bank, FREE + 1, Kind::CapTable);
    for into in [FREE, FREE + 1] {
        let cases = [
            ([(oids[0], 1), (oids[1], 2), (oids[0], 3)], EBUSY),
            ([(oids[0], 1), (oids[1], 2), (oids[2], 1)], EEXIST),
            ([(oids[0], 1), (oids[1], 2), (Oid(u32::MAX), 3)], EINVAL),
            ([(oids[0], 1), (oids[1], 2), (oids[2], 512)], EINVAL),
        ];
        for (orders, expected) in cases {
            let words: Vec<u64> = orders
                .iter()
                .flat_map(|(oid, index)| [order(*oid, Kind::Page, DATA, *index), 7])
                .collect();
            parties.write_batch(bank, 0, &words);
            assert_eq!(mint_into(&parties, into, 0, 3), errno(expected));
            assert_eq!(parties.read_batch(bank, 40), u64::from(errno(expected)));
            let objects = &parties.processor.memory().objects;
            let free = |oid: &Oid| objects[oid.0 as usize].state.get() == State::Free;
            assert!(oids.iter().all(free));
            parties.check();
        }
    }
    let table: Cap<Table> = cap(FREE);
    for place in 0..4 {
        assert_eq!(
            table.query(&parties.sys(bank), place),
            Ok((0, Rights::empty()))
        );
    }
}

#[test]
fn tables_are_sold_only_what_fits_them() {
    let parties = Parties::new();
    let bank = parties.bank();
    let oid = fresh(&parties, 1)[0];
    let kinds = [
        Kind::Page,
        Kind::Table1,
        Kind::Table2,
        Kind::Table3,
        Kind::Table4,
    ];
    for (level, into) in kinds.into_iter().enumerate().skip(1) {
        parties.buy(bank, FREE, into);
        for (below, kind) in kinds.into_iter().enumerate() {
            parties.write_batch(bank, 0, &[order(oid, kind, Rights::READ, 9), 0]);
            let expected = if below + 1 == level { OK } else { errno(EBADF) };
            assert_eq!(
                mint_into(&parties, FREE, 0, 1),
                expected,
                "{kind:?} into {into:?}"
            );
            if expected == OK {
                parties.rescind(&[oid]);
            }
        }
        for kind in [Kind::CapTable, Kind::Process, Kind::Aperture] {
            parties.write_batch(bank, 0, &[order(oid, kind, Rights::READ, 9), 0]);
            assert_eq!(mint_into(&parties, FREE, 0, 1), errno(EBADF));
        }
        for kind in [0, 9, 15, 16, 19, 255] {
            parties.write_batch(
                bank,
                0,
                &[order(oid, Kind::Void, Rights::READ, 9) | kind << 32, 0],
            );
            assert_eq!(
                mint_into(&parties, FREE, 0, 1),
                errno(EINVAL),
                "kind {kind}"
            );
        }
        for rights in [
            Rights::empty(),
            Rights::WRITE,
            Rights::READ | Rights::MANAGE,
        ] {
            parties.write_batch(bank, 0, &[order(oid, kinds[level - 1], rights, 9), 0]);
            assert_eq!(mint_into(&parties, FREE, 0, 1), errno(EINVAL), "{rights:?}");
        }
    }
    // Neither writable and executable, nor at the end of the lower half.
    parties.write_batch(bank, 0, &[order(oid, Kind::Table3, Rights::READ, 255), 0]);
    assert_eq!(mint_into(&parties, FREE, 0, 1), errno(EINVAL));
    parties.buy(bank, FREE, Kind::Table1);
    parties.write_batch(
        bank,
        0,
        &[order(oid, Kind::Page, DATA | Rights::EXEC, 9), 0],
    );
    assert_eq!(mint_into(&parties, FREE, 0, 1), errno(EINVAL));
    ROOT.put(&parties.sys(bank), FREE + 1, FREE, DATA)
        .expect("a copy");
    parties.write_batch(bank, 0, &[order(oid, Kind::Page, DATA, 9), 0]);
    assert_eq!(mint_into(&parties, FREE + 1, 0, 1), errno(EPERM));
    assert_eq!(
        mint_into(&parties, slot::MESSAGE, 0, 1),
        errno(EBADF),
        "a page is no table"
    );
}

#[test]
fn a_sold_page_starts_with_zeros() {
    let parties = Parties::new();
    let bank = parties.bank();
    let sys = parties.sys(bank);
    parties.buy(bank, FREE, Kind::Table1);
    SPACE
        .map(&sys, 400, cap::<Table>(FREE), DATA)
        .expect("empty");
    let oids = fresh(&parties, 8);
    for _ in 0..3 {
        let words: Vec<u64> = oids
            .iter()
            .enumerate()
            .flat_map(|(n, oid)| [order(*oid, Kind::Page, DATA, n as u16), 0])
            .collect();
        parties.write_batch(bank, 0, &words);
        assert_eq!(mint_into(&parties, FREE, 0, 8), OK);
        for n in 0..8 {
            let frame = frame_at(&parties, bank, (400 << 21) + (n << 12)).expect("mapped");
            assert!((0..512).all(|word| parties.read_word(frame, word * 8) == 0));
            (0..512).for_each(|word| parties.write_word(frame, word * 8, u64::MAX));
        }
        assert_eq!(parties.rescind(&oids), [false; 8]);
    }
}

#[test]
fn pins_of_a_batch_stand_each_for_itself() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    let entry = |slot: u64, place: u64, way: u64| slot | place << 16 | way << 32;
    let entries = [
        entry(3, 3, 3),
        entry(512, 4, 3),
        entry(5, 600, 3),
        entry(6, 100, 3),
        entry(7, 7, 9),
        entry(3, 8, 3),
        entry(8, 8, 0),
        entry(9, 9, 1) | 1 << 48,
    ];
    let words: Vec<u64> = entries.iter().flat_map(|entry| [*entry, 0xdead]).collect();
    set.parties.write_batch(set.driver, 256, &words);
    let pinned = APERTURE.pin_batch(&sys, MESSAGE, cap(FREE + 2), 256, 8);
    assert_eq!(pinned, Ok(3));
    let expected = [0, EINVAL, EINVAL, abi::error::ENOENT, EINVAL, EEXIST, 0, 0];
    for (n, expected) in expected.into_iter().enumerate() {
        let word = set.parties.read_batch(set.driver, 256 + n * 16);
        assert_eq!((word >> 48) as u32, errno(expected), "entry {n}");
        assert_eq!(
            word << 16,
            entries[n] << 16,
            "what was asked stands there still"
        );
        let address = set.parties.read_batch(set.driver, 256 + n * 16 + 8);
        let given = expected == 0 && n != 6;
        assert_eq!(address != 0, given, "entry {n}");
    }
    let words = [3u64, 3, 700, 8, 9 | 5 << 16];
    set.parties.write_batch(set.driver, 0, &words);
    assert_eq!(APERTURE.unpin_batch(&sys, MESSAGE, 0, 5), Ok(3));
    let expected = [0, abi::error::ENOENT, EINVAL, 0, 0];
    for (n, expected) in expected.into_iter().enumerate() {
        let word = set.parties.read_batch(set.driver, n * 8);
        assert_eq!((word >> 16) as u32 & 0xffff, errno(expected), "entry {n}");
    }
}

#[test]
fn a_line_of_the_log_lies_in_its_page() {
    let parties = Parties::new();
    let party = parties.spawn();
    parties.copy_from_init(slot::LOG, (party, FREE), Rights::FULL);
    let write = |offset: u64, length: u64| {
        let words = [log::WRITE, offset, length, 1];
        status_of(&parties, party, FREE, &words, &[slot::MESSAGE])
    };
    for (offset, length) in [
        (0, 1025),
        (4096, 1),
        (4095, 2),
        (3073, 1024),
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (0, u64::MAX),
        (1 << 63, 1 << 63),
    ] {
        assert_eq!(write(offset, length), errno(EINVAL), "{length} at {offset}");
    }
    parties.write_batch(party, 4088, &[u64::from_le_bytes(*b"\x1b[31mhi!")]);
    for (offset, length) in [(4088, 8), (3072, 1024), (0, 0), (4096, 0), (4091, 5)] {
        assert_eq!(write(offset, length), OK);
    }
    let said = parties.machine().console_output();
    assert!(
        said.contains("[31mhi!") && !said.contains("\x1b[31m"),
        "{said}"
    );
    ROOT.put(&parties.sys(party), FREE + 1, FREE, DATA)
        .expect("a copy");
    for words in [[log::CONSOLE, 0, 1], [log::SET_LEVEL, 1, 0]] {
        let status = status_of(&parties, party, FREE + 1, &words, &[slot::MESSAGE]);
        assert_eq!(status, errno(EPERM));
    }
}

/// While the kernel pins, somebody else writes the entry: slot and place must still be of one entry.
#[test]
fn an_entry_is_read_once() {
    let set = setting();
    set.parties.audit_each_step(false);
    let sys = set.parties.sys(set.driver);
    let frame = frame_at(&set.parties, set.driver, abi::boot::layout::MESSAGE).expect("mapped");
    let word = set.parties.processor.memory().word(frame, 0);
    let entry = |n: u64| n | n << 16 | 3 << 32;
    let (stop, rounds) = (AtomicBool::new(false), if cfg!(miri) { 20 } else { 20_000 });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n = (n + 1) % 64;
                word.store(entry(n), Ordering::Relaxed);
            }
        });
        for _ in 0..rounds {
            if APERTURE.pin_batch(&sys, MESSAGE, cap(FREE + 2), 0, 1) != Ok(1) {
                continue;
            }
            for slot in 0..64u16 {
                let held = set.pages.iter().position(|page| {
                    let frame = set.parties.processor.frame(*page);
                    let row = &set.parties.processor.memory().frames[frame.0 as usize];
                    row.pins
                        .iter()
                        .any(|pin| pin.get().used != 0 && pin.get().slot == slot)
                });
                assert!(
                    held.is_none_or(|place| place == usize::from(slot)),
                    "{slot}: {held:?}"
                );
            }
            for slot in 0..64 {
                let _ = APERTURE.unpin(&sys, slot);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    set.parties.check();
}
