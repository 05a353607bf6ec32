//! Processes: configured, started, stopped, looked at.

use abi::boot::{layout, slot};
use abi::cap::{Kind, Rights};
use abi::error::{EBADF, EBUSY, EFAULT, EINVAL, EMLINK, ENOSYS, EPERM, VOID};
use abi::method::process::{self as method, state};
use sim::parties::{Parties, Party};
use sys::object::{CapTable, Process, Registers};
use sys::{Cap, Message, Sys};

use crate::common::*;

const NEW: Cap<Process> = cap(FREE);
const NEW_ROOT: Cap<CapTable> = cap(FREE + 1);
const NEW_SPACE: u16 = FREE + 2;

const START: Registers = Registers {
    instruction: layout::IMAGE,
    stack: layout::STACK_TOP,
    priority: 60,
    argument: 42,
};

/// A party with everything for a process of its own.
fn maker() -> (Parties, Party) {
    let parties = Parties::new();
    let maker = parties.spawn();
    parties.buy(maker, FREE, Kind::Process);
    parties.buy(maker, FREE + 1, Kind::CapTable);
    parties.buy(maker, NEW_SPACE, Kind::Table4);
    (parties, maker)
}

#[test]
fn a_process_runs_from_where_it_was_configured() {
    let (parties, maker) = maker();
    let sys = parties.sys(maker);
    assert_eq!(NEW.start(&sys), Err(error(EINVAL)), "not configured");
    NEW.configure(&sys, START, NEW_ROOT, cap(NEW_SPACE), 0)
        .expect("all its own");
    let oid = parties.named(maker, FREE);
    NEW.start(&sys).expect("configured");
    NEW.start(&sys).expect("it runs already");
    assert_eq!(
        NEW.configure(&sys, START, NEW_ROOT, cap(NEW_SPACE), 0),
        Err(error(EBUSY))
    );
    while parties.processor.current().map(|process| process.oid.get()) != Some(oid) {
        let yielding = kernel::process::Registers {
            rax: 8,
            ..Default::default()
        };
        parties.processor.system_call(yielding);
    }
    let process = parties.processor.process(oid).expect("it lives");
    assert_eq!(process.preserved.get().rip, START.instruction);
    assert_eq!(process.preserved.get().rsp, START.stack);
    assert_eq!(parties.processor.registers().rdi, 42);
    parties.audit_each_step(false);
}

#[test]
fn configuring_needs_rights_to_all_that_it_takes() {
    let (parties, maker) = maker();
    let sys = parties.sys(maker);
    let weak = |from: u16, without: Rights| {
        ROOT.put(&sys, FREE + 9, from, Rights::FULL - without)
            .expect("a copy");
    };
    let configure = |process: Cap<Process>, root: u16, space: u16, keeper: u16| {
        process.configure(&sys, START, cap(root), cap(space), keeper)
    };
    weak(FREE, Rights::CONTROL);
    assert_eq!(
        configure(cap(FREE + 9), FREE + 1, NEW_SPACE, 0),
        Err(error(EPERM))
    );
    weak(FREE + 1, Rights::MANAGE);
    assert_eq!(configure(NEW, FREE + 9, NEW_SPACE, 0), Err(error(EPERM)));
    weak(NEW_SPACE, Rights::MANAGE);
    assert_eq!(configure(NEW, FREE + 1, FREE + 9, 0), Err(error(EPERM)));
    assert_eq!(configure(NEW, NEW_SPACE, NEW_SPACE, 0), Err(error(EBADF)));
    assert_eq!(
        configure(NEW, FREE + 1, slot::SPACE, 0),
        Err(error(EBADF)),
        "of level 4 only"
    );
    assert_eq!(
        configure(NEW, FREE + 1, NEW_SPACE, slot::ROOT),
        Err(error(EBADF))
    );
    assert_eq!(
        configure(NEW, FREE + 8, NEW_SPACE, 0),
        Err(sys::Error::VOID)
    );
    for wrong in [
        Registers {
            instruction: abi::USER_END,
            ..START
        },
        Registers {
            stack: 1 << 47,
            ..START
        },
        Registers {
            priority: 64,
            ..START
        },
    ] {
        let configured = NEW.configure(&sys, wrong, NEW_ROOT, cap(NEW_SPACE), 0);
        assert_eq!(configured, Err(error(EINVAL)));
    }
    assert_eq!(NEW.start(&sys), Err(error(EINVAL)));
}

#[test]
fn whoever_buys_a_process_cannot_make_it_more_urgent_than_the_drivers() {
    let (parties, maker) = maker();
    let sys = parties.sys(maker);
    let with = |priority| {
        let start = Registers { priority, ..START };
        NEW.configure(&sys, start, NEW_ROOT, cap(NEW_SPACE), 0)
    };
    assert_eq!(with(START.priority + 1), Err(error(EPERM)));
    with(START.priority).expect("its own priority");
    assert_eq!(
        NEW.set_priority(&sys, START.priority + 1),
        Err(error(EPERM))
    );
    assert_eq!(NEW.set_ceiling(&sys, START.priority + 1), Err(error(EPERM)));
    assert_eq!(NEW.set_ceiling(&sys, 64), Err(error(EINVAL)));
    // Nor itself, though it may do what it likes with its own process.
    assert_eq!(
        PROCESS.set_priority(&sys, START.priority + 1),
        Err(error(EPERM))
    );
    // What its maker gives it, it may give on, and no more.
    with(7).expect("a lower priority");
    let child = parties.named(maker, FREE);
    assert_eq!(
        parties
            .processor
            .process(child)
            .expect("it lives")
            .ceiling
            .get(),
        7
    );
    NEW.set_ceiling(&sys, START.priority).expect("its own");
    assert_eq!(
        parties
            .processor
            .process(child)
            .expect("it lives")
            .priority
            .get(),
        7
    );
    assert_eq!(
        parties
            .processor
            .process(child)
            .expect("it lives")
            .ceiling
            .get(),
        u64::from(START.priority)
    );
}

/// A maker may let a process give more than its own priority, a supervisor, say; what it gives ends
/// there too, and what is taken back stays taken.
#[test]
fn a_ceiling_bounds_all_that_is_given_and_is_not_raised_from_below() {
    let parties = Parties::new();
    let (maker, child) = (parties.spawn(), parties.spawn());
    parties.give(maker, FREE, child.oid(), Rights::FULL);
    let sys = parties.sys(maker);
    assert_eq!(parties.process(maker).ceiling.get(), 60);
    NEW.set_ceiling(&sys, 40).expect("below the maker's");
    let sys = parties.sys(child);
    for beyond in [41, 60, 63] {
        assert_eq!(PROCESS.set_ceiling(&sys, beyond), Err(error(EPERM)));
        assert_eq!(PROCESS.set_priority(&sys, beyond), Err(error(EPERM)));
    }
    for beyond in [64, 1 << 32, u64::MAX] {
        let words = [method::SET_PRIORITY, beyond];
        let set = status_of(&parties, child, slot::PROCESS, &words, &[]);
        assert_eq!(set, errno(EINVAL), "{beyond}");
        let words = [method::SET_CEILING, beyond];
        let set = status_of(&parties, child, slot::PROCESS, &words, &[]);
        assert_eq!(set, errno(EINVAL), "{beyond}");
    }
    // What it makes, with the ceiling that it has, is bounded as well.
    parties.buy(child, FREE, Kind::Process);
    parties.buy(child, FREE + 1, Kind::CapTable);
    parties.buy(child, NEW_SPACE, Kind::Table4);
    let with = |priority| {
        let start = Registers { priority, ..START };
        NEW.configure(&sys, start, NEW_ROOT, cap(NEW_SPACE), 0)
    };
    assert_eq!(with(41), Err(error(EPERM)));
    with(40).expect("its ceiling");
    assert_eq!(NEW.set_ceiling(&sys, 41), Err(error(EPERM)));
    // Down is always allowed, and there is no way back.
    PROCESS.set_ceiling(&sys, 10).expect("less");
    assert_eq!(PROCESS.set_ceiling(&sys, 11), Err(error(EPERM)));
    assert_eq!(with(11), Err(error(EPERM)));
}

#[test]
fn four_processes_share_a_space_or_a_table_at_most() {
    let (parties, maker) = maker();
    let sys = parties.sys(maker);
    parties.buy(maker, FREE + 3, Kind::Table4);
    for n in 0..5u16 {
        parties.buy(maker, FREE + 10 + n, Kind::Process);
        parties.buy(maker, FREE + 20 + n, Kind::CapTable);
        let process: Cap<Process> = cap(FREE + 10 + n);
        let shared = process.configure(&sys, START, cap(FREE + 20 + n), cap(NEW_SPACE), 0);
        let expected = if n < 4 { Ok(()) } else { Err(error(EMLINK)) };
        assert_eq!(shared, expected);
    }
    // One leaves, by being configured with another.
    cap::<Process>(FREE + 10)
        .configure(&sys, START, cap(FREE + 20), cap(FREE + 3), 0)
        .expect("its own");
    cap::<Process>(FREE + 14)
        .configure(&sys, START, cap(FREE + 24), cap(NEW_SPACE), 0)
        .expect("there is room");
}

#[test]
fn a_process_can_stop_itself_and_be_started_again() {
    let parties = Parties::new();
    let (party, other) = (parties.spawn(), parties.spawn());
    parties.give(other, FREE, party.oid(), Rights::FULL);
    let message = Message::new(&[method::STOP]);
    parties.begin(party, sim::parties::call(slot::PROCESS, &message));
    assert_eq!(parties.state(party), state::STOPPED);
    NEW.start(&parties.sys(other)).expect("it may");
    let answer = parties.answer(party).expect("it goes on");
    assert_eq!(answer.rax, 0, "its stop succeeded");
}

#[test]
fn memory_is_read_as_the_process_would() {
    let parties = Parties::new();
    let (party, other) = (parties.spawn(), parties.spawn());
    parties.give(other, FREE, party.oid(), Rights::FULL);
    page_at(&parties, party, 30, DATA);
    page_at(&parties, party, 31, Rights::READ);
    let sys = parties.sys(other);
    for (n, place) in [(4080, 30), (0, 31)] {
        let frame = frame_at(&parties, party, address_of(place)).expect("mapped");
        (0..2).for_each(|word| parties.write_word(frame, n + word * 8, 7 + word as u64));
    }
    let read = NEW
        .read_memory(&sys, address_of(30) + 4080)
        .expect("mapped");
    assert_eq!(read, [7, 8, 7, 8, 0, 0], "across pages");
    for address in [
        address_of(31) + 4056,
        0,
        1 << 47,
        u64::MAX - 7,
        u64::MAX - 47,
    ] {
        assert_eq!(
            NEW.read_memory(&sys, address),
            Err(error(EFAULT)),
            "{address:#x}"
        );
    }
    assert_eq!(
        NEW.read_memory(&sys, address_of(30) + 4),
        Err(error(EINVAL))
    );
}

#[test]
fn what_is_told_of_a_process_needs_the_right() {
    let parties = Parties::new();
    let (party, other) = (parties.spawn(), parties.spawn());
    for (n, rights) in [Rights::CONTROL, Rights::INSPECT, Rights::MANAGE]
        .into_iter()
        .enumerate()
    {
        parties.give(other, FREE + n as u16, party.oid(), rights);
    }
    let may = |n: u16, method: u64| {
        status_of(&parties, other, FREE + n, &[method, 0], &[]) != errno(EPERM)
    };
    for (method, needed) in [
        (method::MAKE_START, 2),
        (method::MAKE_NOTIFY, 2),
        (method::SET_FAULT_ENTRY, 2),
        (method::INFO, 1),
        (method::REGISTERS, 0),
        (method::READ_MEMORY, 0),
        (method::SET_NAME, 0),
        (method::CONFIGURE, 0),
        (method::STOP, 0),
        (method::START, 0),
    ] {
        for n in 0..3 {
            assert_eq!(may(n, method), n == needed, "method {method}, rights {n}");
        }
    }
    assert_eq!(status_of(&parties, other, FREE, &[0], &[]), errno(ENOSYS));
    assert_eq!(status_of(&parties, other, FREE, &[13], &[]), errno(ENOSYS));
    assert_eq!(status_of(&parties, other, FREE + 8, &[1], &[]), VOID);
}

#[test]
fn a_process_that_rescinds_itself_does_not_bring_the_kernel_down() {
    let parties = Parties::new();
    let party = parties.spawn();
    // Only spacebank has the range; it can still be foolish.
    parties.copy(
        (parties.bank(), slot::BANK_RANGE),
        (party, FREE),
        Rights::FULL,
    );
    parties.write_batch(party, 0, &[party.oid().0.into()]);
    let words = [abi::method::range::RESCIND, 0, 1];
    let message = Message::new(&words).with_caps(&[slot::MESSAGE]);
    parties.begin(party, sim::parties::call(FREE, &message));
    assert!(parties.processor.process(party.oid()).is_none());
    let bank = parties.bank();
    assert!(parties.sys(bank).poll([0; 4]).is_none(), "others go on");
}
