//! Seeds, some at a time, on all cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::Result;

use super::Extent;
use crate::progress::Step;

/// Seeds to be played.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// The first.
    pub seed: u64,
    /// How many, or for how long.
    pub extent: Extent,
    /// How many are played together.
    pub size: u64,
}

impl Chunks {
    /// Plays: `one` gets the first of some seeds and how many they are, on a thread of any core. What it
    /// answers goes to `took`, which says of how many seeds it was, and how far it has come.
    ///
    /// # Errors
    /// What `one` fails with; the others come to their ends.
    pub fn play<T: Send>(
        &self,
        name: &str,
        one: impl Fn(u64, u64) -> Result<T> + Sync,
        mut took: impl FnMut(T) -> (u64, String),
    ) -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (end, length) = match self.extent {
            Extent::Seeds(count) => (self.seed.saturating_add(count), count),
            Extent::Time(time) => (u64::MAX, time.as_secs()),
        };
        let step = Step::counted(format!("fuzz: {name} on {cores} cores"), length);
        let (next, begun) = (AtomicU64::new(self.seed), Instant::now());
        let over = || matches!(self.extent, Extent::Time(time) if begun.elapsed() >= time);
        let mut seeds = 0;
        let mut last = String::new();
        std::thread::scope(|scope| {
            let (said, all) = mpsc::channel();
            let (next, over, one) = (&next, &over, &one);
            for _ in 0..cores {
                let said = said.clone();
                scope.spawn(move || {
                    while !over() {
                        let first = next.fetch_add(self.size, Ordering::Relaxed);
                        let count = self.size.min(end.saturating_sub(first));
                        if count == 0 || said.send(one(first, count)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(said);
            for played in all {
                let (count, detail) = took(played?);
                seeds += count;
                let done = match self.extent {
                    Extent::Seeds(_) => seeds,
                    Extent::Time(_) => begun.elapsed().as_secs(),
                };
                step.reach(done, &detail);
                last = detail;
            }
            anyhow::Ok(())
        })?;
        step.end(&last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn played(extent: Extent) -> Vec<u64> {
        let chunks = Chunks {
            seed: 7,
            extent,
            size: 3,
        };
        let mut all = Vec::new();
        let one = |first, count| Ok((first..first + count).collect::<Vec<u64>>());
        let took = |seeds: Vec<u64>| {
            all.extend(&seeds);
            (seeds.len() as u64, String::new())
        };
        chunks.play("test", one, took).unwrap();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_seed_is_played_once() {
        assert_eq!(played(Extent::Seeds(8)), (7..15).collect::<Vec<u64>>());
        assert_eq!(played(Extent::Seeds(1)), [7]);
    }

    #[test]
    fn a_time_that_is_up_plays_nothing() {
        assert!(played(Extent::Time(Duration::ZERO)).is_empty());
    }

    #[test]
    fn an_error_ends_it() {
        let chunks = Chunks {
            seed: 1,
            extent: Extent::Seeds(9),
            size: 2,
        };
        let one = |first, _| match first {
            5 => anyhow::bail!("no memory"),
            _ => Ok(()),
        };
        let error = chunks.play("test", one, |()| (2, String::new()));
        assert_eq!(error.unwrap_err().to_string(), "no memory");
    }
}
