//! Callers that are held, saved, stopped or dropped: each is answered once.

use abi::boot::slot;
use abi::cap::Rights;
use abi::error::{EBADF, EINVAL, EPIPE, OK, VOID};
use abi::invoke::Op;
use abi::method::process::state;
use sim::parties::{call as invocation, registers, reply};
use sys::{Cap, Event, Message, Sys};

use crate::common::*;
use crate::message::{SERVER, answered, reply_registers, request, server_with, wait_registers};

#[test]
fn a_caller_that_is_held_when_the_server_waits_again_gets_an_error() {
    let (parties, server, clients) = server_with(1);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    parties.begin(server, wait_registers(&[]));
    assert_eq!(answered(&parties, clients[0]).status, errno(EPIPE));
}

#[test]
fn a_poll_keeps_the_caller_until_something_comes() {
    let (parties, server, clients) = server_with(2);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    assert_eq!(parties.sys(server).poll([0; 4]), None);
    assert_eq!(parties.state(clients[0]), state::CALLING);
    parties.begin(clients[1], invocation(SERVER, &Message::new(&[2])));
    let event = parties.sys(server).poll([0; 4]);
    assert!(matches!(event, Some(Event::Request(request)) if request.badge == 2));
    assert_eq!(answered(&parties, clients[0]).status, errno(EPIPE));
}

#[test]
fn a_saved_caller_can_be_answered_later_while_others_are_served() {
    let (parties, server, clients) = server_with(2);
    let sys = parties.sys(server);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    assert_eq!(sys.save_caller(FREE + 2), OK);
    assert_eq!(
        sys.save_caller(FREE + 3),
        errno(EINVAL),
        "nobody is held any more"
    );
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[1], invocation(SERVER, &Message::new(&[2])));
    parties.begin(server, reply_registers(2, &[]));
    assert_eq!(answered(&parties, clients[1]).status, 2);
    parties.begin(clients[1], invocation(SERVER, &Message::new(&[3])));
    // A reply through the `Resume`, which gives the caller held up.
    let through = registers(Op::ReplyWait, 9, FREE + 2, &Message::new(&[8]));
    parties.begin(server, through);
    assert_eq!(
        (answered(&parties, clients[0]).status, parties.state(server)),
        (9, state::WAITING)
    );
    assert_eq!(answered(&parties, clients[1]).status, errno(EPIPE));
}

#[test]
fn a_reply_through_what_is_no_resume_does_not_wait() {
    let (parties, server, _) = server_with(1);
    let through = |address| registers(Op::ReplyWait, 0, address, &Message::default());
    assert_eq!(
        reply(&parties.invoke(server, through(slot::ROOT))).status,
        errno(EBADF)
    );
    assert_eq!(
        reply(&parties.invoke(server, through(FREE + 9))).status,
        VOID
    );
}

#[test]
fn a_server_that_is_stopped_keeps_its_callers_waiting() {
    let (parties, server, clients) = server_with(2);
    parties.begin(server, wait_registers(&[]));
    parties.copy(
        (server, slot::PROCESS),
        (clients[1], FREE + 1),
        Rights::FULL,
    );
    let process: Cap<sys::object::Process> = cap(FREE + 1);
    process.stop(&parties.sys(clients[1])).expect("it may");
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    assert_eq!(parties.state(clients[0]), state::QUEUED);
    process.start(&parties.sys(clients[1])).expect("it may");
    assert_eq!(
        answered(&parties, server).status,
        errno(EPIPE),
        "its wait ended"
    );
    parties.begin(server, wait_registers(&[]));
    assert_eq!(request(&parties, server).badge, 1);
}

#[test]
fn a_caller_that_is_stopped_is_not_answered() {
    let (parties, server, clients) = server_with(2);
    parties.begin(server, wait_registers(&[]));
    parties.begin(clients[0], invocation(SERVER, &Message::new(&[1])));
    parties.copy(
        (clients[0], slot::PROCESS),
        (clients[1], FREE + 1),
        Rights::FULL,
    );
    let process: Cap<sys::object::Process> = cap(FREE + 1);
    process.stop(&parties.sys(clients[1])).expect("it may");
    parties.begin(server, reply_registers(5, &[1, 2, 3]));
    process.start(&parties.sys(clients[1])).expect("it may");
    assert_eq!(answered(&parties, clients[0]).status, errno(EPIPE));
}
