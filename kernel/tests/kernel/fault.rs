//! Faults: to the process's own entry first, then to its keeper.

use abi::boot::{layout, slot};
use abi::cap::Rights;
use abi::error::{EINVAL, OK};
use abi::fault::{Access, Cause};
use abi::invoke::Op;
use abi::method::process::state;
use kernel::process::{Preserved, Registers};
use sim::machine::{Ending, SimMachine};
use sim::parties::{Parties, Party, registers, reply};
use sim::processor::Processor;
use sim::random::Dice;
use sys::object::Process;
use sys::{Cap, Event, Message, Sys};

use crate::common::*;

const ENTRY: u64 = 0x40_9000;
const STACK: u64 = 0x1000_4000;
const ADDRESS: u64 = 0x1234_5678;

/// A process with a keeper that is told by bit 9, and that holds its process at `FREE`.
fn kept() -> (Parties, Party, Party) {
    let parties = Parties::new();
    let (victim, keeper) = (parties.spawn(), parties.spawn());
    parties.give(keeper, FREE, victim.oid(), Rights::FULL);
    notify_of(&parties, keeper, 9, keeper, FREE + 1);
    let sys = parties.sys(keeper);
    let process: Cap<Process> = cap(FREE);
    process.stop(&sys).expect("it may");
    let table = parties.named(victim, sim::parties::TABLES);
    parties.give(keeper, FREE + 2, table, Rights::FULL);
    let root = parties.process(victim).root_oid.get();
    parties.give(keeper, FREE + 3, root, Rights::FULL);
    let start = sys::object::Registers {
        instruction: layout::IMAGE,
        stack: layout::STACK_TOP,
        priority: 60,
        argument: 0x77,
    };
    process
        .configure(&sys, start, cap(FREE + 3), cap(FREE + 2), FREE + 1)
        .expect("stopped");
    process.start(&sys).expect("configured");
    (parties, victim, keeper)
}

const fn pattern(seed: u64) -> (Preserved, Registers) {
    let preserved = Preserved {
        rip: 0x40_0100 + seed,
        rflags: 0x202,
        rsp: seed + 1,
        rbx: seed + 2,
        rbp: seed + 3,
        r15: seed + 4,
        rcx: seed + 5,
        r11: seed + 6,
    };
    let registers = Registers {
        rax: seed + 7,
        rdi: seed + 8,
        rsi: seed + 9,
        rdx: seed + 10,
        r10: seed + 11,
        r8: seed + 12,
        r9: seed + 13,
        r12: seed + 14,
        r13: seed + 15,
        r14: seed + 16,
    };
    (preserved, registers)
}

/// The victim faults with these registers.
fn fault(parties: &Parties, victim: Party, seed: u64) {
    parties.run(victim);
    let process = parties.process(victim);
    let (preserved, registers) = pattern(seed);
    process.preserved.set(preserved);
    parties
        .processor
        .fault_with(Cause::Page, Access::WRITE, ADDRESS, registers);
    parties.note();
    parties.check();
}

#[test]
fn a_fault_without_an_entry_stops_the_process_and_tells_its_keeper() {
    let (parties, victim, keeper) = kept();
    fault(&parties, victim, 100);
    assert_eq!(parties.state(victim), state::STOPPED);
    let sys = parties.sys(keeper);
    assert_eq!(
        sys.poll([0; 4]),
        Some(Event::Notified {
            group: 0,
            bits: 1 << 9
        })
    );
    let process: Cap<Process> = cap(FREE);
    let info = process.info(&sys).expect("it is there");
    assert_eq!(
        info.fault,
        u64::from(Cause::Page as u8) | u64::from(Access::WRITE.bits()) << 8
    );
    assert_eq!(
        (info.fault_address, info.fault_instruction),
        (ADDRESS, 0x40_0164)
    );
    let (p, m) = pattern(100);
    assert_eq!(
        process.registers(&sys, 0),
        Ok([p.rip, p.rsp, p.rbp, p.rflags, m.rax, p.rbx])
    );
    assert_eq!(
        process.registers(&sys, 1),
        Ok([p.rcx, m.rdx, m.rsi, m.rdi, m.r8, m.r9])
    );
    assert_eq!(
        process.registers(&sys, 2),
        Ok([m.r10, p.r11, m.r12, m.r13, m.r14, p.r15])
    );
    assert_eq!(process.registers(&sys, 3), Err(error(EINVAL)));
    // Started again, it goes on where it stood.
    process.start(&sys).expect("it has a space");
    parties.run(victim);
    assert_eq!(parties.processor.registers(), m);
    assert_eq!(parties.process(victim).preserved.get(), p);
}

#[test]
fn a_fault_entry_gets_the_fault_and_can_go_back() {
    let (parties, victim, keeper) = kept();
    PROCESS
        .set_fault_entry(&parties.sys(victim), ENTRY, STACK)
        .expect("its own");
    fault(&parties, victim, 200);
    assert_eq!(parties.state(victim), state::READY);
    parties.run(victim);
    let (preserved, saved) = pattern(200);
    let now = parties.processor.registers();
    let cause = u64::from(Cause::Page as u8) | u64::from(Access::WRITE.bits()) << 8;
    assert_eq!((now.rdi, now.rsi, now.rdx), (ADDRESS, preserved.rip, cause));
    let entered = parties.process(victim).preserved.get();
    assert_eq!((entered.rip, entered.rsp), (ENTRY, STACK));
    assert_eq!(
        (entered.rbx, entered.rbp),
        (0, 0),
        "nothing of what it did is shown"
    );
    let back = Registers {
        rax: Op::FaultReturn as u64,
        rdi: 0x40_0abc,
        ..Registers::default()
    };
    parties.begin(victim, back);
    parties.run(victim);
    assert_eq!(parties.processor.registers(), saved);
    let expected = Preserved {
        rip: 0x40_0abc,
        ..preserved
    };
    assert_eq!(parties.process(victim).preserved.get(), expected);
    assert_eq!(
        parties.sys(keeper).poll([0; 4]),
        None,
        "nobody else is told"
    );
    // It is armed again.
    fault(&parties, victim, 300);
    assert_eq!(parties.state(victim), state::READY);
}

#[test]
fn a_fault_inside_the_fault_entry_stops_the_process() {
    let (parties, victim, keeper) = kept();
    PROCESS
        .set_fault_entry(&parties.sys(victim), ENTRY, STACK)
        .expect("its own");
    fault(&parties, victim, 200);
    fault(&parties, victim, 400);
    assert_eq!(parties.state(victim), state::STOPPED);
    let sys = parties.sys(keeper);
    assert!(sys.poll([0; 4]).is_some());
    let info = cap::<Process>(FREE).info(&sys).expect("it is there");
    assert_eq!(info.fault_instruction, 0x40_0100 + 400);
    let (p, m) = pattern(400);
    let shown = cap::<Process>(FREE).registers(&sys, 0);
    assert_eq!(
        shown,
        Ok([p.rip, p.rsp, p.rbp, p.rflags, m.rax, p.rbx]),
        "those of the second"
    );
}

#[test]
fn a_declined_fault_stops_the_process_as_it_was_at_the_fault() {
    let (parties, victim, keeper) = kept();
    PROCESS
        .set_fault_entry(&parties.sys(victim), ENTRY, STACK)
        .expect("its own");
    fault(&parties, victim, 200);
    let decline = Registers {
        rax: Op::FaultDecline as u64,
        ..Registers::default()
    };
    parties.begin(victim, decline);
    assert_eq!(parties.state(victim), state::STOPPED);
    let sys = parties.sys(keeper);
    assert!(sys.poll([0; 4]).is_some());
    let (p, m) = pattern(200);
    let process: Cap<Process> = cap(FREE);
    assert_eq!(
        process.registers(&sys, 0),
        Ok([p.rip, p.rsp, p.rbp, p.rflags, m.rax, p.rbx])
    );
    assert_eq!(
        process.info(&sys).expect("it is there").fault as u8,
        Cause::Page as u8
    );
}

#[test]
fn a_process_can_give_up() {
    let (parties, victim, keeper) = kept();
    let decline = Registers {
        rax: Op::FaultDecline as u64,
        ..Registers::default()
    };
    parties.begin(victim, decline);
    assert_eq!(parties.state(victim), state::STOPPED);
    let info = cap::<Process>(FREE)
        .info(&parties.sys(keeper))
        .expect("it is there");
    assert_eq!(info.fault as u8, Cause::Declined as u8);
}

#[test]
fn nobody_returns_from_a_fault_that_was_none() {
    let (parties, victim, _) = kept();
    let back = |rdi| Registers {
        rax: Op::FaultReturn as u64,
        rdi,
        ..Registers::default()
    };
    assert_eq!(
        reply(&parties.invoke(victim, back(0))).status,
        errno(EINVAL)
    );
    PROCESS
        .set_fault_entry(&parties.sys(victim), ENTRY, STACK)
        .expect("its own");
    fault(&parties, victim, 200);
    for beyond in [abi::USER_END, 1 << 47, u64::MAX] {
        assert_eq!(
            reply(&parties.invoke(victim, back(beyond))).status,
            errno(EINVAL)
        );
    }
    let sys = parties.sys(victim);
    assert_eq!(
        PROCESS.set_fault_entry(&sys, abi::USER_END, STACK),
        Err(error(EINVAL))
    );
    assert_eq!(
        PROCESS.set_fault_entry(&sys, ENTRY, 1 << 47),
        Err(error(EINVAL))
    );
}

#[test]
fn a_fault_that_no_keeper_takes_is_reported() {
    let parties = Parties::new();
    let victim = parties.spawn();
    PROCESS
        .set_name(&parties.sys(victim), "vic\x1btim")
        .expect("its own");
    fault(&parties, victim, 100);
    let said = parties.machine().console_output();
    assert!(
        said.contains("vic?tim stopped: page fault at address 0x12345678"),
        "{said}"
    );
    assert!(!said.contains('\x1b'));
}

#[test]
fn a_process_that_is_configured_anew_has_no_fault_entry() {
    let (parties, victim, keeper) = kept();
    PROCESS
        .set_fault_entry(&parties.sys(victim), ENTRY, STACK)
        .expect("its own");
    let sys = parties.sys(keeper);
    let process: Cap<Process> = cap(FREE);
    process.stop(&sys).expect("it may");
    let start = sys::object::Registers {
        instruction: layout::IMAGE,
        stack: layout::STACK_TOP,
        priority: 60,
        argument: 0,
    };
    process
        .configure(&sys, start, cap(FREE + 3), cap(FREE + 2), FREE + 1)
        .expect("stopped");
    process.start(&sys).expect("configured");
    fault(&parties, victim, 100);
    assert_eq!(
        parties.state(victim),
        state::STOPPED,
        "the entry was the old program's"
    );
}

#[test]
fn a_fault_while_others_wait_does_not_answer_them() {
    let (parties, victim, keeper) = kept();
    start_of(&parties, victim, 1, keeper, FREE + 5);
    let wait = registers(Op::Wait, OK, 0, &Message::default());
    parties.begin(victim, wait);
    parties.begin(keeper, sim::parties::call(FREE + 5, &Message::new(&[1])));
    fault(&parties, victim, 100);
    assert_eq!(parties.state(keeper), state::CALLING);
    parties.copy((keeper, slot::ROOT), (parties.bank(), FREE), Rights::FULL);
    parties.rescind(&[victim.oid()]);
    let answer = parties.answer(keeper).expect("given up");
    assert_eq!(reply(&answer).status, errno(abi::error::EPIPE));
}

#[test]
fn the_machine_stops_with_a_failure_when_spacebank_or_init_has_died() {
    // init is not the tests' to run; the machine runs it while spacebank waits.
    let parties = Parties::new();
    let other = parties.spawn();
    fault(&parties, other, 100);
    assert_eq!(parties.machine().ending(), None, "others may die");
    fault(&parties, parties.bank(), 100);
    ended_without(parties.machine(), "spacebank");

    let processor = Processor::boot(2_000, &Dice::new(1)).expect("enough objects");
    processor.interrupt(None);
    let wait = registers(Op::Wait, OK, 0, &Message::default());
    processor.system_call(wait);
    let current = processor
        .current()
        .map(|process| process.name().to_string());
    assert_eq!(current.as_deref(), Some("init"));
    processor.fault_with(Cause::Page, Access::WRITE, ADDRESS, pattern(0).1);
    ended_without(processor.machine(), "init");
}

fn ended_without(machine: &SimMachine, name: &str) {
    assert_eq!(machine.ending(), Some(Ending::Halt(1)));
    let said = machine.console_output();
    for words in [
        format!("{name} stopped: page fault"),
        format!("nothing can go on without {name}"),
    ] {
        assert!(said.contains(&words), "{said}");
    }
}
