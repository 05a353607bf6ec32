//! Capabilities: rights only shrink, void ones never work, a `Resume` is in one place.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EBADF, EINVAL, ENOENT, EPERM, EPIPE, OK, VOID};
use abi::method::process::state;
use proptest::prelude::*;
use sim::parties::{Parties, Party, RANGE, call as invocation, event, reply};
use sys::object::{CapTable, Page, Table};
use sys::{Cap, Event, Message, Sys};

use crate::common::*;

#[test]
fn a_restricted_capability_lacks_what_was_taken() {
    let parties = Parties::new();
    let party = parties.spawn();
    parties.buy(party, FREE, Kind::Page);
    let sys = parties.sys(party);
    let page: Cap<Page> = cap(FREE + 1);
    ROOT.put(&sys, FREE + 1, FREE, Rights::READ)
        .expect("a slot of its own");
    assert!(page.read(&sys, 0).is_ok());
    assert_eq!(page.write(&sys, 0, 1), Err(error(EACCES)));
    assert_eq!(
        status_of(&parties, party, FREE + 1, &[1], &[]),
        errno(EPERM),
        "unmapping needs all"
    );
    ROOT.put(&sys, FREE + 2, slot::PROCESS, Rights::INSPECT)
        .expect("a slot of its own");
    let process: Cap<sys::object::Process> = cap(FREE + 2);
    assert!(process.info(&sys).is_ok());
    assert_eq!(process.make_start(&sys, 1, FREE + 3), Err(error(EPERM)));
    assert_eq!(process.stop(&sys), Err(error(EPERM)));
    ROOT.put(&sys, FREE + 4, sim::parties::SEGMENT, Rights::READ)
        .expect("a slot of its own");
    let table: Cap<Table> = cap(FREE + 4);
    assert_eq!(table.unmap(&sys, 0, 1), Err(error(EPERM)));
    ROOT.put(&sys, FREE + 5, slot::ROOT, Rights::empty())
        .expect("a slot of its own");
    assert_eq!(
        cap::<CapTable>(FREE + 5).clear(&sys, FREE, 1),
        Err(error(EPERM))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 48 }))]

    /// However a capability is copied, put and got, its rights are those that every step left.
    #[test]
    fn rights_never_grow(steps in prop::collection::vec((0u8..3, any::<u8>(), 0u16..6, 0u16..6), 1..24)) {
        let parties = Parties::new();
        parties.audit_each_step(false);
        let party = parties.spawn();
        let sys = parties.sys(party);
        let mut model = [None; 6];
        parties.buy(party, FREE, Kind::CapTable);
        model[0] = Some(Rights::FULL);
        for (how, bits, from, to) in steps {
            let rights = Rights::from_bits_retain(bits);
            match how {
                0 => {
                    let put = ROOT.put(&sys, FREE + to, FREE + from, rights);
                    prop_assert_eq!(put.is_ok(), model[from as usize].is_some());
                    if let Some(had) = model[from as usize] {
                        model[to as usize] = Some(had & rights);
                    }
                }
                1 => {
                    let got = ROOT.get(&sys, FREE + from, FREE + to);
                    prop_assert_eq!(got.is_ok(), model[from as usize].is_some());
                    if got.is_ok() {
                        model[to as usize] = model[from as usize];
                    }
                }
                _ => {
                    let moved = ROOT.relocate(&sys, FREE + from, FREE + to);
                    prop_assert_eq!(moved.is_ok(), model[from as usize].is_some());
                    if moved.is_ok() {
                        let had = model[from as usize].take();
                        model[to as usize] = had;
                    }
                }
            }
            for (n, rights) in model.iter().enumerate() {
                let described = ROOT.describe(&sys, FREE + n as u16).expect("a slot of its own");
                let expected = match rights {
                    Some(rights) => (Kind::CapTable as u8, *rights),
                    None => (Kind::Void as u8, Rights::empty()),
                };
                prop_assert_eq!(described, expected);
            }
        }
    }
}

/// Every way to use a capability to what was rescinded.
fn never_works(parties: &Parties, party: Party, address: u16) {
    let sys = parties.sys(party);
    for method in 0..12 {
        assert_eq!(status_of(parties, party, address, &[method], &[]), VOID);
    }
    assert_eq!(sys.send(address, &Message::new(&[1])), VOID);
    assert_eq!(
        ROOT.describe(&sys, address),
        Ok((Kind::Void as u8, Rights::empty()))
    );
    assert_eq!(ROOT.get(&sys, address, 119), Err(error(ENOENT)));
    assert_eq!(ROOT.relocate(&sys, address, 119), Err(error(ENOENT)));
    assert_eq!(
        ROOT.put(&sys, 119, address, Rights::FULL),
        Err(sys::Error::VOID)
    );
    assert_eq!(
        SPACE.map(&sys, 300, cap::<Table>(address), DATA),
        Err(sys::Error::VOID)
    );
    parties.copy((party, slot::ROOT), (parties.bank(), 40), Rights::FULL);
    let bank = parties.sys(parties.bank());
    assert!(
        cap::<CapTable>(40).get(&bank, address, 41).is_err(),
        "nor for anybody else"
    );
}

#[test]
fn a_void_capability_never_works() {
    for kind in [
        Kind::Page,
        Kind::Table1,
        Kind::Table2,
        Kind::Table3,
        Kind::Table4,
        Kind::CapTable,
        Kind::Process,
        Kind::Aperture,
    ] {
        let parties = Parties::new();
        let party = parties.spawn();
        let oid = parties.buy(party, FREE, kind);
        ROOT.put(&parties.sys(party), FREE + 1, FREE, Rights::READ)
            .expect("a copy");
        assert_eq!(parties.rescind(&[oid]), [false]);
        never_works(&parties, party, FREE);
        never_works(&parties, party, FREE + 1);
        // Nor when the object is sold again, as the same kind, to the same party.
        let bank = parties.sys(parties.bank());
        RANGE
            .mint(&bank, oid.0, kind as u8, 40)
            .expect("it is free");
        parties.give(party, FREE + 2, oid, Rights::FULL);
        never_works(&parties, party, FREE);
        assert!(!is_void(&parties, party, FREE + 2));
    }
}

#[test]
fn start_and_notify_die_with_their_process() {
    let parties = Parties::new();
    let (client, server) = (parties.spawn(), parties.spawn());
    start_of(&parties, server, 7, client, FREE);
    notify_of(&parties, server, 9, client, FREE + 1);
    parties.rescind(&[server.oid()]);
    never_works(&parties, client, FREE);
    never_works(&parties, client, FREE + 1);
}

#[test]
fn addresses_of_two_levels_need_a_table_that_may_be_managed() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    let table = parties.buy(party, 64, Kind::CapTable);
    parties.buy(party, FREE, Kind::Page);
    cap::<CapTable>(64)
        .put(&sys, 5, FREE, Rights::READ)
        .expect("its own table");
    let (deep, weak) = (64 << 7 | 5, 65 << 7 | 5);
    assert!(cap::<Page>(deep).read(&sys, 0).is_ok());
    assert!(is_void(&parties, party, 64 << 7 | 6), "an empty slot");
    ROOT.put(&sys, 65, 64, Rights::FULL - Rights::MANAGE)
        .expect("a slot of its own");
    assert!(is_void(&parties, party, weak), "a table without the right");
    assert!(
        is_void(&parties, party, FREE << 7 | 5),
        "a page is no table"
    );
    assert!(is_void(&parties, party, 66 << 7), "an empty root slot");
    for beyond in [0, 128 << 7, u16::MAX] {
        assert!(is_void(&parties, party, beyond), "{beyond}");
    }
    let mut wide = invocation(deep, &Message::new(&[2]));
    wide.rdi |= 1 << 16;
    assert_eq!(
        reply(&parties.invoke(party, wide)).status,
        VOID,
        "bits above the address count"
    );
    parties.rescind(&[table]);
    assert!(
        is_void(&parties, party, deep),
        "with its table, a slot is gone"
    );
}

#[test]
fn arguments_must_be_of_the_right_kind() {
    let parties = Parties::new();
    let (party, server) = (parties.spawn(), parties.spawn());
    start_of(&parties, server, 1, party, FREE);
    let sys = parties.sys(party);
    assert_eq!(
        SPACE.map(&sys, 300, cap::<Table>(FREE), DATA),
        Err(error(EBADF)),
        "a server"
    );
    assert_eq!(
        SPACE.map(&sys, 300, cap::<Table>(slot::ROOT), DATA),
        Err(error(EBADF))
    );
    assert_eq!(
        SPACE.map(&sys, 300, cap::<Table>(FREE + 9), DATA),
        Err(sys::Error::VOID)
    );
    assert_eq!(
        ROOT.put(&sys, 128, FREE, Rights::FULL),
        Err(error(EINVAL)),
        "a slot beyond the table"
    );
}

/// A server that holds a caller, as a `Resume` in its slot `FREE`.
fn held_caller() -> (Parties, Party, Party) {
    let parties = Parties::new();
    let (client, server) = (parties.spawn(), parties.spawn());
    start_of(&parties, server, 7, client, FREE);
    let wait = sim::parties::registers(abi::invoke::Op::Wait, OK, 0, &Message::default());
    parties.begin(server, wait);
    parties.begin(client, invocation(FREE, &Message::new(&[1])));
    assert!(matches!(
        event(&parties.answer(server).expect("a call came")),
        Event::Request(request) if request.call && request.badge == 7
    ));
    assert_eq!(parties.sys(server).save_caller(FREE), OK);
    assert_eq!(parties.state(client), state::CALLING);
    (parties, client, server)
}

fn got(parties: &Parties, client: Party, expected: u32) {
    let answer = parties.answer(client).expect("the caller goes on");
    assert_eq!(reply(&answer).status, expected);
}

#[test]
fn a_resume_moves() {
    let (parties, client, server) = held_caller();
    let sys = parties.sys(server);
    ROOT.put(&sys, FREE + 1, FREE, Rights::FULL).expect("moved");
    assert!(is_void(&parties, server, FREE));
    ROOT.get(&sys, FREE + 1, FREE + 2).expect("moved");
    assert!(is_void(&parties, server, FREE + 1));
    ROOT.relocate(&sys, FREE + 2, FREE + 3).expect("moved");
    assert!(is_void(&parties, server, FREE + 2));
    assert_eq!(parties.state(client), state::CALLING);
    assert_eq!(sys.resume(FREE + 3, 42, &Message::new(&[5])), OK);
    got(&parties, client, 42);
    assert_eq!(
        sys.resume(FREE + 3, 42, &Message::new(&[5])),
        VOID,
        "it works once"
    );
}

#[test]
fn a_resume_moves_in_a_message() {
    let (parties, client, server) = held_caller();
    let other = parties.spawn();
    start_of(&parties, other, 1, server, FREE + 1);
    let wait = Message::default().receiving(&[FREE + 5]);
    let wait = sim::parties::registers(abi::invoke::Op::Wait, OK, 0, &wait);
    parties.begin(other, wait);
    let sent = parties
        .sys(server)
        .send(FREE + 1, &Message::new(&[1]).with_caps(&[FREE]));
    assert_eq!(sent, OK);
    assert!(is_void(&parties, server, FREE));
    assert_eq!(parties.state(client), state::CALLING);
    assert_eq!(
        parties.sys(other).resume(FREE + 5, 3, &Message::default()),
        OK
    );
    got(&parties, client, 3);
}

#[test]
fn a_caller_whose_resume_is_overwritten_gets_an_error() {
    let (parties, client, server) = held_caller();
    ROOT.put(&parties.sys(server), FREE, slot::ROOT, Rights::FULL)
        .expect("a slot of its own");
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_caller_whose_resume_is_cleared_gets_an_error() {
    let (parties, client, server) = held_caller();
    ROOT.clear(&parties.sys(server), FREE, 1)
        .expect("a slot of its own");
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_caller_whose_resume_is_rescinded_with_its_table_gets_an_error() {
    let (parties, client, server) = held_caller();
    let table = parties.buy(server, FREE + 1, Kind::CapTable);
    let sys = parties.sys(server);
    cap::<CapTable>(FREE + 1)
        .put(&sys, 9, FREE, Rights::FULL)
        .expect("its own table");
    assert_eq!(parties.state(client), state::CALLING);
    parties.rescind(&[table]);
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_resume_got_into_no_slot_is_dropped_with_an_error() {
    let (parties, client, server) = held_caller();
    ROOT.get(&parties.sys(server), FREE, 0)
        .expect("there is one");
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_resume_overwritten_by_a_kernel_answer_is_dropped_with_an_error() {
    let (parties, client, server) = held_caller();
    PROCESS
        .make_start(&parties.sys(server), 1, FREE)
        .expect("its own process");
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_resume_overwritten_by_a_message_is_dropped_with_an_error() {
    let (parties, client, server) = held_caller();
    let other = parties.spawn();
    start_of(&parties, server, 1, other, FREE);
    let wait = Message::default().receiving(&[FREE]);
    let wait = sim::parties::registers(abi::invoke::Op::Wait, OK, 0, &wait);
    parties.begin(server, wait);
    let message = Message::new(&[1]).with_caps(&[slot::MESSAGE]);
    assert_eq!(parties.sys(other).send(FREE, &message), OK);
    got(&parties, client, errno(EPIPE));
}

#[test]
fn a_resume_for_a_process_that_was_stopped_is_void() {
    let (parties, client, server) = held_caller();
    parties.copy((client, slot::PROCESS), (server, FREE + 1), Rights::FULL);
    cap::<sys::object::Process>(FREE + 1)
        .stop(&parties.sys(server))
        .expect("it may");
    assert!(is_void(&parties, server, FREE));
    cap::<sys::object::Process>(FREE + 1)
        .start(&parties.sys(server))
        .expect("it may");
    got(&parties, client, errno(EPIPE));
}

#[test]
fn what_a_rescinded_process_served_is_given_up() {
    let parties = Parties::new();
    let (client, server) = (parties.spawn(), parties.spawn());
    start_of(&parties, server, 7, client, FREE);
    let wait = sim::parties::registers(abi::invoke::Op::Wait, OK, 0, &Message::default());
    parties.begin(server, wait);
    parties.begin(client, invocation(FREE, &Message::new(&[1])));
    assert_eq!(parties.state(client), state::CALLING);
    parties.rescind(&[server.oid()]);
    got(&parties, client, errno(EPIPE));
}

/// The direct path once looked slot 0 up like any other, the general path never did.
#[test]
fn address_zero_names_nothing_whatever_slot_zero_holds() {
    let (parties, client, server) = held_caller();
    let sys = parties.sys(server);
    let page = parties.buy(server, FREE + 1, Kind::Page);
    start_of(&parties, server, 7, server, FREE + 2);
    notify_of(&parties, server, 3, server, FREE + 3);
    for held in [FREE + 1, FREE + 2, FREE + 3] {
        ROOT.put(&sys, 0, held, Rights::FULL).expect("a slot");
        assert!(is_void(&parties, server, 0));
        let sent = sys.send(0, &Message::new(&[1]));
        assert_eq!(sent, VOID, "slot {held}");
        // Nor is it an argument.
        let put = status_of(
            &parties,
            server,
            slot::ROOT,
            &[abi::method::cap_table::PUT, 9],
            &[0],
        );
        assert_eq!(put, VOID, "slot {held}");
    }
    assert_eq!(sys.poll([0; 4]), None, "nobody was signalled");
    // Whoever manages the table still reaches the slot.
    ROOT.put(&sys, 0, FREE + 1, Rights::FULL).expect("a slot");
    ROOT.relocate(&sys, 0, FREE + 4).expect("it holds the page");
    assert_eq!(parties.named(server, FREE + 4), page);
    // A caller isn't answered through it either, and is still there afterwards.
    ROOT.put(&sys, 0, FREE, Rights::FULL).expect("it moves");
    assert_eq!(sys.resume(0, 4, &Message::default()), VOID);
    assert_eq!(parties.state(client), state::CALLING);
    ROOT.relocate(&sys, 0, FREE).expect("it moves back");
    assert_eq!(sys.resume(FREE, 5, &Message::default()), OK);
    got(&parties, client, 5);
}
