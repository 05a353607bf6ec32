//! What the sweep of one scenario with one target came to.

use super::table::{grouped, rows};
use crate::outcome::Outcome;

/// Most instructions that the kernel may take with interrupts off.
const LONGEST: u64 = 20_000;

/// A scenario, and what is destroyed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The scenario.
    pub scenario: String,
    /// What is destroyed.
    pub target: String,
}

impl Pair {
    /// A line of the list of all.
    pub fn listed(line: &str) -> Option<Pair> {
        let (scenario, target) = line.strip_prefix("sweep: pair ")?.split_once(' ')?;
        Some(Pair {
            scenario: scenario.into(),
            target: target.into(),
        })
    }
}

/// What came of a pair.
#[derive(Clone, Debug)]
pub struct Row {
    /// The pair.
    pub pair: Pair,
    /// Entries of the scenario when nothing is destroyed.
    pub entries: u64,
    /// The point that it is at.
    pub at: u64,
    /// Points tried.
    pub points: u64,
    /// Things checked.
    pub checks: u64,
    /// The longest stretch with interrupts off, in instructions, and what took it.
    pub longest: (u64, String),
    /// What is wrong, and at which point.
    pub failure: Option<(u64, String)>,
    /// The kernel's last words.
    last: String,
    over: bool,
}

impl Row {
    /// Nothing was tried yet.
    pub fn new(pair: Pair) -> Row {
        Row {
            pair,
            entries: 0,
            at: 0,
            points: 0,
            checks: 0,
            longest: (0, String::new()),
            failure: None,
            last: String::new(),
            over: false,
        }
    }

    /// Takes in a line of the console.
    pub fn take(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("at ") {
            self.at = number.parse().unwrap_or(self.at);
            return;
        }
        let Some(rest) = line.strip_prefix("sweep: ") else {
            if line.contains("kernel") && self.failure.is_none() {
                self.last = line.into();
            }
            return;
        };
        let words: Vec<&str> = rest.split(' ').collect();
        let number = |n: usize| words.get(n).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.first() {
            Some(&"begin") => self.entries = number(3),
            Some(&"FAILED") => {
                let what = rest.split_once(": ").map_or("", |(_, what)| what);
                let mut what = what.to_owned();
                if !self.last.is_empty() {
                    what = format!("{what} ({})", self.last);
                }
                self.failure = Some((self.at, what));
            }
            Some(&"can't") => self.failure = Some((self.at, rest.to_owned())),
            Some(&"done") => {
                (self.points, self.checks) = (number(3), number(5));
                self.longest = (number(8), words.get(9..).unwrap_or(&[]).join(" "));
            }
            Some(&"over,") => self.over = true,
            _ => {}
        }
    }

    /// The boot ended.
    pub fn end(&mut self, outcome: &Outcome) {
        let fine = *outcome == Outcome::Halted && self.over;
        if !fine && self.failure.is_none() {
            let last = match &self.last[..] {
                "" => String::new(),
                last => format!(" ({last})"),
            };
            self.failure = Some((self.at, format!("{outcome}{last}")));
        }
    }

    /// Where it is, for people.
    pub fn progress(&self) -> String {
        let Pair { scenario, target } = &self.pair;
        format!(
            "{scenario}, {target}: {} of about {}",
            self.at, self.entries
        )
    }
}

/// Whether everything was tried that should be, and nothing failed.
pub fn is_sound(all: &[Row]) -> bool {
    let fine = |row: &Row| row.failure.is_none() && row.longest.0 <= LONGEST;
    all.iter().all(fine) && all.iter().any(|row| row.points > 0)
}

/// What was tried, what was checked, and what failed, with the command that plays each failure again.
pub fn table(all: &[Row]) -> String {
    let heading = [
        "scenario",
        "destroyed",
        "points",
        "checks",
        "failures",
        "longest stretch",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for row in all {
        lines.push(vec![
            row.pair.scenario.clone(),
            row.pair.target.clone(),
            grouped(row.points),
            grouped(row.checks),
            u64::from(row.failure.is_some()).to_string(),
            grouped(row.longest.0),
        ]);
    }
    let sum = |count: fn(&Row) -> u64| grouped(all.iter().map(count).sum());
    let longest = all.iter().max_by_key(|row| row.longest.0);
    lines.push(vec![
        "all".into(),
        String::new(),
        sum(|row| row.points),
        sum(|row| row.checks),
        sum(|row| row.failure.is_some().into()),
        longest.map_or(String::new(), |row| grouped(row.longest.0)),
    ]);
    let mut text = rows(&lines);
    if let Some(row) = longest {
        text.push_str(&format!(
            "\nThe longest stretch with interrupts off: {} instructions, for {} (at most {} may be).\n",
            grouped(row.longest.0),
            row.longest.1,
            grouped(LONGEST)
        ));
    }
    for row in all {
        if let Some((point, what)) = &row.failure {
            let Pair { scenario, target } = &row.pair;
            text.push_str(&format!(
                "\n{scenario}, {target} destroyed at entry {point}: {what}\n  again, at length:\n    \
                 cargo mk faults --level qemu --scenario {scenario} --target {target} --point {point}\n"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row::new(Pair::listed("sweep: pair attach bank").unwrap())
    }

    #[test]
    fn a_row_is_what_the_guest_says() {
        let mut row = row();
        for line in [
            "sweep: begin attach bank 42",
            "at 1",
            "at 2",
            "sweep: done attach bank 2 points 24 checks longest 4711 range.3",
            "sweep: over, 0 failures",
        ] {
            row.take(line);
        }
        row.end(&Outcome::Halted);
        assert_eq!((row.entries, row.points, row.checks), (42, 2, 24));
        assert_eq!(row.longest, (4711, "range.3".into()));
        assert_eq!(row.failure, None);
        assert!(is_sound(&[row.clone()]));
        row.longest.0 = LONGEST + 1;
        assert!(!is_sound(&[row]), "revocation is bounded");
    }

    #[test]
    fn a_failure_names_its_point_and_the_command_for_it() {
        let mut row = row();
        row.take("at 7");
        row.take("kernel: audit: object 3: void, with a home (a page, Live)");
        row.take("sweep: FAILED attach bank 7: the kernel doesn't agree with itself");
        row.end(&Outcome::TestFailed);
        let text = table(&[row.clone()]);
        assert!(!is_sound(&[row]));
        assert!(text.contains("at entry 7: the kernel doesn't agree with itself (kernel: audit: "));
        assert!(
            text.contains("--scenario attach --target bank --point 7\n"),
            "{text}"
        );
    }

    #[test]
    fn a_boot_that_ends_early_failed_at_the_point_that_it_was_at() {
        let mut row = row();
        row.take("at 9");
        row.take("kernel panic: oh");
        row.end(&Outcome::Panicked);
        let (point, what) = row.failure.clone().unwrap();
        assert_eq!(point, 9);
        assert!(
            what.contains("panicked") && what.contains("kernel panic: oh"),
            "{what}"
        );
        let mut silent = self::row();
        silent.end(&Outcome::Halted);
        assert!(silent.failure.is_some(), "it never said that it was over");
        assert!(!is_sound(&[]));
    }
}
