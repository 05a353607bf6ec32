//! Cost profiles: what a CPU charges, with how much doubt, and who says so.

use std::fmt;
use std::fs;
use std::path::Path;

use costmodel::{MILLI, PRICES, Price, Prices, Ranges};

mod parse;

/// Who says so: the letters of the project's page of published costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// Read in primary material.
    F,
    /// Read in a secondary text that quotes it.
    F2,
    /// From memory.
    R,
    /// Measured natively.
    M,
    /// An estimate.
    E,
}

impl Letter {
    /// All.
    pub const ALL: [Letter; 5] = [Letter::F, Letter::F2, Letter::R, Letter::M, Letter::E];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Letter::F => "F",
            Letter::F2 => "F2",
            Letter::R => "R",
            Letter::M => "M",
            Letter::E => "E",
        }
    }

    /// What it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Letter::F => "read in primary material",
            Letter::F2 => "read in a secondary text that quotes it",
            Letter::R => "from memory",
            Letter::M => "measured natively",
            Letter::E => "an estimate",
        }
    }
}

/// What a profile is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its prices were published or estimated.
    Literature,
    /// Some were measured on the machine at hand.
    Calibrated,
}

impl Origin {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Literature => "from the literature",
            Origin::Calibrated => "calibrated",
        }
    }
}

/// A price with its doubt and its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The least that it may be, in thousandths of a tick.
    pub low: u64,
    /// What it most likely is.
    pub likely: u64,
    /// The most that it may be.
    pub high: u64,
    /// Who says so.
    pub source: Letter,
    /// What they say.
    pub from: String,
}

/// A CPU's prices.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The CPU.
    pub name: String,
    /// What it is as a whole.
    pub origin: Origin,
    /// Ticks a second.
    pub hertz: u64,
    /// Whether there are prices of an IOMMU.
    pub iommu: bool,
    entries: Vec<(Price, Entry)>,
}

/// The profiles that come with the project.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "sapphire-rapids.toml",
        include_str!("../profiles/sapphire-rapids.toml"),
    ),
    ("zen4.toml", include_str!("../profiles/zen4.toml")),
    (
        "skylake-sp.toml",
        include_str!("../profiles/skylake-sp.toml"),
    ),
    (
        "cortex-a53.toml",
        include_str!("../profiles/cortex-a53.toml"),
    ),
    ("opteron.toml", include_str!("../profiles/opteron.toml")),
    (
        "pentium-4-xeon.toml",
        include_str!("../profiles/pentium-4-xeon.toml"),
    ),
    ("pentium-3.toml", include_str!("../profiles/pentium-3.toml")),
];

impl Profile {
    /// Reads a profile's text. `file` is what errors name.
    ///
    /// # Errors
    /// Whatever isn't right: the error names file, parameter and what would be.
    pub fn parse(file: &str, text: &str) -> Result<Profile, Error> {
        parse::profile(file, text)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`parse`](Profile::parse), or it can't be read.
    pub fn read(file: &Path) -> Result<Profile, Error> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| Error::new(&name, "the file", error, "a profile that can be read"))?;
        Profile::parse(&name, &text)
    }

    /// The profiles that come with the project, the newest CPU first.
    ///
    /// # Errors
    /// One isn't right.
    pub fn built_in() -> Result<Vec<Profile>, Error> {
        let parse = |(file, text): &(&str, &str)| Profile::parse(file, text);
        BUILT_IN.iter().map(parse).collect()
    }

    /// One that comes with the project, by its file's name without `.toml`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Profile, Error> {
        for (file, text) in BUILT_IN {
            if file.strip_suffix(".toml") == Some(name) {
                return Profile::parse(file, text);
            }
        }
        let names: Vec<&str> = BUILT_IN
            .iter()
            .filter_map(|(file, _)| file.strip_suffix(".toml"))
            .collect();
        Err(Error::new(name, "the name", "unknown", names.join(", ")))
    }

    /// The prices that it gives, in the order of [`Price::ALL`].
    pub fn entries(&self) -> &[(Price, Entry)] {
        &self.entries
    }

    /// A price, where it gives one.
    pub fn entry(&self, price: Price) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries
            .find(|(one, _)| *one == price)
            .map(|(_, entry)| entry)
    }

    /// With another entry for a price. An entry whose ends are out of order gets them put in order.
    pub fn with(mut self, price: Price, mut entry: Entry) -> Profile {
        entry.low = entry.low.min(entry.likely);
        entry.high = entry.high.max(entry.likely);
        match self.entries.iter_mut().find(|(one, _)| *one == price) {
            Some((_, old)) => *old = entry,
            None => self.entries.push((price, entry)),
        }
        self.entries.sort_by_key(|(price, _)| *price);
        self
    }

    /// Its prices, as the model takes them. What a CPU doesn't have costs nothing.
    pub fn ranges(&self) -> Ranges {
        let of = |value: fn(&Entry) -> u64| {
            let mut prices = [0; PRICES];
            for (price, entry) in &self.entries {
                prices[*price as usize] = value(entry);
            }
            Prices::new(prices)
        };
        Ranges {
            low: of(|entry| entry.low),
            likely: of(|entry| entry.likely),
            high: of(|entry| entry.high),
        }
    }

    /// How long ticks take, in nanoseconds.
    pub fn nanoseconds(&self, ticks: f64) -> f64 {
        ticks * 1e9 / self.hertz as f64
    }

    /// Its text, as [`parse`](Profile::parse) reads it. `head` goes before, as a comment.
    pub fn to_toml(&self, head: &str) -> String {
        parse::text(self, head)
    }

    /// Name and origin, as figures say it.
    pub fn title(&self) -> String {
        format!("{} ({})", self.name, self.origin.name())
    }
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {parameter}: {found}; right is {right}")]
pub struct Error {
    /// The file.
    pub file: String,
    /// The parameter.
    pub parameter: String,
    /// What is there.
    pub found: String,
    /// What would be right.
    pub right: String,
}

impl Error {
    pub(crate) fn new(
        file: &str,
        parameter: &str,
        found: impl fmt::Display,
        right: impl fmt::Display,
    ) -> Error {
        Error {
            file: file.into(),
            parameter: parameter.into(),
            found: found.to_string(),
            right: right.to_string(),
        }
    }
}

/// Thousandths of a tick as ticks.
pub fn in_ticks(milliticks: u64) -> f64 {
    milliticks as f64 / MILLI as f64
}
