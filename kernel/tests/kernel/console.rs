//! Output: bounded work for the kernel, a budget for each process, and nothing lost to another's flood.

use abi::boot::slot;
use abi::cap::Rights;
use abi::error::{EAGAIN, OK, Status};
use abi::fault::{Access, Cause};
use abi::method::log;
use kernel::console::BYTES;
use sim::parties::{Parties, Party};
use sys::Sys;

use crate::common::*;

/// Longest line that a process may log.
const LONGEST: u64 = 1024;
/// Lines that a process may log at once, and all together.
const OF_ONE: usize = 256;
const OF_ALL: usize = 1024;

/// A party that may log, with a page of the letter `a`. With `CONTROL` it has the console.
fn logging(parties: &Parties, rights: Rights) -> Party {
    let party = parties.spawn();
    parties.copy_from_init(slot::LOG, (party, slot::LOG), rights);
    let page = parties.buy(party, FREE, abi::cap::Kind::Page);
    assert_eq!(parties.named(party, FREE), page);
    let sys = parties.sys(party);
    let aaa = u64::from_ne_bytes([b'a'; 8]);
    for offset in (0..LONGEST).step_by(8) {
        let words = [abi::method::page::WRITE, offset, 1, aaa];
        let written = sys.call(FREE, &sys::Message::new(&words)).status;
        assert_eq!(written, OK);
    }
    party
}

const LINES: Rights = Rights::READ.union(Rights::WRITE);

fn line(parties: &Parties, party: Party, length: u64) -> Status {
    status_of(
        parties,
        party,
        slot::LOG,
        &[log::WRITE, 0, length, 1],
        &[FREE],
    )
}

fn bytes(parties: &Parties, party: Party, length: u64) -> Status {
    status_of(
        parties,
        party,
        slot::LOG,
        &[log::CONSOLE, 0, length],
        &[FREE],
    )
}

/// Lines on the console that hold this.
fn said(parties: &Parties, what: &str) -> usize {
    let output = parties.machine().console_output();
    output.lines().filter(|line| line.contains(what)).count()
}

/// Lets time pass, and the timer fire whenever it is to.
fn pass(parties: &Parties, milliseconds: u64) {
    for _ in 0..milliseconds {
        parties.machine().advance(1_000_000);
        if parties.machine().take_alarm() {
            parties.processor.tick();
            parties.note();
        }
    }
}

fn quiet() -> Parties {
    let parties = Parties::new();
    parties.audit_each_step(false);
    parties
}

#[test]
fn who_logs_in_a_loop_is_held_to_a_budget_and_the_loss_is_told_in_one_line() {
    let parties = quiet();
    let (greedy, other) = (logging(&parties, LINES), logging(&parties, LINES));
    for _ in 0..4 * OF_ONE {
        assert_eq!(line(&parties, greedy, 8), OK);
    }
    let printed = said(&parties, ": aaaaaaaa");
    assert!((OF_ONE..OF_ONE + 10).contains(&printed), "{printed}");
    assert_eq!(line(&parties, other, 9), OK);
    assert_eq!(
        said(&parties, ": aaaaaaaaa"),
        1,
        "it has a budget of its own"
    );
    assert_eq!(said(&parties, "dropped"), 0);
    pass(&parties, 1100);
    let told = format!("kernel: {} lines dropped", 4 * OF_ONE - printed);
    assert_eq!(said(&parties, &told), 1);
    // The budget comes back, by and by.
    assert_eq!(line(&parties, greedy, 10), OK);
    assert_eq!(said(&parties, ": aaaaaaaaaa"), 1);
    pass(&parties, 3000);
    assert_eq!(said(&parties, "dropped"), 1, "told once");
}

#[test]
fn many_processes_that_log_in_a_loop_are_bounded_together() {
    let parties = quiet();
    for _ in 0..8 {
        let party = logging(&parties, LINES);
        for _ in 0..OF_ONE {
            assert_eq!(line(&parties, party, 8), OK);
        }
    }
    let printed = said(&parties, ": aaaaaaaa");
    assert!((OF_ALL..OF_ALL + 10).contains(&printed), "{printed}");
    // The kernel's own are not.
    parties.processor.kernel().say(format_args!("kernel: mine"));
    assert_eq!(said(&parties, "kernel: mine"), 1);
    let init = logging(&parties, Rights::FULL);
    for _ in 0..2 * OF_ONE {
        assert_eq!(line(&parties, init, 9), OK);
    }
    assert_eq!(said(&parties, ": aaaaaaaaa"), 2 * OF_ONE);
}

/// A serial port that doesn't answer was once polled with interrupts off, byte by byte.
#[test]
fn a_console_that_takes_nothing_stops_nobody_and_gets_all_in_order_later() {
    let parties = quiet();
    let (greedy, init) = (logging(&parties, LINES), logging(&parties, Rights::FULL));
    parties.machine().set_console_room(0);
    let before = parties.machine().console_output().len();
    for _ in 0..OF_ONE {
        assert_eq!(line(&parties, greedy, LONGEST), OK);
    }
    // What processes log fills half of the ring at most; init and the kernel have the other half.
    assert_eq!(bytes(&parties, init, LONGEST), OK);
    parties.processor.kernel().say(format_args!("kernel: mine"));
    let room = (BYTES / 2) as u64 / LONGEST - 2;
    for _ in 0..room {
        assert_eq!(bytes(&parties, init, LONGEST), OK);
    }
    pass(&parties, 500);
    assert_eq!(bytes(&parties, init, LONGEST), OK);
    assert_eq!(bytes(&parties, init, LONGEST), errno(EAGAIN), "it is full");
    assert_eq!(parties.machine().console_output().len(), before);
    parties.machine().set_console_room(usize::MAX);
    pass(&parties, 2000);
    let output = parties.machine().console_output();
    let lines: Vec<&str> = output[before..].lines().collect();
    let longest = "a".repeat(LONGEST as usize);
    let processes = lines
        .iter()
        .take_while(|line| line.starts_with('['))
        .count();
    assert!(
        lines[..processes]
            .iter()
            .all(|line| line.ends_with(&longest))
    );
    assert!(
        lines[processes].starts_with(&longest),
        "init's bytes, as they are"
    );
    assert!(lines[processes].ends_with("kernel: mine"));
    assert_eq!(said(&parties, "lines dropped"), 1);
}

#[test]
fn a_slow_console_gets_everything_once() {
    let parties = quiet();
    let party = logging(&parties, LINES);
    parties.machine().set_console_room(0);
    for n in 0..20 {
        assert_eq!(line(&parties, party, 30 + n), OK);
    }
    let fast = quiet();
    let same = logging(&fast, LINES);
    for n in 0..20 {
        assert_eq!(line(&fast, same, 30 + n), OK);
    }
    for _ in 0..2000 {
        parties.machine().set_console_room(3);
        pass(&parties, 2);
    }
    let texts = |parties: &Parties| -> Vec<String> {
        let output = parties.machine().console_output();
        let text = |line: &str| line.split_once("] ").map(|(_, text)| text.to_string());
        output.lines().filter_map(text).collect()
    };
    assert_eq!(texts(&parties), texts(&fast));
}

/// One entry gives a slow port what it adds and a little more, whatever waits.
#[test]
fn an_entry_prints_a_bounded_piece_of_what_waits() {
    let parties = quiet();
    let party = logging(&parties, Rights::FULL);
    parties.machine().set_console_room(0);
    for _ in 0..8 {
        assert_eq!(bytes(&parties, party, LONGEST), OK);
    }
    parties.machine().set_console_room(usize::MAX);
    let before = parties.machine().console_output().len();
    assert_eq!(bytes(&parties, party, 1), OK);
    let printed = parties.machine().console_output().len() - before;
    assert!((1..=300).contains(&printed), "{printed}");
    parties.processor.kernel().flush_console();
    let printed = parties.machine().console_output().len() - before;
    assert_eq!(printed as u64, 8 * LONGEST + 1);
}

/// A process without a keeper, whose maker starts it again after each fault.
fn fault_again_and_again(parties: &Parties, pause: u64) {
    let (victim, maker) = (parties.spawn(), parties.spawn());
    let process = 80;
    parties.give(maker, process, victim.oid(), Rights::FULL);
    for _ in 0..200 {
        parties.machine().advance(pause);
        parties.run(victim);
        parties
            .processor
            .fault(Cause::Page, Access::empty(), 0x1234);
        parties.note();
        cap::<sys::object::Process>(process)
            .start(&parties.sys(maker))
            .expect("configured");
    }
}

/// Processes that fault can be made without end.
#[test]
fn faults_without_end_leave_room_for_init_and_the_kernel() {
    let parties = quiet();
    let init = logging(&parties, Rights::FULL);
    parties.machine().set_console_room(0);
    // Slowly enough that each is reported.
    fault_again_and_again(&parties, 250_000_000);
    parties.processor.kernel().say(format_args!("kernel: mine"));
    for _ in 0..3 {
        assert_eq!(bytes(&parties, init, LONGEST), OK);
    }
    parties.machine().set_console_room(usize::MAX);
    pass(&parties, 2000);
    assert_eq!(said(&parties, "kernel: mine"), 1);
}

#[test]
fn faults_without_end_are_not_reported_without_end() {
    let parties = quiet();
    fault_again_and_again(&parties, 0);
    let reports = said(&parties, "stopped: ");
    assert!((1..=40).contains(&reports), "{reports}");
    pass(&parties, 1100);
    assert_eq!(said(&parties, "lines dropped"), 1);
}
