//! Figures, and the reviewed ones that they are compared with.
//!
//! A bench prints `figure NAME VALUE UNIT`, with the word `ungated` behind it where the value isn't
//! exact. The reviewed figures stand in `tests/bench/figures.txt` as `NAME VALUE UNIT`; `#` starts
//! a comment. A figure that grew by more than [`TOLERANCE`] fails the bench.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Largest growth that is let pass, and least shrinkage that is worth a word.
pub const TOLERANCE: f64 = 0.03;

/// A measured or reviewed value.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured, such as `ipc.round_trip.0w`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Whether it is compared. Others are shown only.
    pub gated: bool,
}

impl Figure {
    /// Reads a line that a bench printed, or logged (`[time] process: figure …`); none if the line is
    /// something else.
    pub fn printed(line: &str) -> Option<Figure> {
        let line = line.trim();
        let said = match line.strip_prefix('[') {
            Some(logged) => logged.split_once("] ")?.1.split_once(": ")?.1,
            None => line,
        };
        let rest = said.strip_prefix("figure ")?;
        let mut words = rest.split_whitespace();
        let (name, value, unit) = (words.next()?, words.next()?, words.next()?);
        let gated = match (words.next(), words.next()) {
            (None, _) => true,
            (Some("ungated"), None) => false,
            _ => return None,
        };
        Some(Figure {
            name: name.into(),
            value: number(value)?,
            unit: unit.into(),
            gated,
        })
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Figures within the tolerance or better.
    pub good: u32,
    /// What makes the bench fail, a line each.
    pub bad: Vec<String>,
    /// What is worth knowing, a line each.
    pub notes: Vec<String>,
}

/// The reviewed figures: their file, line by line.
#[derive(Clone, Debug, Default)]
pub struct Reviewed {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    /// A comment or an empty line, as it stands.
    Other(String),
    /// A figure, and the comment behind it.
    Figure(Figure, String),
}

impl Reviewed {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A line that is neither figure nor comment, or a figure that stands there twice; with its
    /// number.
    pub fn parse(text: &str) -> Result<Reviewed> {
        let mut seen = BTreeMap::new();
        let mut lines = Vec::new();
        for (number_of_line, line) in (1..).zip(text.lines()) {
            let (front, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
            if front.trim().is_empty() {
                lines.push(Line::Other(line.to_string()));
                continue;
            }
            let words: Vec<&str> = front.split_whitespace().collect();
            let figure = match words[..] {
                [name, value, unit] => number(value).map(|value| Figure {
                    name: name.into(),
                    value,
                    unit: unit.into(),
                    gated: true,
                }),
                _ => None,
            };
            let figure = figure
                .with_context(|| format!("line {number_of_line}: it must be NAME VALUE UNIT"))?;
            if let Some(other) = seen.insert(figure.name.clone(), number_of_line) {
                bail!(
                    "line {number_of_line}: {} stands in line {other} already",
                    figure.name
                );
            }
            lines.push(Line::Figure(figure, comment.to_string()));
        }
        Ok(Reviewed { lines })
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.lines.iter().filter_map(|line| match line {
            Line::Figure(figure, _) => Some(figure),
            Line::Other(_) => None,
        })
    }

    /// Compares measured figures with the reviewed ones.
    pub fn compare(&self, measured: &[Figure]) -> Comparison {
        let mut comparison = Comparison::default();
        for old in self.figures() {
            let Some(new) = measured.iter().find(|figure| figure.name == old.name) else {
                comparison
                    .bad
                    .push(format!("{}: was not measured", old.name));
                continue;
            };
            if new.unit != old.unit {
                comparison.bad.push(format!(
                    "{}: measured in {}, reviewed in {}",
                    old.name, new.unit, old.unit
                ));
                continue;
            }
            let change = if old.value > 0.0 {
                new.value / old.value - 1.0
            } else {
                new.value
            };
            let text = format!(
                "{}: {} {}, reviewed {} ({:+.1} %)",
                old.name,
                new.value,
                old.unit,
                old.value,
                change * 100.0
            );
            // The margin is the rounding of the division, so that exactly 3 % passes.
            if change > TOLERANCE + 1e-9 {
                comparison.bad.push(text);
                continue;
            }
            comparison.good += 1;
            if change < -TOLERANCE {
                comparison
                    .notes
                    .push(format!("better: {text}; --bless takes it over"));
            }
        }
        for new in measured.iter().filter(|figure| figure.gated) {
            if self.figures().all(|old| old.name != new.name) {
                comparison.notes.push(format!(
                    "not reviewed: {} {} {}; --bless adds it",
                    new.name, new.value, new.unit
                ));
            }
        }
        comparison
    }

    /// The file's text with the measured values in place of the reviewed ones. Comments and order
    /// stay; new figures come last; figures that weren't measured stay as they are.
    pub fn bless(&self, measured: &[Figure]) -> String {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Other(line) => text.push_str(line),
                Line::Figure(old, comment) => {
                    let new = measured.iter().find(|figure| figure.name == old.name);
                    text.push_str(&render(new.unwrap_or(old)));
                    if !comment.is_empty() {
                        text.push(' ');
                        text.push_str(comment);
                    }
                }
            }
            text.push('\n');
        }
        for new in measured.iter().filter(|figure| figure.gated) {
            if self.figures().all(|old| old.name != new.name) {
                text.push_str(&render(new));
                text.push('\n');
            }
        }
        text
    }
}

fn render(figure: &Figure) -> String {
    format!("{} {} {}", figure.name, figure.value, figure.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# IPC\nipc.0w 300 instructions # fast path\n\npage.map 500 instructions\n";

    fn measured(values: &[(&str, f64)]) -> Vec<Figure> {
        let figure = |(name, value): &(&str, f64)| Figure {
            name: name.to_string(),
            value: *value,
            unit: "instructions".into(),
            gated: true,
        };
        values.iter().map(figure).collect()
    }

    #[test]
    fn lines_of_a_bench_are_read_and_others_are_not() {
        let logged = "[    0.012345] spacebank: figure ipc.0w 290 instructions";
        let figure = Figure::printed("figure ipc.0w 290 instructions\r").unwrap();
        assert_eq!(Figure::printed(logged), Some(figure.clone()));
        assert_eq!(
            (figure.name.as_str(), figure.value, figure.gated),
            ("ipc.0w", 290.0, true)
        );
        assert!(
            !Figure::printed("figure echo 12.5 us ungated")
                .unwrap()
                .gated
        );
        for line in [
            "figure x",
            "figure x y z",
            "figure x NaN s",
            "figure a 1 b c",
            "a figure x 1 s",
            "[    0.1] x: a figure x 1 s",
            "[    0.1 figure x 1 s",
        ] {
            assert_eq!(Figure::printed(line), None, "{line}");
        }
    }

    #[test]
    fn three_percent_more_pass_and_more_than_that_fails() {
        let reviewed = Reviewed::parse(FILE).unwrap();
        let at_limit = reviewed.compare(&measured(&[("ipc.0w", 309.0), ("page.map", 500.0)]));
        assert_eq!((at_limit.good, at_limit.bad.len()), (2, 0));
        let above = reviewed.compare(&measured(&[("ipc.0w", 310.0), ("page.map", 500.0)]));
        assert_eq!((above.good, above.bad.len()), (1, 1));
        assert!(above.bad[0].contains("+3.3 %"), "{:?}", above.bad);
    }

    #[test]
    fn improvements_and_new_figures_are_told_and_missing_ones_fail() {
        let reviewed = Reviewed::parse(FILE).unwrap();
        let found = reviewed.compare(&measured(&[("ipc.0w", 200.0), ("new", 1.0)]));
        assert_eq!(found.bad, ["page.map: was not measured"]);
        assert!(found.notes[0].contains("better") && found.notes[0].contains("--bless"));
        assert!(found.notes[1].contains("new 1 instructions"));
    }

    #[test]
    fn blessing_keeps_comments_and_order() {
        let reviewed = Reviewed::parse(FILE).unwrap();
        let text = reviewed.bless(&measured(&[("new", 1.5), ("ipc.0w", 200.0)]));
        assert_eq!(
            text,
            "# IPC\nipc.0w 200 instructions # fast path\n\npage.map 500 instructions\n\
             new 1.5 instructions\n"
        );
        assert_eq!(Reviewed::parse(&text).unwrap().bless(&[]), text);
    }

    #[test]
    fn a_file_that_says_nonsense_is_refused_with_the_line() {
        for (text, line) in [
            ("a 1 s\nb\n", "line 2"),
            ("a 1 s\na 2 s\n", "line 2"),
            ("a x s", "line 1"),
        ] {
            assert!(
                Reviewed::parse(text)
                    .unwrap_err()
                    .to_string()
                    .contains(line),
                "{text}"
            );
        }
    }
}
