//! Messages between processes: who gets what, in which order, and who is told when nobody answers.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EINVAL, EPIPE, OK, Status, VOID};
use abi::invoke::Op;
use abi::method::process::state;
use kernel::process::Registers;
use sim::parties::{Parties, Party, call as invocation, event, registers, reply};
use sys::object::Page;
use sys::{Cap, Event, Message, Reply, Request, Sys};

use crate::common::*;

/// Where clients have their server.
pub const SERVER: u16 = FREE;

/// A server and clients that have it under their own badges, 1, 2, …
pub fn server_with(clients: usize) -> (Parties, Party, Vec<Party>) {
    let parties = Parties::new();
    let server = parties.spawn();
    let clients: Vec<Party> = (0..clients).map(|_| parties.spawn()).collect();
    for (n, client) in clients.iter().enumerate() {
        start_of(&parties, server, n as u64 + 1, *client, SERVER);
    }
    (parties, server, clients)
}

pub fn wait_registers(receive: &[u16]) -> Registers {
    registers(Op::Wait, OK, 0, &Message::default().receiving(receive))
}

pub fn reply_registers(status: Status, words: &[u64]) -> Registers {
    registers(Op::ReplyWait, status, 0, &Message::new(words))
}

pub fn request(parties: &Parties, server: Party) -> Request {
    match event(&parties.answer(server).expect("something came")) {
        Event::Request(request) => request,
        Event::Notified { .. } => panic!("a notification, not a message"),
    }
}

pub fn answered(parties: &Parties, client: Party) -> Reply {
    reply(&parties.answer(client).expect("it was answered"))
}

#[test]
fn words_and_status_go_to_and_fro() {
    let (parties, server, clients) = server_with(1);
    parties.begin(server, wait_registers(&[]));
    assert_eq!(parties.state(server), state::WAITING);
    parties.begin(
        clients[0],
        invocation(SERVER, &Message::new(&[1, 2, 3, 4, 5, 6])),
    );
    let came = request(&parties, server);
    assert_eq!(
        (came.badge, came.words, came.call),
        (1, [1, 2, 3, 4, 5, 6], true)
    );
    parties.begin(server, reply_registers(77, &[6, 5, 4, 3, 2, 1]));
    let reply = answered(&parties, clients[0]);
    assert_eq!((reply.status, reply.words), (77, [6, 5, 4, 3, 2, 1]));
    assert_eq!(parties.state(server), state::WAITING);
}

#[test]
fn preserved_registers_are_not_touched() {
    let (parties, server, clients) = server_with(1);
    let canary = kernel::process::Preserved {
        rip: 0x40_1234,
        rflags: 0x202,
        rsp: 0x1000,
        rbx: 1,
        rbp: 2,
        r15: 3,
        rcx: 4,
        r11: 5,
    };
    parties.process(clients[0]).preserved.set(canary);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    parties.begin(server, reply_registers(OK, &[]));
    parties.run(clients[0]);
    assert_eq!(parties.process(clients[0]).preserved.get(), canary);
}

#[test]
fn callers_are_served_in_the_order_in_which_they_came() {
    let (parties, server, clients) = server_with(4);
    for (n, client) in clients.iter().enumerate() {
        parties.begin(*client, invocation(SERVER, &Message::new(&[n as u64])));
        assert_eq!(parties.state(*client), state::QUEUED);
    }
    parties.begin(server, wait_registers(&[]));
    for (n, client) in clients.iter().enumerate() {
        let came = request(&parties, server);
        assert_eq!((came.badge, came.words[0]), (n as u64 + 1, n as u64));
        parties.begin(server, reply_registers(n as u32, &[]));
        assert_eq!(answered(&parties, *client).status, n as u32);
    }
    assert_eq!(parties.state(server), state::WAITING);
}

#[test]
fn a_caller_in_the_middle_of_the_queue_can_leave_it() {
    let (parties, server, clients) = server_with(4);
    for client in &clients {
        parties.begin(*client, invocation(SERVER, &Message::new(&[1])));
    }
    parties.rescind(&[clients[1].oid()]);
    parties.copy(
        (clients[3], slot::PROCESS),
        (server, FREE + 1),
        Rights::FULL,
    );
    cap::<sys::object::Process>(FREE + 1)
        .stop(&parties.sys(server))
        .expect("it may");
    parties.begin(server, wait_registers(&[]));
    assert_eq!(request(&parties, server).badge, 1);
    parties.begin(server, reply_registers(OK, &[]));
    assert_eq!(request(&parties, server).badge, 3);
    parties.begin(server, reply_registers(OK, &[]));
    assert_eq!(parties.state(server), state::WAITING, "the others are gone");
}

#[test]
fn a_queued_call_keeps_its_badge_when_the_slot_changes() {
    let (parties, server, clients) = server_with(2);
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    // The caller waits; its capability is replaced meanwhile.
    parties.copy((clients[1], SERVER), (clients[0], SERVER), Rights::FULL);
    parties.begin(server, wait_registers(&[]));
    assert_eq!(request(&parties, server).badge, 1);
}

#[test]
fn notifications_and_callers_take_turns() {
    let (parties, server, clients) = server_with(3);
    notify_of(&parties, server, 70, clients[2], FREE + 1);
    let notify: Cap<sys::object::Notify> = cap(FREE + 1);
    let signal = || notify.signal(&parties.sys(clients[2])).expect("it lives");
    signal();
    for client in &clients[..2] {
        parties.begin(*client, invocation(SERVER, &Message::new(&[1])));
    }
    let told = Event::Notified {
        group: 1,
        bits: 1 << 6,
    };
    parties.begin(server, wait_registers(&[]));
    assert_eq!(
        event(&parties.answer(server).expect("both are there")),
        told
    );
    signal();
    parties.begin(server, wait_registers(&[]));
    assert_eq!(
        request(&parties, server).badge,
        1,
        "not the notification again"
    );
    parties.begin(server, reply_registers(OK, &[]));
    assert_eq!(
        event(&parties.answer(server).expect("both are there")),
        told
    );
    parties.begin(server, wait_registers(&[]));
    assert_eq!(request(&parties, server).badge, 2);
}

#[test]
fn after_a_direct_call_it_is_a_notifications_turn() {
    let (parties, server, clients) = server_with(3);
    notify_of(&parties, server, 0, clients[2], FREE + 1);
    let notify: Cap<sys::object::Notify> = cap(FREE + 1);
    let signal = || notify.signal(&parties.sys(clients[2])).expect("it lives");
    signal();
    let told = Event::Notified { group: 0, bits: 1 };
    assert_eq!(parties.sys(server).wait([0; 4]), told);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    assert_eq!(request(&parties, server).badge, 1, "switched to directly");
    parties.begin(clients[1], invocation(SERVER, &Message::new(&[1])));
    signal();
    parties.begin(server, reply_registers(OK, &[]));
    assert_eq!(
        event(&parties.answer(server).expect("both are there")),
        told
    );
}

#[test]
fn notification_bits_are_sets_told_by_groups() {
    let (parties, server, clients) = server_with(1);
    for (n, bit) in [4095, 64, 3, 3, 127, 0].into_iter().enumerate() {
        notify_of(&parties, server, bit, clients[0], FREE + 1 + n as u16);
    }
    let sys = parties.sys(clients[0]);
    for n in 0..6 {
        assert_eq!(sys.send(FREE + 1 + n, &Message::default()), OK);
    }
    let own = parties.sys(server);
    assert_eq!(
        own.poll([0; 4]),
        Some(Event::Notified {
            group: 0,
            bits: 0b1001
        })
    );
    let two = Event::Notified {
        group: 1,
        bits: 1 | 1 << 63,
    };
    assert_eq!(own.poll([0; 4]), Some(two));
    assert_eq!(
        own.poll([0; 4]),
        Some(Event::Notified {
            group: 63,
            bits: 1 << 63
        })
    );
    assert_eq!(own.poll([0; 4]), None);
    assert_eq!(PROCESS.make_notify(&own, 4096, FREE), Err(error(EINVAL)));
}

#[test]
fn callers_in_the_queue_of_a_rescinded_server_get_an_error() {
    let (parties, server, clients) = server_with(5);
    for client in &clients {
        parties.begin(*client, invocation(SERVER, &Message::new(&[1])));
    }
    parties.rescind(&[server.oid()]);
    for client in &clients {
        assert_eq!(answered(&parties, *client).status, errno(EPIPE));
        assert_eq!(status_of(&parties, *client, SERVER, &[1], &[]), VOID);
    }
}

#[test]
fn a_call_to_oneself_ends_at_once() {
    let parties = Parties::new();
    let party = parties.spawn();
    start_of(&parties, party, 1, party, FREE);
    assert_eq!(status_of(&parties, party, FREE, &[1], &[]), errno(EPIPE));
    assert_eq!(
        parties.sys(party).send(FREE, &Message::default()),
        OK,
        "it is lost"
    );
}

#[test]
fn a_send_to_who_does_not_wait_is_lost() {
    let (parties, server, clients) = server_with(1);
    let sys = parties.sys(clients[0]);
    assert_eq!(sys.send(SERVER, &Message::new(&[1])), OK);
    parties.begin(server, wait_registers(&[]));
    assert_eq!(parties.state(server), state::WAITING, "nothing came");
    assert_eq!(sys.send(SERVER, &Message::new(&[2])), OK);
    let came = request(&parties, server);
    assert_eq!((came.call, came.words[0], came.badge), (false, 2, 1));
    parties.begin(server, reply_registers(OK, &[1]));
    assert_eq!(
        parties.state(server),
        state::WAITING,
        "nobody is owed an answer"
    );
}

#[test]
fn capabilities_travel_with_calls_and_replies() {
    let (parties, server, clients) = server_with(1);
    let client = clients[0];
    parties.buy(client, FREE + 1, Kind::Page);
    parties.buy(client, FREE + 2, Kind::CapTable);
    let page: Cap<Page> = cap(FREE + 1);
    page.write(&parties.sys(client), 8, 99)
        .expect("its own page");
    // The third has no place to go, the second isn't there.
    parties.begin(server, wait_registers(&[FREE + 1, FREE + 2, 0, FREE + 4]));
    let sent = Message::new(&[1]).with_caps(&[FREE + 1, FREE + 9, FREE + 2, FREE + 2]);
    parties.begin(client, invocation(SERVER, &sent.receiving(&[FREE + 5])));
    let came = request(&parties, server);
    assert_eq!(came.received, 0b1001);
    let seen = cap::<Page>(FREE + 1)
        .read(&parties.sys(server), 8)
        .expect("it came");
    assert_eq!(seen[0], 99);
    assert_eq!(
        ROOT.describe(&parties.sys(server), FREE + 2),
        Ok((0, Rights::empty()))
    );
    let answer = Message::new(&[2]).with_caps(&[FREE + 4, FREE + 4]);
    parties.begin(server, registers(Op::ReplyWait, OK, 0, &answer));
    let reply = answered(&parties, client);
    assert_eq!(
        (reply.words[0], reply.received),
        (2, 1),
        "one place, one capability"
    );
    let described = ROOT.describe(&parties.sys(client), FREE + 5);
    assert_eq!(described, Ok((Kind::CapTable as u8, Rights::FULL)));
}

#[test]
fn a_start_of_the_receiver_arrives_as_its_badge() {
    let (parties, server, clients) = server_with(1);
    let client = clients[0];
    start_of(&parties, server, 0xabcd, client, FREE + 1);
    start_of(&parties, client, 5, client, FREE + 2);
    parties.begin(
        server,
        wait_registers(&[FREE + 1, FREE + 2, FREE + 3, FREE + 4]),
    );
    let sent = Message::new(&[1]).with_caps(&[FREE + 2, FREE + 1, SERVER]);
    parties.begin(client, invocation(SERVER, &sent));
    let came = request(&parties, server);
    assert_eq!(came.received, 0b0110_0111);
    assert_eq!(came.own_badge, 0xabcd, "that of the first");
    assert!(is_void(&parties, server, FREE + 2), "it is not stored");
    // The other way round, in a reply.
    let answer = Message::new(&[2]).with_caps(&[FREE + 1]);
    parties.begin(server, registers(Op::ReplyWait, OK, 0, &answer));
    let answer = parties.answer(client).expect("answered");
    assert_eq!((answer.r13, answer.r14), (0x11, 5));
}

#[test]
fn a_badge_is_the_managers_to_give() {
    let parties = Parties::new();
    let party = parties.spawn();
    let sys = parties.sys(party);
    ROOT.put(&sys, FREE, slot::PROCESS, Rights::FULL - Rights::MANAGE)
        .expect("a copy");
    let weak: Cap<sys::object::Process> = cap(FREE);
    assert!(weak.make_start(&sys, 1, FREE + 1).is_err());
    assert!(weak.make_notify(&sys, 1, FREE + 1).is_err());
}

#[test]
fn a_failed_call_receives_no_capabilities() {
    let parties = Parties::new();
    let party = parties.spawn();
    start_of(&parties, party, 1, party, FREE);
    let message = Message::new(&[1])
        .with_caps(&[0x7f, 0x7f])
        .receiving(&[FREE + 1]);
    for address in [FREE, FREE + 9] {
        let answer = parties.invoke(party, invocation(address, &message));
        assert_ne!(answer.rax, 0);
        assert_eq!((answer.r13, answer.r14), (0, 0));
    }
}

#[test]
fn a_message_that_fits_no_operation_is_refused() {
    let parties = Parties::new();
    let party = parties.spawn();
    for op in [10, 11, 0x80, 0xff] {
        let wrong = Registers {
            rax: op,
            ..Registers::default()
        };
        assert_eq!(reply(&parties.invoke(party, wrong)).status, errno(EINVAL));
    }
    let null = Registers {
        rax: Op::Null as u64,
        ..Registers::default()
    };
    assert_eq!(reply(&parties.invoke(party, null)).status, OK);
}
