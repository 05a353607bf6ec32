//! What came of fuzzing, for people.

use super::table::{grouped, rows};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: String,
    /// The command that does it again.
    pub again: String,
}

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fuzzed {
    /// Its name.
    pub name: String,
    /// What was tried.
    pub unit: &'static str,
    /// How often.
    pub tried: u64,
    /// How often something was checked after what was tried, where that is counted: a parser is checked at
    /// each step.
    pub checked: Option<u64>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Whether something was tried in every scenario, and nothing was found.
pub fn is_sound(all: &[Fuzzed]) -> bool {
    let sound = |one: &Fuzzed| one.tried > 0 && one.findings.is_empty();
    !all.is_empty() && all.iter().all(sound)
}

/// A line for each scenario, and what was found.
pub fn table(all: &[Fuzzed]) -> String {
    let heading = ["scenario", "what was tried", "tried", "checks", "failures"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for one in all {
        lines.push(vec![
            one.name.clone(),
            one.unit.to_owned(),
            grouped(one.tried),
            one.checked.map_or_else(String::new, grouped),
            one.findings.len().to_string(),
        ]);
    }
    let mut text = rows(&lines);
    for one in all {
        for Finding { what, again } in &one.findings {
            text.push_str(&format!("\n{}: {what}\n  again:\n    {again}\n", one.name));
        }
    }
    if all.is_empty() {
        text.push_str("Nothing was tried.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzzed(tried: u64, findings: &[&str]) -> Fuzzed {
        let finding = |what: &&str| Finding {
            what: (*what).into(),
            again: "cargo mk faults --level fuzz --seed 7".into(),
        };
        Fuzzed {
            name: "kernel".into(),
            unit: "invocations",
            tried,
            checked: Some(3),
            findings: findings.iter().map(finding).collect(),
        }
    }

    #[test]
    fn nothing_tried_is_no_success() {
        assert!(!is_sound(&[]));
        assert!(!is_sound(&[fuzzed(0, &[])]));
        assert!(is_sound(&[fuzzed(1, &[])]));
        assert!(!is_sound(&[
            fuzzed(1, &[]),
            fuzzed(1, &["it gained a reset"])
        ]));
    }

    #[test]
    fn what_was_found_is_shown_with_the_command_that_does_it_again() {
        let text = table(&[fuzzed(1_234_567, &["it gained a reset"])]);
        assert!(text.contains("1,234,567"), "{text}");
        assert!(text.contains("kernel: it gained a reset\n"), "{text}");
        assert!(
            text.contains("    cargo mk faults --level fuzz --seed 7\n"),
            "{text}"
        );
    }
}
