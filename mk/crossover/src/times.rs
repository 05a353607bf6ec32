//! What delivering frames took by a clock: time, of the running system, not counts.
//!
//! A row holds quartiles over several boots, a frame. What they are, time on hardware or under
//! emulation, is said with them: only the first means anything beyond the machine that emulates.

use crate::nature::Nature;
use crate::vectors::{Error, ReadBy, Strategy};

/// What frames took.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    /// How they were delivered.
    pub strategy: Strategy,
    /// A frame's length.
    pub bytes: u32,
    /// Frames delivered together.
    pub batch: u32,
    /// How much of them was read.
    pub touched: ReadBy,
    /// Nanoseconds a frame in each boot, reading included.
    pub samples: Vec<f64>,
}

/// Times of one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// The CPU, as it names itself.
    pub cpu: String,
    nature: Nature,
    rows: Vec<Time>,
}

#[derive(serde::Serialize)]
struct Line {
    strategy: Strategy,
    bytes: u32,
    batch: u32,
    touched: ReadBy,
    low: f64,
    median: f64,
    high: f64,
    nature: String,
}

impl Time {
    /// Quartiles, in nanoseconds.
    pub fn quartiles(&self) -> [f64; 3] {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| {
            let at = (sorted.len().saturating_sub(1) * quarter + 2) / 4;
            sorted.get(at).copied().unwrap_or(0.0)
        })
    }

    /// Half of the samples took less.
    pub fn median(&self) -> f64 {
        self.quartiles()[1]
    }
}

impl Times {
    /// Times that a guest took: by the CPU's own clock where it ran on hardware.
    ///
    /// # Errors
    /// No row, or one without a sample or with one that isn't above zero.
    pub fn new(cpu: String, on_hardware: bool, rows: Vec<Time>) -> Result<Times, Error> {
        let wrong = |what: &str| Error::Format {
            file: "what was timed".into(),
            what: what.into(),
        };
        let nature = match on_hardware {
            true => Nature::HardwareTime,
            false => Nature::EmulatedTime,
        };
        if rows.is_empty() {
            return Err(wrong("no row: there must be at least one"));
        }
        let right = |row: &Time| {
            !row.samples.is_empty()
                && row
                    .samples
                    .iter()
                    .all(|time| *time > 0.0 && time.is_finite())
        };
        if !rows.iter().all(right) {
            return Err(wrong("each row must have times, all above 0"));
        }
        Ok(Times { cpu, nature, rows })
    }

    /// What the figures are.
    pub const fn nature(&self) -> &Nature {
        &self.nature
    }

    /// All rows.
    pub fn rows(&self) -> &[Time] {
        &self.rows
    }

    /// The batches, ascending.
    pub fn batches(&self) -> Vec<u32> {
        self.distinct(|row| row.batch)
    }

    /// What was read.
    pub fn touched(&self) -> Vec<ReadBy> {
        self.distinct(|row| row.touched)
    }

    fn distinct<T: Ord>(&self, of: impl Fn(&Time) -> T) -> Vec<T> {
        let set: std::collections::BTreeSet<T> = self.rows.iter().map(of).collect();
        set.into_iter().collect()
    }

    /// The rows of a strategy and setting, by size.
    pub fn line(&self, strategy: Strategy, batch: u32, touched: ReadBy) -> Vec<&Time> {
        let rows = self.rows.iter();
        let of = |row: &&Time| (row.strategy, row.batch, row.touched) == (strategy, batch, touched);
        let mut line: Vec<&Time> = rows.filter(of).collect();
        line.sort_by_key(|row| row.bytes);
        line
    }

    /// The smallest size measured at which, and at all larger ones, a way to deliver took no longer than
    /// copying. `None`: nothing to compare; `Some(None)`: never.
    pub fn crossover(&self, flip: Strategy, batch: u32, touched: ReadBy) -> Option<Option<u32>> {
        let copies = self.line(Strategy::Copy, batch, touched);
        let flips = self.line(flip, batch, touched);
        let pairs: Vec<(u32, bool)> = flips
            .iter()
            .filter_map(|flip| {
                let copy = copies.iter().find(|copy| copy.bytes == flip.bytes)?;
                Some((flip.bytes, flip.median() <= copy.median()))
            })
            .collect();
        let (_, _) = pairs.first()?;
        let paying = pairs.iter().rev().take_while(|(_, pays)| *pays);
        Some(paying.last().map(|(bytes, _)| *bytes))
    }

    /// As CSV text: quartiles in nanoseconds, a line each.
    ///
    /// # Errors
    /// A row can't be written.
    pub fn to_csv(&self) -> Result<String, Error> {
        let line = |row: &Time| {
            let [low, median, high] = row.quartiles().map(|time| (time * 10.0).round() / 10.0);
            Line {
                strategy: row.strategy,
                bytes: row.bytes,
                batch: row.batch,
                touched: row.touched,
                low,
                median,
                high,
                nature: self.nature.to_string(),
            }
        };
        let lines: Vec<Line> = self.rows.iter().map(line).collect();
        crate::output::to_csv(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(strategy: Strategy, bytes: u32, nanoseconds: f64) -> Time {
        Time {
            strategy,
            bytes,
            batch: 4,
            touched: ReadBy::Header,
            samples: vec![nanoseconds, nanoseconds * 2.0, nanoseconds * 0.5],
        }
    }

    fn times(flips: [f64; 3]) -> Times {
        let mut rows = Vec::new();
        for (bytes, flip) in [(64, flips[0]), (1514, flips[1]), (4096, flips[2])] {
            rows.push(time(Strategy::Copy, bytes, f64::from(bytes)));
            rows.push(time(Strategy::Exchange, bytes, flip));
        }
        Times::new("a CPU".into(), true, rows).unwrap()
    }

    #[test]
    fn it_pays_from_where_it_pays_at_every_larger_size() {
        let from = |flips| times(flips).crossover(Strategy::Exchange, 4, ReadBy::Header);
        assert_eq!(from([900.0, 900.0, 900.0]), Some(Some(1514)));
        assert_eq!(from([9.0, 9000.0, 900.0]), Some(Some(4096)));
        assert_eq!(from([9.0, 9.0, 9.0]), Some(Some(64)));
        assert_eq!(from([9.0, 9.0, 9000.0]), Some(None));
        let times = times([9.0; 3]);
        assert_eq!(times.crossover(Strategy::Sealed, 4, ReadBy::Header), None);
        assert_eq!(times.crossover(Strategy::Exchange, 8, ReadBy::Header), None);
    }

    #[test]
    fn each_line_says_what_it_is() {
        let text = times([900.0; 3]).to_csv().unwrap();
        assert!(
            text.contains("copy,64,4,header,64.0,64.0,128.0,time on hardware"),
            "{text}"
        );
        let rows = vec![time(Strategy::Copy, 64, 10.0)];
        let emulated = Times::new("a CPU".into(), false, rows).unwrap();
        assert!(emulated.to_csv().unwrap().contains("time under emulation"));
    }

    #[test]
    fn no_time_is_no_measurement() {
        assert!(Times::new("a CPU".into(), true, Vec::new()).is_err());
        assert!(Times::new("a CPU".into(), true, vec![time(Strategy::Copy, 64, 0.0)]).is_err());
    }
}
