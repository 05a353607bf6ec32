//! The harness proves itself on kernels of a few instructions: each way to end has its own
//! outcome, and a failing case says what one needs to know.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use system::{Boot, Case, Entry, ExpectOutcome, Guest, Outcome, Payload, report_of, seconds};

pub const CASES: &[Entry] = &[
    ("harness.a_halt_is_told_by_its_exit_status", halt),
    (
        "harness.a_failed_test_is_told_by_its_exit_status",
        test_failed,
    ),
    ("harness.a_panic_is_told_by_its_exit_status", panic),
    ("harness.a_wrong_exit_status_is_none_of_these", wrong_exit),
    (
        "harness.a_triple_fault_is_told_apart_from_a_reset",
        triple_fault,
    ),
    ("harness.a_reset_is_told_apart_from_a_triple_fault", reset),
    ("harness.a_power_off_is_told_apart_from_a_reset", power_off),
    ("harness.a_hang_ends_in_a_timeout", hang),
    ("harness.a_flood_of_text_does_not_stop_the_harness", flood),
    ("harness.a_qemu_that_does_not_start_says_why", not_started),
    (
        "harness.the_command_line_and_the_archive_arrive",
        start_info,
    ),
    ("harness.what_is_typed_arrives", typed),
    (
        "harness.text_that_never_comes_is_reported_with_the_end",
        missing_text,
    ),
    (
        "harness.a_failing_case_reports_end_console_and_rerun",
        report,
    ),
    ("harness.a_panicking_case_reports_too", report_of_panic),
    (
        "harness.two_cpus_and_counted_instructions_boot",
        other_machines,
    ),
];

fn boot(case: &Case, payload: Payload) -> Result<Guest> {
    Boot::new(case).payload(payload).start()
}

fn ends_in(case: &Case, payload: Payload, wanted: Outcome) -> Result<()> {
    let mut guest = boot(case, payload)?;
    guest.expect("payload: up", seconds(30))?;
    guest.wait_exit(seconds(30))?.expect(wanted)
}

fn halt(case: &Case) -> Result<()> {
    ends_in(case, Payload::Exit(0x10), Outcome::Halted)
}

fn test_failed(case: &Case) -> Result<()> {
    ends_in(case, Payload::Exit(0x11), Outcome::TestFailed)
}

fn panic(case: &Case) -> Result<()> {
    ends_in(case, Payload::Panic, Outcome::Panicked)
}

fn wrong_exit(case: &Case) -> Result<()> {
    let outcome = boot(case, Payload::Exit(0x20))?.wait_exit(seconds(30))?;
    ensure!(
        matches!(outcome, Outcome::Exit { status: 65, .. }),
        "{outcome}"
    );
    ensure!(outcome.to_string().contains("0x20"), "{outcome}");
    Ok(())
}

fn triple_fault(case: &Case) -> Result<()> {
    ends_in(case, Payload::TripleFault, Outcome::TripleFault)
}

fn reset(case: &Case) -> Result<()> {
    ends_in(case, Payload::Reset, Outcome::Reset)
}

fn power_off(case: &Case) -> Result<()> {
    ends_in(case, Payload::PowerOff, Outcome::PoweredOff)
}

fn hang(case: &Case) -> Result<()> {
    let mut guest = boot(case, Payload::Hang)?;
    guest.expect("payload: up", seconds(30))?;
    let start = Instant::now();
    let outcome = guest.wait_exit(seconds(1))?;
    ensure!(matches!(outcome, Outcome::TimedOut { .. }), "{outcome}");
    ensure!(
        start.elapsed() >= seconds(1),
        "too early: {:?}",
        start.elapsed()
    );
    Ok(())
}

fn flood(case: &Case) -> Result<()> {
    let mut guest = boot(case, Payload::Flood)?;
    for _ in 0..100 {
        guest.expect("payload: up\n", seconds(30))?;
    }
    let outcome = guest.wait_exit(seconds(1))?;
    ensure!(matches!(outcome, Outcome::TimedOut { .. }), "{outcome}");
    Ok(())
}

fn not_started(case: &Case) -> Result<()> {
    let boot = Boot::new(case)
        .payload(Payload::Hang)
        .qemu("-device")
        .qemu("no-such-device");
    let outcome = boot.start()?.wait_exit(seconds(30))?;
    let Outcome::NotStarted { said } = &outcome else {
        bail!("{outcome}")
    };
    ensure!(said.contains("no-such-device"), "{said}");
    Ok(())
}

fn start_info(case: &Case) -> Result<()> {
    let boot = Boot::new(case)
        .payload(Payload::StartInfo)
        .append("colour=red");
    let mut guest = boot.file("a/first", "x").start()?;
    guest.expect(r"exit=0xf4 colour=red\na/first\n", seconds(30))?;
    guest.wait_exit(seconds(30))?.expect(Outcome::Halted)
}

fn typed(case: &Case) -> Result<()> {
    let mut guest = boot(case, Payload::Echo)?;
    guest.expect("payload: up", seconds(30))?;
    guest.send("spawn carol")?;
    let found = guest.expect("spawn (c[a-z]+l)", seconds(10))?;
    ensure!(found.group(1)? == "carol", "{found:?}");
    guest.send("!")?;
    guest.wait_exit(seconds(30))?.expect(Outcome::Halted)
}

fn missing_text(case: &Case) -> Result<()> {
    let mut guest = boot(case, Payload::Exit(0x10))?;
    let error = guest
        .expect("alice is up", seconds(30))
        .err()
        .context("there is no alice")?;
    let text = format!("{error:#}");
    ensure!(
        text.contains("alice is up") && text.contains("halted in good order"),
        "{text}"
    );
    Ok(())
}

fn report(_: &Case) -> Result<()> {
    let text = report_of("harness.inner", |case| {
        panic(case)?;
        bail!("this went wrong")
    });
    let text = text.err().context("a failing case must fail")?;
    for wanted in [
        "this went wrong",
        "guest 1: ended: the kernel panicked",
        "| payload: up",
        "|     #0 kernel 0x100020",
        "cargo mk test --only qemu --exact harness.inner",
    ] {
        ensure!(
            text.contains(wanted),
            "{wanted:?} is not in the report:\n{text}"
        );
    }
    Ok(())
}

fn report_of_panic(_: &Case) -> Result<()> {
    let text = report_of("harness.inner", |case| {
        let mut guest = boot(case, Payload::Hang)?;
        guest.expect("payload: up", seconds(30))?;
        // A panic without its message on standard error, where it would look like a failure.
        std::panic::resume_unwind(Box::new("an assertion of a case"))
    });
    let text = text.err().context("a panicking case must fail")?;
    ensure!(text.contains("an assertion of a case"), "{text}");
    ensure!(text.contains("guest 1: was still running"), "{text}");
    Ok(())
}

fn other_machines(case: &Case) -> Result<()> {
    for (cpus, icount) in [(2, false), (1, true), (2, true)] {
        let mut guest = Boot::new(case)
            .payload(Payload::Exit(0x10))
            .machine(|machine| {
                machine.cpus = cpus;
                machine.icount = icount;
                machine.memory = 64;
            })
            .start()?;
        guest.wait_exit(seconds(30))?.expect(Outcome::Halted)?;
    }
    Ok(())
}
