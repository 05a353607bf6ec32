//! Formatting, clippy, and that the tests of pitfalls are there and listed.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::pitfalls::pitfalls;
use super::{Run, Tally};
use crate::checkout::Checkout;
use crate::programs::{LIBRARIES, PACKAGES, Programs};
use crate::progress::Step;
use crate::toolchain::{self, Bare};

/// How long each may take, with everything to be compiled.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Runs `cargo fmt --check`, and clippy with warnings denied for the host and the bare target; looks for
/// the tests that docs/pitfalls.md lists.
///
/// # Errors
/// A command can't be run at all.
pub fn lint(checkout: &Checkout) -> Result<Tally> {
    let mut tally = Tally::default();

    let mut format = checkout.cargo();
    format.args(["fmt", "--all", "--check"]);
    one(checkout, "format", format, &mut tally)?;

    let name = "tests of pitfalls";
    let step = Step::start(name);
    let complaints = pitfalls(checkout.root())?;
    step.end(if complaints.is_empty() {
        "ok"
    } else {
        "FAILED"
    });
    complaints.iter().for_each(|line| println!("{line}"));
    tally.check(name, complaints.is_empty());

    let mut host = checkout.cargo();
    host.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    one(checkout, "clippy for the host", host, &mut tally)?;

    let name = "clippy for the bare target";
    match Bare::find()? {
        Some(Bare::Installed) => one(checkout, name, bare_clippy(checkout)?, &mut tally)?,
        // Debian's compiler comes without clippy, and rustup's can't read its libraries.
        _ => tally.unavailable(name, format!("the toolchain has no {}", toolchain::TARGET)),
    }
    Ok(tally)
}

fn bare_clippy(checkout: &Checkout) -> Result<Command> {
    let programs = Programs::find(checkout)?;
    let mut command = checkout.cargo();
    command.arg("clippy").args(Bare::Installed.flags());
    if !programs.programs.is_empty() {
        command.args(programs.selection(&[]));
    }
    // The libraries of packages whose programs don't exist yet, too.
    for package in PACKAGES
        .iter()
        .map(|package| package.name)
        .chain(LIBRARIES.iter().copied())
    {
        command.args(["-p", package]);
    }
    command.args(["--", "-D", "warnings"]);
    Ok(command)
}

fn one(checkout: &Checkout, name: &str, command: Command, tally: &mut Tally) -> Result<()> {
    let step = Step::start(name);
    let run = Run::new(checkout, &name.replace(' ', "-"), command, LIMIT, |line| {
        step.say(line.trim())
    })?;
    let passed = run.status.success();
    step.end(if passed { "ok" } else { "FAILED" });
    if !passed {
        println!("{}\n({} has all of it)", run.tail(100), run.log.display());
    }
    tally.check(name, passed);
    Ok(())
}
