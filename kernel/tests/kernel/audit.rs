//! Audits in pieces: they find what an audit of everything at once finds, and nothing else, whatever goes
//! on between the pieces.

use std::sync::atomic::Ordering;

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EINVAL, OK};
use abi::method::{probe as method, process::state};
use kernel::audit::{Cursor, Piece, Violation};
use kernel::frame::Frame;
use kernel::object::{Oid, Parent, State};
use kernel::process::{Links, Process};
use sim::parties::{Parties, Party, call as invocation};
use sys::{Message, Sys};

use crate::aperture::{BOTH, setting};
use crate::common::*;
use crate::message::{SERVER, answered, reply_registers, server_with, wait_registers};

/// Audits in pieces, with something done after each. Answers whether calls could be compared.
fn audit_while(parties: &Parties, mut between: impl FnMut(usize)) -> Result<bool, Violation> {
    let mut at = Cursor::start(true);
    for n in 0.. {
        match parties.processor.kernel().audit_piece(at)? {
            Piece::More(next) => {
                // As whoever asks for it hands it back.
                at = Cursor::unpack(next.pack()).expect("it was handed out");
                assert_eq!(at, next);
                between(n);
            }
            Piece::Done { compared } => return Ok(compared),
        }
    }
    unreachable!("it comes to an end")
}

/// Both ways of looking find something of this number.
fn both_find(parties: &Parties, code: u64) {
    let kernel = parties.processor.kernel();
    let whole = kernel
        .audit()
        .and_then(|()| {
            let all = 0..parties.processor.memory().objects.len() as u32;
            all.map(Oid).try_for_each(|oid| kernel.audit_zeroed(oid))
        })
        .expect_err("something is wrong");
    let pieces = audit_while(parties, |_| {}).expect_err("something is wrong");
    assert_eq!(
        (whole.code(), pieces.code()),
        (code, code),
        "{whole}; {pieces}"
    );
}

/// Breaks something for as long as both ways look for it.
fn broken<T: Copy>(parties: &Parties, cell: &std::cell::Cell<T>, wrong: T, code: u64) {
    let right = cell.replace(wrong);
    both_find(parties, code);
    cell.set(right);
}

fn row(parties: &Parties, oid: Oid) -> &kernel::object::ObjectRow {
    &parties.processor.memory().objects[oid.0 as usize]
}

fn process(parties: &Parties, party: Party) -> &Process {
    parties.process(party)
}

#[test]
fn pieces_find_what_is_wrong_with_one_object() {
    let set = setting();
    let parties = &set.parties;
    set.pin(1, 4, BOTH).expect("may be pinned");
    parties.audit_each_step(false);
    assert_eq!(audit_while(parties, |_| {}), Ok(true));

    let page = row(parties, set.pages[7]);
    broken(
        parties,
        &page.frame,
        row(parties, set.pages[8]).frame.get(),
        1,
    );
    broken(parties, &page.progress, 1, 2);
    broken(parties, &page.parents[0], Parent::NONE, 4);
    broken(parties, &page.partner, set.pages[1], 2);
    let frame =
        &parties.processor.memory().frames[row(parties, set.pages[4]).frame.get().0 as usize];
    broken(parties, &frame.pins[0], kernel::frame::Pin::NONE, 6);
    let aperture = row(parties, set.aperture);
    broken(parties, &aperture.slots, 0, 2);
    let driver = process(parties, set.driver);
    broken(parties, &driver.groups, 1, 8);
    broken(parties, &driver.timer, 1, 8);
}

#[test]
fn pieces_find_entries_and_slots_at_the_end_of_a_table() {
    let set = setting();
    let parties = &set.parties;
    parties.audit_each_step(false);
    let memory = parties.processor.memory();
    let word = memory.word(row(parties, set.segment).frame.get(), 511);
    word.store(1 << 9, Ordering::Relaxed);
    both_find(parties, 4);
    word.store(0, Ordering::Relaxed);
    let word = memory.word(row(parties, set.aperture).frame.get(), 511);
    word.store(1 << 20, Ordering::Relaxed);
    both_find(parties, 6);
    word.store(0, Ordering::Relaxed);
    let free = memory.objects.iter().rev();
    let free = free.clone().find(|row| row.state.get() == State::Free);
    let word = memory.word(free.expect("something is free").frame.get(), 511);
    word.store(1, Ordering::Relaxed);
    both_find(parties, 3);
    word.store(0, Ordering::Relaxed);
}

#[test]
fn pieces_find_objects_that_came_into_a_state_and_were_not_counted() {
    let parties = Parties::new();
    parties.audit_each_step(false);
    let free = parties.processor.memory().objects.iter();
    let free = free.clone().find(|row| row.state.get() == State::Free);
    let free = free.expect("something is free");
    free.kind.set(Kind::Page);
    broken(&parties, &free.state, State::Live, 13);
    // In limbo, with nothing that holds it, and in no list.
    broken(&parties, &free.state, State::Limbo, 13);
    free.kind.set(Kind::Void);
}

#[test]
fn pieces_find_who_is_ready_and_stands_in_no_queue() {
    let (parties, server, clients) = server_with(2);
    parties.run(server);
    parties.audit_each_step(false);
    let (first, second) = (process(&parties, clients[0]), process(&parties, clients[1]));
    assert_eq!(first.state.get(), state::READY);
    // They know each other, and nobody else knows them.
    let links = [first.links.get(), second.links.get()];
    let ring = |other: &Process| Links {
        before: other.frame.get(),
        after: other.frame.get(),
    };
    first.links.set(ring(second));
    second.links.set(ring(first));
    let found = audit_while(&parties, |_| {}).expect_err("a ring");
    assert!(matches!(found, Violation::Process { .. }), "{found}");
    first.links.set(links[0]);
    second.links.set(links[1]);
    // Asleep, and in a queue.
    let was = first.state.replace(state::WAITING);
    let found = audit_while(&parties, |_| {}).expect_err("asleep");
    assert!(matches!(found, Violation::Process { .. }), "{found}");
    first.state.set(was);
    broken(
        &parties,
        &second.waits_for,
        server_frame(&parties, server),
        8,
    );
}

fn server_frame(parties: &Parties, server: Party) -> Frame {
    process(parties, server).frame.get()
}

#[test]
fn pieces_find_a_call_that_nobody_can_answer_or_two_can() {
    let (parties, server, clients) = server_with(2);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    parties.run(server);
    parties.audit_each_step(false);
    let (server, client) = (process(&parties, server), process(&parties, clients[1]));
    let (caller, token) = (server.caller.get(), server.caller_token.get());
    broken(&parties, &server.caller, Oid::NONE, 11);
    client.caller_token.set(token);
    broken(&parties, &client.caller, caller, 11);
    client.caller_token.set(0);
    assert_eq!(audit_while(&parties, |_| {}), Ok(true));
}

#[test]
fn what_is_bought_and_revoked_between_two_pieces_is_no_disagreement() {
    let set = setting();
    let parties = &set.parties;
    parties.audit_each_step(false);
    let (mut bought, mut n) = (Vec::new(), 0);
    // Several times, since each takes few pieces here.
    let done = (0..8).try_fold(true, |_, _| {
        audit_while(parties, |_| {
            let (page, place) = (set.pages[n / 3 % 64], (n / 3 % 64) as u16);
            match n % 3 {
                _ if n >= 3 * 64 => {}
                0 => {
                    bought.push(parties.mint(Kind::Page));
                    set.pin(place, place, BOTH).expect("once each");
                }
                1 => assert_eq!(parties.rescind(&[page]), [true], "into limbo"),
                _ => {
                    set.unpin(place).expect("pinned");
                    assert_eq!(parties.reap(), [page]);
                    parties.rescind(&std::mem::take(&mut bought));
                }
            }
            n += 1;
        })
    });
    assert!(n > 3);
    assert_eq!(done, Ok(true));
}

#[test]
fn calls_that_come_and_go_are_no_disagreement_and_answers_that_move_are_said() {
    // So many that walking over them takes several pieces.
    let parties = Parties::with_objects(4096);
    parties.audit_each_step(false);
    let (server, client) = (parties.spawn(), parties.spawn());
    start_of(&parties, server, 1, client, SERVER);
    let ask = || parties.begin(client, invocation(SERVER, &Message::new(&[1])));
    parties.begin(server, wait_registers(&[]));
    ask();
    let answer = || {
        parties.begin(server, reply_registers(9, &[]));
        assert_eq!(answered(&parties, client).status, 9);
        ask();
    };
    // Whether there is one that could be compared depends on when it began.
    assert!(audit_while(&parties, |_| answer()).is_ok());
    // A `Resume` that moves, nobody can be sure to have walked past.
    assert_eq!(parties.sys(server).save_caller(FREE), OK);
    let sys = parties.sys(server);
    let there_and_back = |n: usize| {
        let (from, to) = (FREE + (n % 2) as u16, FREE + 1 - (n % 2) as u16);
        ROOT.put(&sys, to, from, Rights::FULL).expect("it moves");
    };
    assert_eq!(audit_while(&parties, there_and_back), Ok(false));
    assert_eq!(audit_while(&parties, |_| {}), Ok(true));
}

#[test]
fn a_cursor_that_was_made_up_is_refused_or_leads_to_the_end() {
    let parties = Parties::new();
    let injector = parties.spawn();
    parties.copy_from_init(slot::INIT_PROBE, (injector, FREE), Rights::FULL);
    let ask = |word: u64| {
        let words = [method::AUDIT, word, u64::MAX, u64::MAX, 0, 7];
        status_of(&parties, injector, FREE, &words, &[])
    };
    assert_eq!(ask(9 << 2), errno(EINVAL));
    assert_eq!(ask(0x3f << 2), errno(EINVAL));
    parties.audit_each_step(false);
    for phase in 0..9u64 {
        for (index, part) in [(0, 0xffff), (u64::from(u32::MAX), 3), (100, 512)] {
            let status = ask(phase << 2 | 0xff << 8 | part << 16 | index << 32);
            assert!(
                status == OK || status == abi::error::MORE,
                "{phase} {index}"
            );
        }
    }
}
