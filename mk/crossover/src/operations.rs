//! Isolated operations: what each of them costs by itself, in events and instructions, in a file.
//!
//! A row holds the *totals* over so many of one operation, as whole numbers. Nothing is computed from
//! these figures: they show what frames' costs are made of.

use std::fs;
use std::path::Path;

use costmodel::{EVENTS, Event};

use crate::vectors::Error;

/// Columns before the events.
const FIRST: [&str; 4] = ["operation", "bytes", "together", "times"];
/// The column behind them.
const LAST: &str = "instructions";

/// What an operation costs: totals over `times` of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Bytes that one moves; 0 where it isn't about bytes.
    pub bytes: u32,
    /// How many are done by one invocation.
    pub together: u32,
    /// How many the totals are over.
    pub times: u64,
    /// Events, in the order of [`Event::ALL`].
    pub totals: [u64; EVENTS],
    /// Instructions, those of loops included.
    pub instructions: u64,
}

impl Operation {
    /// The mean of a total.
    pub fn mean(&self, total: u64) -> f64 {
        total as f64 / self.times as f64
    }

    fn key(&self) -> (&str, u32, u32) {
        (&self.name, self.bytes, self.together)
    }
}

/// Operations, each there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    rows: Vec<Operation>,
}

impl Operations {
    /// From rows. `file` is what errors name.
    ///
    /// # Errors
    /// No row, an operation without a name or that was done not at all, or one that is there twice.
    pub fn new(file: &str, rows: Vec<Operation>) -> Result<Operations, Error> {
        let wrong = |what: String| Error::Format {
            file: file.into(),
            what,
        };
        if rows.is_empty() {
            return Err(wrong("no row: there must be at least one".into()));
        }
        for (index, row) in rows.iter().enumerate() {
            let at = |what: &str| wrong(format!("row {} ({}): {what}", index + 1, row.name));
            if row.name.is_empty() || row.times == 0 || row.together == 0 {
                return Err(at(
                    "a name, and together and times of at least 1, there must be",
                ));
            }
            if rows[..index].iter().any(|other| other.key() == row.key()) {
                return Err(at("it is there twice"));
            }
        }
        Ok(Operations { rows })
    }

    /// Reads CSV text. Lines that start with `#` are comments.
    ///
    /// # Errors
    /// What [`new`](Operations::new) refuses, and whatever is no row; the error names file, line and
    /// column.
    pub fn parse(file: &str, text: &str) -> Result<Operations, Error> {
        let wrong = |what: String| Error::Format {
            file: file.into(),
            what,
        };
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let columns = columns();
        let headers = reader.headers().map_err(|error| wrong(error.to_string()))?;
        if !headers.iter().eq(columns.iter().copied()) {
            return Err(wrong(format!("the columns must be {}", columns.join(","))));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let number = |column: usize| {
                let text = record.get(column).unwrap_or_default();
                text.parse::<u64>().map_err(|_| {
                    let name = columns[column];
                    wrong(format!(
                        "line {line}, {name}: {text:?}; right is a whole number"
                    ))
                })
            };
            let small = |column: usize| {
                u32::try_from(number(column)?)
                    .map_err(|_| wrong(format!("line {line}, {}: too great", columns[column])))
            };
            let mut totals = [0; EVENTS];
            for (index, total) in totals.iter_mut().enumerate() {
                *total = number(FIRST.len() + index)?;
            }
            rows.push(Operation {
                name: record.get(0).unwrap_or_default().to_owned(),
                bytes: small(1)?,
                together: small(2)?,
                times: number(3)?,
                totals,
                instructions: number(FIRST.len() + EVENTS)?,
            });
        }
        Operations::new(file, rows)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`parse`](Operations::parse), or the file can't be read.
    pub fn read(file: &Path) -> Result<Operations, Error> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|source| Error::File {
            file: name.clone(),
            source,
        })?;
        Operations::parse(&name, &text)
    }

    /// As CSV text.
    pub fn to_csv(&self) -> String {
        let mut text = columns().join(",") + "\n";
        for row in &self.rows {
            let (name, bytes, together) = row.key();
            text.push_str(&format!("{name},{bytes},{together},{}", row.times));
            for total in row.totals.iter().chain([&row.instructions]) {
                text.push_str(&format!(",{total}"));
            }
            text.push('\n');
        }
        text
    }

    /// The rows, in the order in which they were given.
    pub fn rows(&self) -> &[Operation] {
        &self.rows
    }

    /// One of them.
    pub fn row(&self, like: &Operation) -> Option<&Operation> {
        self.rows.iter().find(|row| row.key() == like.key())
    }
}

fn columns() -> Vec<&'static str> {
    let events = Event::ALL.iter().map(|event| event.name());
    FIRST.into_iter().chain(events).chain([LAST]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Operation {
        let mut totals = [0; EVENTS];
        totals[Event::Pins as usize] = 32;
        Operation {
            name: "pin".into(),
            bytes: 0,
            together: 1,
            times: 32,
            totals,
            instructions: 6400,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let copy = Operation {
            name: "copy_words".into(),
            bytes: 1514,
            ..pin()
        };
        let operations = Operations::new("x", vec![pin(), copy]).unwrap();
        let text = format!("# counted\n{}", operations.to_csv());
        assert_eq!(Operations::parse("x", &text).unwrap(), operations);
        assert_eq!(operations.row(&pin()).unwrap().mean(6400), 200.0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = Operations::new("x", vec![pin()]).unwrap().to_csv();
        let error = |text: &str| Operations::parse("ops.csv", text).unwrap_err().to_string();
        let one = error(&text.replace(",6400", ",many"));
        assert!(
            one.contains("line 2, instructions") && one.contains("many"),
            "{one}"
        );
        assert!(error(&text.replace("pins", "pens")).contains("columns"));
        assert!(error(&text.replace("pin,0,1,32", "pin,0,1,0")).contains("at least 1"));
        let twice = format!("{text}{}", text.lines().nth(1).unwrap());
        assert!(error(&twice).contains("twice"));
        assert!(error(text.lines().next().unwrap()).contains("no row"));
    }
}
