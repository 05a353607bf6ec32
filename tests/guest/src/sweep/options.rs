//! The words of the kernel's command line.

use crate::scenario::{Scenario, Target};
use alloc::string::{String, ToString};

/// What is to be swept.
#[derive(Clone, Debug, Default)]
pub struct Options {
    scenario: Option<String>,
    target: Option<String>,
    /// Nothing is swept, what there is is told.
    pub list: bool,
    /// One point, to be told at length.
    pub point: Option<u64>,
    /// Every so many points, after this one.
    pub part: (u64, u64),
    /// The first failure ends it.
    pub until_failure: bool,
    /// Where `try_copy` lies in the driver.
    pub copies: (u64, u64),
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// What is no number.
    pub fn parse(line: &str) -> Result<Options, &'static str> {
        let word = |name: &str| {
            line.split_ascii_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let point = word("point").map(str::parse).transpose();
        let part = word("part").map(|text| {
            let (first, every) = text.split_once('/')?;
            let (first, every) = (first.parse().ok()?, every.parse().ok()?);
            (every > 0).then_some((first, every))
        });
        let copies = word("try").map(|text| {
            let (first, end) = text.split_once(':')?;
            Some((
                u64::from_str_radix(first, 16).ok()?,
                u64::from_str_radix(end, 16).ok()?,
            ))
        });
        Ok(Options {
            list: word("list").is_some(),
            until_failure: word("until") == Some("failure"),
            scenario: word("scenario").map(ToString::to_string),
            target: word("target").map(ToString::to_string),
            point: point.map_err(|_| "point=N needs a number")?,
            part: part
                .unwrap_or(Some((0, 1)))
                .ok_or("part=I/K needs numbers")?,
            copies: copies
                .unwrap_or(Some((0, 0)))
                .ok_or("try=FIRST:END needs addresses")?,
        })
    }

    /// Whether a scenario is to be swept with this target.
    pub fn wants(&self, scenario: &Scenario, target: Target) -> bool {
        let fits = |wanted: &Option<String>, name: &str| {
            wanted
                .as_ref()
                .is_none_or(|names| names.split(',').any(|other| other == name))
        };
        fits(&self.scenario, scenario.name) && fits(&self.target, target.name())
    }
}
