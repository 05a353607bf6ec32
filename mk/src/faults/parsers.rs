//! libFuzzer over the targets of `tests/fuzz`: everything that takes apart what strangers wrote.
//!
//! Coverage is put in by the stable compiler; libFuzzer itself is C++, which libfuzzer-sys compiles.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Extent;
use super::fuzzed::{Finding, Fuzzed};
use crate::checkout::Checkout;
use crate::process::die_with_parent;
use crate::progress::Step;
use crate::setup;

/// The targets, as `tests/fuzz` names them: a test compares.
pub const TARGETS: [&str; 16] = [
    "frame", "merge", "stack", "http", "queue", "ring", "manifest", "console", "archive", "boot",
    "image", "platform", "handover", "ram", "genesis", "study",
];
/// Runs of a target for each seed that is asked for.
const RUNS: u64 = 10_000;
/// What has the compiler count which edges are passed, and tell libFuzzer of comparisons.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];
/// The triple of hosts on which this works. It is named, so that build scripts aren't instrumented.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The program that libFuzzer drives.
#[derive(Clone, Debug)]
pub struct Fuzzer {
    program: PathBuf,
    /// Where what it has learnt stays, a folder for each target.
    learnt: PathBuf,
    /// Where what once made a target fail is stored.
    corpus: PathBuf,
}

/// Makes sure that this host can build and run it.
///
/// # Errors
/// It is another system, or there is no C++ compiler and none can be installed.
pub fn possible() -> Result<()> {
    let here = cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    ));
    if !here {
        bail!("libFuzzer is driven on {TRIPLE} only");
    }
    setup::cplusplus()
}

/// Builds it, optimised and with the checks of arithmetic.
///
/// # Errors
/// This host [can't](possible), or it doesn't compile.
pub fn build(checkout: &Checkout) -> Result<Fuzzer> {
    possible()?;
    let step = Step::start("fuzz: building the targets");
    let folder = checkout.target().join("fuzz");
    let mut command = checkout.cargo();
    command
        .args(["build", "-p", "fuzz", "--bin", "fuzz", "--release"])
        .args(["--features", "libfuzzer", "--target", TRIPLE])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        // In place of those of .cargo/config.toml, of which none are for this triple.
        .env("RUSTFLAGS", COVERAGE.join(" "));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        bail!("the fuzz targets can't be built (cargo: {})", output.status);
    }
    step.done();
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut built = messages.filter_map(|message: Value| {
        let ours = message["target"]["name"] == "fuzz";
        Some(PathBuf::from(
            message["executable"].as_str().filter(|_| ours)?,
        ))
    });
    Ok(Fuzzer {
        program: built.next_back().context("cargo built no fuzz targets")?,
        learnt: checkout.output()?.join("fuzz"),
        corpus: checkout.root().join("tests/fuzz/corpus"),
    })
}

impl Fuzzer {
    /// Has libFuzzer look for bytes that make a target fail.
    ///
    /// # Errors
    /// It can't be run.
    pub fn play(&self, target: &str, seed: u64, extent: Extent) -> Result<Fuzzed> {
        let learnt = self.learnt.join(target);
        let found = self.learnt.join(format!("{target}-found"));
        let seeds = self.learnt.join(format!("{target}-seeds"));
        for folder in [&learnt, &found, &seeds] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("can't make {}", folder.display()))?;
        }
        let step = Step::start(format!("fuzz: {target}"));
        let mut command = Command::new(&self.program);
        command.env("FUZZ_TARGET", target).env("FUZZ_SEEDS", &seeds);
        command.args([&learnt, &seeds]);
        if self.corpus.join(target).is_dir() {
            command.arg(self.corpus.join(target));
        }
        // 0 would be any seed.
        let seed = (seed as u32).max(1);
        command.args([
            format!("-seed={seed}"),
            format!("-artifact_prefix={}/", found.display()),
            "-max_len=8192".into(),
            "-timeout=10".into(),
            "-rss_limit_mb=1024".into(),
            "-print_final_stats=1".into(),
        ]);
        command.arg(match extent {
            Extent::Seeds(count) => format!("-runs={}", count.saturating_mul(RUNS)),
            Extent::Time(time) => format!("-max_total_time={}", time.as_secs().max(1)),
        });
        die_with_parent(&mut command);
        let output = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .with_context(|| format!("{} can't be run", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut fuzzed = Fuzzed {
            name: target.into(),
            unit: "inputs",
            tried: statistic(&said, "number_of_executed_units").unwrap_or(0),
            checked: None,
            findings: Vec::new(),
        };
        if !output.status.success() {
            fuzzed.findings.push(self.finding(target, &said));
        }
        step.end(&format!("{} inputs", fuzzed.tried));
        Ok(fuzzed)
    }

    /// What libFuzzer's last words come to.
    fn finding(&self, target: &str, said: &str) -> Finding {
        let panicked = said
            .lines()
            .skip_while(|line| !line.contains("panicked at"));
        let panicked: Vec<&str> = panicked.take(3).collect();
        let error = said.lines().find(|line| line.contains("ERROR: libFuzzer"));
        let file = said.lines().find_map(|line| {
            line.split_once("Test unit written to ")?
                .1
                .split(' ')
                .next()
        });
        let again = file.unwrap_or("FILE");
        Finding {
            what: match &panicked[..] {
                [] => error.unwrap_or("it ended").to_owned(),
                lines => lines.join(" "),
            },
            again: format!("FUZZ_TARGET={target} {} {again}", shown(&self.program)),
        }
    }
}

fn shown(path: &Path) -> String {
    shell_words::quote(&path.display().to_string()).into_owned()
}

/// One of libFuzzer's final statistics.
fn statistic(said: &str, name: &str) -> Option<u64> {
    let line = said.lines().rev().find(|line| line.contains(name))?;
    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_statistics_are_read() {
        let said = "#2 INITED\nstat::number_of_executed_units: 1234\nstat::new_units_added: 5\n";
        assert_eq!(statistic(said, "number_of_executed_units"), Some(1234));
        assert_eq!(statistic("", "number_of_executed_units"), None);
    }

    #[test]
    fn a_panic_is_told_with_the_command_that_does_it_again() {
        let fuzzer = Fuzzer {
            program: "/x/fuzz".into(),
            learnt: "/x".into(),
            corpus: "/x".into(),
        };
        let said = "thread panicked at a.rs:1:2:\nwhat is wrong\nstack\nmore\n\
                    ==1== ERROR: libFuzzer: deadly signal\n\
                    artifact_prefix='/x/'; Test unit written to /x/crash-17\n";
        let finding = fuzzer.finding("http", said);
        assert_eq!(
            finding.what,
            "thread panicked at a.rs:1:2: what is wrong stack"
        );
        assert_eq!(finding.again, "FUZZ_TARGET=http /x/fuzz /x/crash-17");
        let slow = fuzzer.finding("http", "==1== ERROR: libFuzzer: timeout\n");
        assert!(slow.what.contains("timeout"));
    }

    #[test]
    fn the_targets_are_those_of_tests_fuzz() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/src/lib.rs");
        let text = std::fs::read_to_string(source).unwrap();
        let named = text.lines().filter_map(|line| {
            line.trim()
                .strip_prefix("targets::")?
                .strip_suffix("::TARGET,")
        });
        assert_eq!(named.collect::<Vec<_>>(), TARGETS);
    }
}
