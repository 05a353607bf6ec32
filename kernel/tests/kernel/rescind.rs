//! Rescinding: in pieces, at once for whoever would use it, and never waiting for anybody.

use abi::batch::{RESCIND_FREED, RESCIND_LIMBO};
use abi::boot::{layout, slot};
use abi::cap::{Kind, Rights};
use abi::error::{EINVAL, ENOENT, EPIPE, MORE, OK, VOID};
use abi::fault::Cause;
use abi::method::process::state;
use abi::method::range as method;
use kernel::object::{Oid, State};
use sim::mmu::Access;
use sim::parties::{Parties, Party, RANGE, call as invocation, reply};
use sys::object::{CapTable, Page, Process, Table};
use sys::{Cap, Event, Message, Sys};

use crate::common::*;

fn state_of(parties: &Parties, oid: Oid) -> State {
    parties.processor.memory().objects[oid.0 as usize]
        .state
        .get()
}

/// Begins to rescind an object, so late in a piece that the piece ends before the object does.
fn begin(parties: &Parties, oid: Oid) {
    let bank = parties.bank();
    let before = (0..15).map(|_| parties.mint(Kind::Page));
    let words: Vec<u64> = before.chain([oid]).map(|oid| oid.0.into()).collect();
    parties.write_batch(bank, 0, &words);
    let done = RANGE.rescind(&parties.sys(bank), cap(slot::MESSAGE), 0, 16);
    assert_eq!(done, Ok((15, true)));
    assert_eq!(state_of(parties, oid), State::Dying);
}

#[test]
fn a_freed_object_has_a_new_version_and_a_zeroed_frame() {
    let parties = Parties::new();
    let party = parties.spawn();
    let oid = parties.buy(party, FREE, Kind::Page);
    let page: Cap<Page> = cap(FREE);
    page.write(&parties.sys(party), 4088, 77).expect("its own");
    let (version, frame) = (parties.processor.version(oid), parties.processor.frame(oid));
    assert_eq!(parties.rescind(&[oid]), [false]);
    assert_eq!(parties.processor.version(oid), version + 1);
    assert_eq!(
        parties.processor.frame(oid),
        frame,
        "an object keeps its frame"
    );
    assert_eq!(parties.read_word(frame, 4088), 0);
    assert_eq!(state_of(&parties, oid), State::Free);
}

#[test]
fn a_batch_says_what_became_of_each() {
    let parties = Parties::new();
    let bank = parties.bank();
    let (live, free, gone) = (
        parties.mint(Kind::Page),
        Oid(parties.processor.memory().objects.len() as u32 - 1),
        u32::MAX,
    );
    let twice = live;
    let words = [live.0, free.0, gone, twice.0].map(u64::from);
    parties.write_batch(bank, 0, &words);
    let (done, more) = RANGE
        .rescind(&parties.sys(bank), cap(slot::MESSAGE), 0, 4)
        .expect("a batch");
    assert_eq!((done, more), (4, false));
    let results = [0, 8, 16, 24].map(|offset| (parties.read_batch(bank, offset) >> 32) as u32);
    assert_eq!(
        results,
        [RESCIND_FREED, errno(ENOENT), errno(EINVAL), errno(ENOENT)]
    );
    assert_eq!(
        parties.read_batch(bank, 16) as u32,
        gone,
        "what was asked stands there still"
    );
}

#[test]
fn a_long_batch_is_done_in_pieces() {
    let parties = Parties::new();
    let bank = parties.bank();
    let oids: Vec<Oid> = (0..64).map(|_| parties.mint(Kind::Page)).collect();
    let words: Vec<u64> = oids.iter().map(|oid| oid.0.into()).collect();
    parties.write_batch(bank, 0, &words);
    let (mut first, mut pieces) = (0, 0);
    loop {
        let words = [method::RESCIND, first * 8, 64 - first];
        let answer = call(&parties, bank, slot::BANK_RANGE, &words, &[slot::MESSAGE]);
        pieces += 1;
        if answer.status == OK {
            assert_eq!(first + answer.words[0], 64);
            break;
        }
        assert_eq!(answer.status, MORE);
        assert!(answer.words[0] < 64 - first);
        first += answer.words[0];
    }
    assert!((2..=8).contains(&pieces), "{pieces}");
    assert!(
        oids.iter()
            .all(|oid| state_of(&parties, *oid) == State::Free)
    );
}

#[test]
fn a_table_is_void_and_unmapped_from_the_first_piece_on() {
    let parties = Parties::with_objects(1200);
    let party = parties.spawn();
    let sys = parties.sys(party);
    let segment = parties.buy(party, FREE, Kind::Table1);
    let own: Cap<Table> = cap(FREE);
    SPACE.map(&sys, 200, own, DATA).expect("empty");
    let mut pages = Vec::new();
    parties.audit_each_step(false);
    for place in 0..512 {
        pages.push(parties.buy(party, FREE + 1, Kind::Page));
        own.map(&sys, place, cap::<Page>(FREE + 1), DATA)
            .expect("empty");
    }
    parties.audit_each_step(true);
    let address = |place: u64| (200 << 21) + (place << 12);
    assert!(touch(&parties, party, address(511), Access::Write));
    begin(&parties, segment);
    assert!(is_void(&parties, party, FREE));
    for place in [0, 300, 511] {
        assert!(!touch(&parties, party, address(place), Access::Read));
    }
    // Meanwhile a page that was mapped there is rescinded, and one finds another home when its entry
    // is cleared.
    assert_eq!(parties.rescind(&[pages[511]]), [false]);
    parties.give(party, FREE + 1, pages[0], Rights::FULL);
    let _ = SEGMENT.map(&sys, 50, cap::<Page>(FREE + 1), DATA);
    while parties.rescind_piece(segment).is_none() {}
    assert_eq!(state_of(&parties, segment), State::Free);
    parties.give(party, FREE + 1, pages[1], Rights::FULL);
    SEGMENT
        .map(&sys, 51, cap::<Page>(FREE + 1), DATA)
        .expect("it has no home");
}

#[test]
fn every_level_of_a_space_can_go_first() {
    for gone in 0..4 {
        let parties = Parties::new();
        let party = parties.spawn();
        page_at(&parties, party, 5, DATA);
        assert!(touch(&parties, party, address_of(5), Access::Write));
        let tables: Vec<Oid> = (0..4)
            .map(|n| parties.named(party, sim::parties::TABLES + n))
            .collect();
        assert_eq!(parties.rescind(&[tables[gone]]), [false]);
        if gone == 0 {
            assert_eq!(parties.state(party), state::STOPPED, "it has no space");
        } else {
            assert!(!touch(&parties, party, address_of(5), Access::Read));
        }
        let rest: Vec<Oid> = (0..4).filter(|n| *n != gone).map(|n| tables[n]).collect();
        assert_eq!(parties.rescind(&rest), [false; 3]);
    }
}

#[test]
fn who_loses_its_space_or_its_capabilities_stops_and_its_keeper_is_told() {
    for kind in [Kind::Table4, Kind::CapTable] {
        let parties = Parties::new();
        let (victim, keeper) = (parties.spawn(), parties.spawn());
        let bank = parties.sys(parties.bank());
        parties.copy(
            (victim, slot::PROCESS),
            (parties.bank(), FREE),
            Rights::FULL,
        );
        let process: Cap<Process> = cap(FREE);
        notify_of(&parties, keeper, 5, parties.bank(), FREE + 1);
        process.stop(&bank).expect("it may");
        let start = sys::object::Registers {
            instruction: layout::IMAGE,
            stack: layout::STACK_TOP,
            priority: 60,
            argument: 0,
        };
        let (root, space) = (parties.root_of(victim), cap(FREE + 2));
        let table = parties.named(victim, sim::parties::TABLES);
        parties.give(parties.bank(), FREE + 2, table, Rights::FULL);
        process
            .configure(&bank, start, root, space, FREE + 1)
            .expect("stopped");
        process.start(&bank).expect("configured");
        let gone = match kind {
            Kind::Table4 => table,
            _ => parties.process(victim).root_oid.get(),
        };
        assert_eq!(parties.rescind(&[gone]), [false]);
        assert_eq!(parties.state(victim), state::STOPPED);
        let info = process.info(&bank).expect("it is there");
        assert_eq!(info.fault as u8, Cause::Space as u8);
        let told = parties.sys(keeper).poll([0; 4]);
        assert_eq!(told, Some(Event::Notified { group: 0, bits: 32 }));
        assert_eq!(
            process.start(&bank),
            Err(error(EINVAL)),
            "it has nothing to run in"
        );
    }
}

#[test]
fn a_process_stops_at_once_whatever_it_waits_for() {
    let parties = Parties::new();
    let (server, other) = (parties.spawn(), parties.spawn());
    let victims: Vec<_> = (0..4).map(|_| parties.spawn()).collect();
    for victim in &victims {
        start_of(&parties, server, 1, *victim, FREE);
        start_of(&parties, *victim, 1, other, FREE);
    }
    let wait = sim::parties::registers(abi::invoke::Op::Wait, OK, 0, &Message::default());
    // Served, queued, waiting, ready.
    parties.begin(server, wait);
    parties.begin(victims[0], invocation(FREE, &Message::new(&[1])));
    parties.begin(victims[1], invocation(FREE, &Message::new(&[1])));
    parties.begin(victims[2], wait);
    let states = [state::CALLING, state::QUEUED, state::WAITING, state::READY];
    for (victim, expected) in victims.iter().zip(states) {
        assert_eq!(parties.state(*victim), expected);
        let oid = victim.oid();
        assert_eq!(parties.rescind(&[oid]), [false]);
        assert_eq!(state_of(&parties, oid), State::Free);
    }
    // The server's reply goes nowhere, and the queue is empty.
    let answer = sim::parties::registers(abi::invoke::Op::ReplyWait, OK, 0, &Message::default());
    parties.begin(server, answer);
    assert_eq!(parties.state(server), state::WAITING);
}

#[test]
fn callers_of_a_process_are_told_in_pieces_and_none_is_forgotten() {
    let parties = Parties::with_objects(700);
    parties.audit_each_step(false);
    let server = parties.spawn();
    let clients: Vec<_> = (0..25).map(|_| parties.spawn()).collect();
    for client in &clients {
        start_of(&parties, server, 1, *client, FREE);
        parties.begin(*client, invocation(FREE, &Message::new(&[1])));
    }
    parties.audit_each_step(true);
    begin(&parties, server.oid());
    let told = |client: &Party| parties.answer(*client).is_some();
    let first = clients.iter().filter(|client| told(client)).count();
    assert!((1..25).contains(&first), "{first} of 25 in the first piece");
    assert!(clients[..first].iter().all(told), "in their order");
    assert_eq!(parties.rescind(&[server.oid()]), [false]);
    for client in &clients {
        let answer = parties.answer(*client).expect("told");
        assert_eq!(reply(&answer).status, errno(EPIPE));
        assert!(is_void(&parties, *client, FREE));
    }
}

#[test]
fn a_process_that_dies_in_pieces_takes_no_new_callers() {
    let parties = Parties::with_objects(700);
    parties.audit_each_step(false);
    let server = parties.spawn();
    let (client, late) = (parties.spawn(), parties.spawn());
    let clients: Vec<_> = (0..25).map(|_| parties.spawn()).collect();
    for client in clients.iter().chain([&client, &late]) {
        start_of(&parties, server, 1, *client, FREE);
    }
    for client in &clients {
        parties.begin(*client, invocation(FREE, &Message::new(&[1])));
    }
    begin(&parties, server.oid());
    parties.audit_each_step(true);
    parties.check();
    assert_eq!(status_of(&parties, late, FREE, &[1], &[]), VOID);
    // Somebody in the dying server's queue is rescinded himself.
    let queued = clients
        .iter()
        .find(|client| parties.state(**client) == state::QUEUED);
    let queued = queued.expect("some are left").oid();
    assert_eq!(parties.rescind(&[queued]), [false]);
    assert_eq!(parties.rescind(&[server.oid()]), [false]);
}

#[test]
fn limbo_is_a_result_of_its_own() {
    let set = crate::aperture::setting();
    let sys = set.parties.sys(set.driver);
    crate::aperture::APERTURE
        .pin(&sys, 0, cap(FREE + 2), 0, 1)
        .expect("may be pinned");
    let bank = set.parties.bank();
    set.parties
        .write_batch(bank, 0, &[set.pages[0].0.into(), set.pages[1].0.into()]);
    RANGE
        .rescind(&set.parties.sys(bank), cap(slot::MESSAGE), 0, 2)
        .expect("a batch");
    let results = [0, 8].map(|offset| (set.parties.read_batch(bank, offset) >> 32) as u32);
    assert_eq!(results, [RESCIND_LIMBO, RESCIND_FREED]);
    set.parties.write_batch(bank, 0, &[set.pages[0].0.into()]);
    RANGE
        .rescind(&set.parties.sys(bank), cap(slot::MESSAGE), 0, 1)
        .expect("a batch");
    let result = (set.parties.read_batch(bank, 0) >> 32) as u32;
    assert_eq!(result, errno(ENOENT), "once is enough");
}

#[test]
fn a_cap_table_in_use_by_several_goes_from_all() {
    let parties = Parties::new();
    let (one, other) = (parties.spawn(), parties.spawn());
    let table = parties.buy(one, 64, Kind::CapTable);
    parties.give(other, 64, table, Rights::FULL);
    parties.buy(one, FREE, Kind::Page);
    cap::<CapTable>(64)
        .put(&parties.sys(one), 3, FREE, Rights::READ)
        .expect("its own");
    let deep: Cap<Page> = cap(64 << 7 | 3);
    assert!(deep.read(&parties.sys(other), 0).is_ok());
    parties.rescind(&[table]);
    assert!(is_void(&parties, one, deep.address()) && is_void(&parties, other, deep.address()));
    let sys = parties.sys(one);
    assert!(
        cap::<Page>(FREE).read(&sys, 0).is_ok(),
        "what it held lives on"
    );
}
