//! The parts of `cargo mk test`, and how they are counted.

mod command;
mod hosted;
mod libtest;
mod lint;
mod pitfalls;

use std::fmt;
use std::str::FromStr;

pub use command::Run;
pub use hosted::{host, loom, miri, system};
pub use lint::lint;

/// A part of `cargo mk test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Formatting and clippy, for the host and the bare target.
    Lint,
    /// Unit, property and documentation tests on the host.
    Host,
    /// Tests of memory ordering under every interleaving.
    Loom,
    /// Tests under an interpreter that finds undefined behaviour.
    Miri,
    /// Cases in QEMU.
    Qemu,
    /// Figures against the reviewed ones.
    Bench,
}

impl Part {
    /// All parts, in the order in which they run.
    pub const ALL: &'static [Part] = &[
        Part::Lint,
        Part::Host,
        Part::Loom,
        Part::Miri,
        Part::Qemu,
        Part::Bench,
    ];

    fn word(self) -> &'static str {
        match self {
            Part::Lint => "lint",
            Part::Host => "host",
            Part::Loom => "loom",
            Part::Miri => "miri",
            Part::Qemu => "qemu",
            Part::Bench => "bench",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Part {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Part::ALL
            .iter()
            .copied()
            .find(|part| part.word() == text)
            .ok_or_else(|| {
                let words: Vec<&str> = Part::ALL.iter().map(|part| part.word()).collect();
                format!("the parts are {}", words.join(", "))
            })
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many tests and checks passed.
    pub passed: u32,
    /// What failed, by name.
    pub failed: Vec<String>,
    /// What could not be run here, by name, and why. Never counted as passed.
    pub unavailable: Vec<(String, String)>,
}

impl Tally {
    /// Counts a check that passed or failed as a whole.
    pub fn check(&mut self, name: impl Into<String>, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.into());
        }
    }

    /// Notes a check that can't be run here.
    pub fn unavailable(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.unavailable.push((name.into(), why.into()));
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.unavailable.extend(other.unavailable);
    }

    /// What is printed at the end: what failed and what is unavailable by name, then the count.
    pub fn summary(&self) -> String {
        let mut lines: Vec<String> = self
            .failed
            .iter()
            .map(|name| format!("failed: {name}"))
            .collect();
        lines.extend(
            self.unavailable
                .iter()
                .map(|(name, why)| format!("unavailable: {name}: {why}")),
        );
        let mut count = format!("{} passed, {} failed", self.passed, self.failed.len());
        if !self.unavailable.is_empty() {
            count.push_str(&format!(", {} skipped", self.unavailable.len()));
        }
        lines.push(count);
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let mut tally = Tally {
            passed: 3,
            ..Tally::default()
        };
        assert_eq!(tally.summary(), "3 passed, 0 failed");
        tally.check("a", false);
        tally.check("b", true);
        tally.unavailable("miri", "there is no nightly");
        assert_eq!(
            tally.summary(),
            "failed: a\nunavailable: miri: there is no nightly\n4 passed, 1 failed, 1 skipped"
        );
    }
}
