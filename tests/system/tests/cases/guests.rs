//! The guest programs of `tests/guest`: they judge by themselves, on the machine, in init's place or
//! beside it.

use anyhow::{Result, ensure};
use mk::figures::Figure;
use mk::machine::Machine;
use mk::outcome::Outcome;
use system::{Boot, Case, Entry, Guest, seconds};

pub const CASES: &[Entry] = &[
    (
        "guests.the_tutorials_program_says_what_the_tutorial_shows",
        hello,
    ),
    (
        "guests.a_bank_too_small_for_a_program_is_a_clear_error",
        small_bank,
    ),
    (
        "guests.every_wrong_invocation_gets_the_status_promised",
        invoker,
    ),
    ("guests.every_fault_is_told_to_the_keeper", faulty),
    (
        "guests.hostile_processes_come_by_nothing_that_is_not_theirs",
        hostile,
    ),
    ("guests.the_runtime_survives_what_it_promises_to", runtime),
    ("guests.a_null_pointer_is_reported_with_its_backtrace", null),
    ("guests.a_write_to_receive_memory_is_reported", receive),
    ("guests.a_stack_overflow_is_reported", overflow),
    ("guests.a_panic_says_where", panic),
    ("guests.an_allocation_that_fails_says_so", memory),
    ("guests.an_echo_costs_the_same_in_every_run", echo),
];

/// Boots a guest beside init, without users.
fn beside_init(case: &Case, name: &str, words: &[&str]) -> Result<Guest> {
    let mut boot = Boot::new(case)
        .program(name)
        .append("users=off")
        .append(&format!("program=bin/{name}"));
    for word in words {
        boot = boot.append(word);
    }
    boot.start()
}

/// Boots a guest in init's place, which counts what was right and what was wrong.
fn counts(case: &Case, name: &str) -> Result<()> {
    let mut guest = Boot::new(case).init(name).start()?;
    let sums = guest.expect(
        &format!("{name}: ([0-9]+) ok, ([0-9]+) FAILED"),
        seconds(60),
    )?;
    let outcome = guest.wait_exit(seconds(10))?;
    ensure!(sums.group(2)? == "0", "{} wrong", sums.group(2)?);
    ensure!(
        sums.group(1)?.parse::<u32>()? > 10,
        "hardly anything was tried"
    );
    ensure!(outcome == Outcome::Halted, "{outcome}");
    Ok(())
}

/// Lets `faulty` fault beside init, and waits for these words of the report, in order.
fn faults(case: &Case, fault: &str, report: &[&str]) -> Result<()> {
    let mut guest = beside_init(case, "faulty", &[&format!("program-arguments={fault}")])?;
    for words in report {
        guest.expect(words, seconds(20))?;
    }
    let outcome = guest.wait_exit(seconds(10))?;
    ensure!(outcome == Outcome::TestFailed, "{outcome}");
    Ok(())
}

fn hello(case: &Case) -> Result<()> {
    let mut guest = beside_init(case, "hello", &[])?;
    let tutorial = include_str!("../../../../docs/tutorial.md");
    let shown = "hello: hello; the first squares are [1, 4, 9, 16, 25]";
    ensure!(
        tutorial.contains(shown),
        "the tutorial shows something else"
    );
    guest.expect(&regex_of(shown), seconds(20))?;
    guest.expect("hello: [0-9]+ of [0-9]+ objects bought", seconds(5))?;
    Ok(())
}

fn small_bank(case: &Case) -> Result<()> {
    let mut guest = beside_init(case, "hello", &["program-bank=10"])?;
    guest.expect("bin/hello.*the bank's limit", seconds(20))?;
    ensure!(
        !guest.has_shown("the first squares")?,
        "it ran all the same"
    );
    Ok(())
}

fn invoker(case: &Case) -> Result<()> {
    counts(case, "invoker")
}

fn hostile(case: &Case) -> Result<()> {
    let mut guest = Boot::new(case)
        .init("fuzzer")
        .append("rounds=20")
        .append("log=error")
        .machine(|machine| *machine = count_instructions())
        .start()?;
    let sums = guest.expect(
        "fuzzer: 20 rounds, ([0-9]+) invocations, .*; sound",
        seconds(120),
    )?;
    let outcome = guest.wait_exit(seconds(10))?;
    let made: u64 = sums.group(1)?.parse()?;
    ensure!(made > 100_000, "only {made} invocations");
    ensure!(outcome == Outcome::Halted, "{outcome}");
    Ok(())
}

fn faulty(case: &Case) -> Result<()> {
    counts(case, "faulty")
}

fn runtime(case: &Case) -> Result<()> {
    counts(case, "runtime")
}

fn null(case: &Case) -> Result<()> {
    faults(
        case,
        "null",
        &[
            "faulty.* stopped: page fault: reading 0x0",
            "#0 faulty 0x",
            "#3 faulty 0x",
        ],
    )
}

fn receive(case: &Case) -> Result<()> {
    faults(
        case,
        "receive",
        &[
            "faulty.* stopped: page fault: writing 0x20000008",
            "#1 faulty 0x",
        ],
    )
}

fn overflow(case: &Case) -> Result<()> {
    faults(
        case,
        "overflow",
        &[
            "faulty.* stopped: page fault: writing 0x101e",
            "#20 faulty 0x",
        ],
    )
}

fn panic(case: &Case) -> Result<()> {
    faults(
        case,
        "panic",
        &[
            "panicked at tests/guest/src/faulty/own.rs",
            "as asked",
            "#3 faulty 0x",
            "gave up",
        ],
    )
}

fn memory(case: &Case) -> Result<()> {
    faults(
        case,
        "memory",
        &[
            "memory allocation of 4096 bytes failed",
            "#3 faulty 0x",
            "gave up",
        ],
    )
}

/// What the echo bench prints, of few echoes.
fn echo_figures(case: &Case) -> Result<Vec<Figure>> {
    let mut guest = Boot::new(case)
        .init("echo")
        .append("echoes=256")
        .append("log=warn")
        .machine(|machine| *machine = count_instructions())
        .start()?;
    let outcome = guest.wait_exit(seconds(60))?;
    ensure!(outcome == Outcome::Halted, "{outcome}");
    let console = guest.console();
    Ok(console.lines().filter_map(Figure::printed).collect())
}

/// The machine of the benches: figures are those of one CPU, whatever else the tests run on.
pub fn count_instructions() -> Machine {
    Machine {
        icount: true,
        ..Machine::default()
    }
}

fn echo(case: &Case) -> Result<()> {
    let (first, second) = (echo_figures(case)?, echo_figures(case)?);
    for name in [
        "echo.udp64.1",
        "echo.udp64.32",
        "echo.udp1400.32",
        "echo.udp64.32.flip",
        "echo.udp1400.32.flip",
        "echo.udp1400.32.hybrid",
        "switches.echo64.1",
        "switches.echo64.32",
    ] {
        let found = first.iter().find(|figure| figure.name == name);
        ensure!(
            found.is_some_and(|figure| figure.gated && figure.value > 0.0),
            "no figure {name}: {first:?}"
        );
    }
    ensure!(
        first == second,
        "{first:?} the first time, {second:?} the second"
    );
    Ok(())
}

/// The regular expression that matches just this text.
fn regex_of(text: &str) -> String {
    let special = |character: char| "\\.+*?()|[]{}^$".contains(character);
    text.chars()
        .flat_map(|character| {
            special(character)
                .then_some('\\')
                .into_iter()
                .chain([character])
        })
        .collect()
}
