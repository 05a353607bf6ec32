//! Who used the processor for how long.

use alloc::string::String;
use alloc::vec::Vec;

/// A reading: the time-stamp counter, and how long each process had run by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuMark {
    /// The time-stamp counter.
    pub ticks: u64,
    /// Each process's cycles.
    pub cycles: Vec<(String, u64)>,
}

impl CpuMark {
    /// Ticks from an earlier reading to this one, and how many of them a process ran. A process that
    /// was started again in between has run since its start.
    pub fn since(&self, earlier: &CpuMark, name: &str) -> (u64, u64) {
        let of = |mark: &CpuMark| {
            let found = mark.cycles.iter().find(|(other, _)| other == name);
            found.map_or(0, |(_, cycles)| *cycles)
        };
        let (now, before) = (of(self), of(earlier));
        let ran = if now >= before { now - before } else { now };
        (ran, self.ticks.saturating_sub(earlier.ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_process_that_was_started_again_counts_from_its_start() {
        let earlier = CpuMark {
            ticks: 100,
            cycles: vec![("a".into(), 50), ("b".into(), 90)],
        };
        let later = CpuMark {
            ticks: 300,
            cycles: vec![("a".into(), 80), ("b".into(), 10)],
        };
        assert_eq!(later.since(&earlier, "a"), (30, 200));
        assert_eq!(later.since(&earlier, "b"), (10, 200));
        assert_eq!(later.since(&earlier, "c"), (0, 200));
    }
}
