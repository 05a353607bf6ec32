//! The table of a campaign.

use super::totals::{Scenario, Totals};

/// Failures that are shown of a scenario; of more, there is only the number.
const SHOWN: usize = 5;

/// What was tried, what was checked, and what failed, with the command that plays each failure again.
pub fn table(totals: &Totals) -> String {
    let mut text = rows(&summary(totals));
    text.push('\n');
    text.push_str(&rows(&checks(totals)));
    for scenario in &totals.scenarios {
        failures(scenario, &mut text);
    }
    if totals.runs() == 0 {
        text.push_str("\nNothing was tried.\n");
    }
    text
}

/// A line for each scenario.
fn summary(totals: &Totals) -> Vec<Vec<String>> {
    let heading = [
        "scenario",
        "runs",
        "to the end",
        "steps",
        "revoked",
        "pairs tried",
        "checks",
        "failures",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for one in &totals.scenarios {
        lines.push(vec![
            one.name.clone(),
            grouped(one.runs),
            grouped(one.over),
            grouped(one.steps),
            grouped(one.revoked()),
            one.pairs().0.to_string(),
            grouped(one.checked()),
            one.failures.len().to_string(),
        ]);
    }
    lines
}

/// A line for each kind of check.
fn checks(totals: &Totals) -> Vec<Vec<String>> {
    let mut heading = vec!["invariant checked".to_owned()];
    heading.extend(totals.scenarios.iter().map(|one| one.name.clone()));
    let mut lines = vec![heading];
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in totals.scenarios.iter().flat_map(|one| &one.checks) {
        if !names.contains(&&name[..]) {
            names.push(name);
        }
    }
    for name in names {
        let mut line = vec![name.to_owned()];
        line.extend(totals.scenarios.iter().map(|one| {
            let known = one.checks.iter().find(|check| check.0 == name);
            grouped(known.map_or(0, |check| check.1))
        }));
        lines.push(line);
    }
    lines
}

fn failures(scenario: &Scenario, text: &mut String) {
    for failure in scenario.failures.iter().take(SHOWN) {
        text.push_str(&format!(
            "\n{}, seed {}: {}\n  again, with a full trace:\n    {}\n",
            scenario.name, failure.seed, failure.what, failure.again
        ));
    }
    let more = scenario.failures.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("\nand {more} more of {}\n", scenario.name));
    }
}

/// Columns as wide as they must be: the first to the left, the others to the right.
pub(super) fn rows(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| {
        let cells = lines.iter().filter_map(|line| line.get(n));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (n, (cell, width)) in line.iter().zip(&widths).enumerate() {
            match n {
                0 => text.push_str(&format!("{cell:<width$}")),
                _ => text.push_str(&format!("  {cell:>width$}")),
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
