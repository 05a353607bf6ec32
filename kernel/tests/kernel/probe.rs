//! The probe: entries that are counted, and the one before which somebody else gets its turn.

use std::sync::atomic::Ordering;

use abi::cap::Rights;
use abi::error::{EACCES, EBADF, EINVAL, ENOENT, ENOSYS, EPERM, VOID};
use abi::invoke::Op;
use abi::method::{probe as method, process::state};
use abi::probe::How;
use kernel::object::State;
use kernel::process::Registers;
use sim::parties::{Parties, Party, registers};
use sys::Cap;
use sys::Message;
use sys::object::Probe;

use crate::common::*;

const PROBE: Cap<Probe> = cap(FREE);
const TOLD: u16 = FREE + 1;
const SUBJECT: u16 = FREE + 2;
/// A bit of the injector's.
const BIT: u64 = 5;
const SYSCALL: u64 = 2;
const TRAP: u64 = 1 << 8;
const RESUME: u64 = 1 << 16;

/// A victim, and an injector with the probe, a `Notify` of its own, and the victim's process.
fn injector_and_victim() -> (Parties, Party, Party) {
    let parties = Parties::new();
    let (injector, victim) = (parties.spawn(), parties.spawn());
    parties.copy_from_init(
        abi::boot::slot::INIT_PROBE,
        (injector, PROBE.address()),
        Rights::FULL,
    );
    notify_of(&parties, injector, BIT, injector, TOLD);
    parties.give(injector, SUBJECT, victim.oid(), Rights::FULL);
    (parties, injector, victim)
}

fn null() -> Registers {
    Registers {
        rax: Op::Null as u64,
        rdi: 0x77,
        r14: 0x99,
        ..Registers::default()
    }
}

/// The victim makes a call that does nothing, while entries are watched. Whether it came back from it.
fn enter(parties: &Parties, victim: Party) -> bool {
    parties.run(victim);
    parties.processor.watched_system_call(null());
    parties.note();
    parties
        .processor
        .current()
        .is_some_and(|process| process.oid.get() == victim.oid())
        && parties.processor.registers().rax == 0
}

fn wait(parties: &Parties, party: Party) {
    parties.begin(party, registers(Op::Wait, 0, 0, &Message::new(&[])));
    assert_eq!(parties.state(party), state::WAITING);
}

#[test]
fn the_injector_runs_before_the_entry_and_the_entry_is_made_afterwards() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    PROBE.arm(&sys, 3, TOLD, SUBJECT).expect("it may");
    wait(&parties, injector);
    // However urgent the victim is.
    parties.give(victim, FREE, injector.oid(), Rights::FULL);
    let set_priority = |priority| {
        let process: Cap<sys::object::Process> = cap(FREE);
        let done = process.set_priority(&parties.sys(victim), priority);
        done.expect("within its ceiling");
    };
    set_priority(3);
    assert!(enter(&parties, victim) && enter(&parties, victim));
    let before = parties.process(victim).preserved.get();
    assert!(!enter(&parties, victim));

    assert!(parties.state(injector) == state::READY);
    let current = parties.processor.current().expect("somebody runs");
    assert_eq!(current.oid.get(), injector.oid());
    let stopped = parties.process(victim);
    assert_eq!(stopped.state.get(), state::READY);
    assert_eq!(stopped.preserved.get().rip, before.rip - SYSCALL);
    assert_eq!(stopped.full.get(), 1);
    assert_eq!(stopped.message.get(), null());
    parties.check();

    set_priority(60);
    let reading = PROBE.read(&sys, 0).expect("it may");
    assert!(reading.stopped && reading.entries == 3);
    let place = PROBE.place(&sys).expect("it stopped");
    assert_eq!(place.instruction, before.rip - SYSCALL);
    assert!(place.at_once);
    assert_eq!(
        (place.entry.how, place.entry.number),
        (How::Call, Op::Null as u8)
    );
    // The next one isn't stopped: it is the same entry again.
    assert!(enter(&parties, victim));
    assert_eq!(PROBE.read(&sys, 0).expect("it may").entries, 4);
}

#[test]
fn who_is_told_and_does_not_wait_is_said_not_to_have_come_at_once() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    PROBE.arm(&sys, 1, TOLD, SUBJECT).expect("it may");
    // It doesn't wait; who comes next is for the scheduler to say.
    enter(&parties, victim);
    let place = PROBE.place(&sys).expect("it stopped");
    assert!(!place.at_once, "the injector was busy");
}

#[test]
fn who_is_told_to_go_on_stops_nobody_any_more() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    PROBE.arm(&sys, 2, TOLD, SUBJECT).expect("it may");
    assert!(enter(&parties, victim));
    PROBE.read(&sys, abi::probe::GO_ON).expect("it may");
    assert!(enter(&parties, victim) && enter(&parties, victim));
    let reading = PROBE.read(&sys, 0).expect("it may");
    assert!(reading.entries == 3 && !reading.stopped);
}

#[test]
fn only_entries_of_the_subject_count_and_never_those_of_who_is_told() {
    let (parties, injector, victim) = injector_and_victim();
    let other = parties.spawn();
    let sys = parties.sys(injector);
    PROBE.arm(&sys, 0, 0, SUBJECT).expect("counting only");
    assert!(enter(&parties, other) && enter(&parties, victim) && enter(&parties, injector));
    assert_eq!(PROBE.read(&sys, 0).expect("it may").entries, 1);

    PROBE.arm(&sys, 9, TOLD, 0).expect("everybody's");
    assert!(enter(&parties, other) && enter(&parties, victim) && enter(&parties, injector));
    let reading = PROBE.read(&sys, 0).expect("it may");
    assert!(reading.entries == 2 && !reading.stopped);
}

#[test]
fn an_instruction_in_the_range_is_stopped_at_and_no_flag_is_left() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    let range = (0x1000, 0x1010);
    PROBE
        .step(&sys, cap(SUBJECT), range, 2, TOLD)
        .expect("it may");
    wait(&parties, injector);
    parties.run(victim);
    let at = |rip| {
        let process = parties.process(victim);
        let mut preserved = process.preserved.get();
        preserved.rip = rip;
        process.preserved.set(preserved);
    };
    let flags = || parties.process(victim).preserved.get().rflags;
    // Comes in, goes out, and comes in again.
    at(0x1000);
    assert!(parties.processor.watched_step(false));
    assert_eq!(flags() & (TRAP | RESUME), TRAP | RESUME);
    at(0x2000);
    assert!(parties.processor.watched_step(true));
    assert_eq!(flags() & TRAP, 0);
    at(0x1000);
    assert!(parties.processor.watched_step(false));
    parties.note();
    assert_eq!(flags() & TRAP, 0);
    let current = parties.processor.current().expect("somebody runs");
    assert_eq!(current.oid.get(), injector.oid());
    assert_eq!(PROBE.read(&sys, 0).expect("it may").instructions, 2);
    assert_eq!(
        PROBE.place(&sys).expect("stopped").entry.how,
        How::Instruction
    );
    // Stepping is over: a trap is the process's own again.
    parties.run(victim);
    assert!(!parties.processor.watched_step(true));
}

#[test]
fn disarming_takes_the_trap_flag_from_who_is_in_the_range() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    PROBE
        .step(&sys, cap(SUBJECT), (0x1000, 0x1010), 0, 0)
        .expect("counting only");
    parties.run(victim);
    let process = parties.process(victim);
    let mut preserved = process.preserved.get();
    preserved.rip = 0x1000;
    process.preserved.set(preserved);
    assert!(parties.processor.watched_step(false));
    assert_ne!(process.preserved.get().rflags & TRAP, 0);
    PROBE.disarm(&sys).expect("it may");
    assert_eq!(process.preserved.get().rflags & TRAP, 0);
}

#[test]
fn an_audit_tells_what_is_broken_and_counts_objects() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    let audit = PROBE.audit(&sys, true).expect("it may");
    let objects = parties.processor.memory().objects.len() as u64;
    assert!(audit.violation == 0 && audit.compared);
    let census = PROBE.census(&sys).expect("it may");
    assert_eq!(census.free + census.live + census.limbo, objects);

    parties.audit_each_step(false);
    let row = &parties.processor.memory().objects[victim.oid().0 as usize];
    row.progress.set(1);
    assert_eq!(PROBE.audit(&sys, false).expect("it may").violation, 2);
    row.progress.set(0);
    let free = |row: &&kernel::object::ObjectRow| row.state.get() == State::Free;
    let free = parties.processor.memory().objects.iter().find(free);
    let frame = free.expect("something is free").frame.get();
    let word = parties.processor.memory().word(frame, 7);
    word.store(1, Ordering::Relaxed);
    assert_eq!(PROBE.audit(&sys, false).expect("it may").violation, 0);
    assert_eq!(PROBE.audit(&sys, true).expect("it may").violation, 3);
    word.store(0, Ordering::Relaxed);
}

#[test]
fn the_longest_stretch_is_forgotten_when_asked() {
    let (parties, injector, victim) = injector_and_victim();
    let sys = parties.sys(injector);
    PROBE.arm(&sys, 0, 0, 0).expect("counting only");
    enter(&parties, victim);
    let reading = PROBE.read(&sys, abi::probe::FORGET).expect("it may");
    let again = PROBE.read(&sys, 0).expect("it may");
    assert_eq!(again.longest, 0, "{reading:?}");
}

#[test]
fn wrong_invocations_of_the_probe_are_refused() {
    let (parties, injector, victim) = injector_and_victim();
    let ask = |words: &[u64], caps: &[u16]| status_of(&parties, injector, FREE, words, caps);
    assert_eq!(ask(&[99], &[]), errno(ENOSYS));
    assert_eq!(ask(&[method::WHERE], &[]), errno(ENOENT));
    assert_eq!(ask(&[method::ARM, 1], &[]), VOID);
    assert_eq!(ask(&[method::ARM, 1], &[SUBJECT]), errno(EBADF));
    assert_eq!(ask(&[method::ARM, 0], &[0, TOLD]), errno(EBADF));
    assert_eq!(ask(&[method::STEP, 2, 2, 0], &[0, SUBJECT]), errno(EINVAL));
    assert_eq!(
        ask(&[method::STEP, 2, u64::MAX, 0], &[0, SUBJECT]),
        errno(EINVAL)
    );
    assert_eq!(ask(&[method::STEP, 2, 3, 0], &[]), VOID);
    parties.give(injector, SUBJECT, victim.oid(), Rights::INSPECT);
    assert_eq!(ask(&[method::STEP, 2, 3, 0], &[0, SUBJECT]), errno(EPERM));
    parties.give(injector, SUBJECT, victim.oid(), Rights::CONTROL);
    assert_ne!(ask(&[method::ARM, 0], &[0, SUBJECT]), errno(EACCES));
    assert_eq!(ask(&[method::ARM, 0], &[0, SUBJECT]), errno(EPERM));
}
