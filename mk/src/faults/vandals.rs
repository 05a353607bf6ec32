//! Hostile stacks in QEMU: a case of `tests/system`, with many seeds.
//!
//! Each process of the case's plays a few seeds, so that a failure costs the seeds after it little.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Extent;
use super::chunks::Chunks;
use super::fuzzed::{Finding, Fuzzed};
use crate::checkout::Checkout;
use crate::process::die_with_parent;
use crate::progress::Step;

/// The scenario's name.
pub const NAME: &str = "vandals";
/// The package of the case, and the case.
const PACKAGE: &str = "system";
const CASE: &str = "hostile.vandals_of_any_seed_are_named_and_cost_nobody_a_frame";
/// Seeds that a process plays.
const SEEDS: u64 = 4;

/// What a process came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Played {
    seeds: u64,
    checks: u64,
    finding: Option<Finding>,
}

/// Plays seeds from this one on.
///
/// # Errors
/// The case can't be built or run, or the seed is larger than it takes.
pub fn play(checkout: &Checkout, seed: u64, extent: Extent) -> Result<Fuzzed> {
    if u32::try_from(seed).is_err() {
        bail!("a vandal's seed is at most {}", u32::MAX);
    }
    let program = build(checkout)?;
    let folder = checkout.root().join("tests/system");
    let chunks = Chunks {
        seed,
        extent,
        size: SEEDS,
    };
    let mut all = Fuzzed {
        name: NAME.into(),
        unit: "seeds of a stack's",
        tried: 0,
        checked: Some(0),
        findings: Vec::new(),
    };
    let one = |first, count| run(&program, &folder, first, count);
    chunks.play(NAME, one, |played| {
        all.tried += played.seeds;
        all.checked = all.checked.map(|checked| checked + played.checks);
        let seeds = played.seeds + u64::from(played.finding.is_some());
        all.findings.extend(played.finding);
        let failures = all.findings.len();
        (seeds, format!("{} seeds, {failures} failures", all.tried))
    })?;
    Ok(all)
}

/// Builds the cases; answers where the program is.
fn build(checkout: &Checkout) -> Result<PathBuf> {
    let step = Step::start("fuzz: building the QEMU cases");
    let mut command = checkout.cargo();
    command.args(["test", "-p", PACKAGE, "--test", PACKAGE, "--no-run"]);
    command.arg("--message-format=json-render-diagnostics");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        bail!("the QEMU cases can't be built (cargo: {})", output.status);
    }
    step.done();
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut built = messages.filter_map(|message: Value| {
        let ours = message["target"]["name"] == PACKAGE;
        let path = message["executable"].as_str().filter(|_| ours)?;
        Some(PathBuf::from(path))
    });
    built.next_back().context("cargo built no QEMU cases")
}

/// Plays some seeds.
fn run(program: &Path, folder: &Path, first: u64, count: u64) -> Result<Played> {
    let mut command = Command::new(program);
    command
        .args([CASE, "--exact", "--nocapture"])
        .env("USUFRUCT_SEED", first.to_string())
        .env("USUFRUCT_SEEDS", count.to_string())
        .current_dir(folder)
        .stdin(Stdio::null());
    die_with_parent(&mut command);
    let output = command
        .output()
        .with_context(|| format!("{} can't be run", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    judge(&said, output.status.success(), first, count)
}

/// What a process's output comes to.
fn judge(said: &str, succeeded: bool, first: u64, count: u64) -> Result<Played> {
    let mut played = Played::default();
    for line in said.lines() {
        let Some((_, counts)) = line
            .strip_prefix("vandal")
            .and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        played.seeds += 1;
        played.checks += counts
            .split(", ")
            .filter_map(|part| part.split(' ').next()?.parse::<u64>().ok())
            .sum::<u64>();
    }
    if succeeded {
        if played.seeds != count {
            bail!("the case {CASE} played {} of {count} seeds", played.seeds);
        }
        return Ok(played);
    }
    let seed = first.saturating_add(played.seeds);
    let what = said
        .lines()
        .find_map(|line| line.strip_prefix(&format!("seed {seed}: ")));
    played.finding = Some(Finding {
        what: format!("seed {seed}: {}", what.unwrap_or("it ended")),
        again: format!("cargo mk faults --level fuzz --scenario {NAME} --seed {seed} --count 1"),
    });
    Ok(played)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_checked_is_added_up() {
        let said = "running 1 test\n\
                    vandal8: 700 echoes, 12 sessions ended\n\
                    vandal9: 600 echoes, 13 sessions ended\n";
        let played = judge(said, true, 8, 2).unwrap();
        assert_eq!((played.seeds, played.checks), (2, 1325));
        assert_eq!(played.finding, None);
        assert!(judge(said, true, 8, 3).is_err());
    }

    #[test]
    fn a_failure_names_the_seed_and_the_command_for_it() {
        let said = "vandal8: 700 echoes, 12 sessions ended\n\
                    failures:\n\
                    ---- the case ----\n\
                    seed 9: bob answered 99 of 100 in round 3\n";
        let played = judge(said, false, 8, 4).unwrap();
        let finding = played.finding.unwrap();
        assert_eq!(finding.what, "seed 9: bob answered 99 of 100 in round 3");
        let command = "cargo mk faults --level fuzz --scenario vandals --seed 9 --count 1";
        assert_eq!(finding.again, command);
        let silent = judge("", false, 8, 4).unwrap().finding.unwrap();
        assert_eq!(silent.what, "seed 8: it ended");
    }

    #[test]
    fn the_case_is_one_of_tests_system() {
        let source = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/system/tests/cases/vandals.rs"
        );
        let text = std::fs::read_to_string(source).unwrap();
        assert!(text.contains(&format!("\"{CASE}\"")));
    }
}
