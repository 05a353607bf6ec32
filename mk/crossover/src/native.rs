//! Copies on the machine that runs this: a profile "Copies of this machine".
//!
//! In user mode only copying and reading can be timed: what invalidations, shootdowns and IOMMUs cost
//! stays the base profile's. Times are of the time-stamp counter, medians over many samples, with the
//! quartiles as the range. On a machine shared with others they are noisy; how noisy is told.

use std::fs;

use costmodel::{Line, MILLI, Price, fit};

use crate::profile::{Entry, Letter, Origin, Profile};

#[cfg(target_arch = "x86_64")]
#[path = "native/x86_64.rs"]
mod machine;
#[cfg(not(target_arch = "x86_64"))]
#[path = "native/other.rs"]
mod machine;
mod sampling;

/// Frame sizes that are copied.
pub const SIZES: [u32; 8] = [64, 128, 256, 512, 1024, 1514, 4096, 9000];

/// More than this: the machine is too busy for the figures to be trusted.
const NOISY: f64 = 0.3;

/// How copies are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `rep movsb`.
    Bytes,
    /// `rep movsq`.
    Words,
    /// The C library's or the compiler's `memcpy`.
    Library,
}

impl Method {
    /// All.
    pub const ALL: [Method; 3] = [Method::Bytes, Method::Words, Method::Library];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Bytes => "rep movsb",
            Method::Words => "rep movsq",
            Method::Library => "memcpy",
        }
    }
}

/// Where the source of a copy lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the core's first cache.
    First,
    /// In a cache behind the core's own.
    Last,
    /// In memory.
    Dram,
}

impl Place {
    /// All.
    pub const ALL: [Place; 3] = [Place::First, Place::Last, Place::Dram];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Place::First => "L1",
            Place::Last => "LLC",
            Place::Dram => "DRAM",
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A copy to a hot destination.
    Copy(Method),
    /// Reading, without a copy.
    Read,
}

/// Times in ticks: quartiles, without what timing itself takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quartiles {
    /// A quarter of the samples took less.
    pub low: u64,
    /// Half of them took less.
    pub median: u64,
    /// Three quarters took less.
    pub high: u64,
}

/// Times of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// What was timed.
    pub work: Work,
    /// Where the source lay.
    pub place: Place,
    /// How many bytes.
    pub bytes: u32,
    /// How long it took.
    pub ticks: Quartiles,
}

/// What was measured. Time on hardware.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Ticks of the time-stamp counter a second.
    pub hertz: u64,
    /// The CPU, as it names itself.
    pub cpu: String,
    /// All times.
    pub timings: Vec<Timing>,
}

/// A calibration that can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of machine.
    #[error("native calibration: only x86_64 machines with an invariant time-stamp counter can")]
    Unavailable,
    /// The clock and the counter don't agree.
    #[error("native calibration: the time-stamp counter doesn't count evenly")]
    Clock,
    /// A line can't be laid through the times.
    #[error("native calibration: no line fits the times of {0}")]
    NoLine(&'static str),
}

/// Ticks of the time-stamp counter a second.
///
/// # Errors
/// See [`Error`].
pub fn hertz() -> Result<u64, Error> {
    sampling::hertz()
}

/// Measures copies and reads, with so many samples each (401 take some seconds).
///
/// # Errors
/// See [`Error`].
pub fn calibrate(samples: usize) -> Result<Calibration, Error> {
    Ok(Calibration {
        hertz: sampling::hertz()?,
        cpu: cpu(),
        timings: sampling::timings(samples)?,
    })
}

/// The CPU of this machine, as it names itself.
pub fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = info
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let name = names.next().and_then(|rest| rest.split_once(':'));
    name.map_or("a CPU without a name", |(_, name)| name.trim())
        .into()
}

impl Calibration {
    fn of(&self, work: Work, place: Place) -> impl Iterator<Item = &Timing> {
        let timings = self.timings.iter();
        timings.filter(move |one| one.work == work && one.place == place)
    }

    /// By which share of their median the middle half of the samples spreads, in nine of ten cases.
    pub fn noise(&self) -> f64 {
        let spread = |one: &Timing| {
            let Quartiles { low, median, high } = one.ticks;
            // What takes a few ticks is as noisy as the counter's step is coarse: not the machine's
            // fault.
            high.saturating_sub(low) as f64 / median.max(50) as f64
        };
        let mut spreads: Vec<f64> = self.timings.iter().map(spread).collect();
        spreads.sort_unstable_by(f64::total_cmp);
        spreads.get(spreads.len() * 9 / 10).copied().unwrap_or(0.0)
    }

    /// Whether that is too much for the figures to be trusted.
    pub fn noisy(&self) -> bool {
        self.noise() > NOISY
    }

    /// How copies are made fastest from a place, over all sizes.
    pub fn best(&self, place: Place) -> Method {
        let time = |method: &Method| {
            let timings = self.of(Work::Copy(*method), place);
            timings.map(|timing| timing.ticks.median).sum::<u64>()
        };
        Method::ALL
            .into_iter()
            .min_by_key(time)
            .unwrap_or(Method::Library)
    }

    /// A profile with the copies of this machine; every other price is the base's, in the base's ticks.
    ///
    /// # Errors
    /// No line fits the times.
    pub fn profile(&self, base: &Profile) -> Result<Profile, Error> {
        let mut profile = base.clone();
        profile.name = "Copies of this machine".into();
        profile.origin = Origin::Calibrated;
        profile.hertz = self.hertz;
        let copies = [
            (Place::Last, Price::CacheCopy, Price::CacheByte),
            (Place::Dram, Price::DramCopy, Price::DramByte),
        ];
        for (place, whole, byte) in copies {
            let method = self.best(place);
            let from = format!(
                "{} on {} from {}, destination hot, medians; quartiles as the range",
                method.name(),
                self.cpu,
                place.name()
            );
            let lines = self.lines(Work::Copy(method), place, place.name())?;
            profile = profile
                .with(whole, entry(lines.map(|line| line.base), &from))
                .with(byte, entry(lines.map(|line| line.per_byte), &from));
        }
        let from = "reading on this machine what the same core has just copied";
        let lines = self.lines(Work::Read, Place::First, "reads")?;
        profile = profile
            .with(Price::HotRead, entry(lines.map(|line| line.base), from))
            .with(Price::HotByte, entry(lines.map(|line| line.per_byte), from));
        let mut shares = self.shares();
        if !shares.is_empty() {
            let Quartiles { low, median, high } = sampling::quartiles(&mut shares);
            let from = "only reading against copying on this machine, all sizes and places";

            profile = profile.with(Price::ReadShare, entry([low, median, high], from));
        }
        Ok(profile)
    }

    /// Lines through the lower quartiles, the medians and the upper quartiles.
    fn lines(&self, work: Work, place: Place, name: &'static str) -> Result<[Line; 3], Error> {
        let of = |ticks: fn(&Quartiles) -> u64| {
            let samples: Vec<(u32, u64)> = self
                .of(work, place)
                .map(|timing| (timing.bytes, ticks(&timing.ticks).max(1)))
                .collect();
            fit(&samples).ok_or(Error::NoLine(name))
        };
        Ok([of(|t| t.low)?, of(|t| t.median)?, of(|t| t.high)?])
    }

    /// Reading as a share of copying, in thousandths, by size and place.
    fn shares(&self) -> Vec<u64> {
        let mut shares = Vec::new();
        for place in [Place::Last, Place::Dram] {
            let copies = self.of(Work::Copy(self.best(place)), place);
            for (copy, read) in copies.zip(self.of(Work::Read, place)) {
                shares.push(read.ticks.median * MILLI / copy.ticks.median.max(1));
            }
        }
        shares
    }

    /// The profile's text, with all times and the noise before it.
    ///
    /// # Errors
    /// No line fits the times.
    pub fn to_toml(&self, base: &Profile) -> Result<String, Error> {
        let mut head = format!(
            "Calibrated copies of this machine: {}. Time on hardware, in ticks at {:.3} GHz.\n\
             Every price whose letter isn't M is taken from the profile \"{}\", not measured here.\n\
             Spread of the middle half of samples, in nine of ten cases: at most {:.0} % of the median{}\n\n\
             work              source    bytes   median   quartiles       ns\n",
            self.cpu,
            self.hertz as f64 / 1e9,
            base.name,
            self.noise() * 100.0,
            match self.noisy() {
                true => ". TOO NOISY to be trusted: measure again when the machine is idle.",
                false => ".",
            }
        );
        for timing in &self.timings {
            let name = match timing.work {
                Work::Copy(method) => format!("copy, {}", method.name()),
                Work::Read => "read".into(),
            };
            let Quartiles { low, median, high } = timing.ticks;
            head.push_str(&format!(
                "{name:<17} {:<6} {:>8} {median:>8}   {low:>5}-{high:<6} {:>7.1}\n",
                timing.place.name(),
                timing.bytes,
                median as f64 * 1e9 / self.hertz as f64
            ));
        }
        Ok(self.profile(base)?.to_toml(&head))
    }
}

fn entry([low, likely, high]: [u64; 3], from: &str) -> Entry {
    Entry {
        low,
        likely,
        high,
        source: Letter::M,
        from: from.into(),
    }
}

#[cfg(test)]
mod tests;
