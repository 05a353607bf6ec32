//! Tests that cargo runs: on the host, under loom, under Miri, and the QEMU cases.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::libtest::Reader;
use super::{Run, Tally};
use crate::checkout::Checkout;
use crate::cli::TestOptions;
use crate::progress::Step;
use crate::setup;
use crate::toolchain;

/// Packages with tests under `cfg(loom)`.
const LOOM: &[&str] = &["ring", "virtio"];

/// What Miri runs, a cargo call each: what holds unsafe code or is about shared memory, without
/// inline assembly (which it can't run), and without the tests that would take it more than minutes
/// (they run on the host like all others).
const MIRI: &[(&str, &[&str])] = &[
    ("ring", &["--lib", "--", "--skip", "at_every_wrap"]),
    ("virtio", &["--test", "location"]),
    ("rt", &["--lib", "--", "text::"]),
];

/// The package of the QEMU cases.
const SYSTEM: &str = "system";

/// Unit, property, integration and documentation tests of everything but the QEMU cases; and that the
/// simulator finds planted faults.
///
/// # Errors
/// cargo can't be run at all.
pub fn host(checkout: &Checkout, options: &TestOptions) -> Result<Tally> {
    let mut command = checkout.cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--exclude", SYSTEM]);
    let mut tally = libtest(checkout, "host tests", command, options, minutes(20))?;
    // That the simulator finds faults which are planted. For itself: in a build of the whole workspace
    // everybody's kernel would have them.
    let mut command = checkout.cargo();
    command.args([
        "test",
        "-p",
        "sim",
        "--features",
        "planted",
        "--test",
        "planted",
    ]);
    let planted = libtest(checkout, "planted faults", command, options, minutes(10))?;
    tally.add(planted);
    Ok(tally)
}

/// Memory ordering, under every interleaving.
///
/// # Errors
/// cargo can't be run at all.
pub fn loom(checkout: &Checkout, options: &TestOptions) -> Result<Tally> {
    let mut command = checkout.cargo();
    command.args(["test", "--release", "--tests", "--no-fail-fast"]);
    for package in LOOM {
        command.args(["-p", package]);
    }
    // A folder of its own: other flags would make cargo build everything again, twice.
    command
        .arg("--target-dir")
        .arg(checkout.target().join("loom"));
    command.env("RUSTFLAGS", "--cfg loom");
    libtest(checkout, "loom tests", command, options, minutes(10))
}

/// Undefined behaviour, where there is a nightly with Miri or one can be had.
///
/// # Errors
/// cargo can't be run at all.
pub fn miri(checkout: &Checkout, options: &TestOptions) -> Result<Tally> {
    let ready = miri_ready();
    let mut tally = Tally::default();
    for (package, arguments) in MIRI {
        let words: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|word| *word != "--")
            .collect();
        let name = format!("Miri on {package} {}", words.join(" "));
        if let Err(why) = &ready {
            tally.unavailable(name, why);
            continue;
        }
        let mut command = toolchain::clean(Command::new("rustup"));
        command.current_dir(checkout.root());
        command.args(["run", "nightly", "cargo", "miri", "test", "-p", package]);
        command.args(*arguments);
        // proptest reads the working folder for old failures and the clock for its seed; and each
        // case takes a thousand times as long as it does on the host.
        command
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", "4");
        tally.add(libtest(checkout, &name, command, options, minutes(6))?);
    }
    Ok(tally)
}

fn miri_ready() -> Result<(), String> {
    let works = || {
        let mut command = toolchain::clean(Command::new("rustup"));
        let output = command
            .args(["run", "nightly", "cargo", "miri", "--version"])
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    if setup::find("rustup").is_none() {
        return Err("there is no rustup to get a nightly by".into());
    }
    if works() {
        return Ok(());
    }
    let step = Step::start("a nightly toolchain with Miri");
    let mut install = Command::new("timeout");
    install.args([
        "300",
        "rustup",
        "toolchain",
        "install",
        "nightly",
        "--profile",
        "minimal",
    ]);
    install.args(["--component", "miri,rust-src", "--no-self-update"]);
    let output = toolchain::clean(install).output();
    step.end(if works() { "ok" } else { "not to be had" });
    if works() {
        return Ok(());
    }
    let why = output.map_or_else(
        |error| error.to_string(),
        |output| {
            let text = String::from_utf8_lossy(&output.stderr);
            text.lines()
                .rev()
                .find(|line| line.starts_with("error"))
                .unwrap_or("")
                .to_string()
        },
    );
    Err(format!("no nightly with Miri can be had ({why})"))
}

/// The QEMU cases.
///
/// # Errors
/// cargo can't be run at all.
pub fn system(checkout: &Checkout, options: &TestOptions) -> Result<Tally> {
    let mut command = checkout.cargo();
    command.args(["test", "-p", SYSTEM, "--no-fail-fast"]);
    let machine = &options.machine;
    // The cases read these; see tests/system/src/lib.rs.
    command.env("USUFRUCT_ACCEL", machine.accel.to_string());
    command.env("USUFRUCT_SMP", machine.smp.to_string());
    command.env("USUFRUCT_MEMORY", machine.memory.to_string());
    if let Some(seconds) = options.timeout {
        command.env("USUFRUCT_TIMEOUT", seconds.to_string());
    }
    if machine.verbose {
        command.env("USUFRUCT_VERBOSE", "1");
    }
    libtest(checkout, "QEMU cases", command, options, minutes(25))
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn libtest(
    checkout: &Checkout,
    name: &str,
    mut command: Command,
    options: &TestOptions,
    limit: Duration,
) -> Result<Tally> {
    if let Some(filter) = &options.filter {
        if command.get_args().all(|argument| argument != "--") {
            command.arg("--");
        }
        command.arg(filter);
        if options.exact {
            command.arg("--exact");
        }
    }
    let step = Step::start(name);
    let mut reader = Reader::default();
    let run = Run::new(checkout, &name.replace(' ', "-"), command, limit, |line| {
        if reader.line(line) || reader.passed == 0 {
            step.say(format!("{} passed; {}", reader.passed, line.trim()));
        }
    })?;
    reader.close();
    if run.timed_out {
        reader.failed.push(format!(
            "not at their end after {} minutes",
            limit.as_secs() / 60
        ));
    } else if !run.status.success() && reader.failed.is_empty() {
        reader.failed.push("they could not be built or run".into());
    }
    step.end(&format!(
        "{} passed, {} failed",
        reader.passed,
        reader.failed.len()
    ));
    if !reader.failed.is_empty() {
        if reader.said.is_empty() {
            println!("{}", run.tail(60));
        } else {
            println!("{}", reader.said.join("\n"));
        }
        println!("({} has all of it)", run.log.display());
    }
    let of = |test: &String| format!("{name}: {test}");
    let mut tally = Tally {
        passed: reader.passed,
        ..Tally::default()
    };
    tally.failed = reader.failed.iter().map(of).collect();
    for test in &reader.ignored {
        tally.unavailable(of(test), "it is marked to be ignored");
    }
    Ok(tally)
}
