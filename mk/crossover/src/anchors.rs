//! Anchors: published figures that the model is held against, and by how far it misses them.
//!
//! They stand in a file of their own (`anchors.toml`), with the miss that was registered for each. A
//! test fails when a miss has grown. So a profile can't be tuned to one figure at the cost of another
//! without somebody saying so.

use std::collections::BTreeMap;

use costmodel::{Delivery, Demand, EVENTS, Events, Price, Prices, Situation, Source, Touched};
use serde::Deserialize;

use crate::profile::Profile;
use crate::study::{Ticks, ticks};
use crate::vectors;

/// The anchors that come with the project.
const BUILT_IN: &str = include_str!("../anchors.toml");
const FILE: &str = "anchors.toml";

/// How much a miss may grow before that is a fault: rounding only.
const SLACK: f64 = 1.005;

/// Anchors that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{FILE}: {name}: {what}")]
pub struct Error {
    name: String,
    what: String,
}

/// What an anchor is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The figure went into no price: meeting it says something.
    Independent,
    /// A price was made from the figure: missing it would be an error of arithmetic.
    Input,
}

impl Role {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Independent => "independent",
            Role::Input => "input of a price",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Quantity {
    /// Ticks of the CPU.
    Ticks,
    /// Microseconds.
    Microseconds,
    /// How many times what `over` costs.
    Ratio,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    low: f64,
    high: f64,
}

/// What a published system does, in the model's events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    frames: u64,
    events: BTreeMap<String, u64>,
    delivered: Delivered,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Delivered {
    Copied,
    Flipped,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    quantity: Quantity,
    published: Published,
    source: String,
    from: String,
    role: Role,
    profile: String,
    bytes: u32,
    touched: String,
    lies: String,
    cpus: u16,
    work: Work,
    over: Option<Work>,
    miss: f64,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    anchor: Vec<Entry>,
}

/// What the model says of an anchor.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The anchor.
    pub name: String,
    /// What was published: from, to.
    pub published: (f64, f64),
    /// What unit that is in.
    pub unit: &'static str,
    /// Who says so, in which words.
    pub from: String,
    /// What it is good for.
    pub role: Role,
    /// The CPU.
    pub profile: String,
    /// What the model says.
    pub model: Ticks,
    /// By which factor the likely value lies above what was published, or (below 1) under it. 1: met.
    pub factor: f64,
    /// The registered miss, a factor of at least 1 in either direction.
    pub registered: f64,
    /// What is to be said about it.
    pub note: String,
}

impl Outcome {
    /// The miss in either direction: 1 is none.
    pub fn miss(&self) -> f64 {
        self.factor.max(1.0 / self.factor)
    }

    /// Whether the miss is no larger than what was registered.
    pub fn holds(&self) -> bool {
        self.miss() <= self.registered * SLACK
    }

    /// The miss in words.
    pub fn verdict(&self) -> String {
        match self.factor {
            factor if factor > 1.0 => format!("{:.0} % too much", (factor - 1.0) * 100.0),
            factor if factor < 1.0 => format!("{:.0} % too little", (1.0 - factor) * 100.0),
            _ => "met".into(),
        }
    }
}

/// Holds the model against the anchors that come with the project.
///
/// # Errors
/// The file, or a profile that it names, isn't right.
pub fn built_in() -> Result<Vec<Outcome>, Error> {
    check(BUILT_IN)
}

/// Holds the model against the anchors of a text.
///
/// # Errors
/// As [`built_in`].
pub fn check(text: &str) -> Result<Vec<Outcome>, Error> {
    let file: File = toml::from_str(text).map_err(|error| Error {
        name: "the text".into(),
        what: error.to_string(),
    })?;
    file.anchor.into_iter().map(outcome).collect()
}

fn outcome(entry: Entry) -> Result<Outcome, Error> {
    let wrong = |what: String| Error {
        name: entry.name.clone(),
        what,
    };
    let profile = Profile::named(&entry.profile).map_err(|error| wrong(error.to_string()))?;
    let Published { low, high } = entry.published;
    // A NaN is none of these.
    if !(low >= 0.0 && high >= low && high > 0.0 && high.is_finite()) {
        return Err(wrong("published: right is 0 <= low <= high".into()));
    }
    if !(entry.miss >= 1.0 && entry.miss.is_finite()) {
        return Err(wrong("miss: right is a factor of at least 1".into()));
    }
    let situation = Situation {
        touched: named(&Touched::ALL, Touched::name, &entry.touched)
            .ok_or_else(|| wrong("touched: right is none, header or all".into()))?,
        source: named(&Source::ALL, Source::name, &entry.lies)
            .ok_or_else(|| wrong("lies: right is cache or dram".into()))?,
        cpus: entry.cpus,
    };
    let cost = |work: &Work, prices: &Prices| -> Result<f64, Error> {
        let events = work.events().map_err(wrong)?;
        let share = prices.of(Price::ReadShare);
        let delivery = work.delivery();
        Ok(ticks(
            Demand::of(&events, delivery, entry.bytes, &situation, share).cost(prices),
        ))
    };
    let ranges = profile.ranges();
    let quantity = |prices: &Prices, against: &Prices| -> Result<f64, Error> {
        let ticks = cost(&entry.work, prices)?;
        match (entry.quantity, &entry.over) {
            (Quantity::Ticks, None) => Ok(ticks),
            (Quantity::Microseconds, None) => Ok(profile.nanoseconds(ticks) / 1000.0),
            (Quantity::Ratio, Some(over)) => Ok(ticks / cost(over, against)?),
            _ => Err(wrong("over: right is to give it for a ratio only".into())),
        }
    };
    let likely = quantity(&ranges.likely, &ranges.likely)?;
    if !(likely > 0.0 && likely.is_finite()) {
        return Err(wrong("events: right are some that cost anything".into()));
    }
    let factor = match likely {
        likely if likely > high => likely / high,
        likely if likely < low => likely / low,
        _ => 1.0,
    };
    Ok(Outcome {
        published: (low, high),
        unit: match entry.quantity {
            Quantity::Ticks => "cycles",
            Quantity::Microseconds => "µs",
            Quantity::Ratio => "times",
        },
        from: format!("{}: {}", entry.source, entry.from),
        role: entry.role,
        model: Ticks {
            low: quantity(&ranges.low, &ranges.high)?,
            likely,
            high: quantity(&ranges.high, &ranges.low)?,
        },
        factor,
        registered: entry.miss,
        profile: profile.name,
        name: entry.name,
        note: entry.note,
    })
}

impl Work {
    fn events(&self) -> Result<Events, String> {
        let mut totals = [0; EVENTS];
        for (name, total) in &self.events {
            let event =
                vectors::event(name).ok_or_else(|| format!("events: unknown \"{name}\""))?;
            totals[event as usize] = *total;
        }
        Events::mean(&totals, None, self.frames).map_err(|_| "frames: right is at least 1".into())
    }

    const fn delivery(&self) -> Delivery {
        match self.delivered {
            Delivered::Copied => Delivery::Copied,
            Delivered::Flipped => Delivery::Flipped,
        }
    }
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|one| name(*one) == text)
}
