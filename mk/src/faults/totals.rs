//! What the simulator's lines come to.
//!
//! Each process says first, in a line for each scenario, what the numbers stand for; then a line comes
//! for each run.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was found.
    pub what: String,
    /// The command that plays it again, with all that happens.
    pub again: String,
}

/// What came of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What a driver can be doing: the rows of the coverage.
    pub driver: Vec<String>,
    /// Operations of the kernel: the columns.
    pub kernel: Vec<String>,
    /// The first so many columns are what was revoked, the others what a revocation came upon.
    pub revocations: usize,
    /// How often each pair was, row by row.
    pub coverage: Vec<Vec<u64>>,
    /// Runs.
    pub runs: u64,
    /// Those of them that came to their end before their steps were used up.
    pub over: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// What was checked, and how often.
    pub checks: Vec<(String, u64)>,
    /// Runs that failed.
    pub failures: Vec<Failure>,
}

impl Scenario {
    /// Checks of all kinds.
    pub fn checked(&self) -> u64 {
        self.checks.iter().map(|(_, count)| count).sum()
    }

    /// Pairs that were tried, and all that there are in the picture. Not all of them can be.
    pub fn pairs(&self) -> (usize, usize) {
        let tried = self.coverage.iter().flatten().filter(|count| **count != 0);
        (tried.count(), self.driver.len() * self.kernel.len())
    }

    /// Objects that were revoked.
    pub fn revoked(&self) -> u64 {
        // The last of these columns counts answers, not objects.
        let objects = self.revocations.saturating_sub(1);
        let rows = self.coverage.iter();
        rows.flat_map(|row| row.iter().take(objects)).sum()
    }

    fn head(&mut self, line: &Value) -> Result<()> {
        self.driver = words(&line["driver"])?;
        self.kernel = words(&line["kernel"])?;
        let count = number(&line["revocations"])?;
        self.revocations = (count as usize).min(self.kernel.len());
        self.coverage = vec![vec![0; self.kernel.len()]; self.driver.len()];
        Ok(())
    }

    fn add(&mut self, line: &Value) -> Result<()> {
        for pair in list(&line["checks"])? {
            let name = pair[0].as_str().context("a check has no name")?;
            let count = number(&pair[1])?;
            match self.checks.iter_mut().find(|known| known.0 == name) {
                Some(known) => known.1 += count,
                None => self.checks.push((name.into(), count)),
            }
        }
        for cell in list(&line["coverage"])? {
            let (row, column) = (number(&cell[0])? as usize, number(&cell[1])? as usize);
            let place = self
                .coverage
                .get_mut(row)
                .and_then(|row| row.get_mut(column));
            *place.context("coverage of what isn't in the heading")? += number(&cell[2])?;
        }
        self.runs += 1;
        self.steps += number(&line["steps"])?;
        self.over += u64::from(line["over"] == true);
        let failure = &line["failure"];
        if !failure.is_null() {
            let text = |name: &str| -> Result<String> {
                let text = failure[name].as_str().map(str::to_owned);
                text.with_context(|| format!("a failure has no '{name}'"))
            };
            self.failures.push(Failure {
                seed: number(&line["seed"])?,
                what: text("what")?,
                again: text("again")?,
            });
        }
        Ok(())
    }
}

/// What came of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By scenario, in the order in which they were first named.
    pub scenarios: Vec<Scenario>,
}

impl Totals {
    /// Takes a line in.
    ///
    /// # Errors
    /// It isn't one of the simulator's.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.take(line)
            .with_context(|| format!("the simulator says what mk doesn't understand: {line:.200}"))
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let line: Value = serde_json::from_str(line)?;
        let name = line["scenario"].as_str().context("it names no scenario")?;
        let known = self.scenarios.iter().position(|one| one.name == name);
        let heads = !line["driver"].is_null();
        match known {
            Some(n) if heads => {
                // Every process says it.
                let known = &self.scenarios[n];
                if words(&line["driver"])? != known.driver
                    || words(&line["kernel"])? != known.kernel
                {
                    bail!("two processes of different simulators");
                }
                Ok(())
            }
            Some(n) => self.scenarios[n].add(&line),
            None if heads => {
                let mut scenario = Scenario {
                    name: name.into(),
                    ..Scenario::default()
                };
                scenario.head(&line)?;
                self.scenarios.push(scenario);
                Ok(())
            }
            None => bail!("a run came before its scenario's heading"),
        }
    }

    /// Puts failures in the order of their seeds: processes find them in any.
    pub fn sort(&mut self) {
        for scenario in &mut self.scenarios {
            scenario.failures.sort_by_key(|failure| failure.seed);
        }
    }

    /// Runs of all scenarios.
    pub fn runs(&self) -> u64 {
        self.scenarios.iter().map(|one| one.runs).sum()
    }

    /// Runs that failed, of all scenarios.
    pub fn failures(&self) -> usize {
        self.scenarios.iter().map(|one| one.failures.len()).sum()
    }

    /// Whether something was tried, and nothing failed.
    pub fn is_sound(&self) -> bool {
        self.runs() > 0 && self.failures() == 0
    }
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().context("a number is missing")
}

fn list(value: &Value) -> Result<&[Value]> {
    value
        .as_array()
        .map(Vec::as_slice)
        .context("a list is missing")
}

fn words(value: &Value) -> Result<Vec<String>> {
    let word = |word: &Value| {
        word.as_str()
            .map(str::to_owned)
            .context("a name is missing")
    };
    list(value)?.iter().map(word).collect()
}
