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
    /// Points that failed.
    pub failures: u64,
    /// What was wrong first, and at which point.
    pub failure: Option<(u64, String)>,
    /// Points that this boot began.
    begun: u64,
    /// What is wrong at this point was told.
    told: bool,
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
            failures: 0,
            failure: None,
            begun: 0,
            told: false,
            last: String::new(),
            over: false,
        }
    }

    /// A boot begins, of which there may be several.
    pub fn begin(&mut self) {
        (self.begun, self.told, self.over) = (0, false, false);
        self.last.clear();
    }

    /// Takes in a line of the console.
    pub fn take(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("at ") {
            self.at = number.parse().unwrap_or(self.at);
            self.begun += 1;
            self.told = false;
            return;
        }
        let Some(rest) = line.strip_prefix("sweep: ") else {
            if line.contains("audit") || line.contains("panic") {
                self.last = line.into();
            }
            return;
        };
        let words: Vec<&str> = rest.split(' ').collect();
        let number = |n: usize| words.get(n).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.first() {
            Some(&"begin") => self.entries = number(3),
            Some(&"FAILED") => self.fail(rest.split_once(": ").map_or("", |(_, what)| what)),
            // After a failure that is the end of it, and no other.
            Some(&"can't") if !self.told => self.fail(rest),
            Some(&"done") => {
                self.points += number(3);
                self.checks += number(5);
                self.begun = 0;
                if number(8) >= self.longest.0 {
                    self.longest = (number(8), words.get(9..).unwrap_or(&[]).join(" "));
                }
            }
            Some(&"over,") => self.over = true,
            _ => {}
        }
    }

    /// Something is wrong at this point.
    fn fail(&mut self, what: &str) {
        self.told = true;
        self.failures += 1;
        let last = std::mem::take(&mut self.last);
        self.failure.get_or_insert_with(|| {
            let last = match &last[..] {
                "" => String::new(),
                last => format!(" ({last})"),
            };
            (self.at, format!("{what}{last}"))
        });
    }

    /// The boot ended. `false`: before its time, and the points behind this one are still to be tried.
    pub fn end(&mut self, outcome: &Outcome) -> bool {
        let fine = self.over && (*outcome == Outcome::Halted || self.failures > 0);
        if !fine && !self.told {
            self.fail(&outcome.to_string());
        }
        self.points += std::mem::take(&mut self.begun);
        self.over || self.at == 0
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

/// Whether something was tried, and nothing failed.
pub fn is_sound(all: &[Row]) -> bool {
    all.iter().all(|row| row.failures == 0) && all.iter().any(|row| row.points > 0)
}

/// Whether interrupts were measured, and never off for longer than they may be.
pub fn is_bounded(all: &[Row]) -> bool {
    let measured = |row: &Row| (1..=LONGEST).contains(&row.longest.0);
    !all.is_empty() && all.iter().all(measured)
}

/// What was tried, what was checked, and what failed, with the command that plays each failure again.
pub fn table(all: &[Row], planted: Option<&str>) -> String {
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
            grouped(row.failures),
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
        sum(|row| row.failures),
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
            let place = match (point, row.failures) {
                (0, _) => "before anything was destroyed".to_owned(),
                (point, 1) => format!("{target} destroyed at entry {point}"),
                (point, _) => format!("{target} destroyed at entry {point}, and others"),
            };
            let again = again(row, planted);
            text.push_str(&format!(
                "\n{scenario}, {place}: {what}\n  again, at length:\n    {again}\n"
            ));
        }
    }
    text
}

/// The command that plays a row's first failure again.
pub fn again(row: &Row, planted: Option<&str>) -> String {
    let Pair { scenario, target } = &row.pair;
    let point = row.failure.as_ref().map_or(0, |(point, _)| *point);
    let planted = planted.map_or(String::new(), |name| format!(" --planted {name}"));
    format!(
        "cargo mk faults --level qemu --scenario {scenario} --target {target} --point {point}{planted}"
    )
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
        assert!(row.end(&Outcome::Halted));
        assert_eq!((row.entries, row.points, row.checks), (42, 2, 24));
        assert_eq!(row.longest, (4711, "range.3".into()));
        assert_eq!(row.failure, None);
        assert!(is_sound(&[row]));
    }

    #[test]
    fn interrupts_that_are_off_for_too_long_are_told() {
        let mut row = row();
        assert!(!is_bounded(&[row.clone()]), "nothing was measured");
        row.longest.0 = LONGEST;
        assert!(is_bounded(&[row.clone()]));
        row.longest.0 = LONGEST + 1;
        assert!(!is_bounded(&[row]));
        assert!(!is_bounded(&[]));
    }

    #[test]
    fn a_row_goes_on_after_a_failure_and_counts_all() {
        let mut row = row();
        for line in [
            "sweep: begin attach bank 42",
            "at 1",
            "sweep: FAILED attach bank 1: first",
            "at 2",
            "at 3",
            "sweep: FAILED attach bank 3: second",
            "at 4",
            "kernel panic: oh",
        ] {
            row.take(line);
        }
        assert!(!row.end(&Outcome::Panicked), "there are points behind it");
        assert_eq!((row.points, row.failures), (4, 3));
        row.begin();
        row.take("sweep: begin attach bank 42");
        row.take("at 5");
        row.take("sweep: done attach bank 1 points 12 checks longest 4711 range.3");
        row.take("sweep: over, 0 failures");
        assert!(row.end(&Outcome::Halted));
        assert_eq!(row.failure, Some((1, "first".into())));
        assert_eq!(row.points, 5);
    }

    #[test]
    fn a_failure_names_its_point_and_the_command_for_it() {
        let mut row = row();
        row.take("at 7");
        row.take("kernel: audit: object 3: void, with a home (a page, Live)");
        row.take("sweep: FAILED attach bank 7: the kernel doesn't agree with itself");
        row.end(&Outcome::TestFailed);
        let text = table(&[row.clone()], Some("keep-home"));
        assert!(!is_sound(&[row]));
        assert!(text.contains("at entry 7: the kernel doesn't agree with itself (kernel: audit: "));
        assert!(
            text.contains("--scenario attach --target bank --point 7 --planted keep-home\n"),
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
