//! Hostile processes in QEMU: boots of the guest program `fuzzer`, on all cores.
//!
//! The machine counts instructions, and is the same in every run: what one boot finds, the same boot
//! finds again. So that this is soon, a boot plays few seeds.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Extent;
use super::chunks::Chunks;
use super::fuzzed::{Finding, Fuzzed};
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::verbs::Prepared;

/// The scenario's name.
pub const NAME: &str = "kernel";
/// The guest program.
const PROGRAM: &str = "fuzzer";
/// Seeds that a boot plays.
const SEEDS: u64 = 25;
/// Invocations with each, at most.
const INVOCATIONS: u64 = 20_000;
/// Longest that a boot may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a boot came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Boot {
    rounds: u64,
    invocations: u64,
    finding: Option<Finding>,
}

/// A kernel that makes a mistake: where it is, and which mistake.
pub type Planted = (PathBuf, String);

/// Plays seeds from this one on.
///
/// # Errors
/// A boot can't be made, or says what mk doesn't understand.
pub fn play(
    prepared: &Prepared,
    seed: u64,
    extent: Extent,
    planted: Option<&Planted>,
) -> Result<Fuzzed> {
    let chunks = Chunks {
        seed,
        extent,
        size: SEEDS,
    };
    let mut all = Fuzzed {
        name: NAME.into(),
        unit: "invocations",
        tried: 0,
        checked: Some(0),
        findings: Vec::new(),
    };
    let one = |first, count| boot(prepared, first, count, planted);
    chunks.play(NAME, one, |boot| {
        all.tried += boot.invocations;
        // Twice in each round the kernel is audited; holdings, victim and books are looked at once.
        all.checked = all.checked.map(|checked| checked + 5 * boot.rounds);
        all.findings.extend(boot.finding);
        let failures = all.findings.len();
        let detail = format!("{} invocations, {failures} failures", all.tried);
        (boot.rounds, detail)
    })?;
    Ok(all)
}

/// Boots once, with these seeds.
fn boot(prepared: &Prepared, first: u64, count: u64, planted: Option<&Planted>) -> Result<Boot> {
    let program = prepared.artifacts.program(PROGRAM)?;
    let mut archive = prepared.archive(&crate::users::manifest(1)?)?;
    archive.add_program(PROGRAM, &program.stripped)?;
    let (mut launch, _files) = prepared.boot(&archive)?;
    launch.machine = Machine {
        icount: true,
        ..Machine::default()
    };
    launch.append.extend([
        format!("init={PROGRAM}"),
        "log=error".into(),
        format!("seed={first}"),
        format!("rounds={count}"),
        format!("invocations={INVOCATIONS}"),
    ]);
    if let Some((kernel, fault)) = planted {
        launch.kernel.clone_from(kernel);
        launch.append.push(format!("planted={fault}"));
    }
    let mut process = Process::start(&launch)?;
    let console = process.take_stdout().context("standard output is piped")?;
    process.resume();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        let text = lines.map(|line| String::from_utf8_lossy(&line).trim_end().to_string());
        text.collect::<Vec<String>>()
    });
    let outcome = process.wait(Some(PATIENCE))?;
    let lines = reader.join().unwrap_or_default();
    let mut boot = judge(&lines, &outcome, first, count)?;
    if let (Some(finding), Some((_, fault))) = (&mut boot.finding, planted) {
        finding.again.push_str(&format!(" --planted {fault}"));
    }
    Ok(boot)
}

/// What a boot's lines and its end come to.
fn judge(lines: &[String], outcome: &Outcome, first: u64, count: u64) -> Result<Boot> {
    let mut boot = Boot::default();
    // A hostile process that came by a log may have written anything before it.
    let told = lines
        .iter()
        .filter_map(|line| Some(line.split_once("fuzzer: ")?.1));
    let mut found = None;
    for line in told {
        if let Some(what) = line.strip_prefix("FAILED ") {
            found = Some(what.to_owned());
            continue;
        }
        let mut numbers = line.split(", ").map(|part| {
            let digits = part.split(' ').next().unwrap_or_default();
            digits.parse::<u64>()
        });
        if let (Some(Ok(rounds)), Some(Ok(invocations))) = (numbers.next(), numbers.next()) {
            (boot.rounds, boot.invocations) = (rounds, invocations);
        }
    }
    let what = match (outcome, found) {
        (Outcome::Halted, None) if boot.rounds == count => return Ok(boot),
        (Outcome::Halted, None) => bail!("the guest played {} of {count} rounds", boot.rounds),
        (_, Some(what)) => what,
        (outcome, None) => {
            let last: Vec<&str> = lines.iter().map(String::as_str).rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            format!("{outcome}\n    {}", last.join("\n    "))
        }
    };
    boot.finding = Some(Finding {
        what,
        again: again(first),
    });
    Ok(boot)
}

/// The command that plays a boot again.
fn again(first: u64) -> String {
    format!("cargo mk faults --level fuzz --scenario {NAME} --seed {first} --count {SEEDS}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_last_line_counts() {
        let said = lines(&[
            "[ 0.1] kernel: 123 MiB",
            "fuzzer: 3 rounds, 48211 invocations",
            "fuzzer: 25 rounds, 400000 invocations, 300000 succeeded, 1 ended themselves; sound",
        ]);
        let boot = judge(&said, &Outcome::Halted, 1, 25).unwrap();
        assert_eq!((boot.rounds, boot.invocations), (25, 400_000));
        assert_eq!(boot.finding, None);
    }

    #[test]
    fn what_the_guest_finds_is_told_with_the_boot_that_finds_it_again() {
        let said = lines(&["fuzzer: FAILED seed 31: it gained a reset with READ"]);
        let boot = judge(&said, &Outcome::TestFailed, 26, 25).unwrap();
        let finding = boot.finding.unwrap();
        assert_eq!(finding.what, "seed 31: it gained a reset with READ");
        let command = "cargo mk faults --level fuzz --scenario kernel --seed 26 --count 25";
        assert_eq!(finding.again, command);
    }

    #[test]
    fn what_a_hostile_process_logged_hides_no_finding() {
        let said = lines(&["^\u{fffd}^   \tfuzzer: FAILED seed 2: it gained a log with READ"]);
        let finding = judge(&said, &Outcome::TestFailed, 1, 25).unwrap().finding;
        let what = finding.unwrap().what;
        assert_eq!(what, "seed 2: it gained a log with READ");
    }

    #[test]
    fn a_kernel_that_panics_is_a_finding() {
        let said = lines(&["fuzzer: 3 rounds, 48211 invocations", "panicked at x.rs"]);
        let boot = judge(&said, &Outcome::Panicked, 1, 25).unwrap();
        let what = boot.finding.unwrap().what;
        assert!(what.contains("panicked at x.rs"), "{what}");
    }

    #[test]
    fn a_guest_that_says_nothing_is_an_error() {
        assert!(judge(&[], &Outcome::Halted, 1, 25).is_err());
    }
}
