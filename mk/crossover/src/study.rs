//! The study: for every CPU and situation, from which frame size on flipping pays.

use std::fmt;

use costmodel::{Bound, Comparison, Delivery, Demand, Path, Situation, Source, Touched};

use crate::nature::Nature;
use crate::profile::Profile;
use crate::vectors::{Iommu, Strategy, Vectors};

/// What a question is asked for, apart from the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The way to deliver that is compared with copying.
    pub flip: Strategy,
    /// Frames delivered together.
    pub batch: u32,
    /// How much of a frame its recipient reads.
    pub touched: Touched,
    /// Where frames lie.
    pub source: Source,
    /// CPUs that may cache translations of the address space that changes.
    pub cpus: u16,
    /// What the IOMMU does.
    pub iommu: Iommu,
}

impl Cell {
    /// As the model takes it.
    pub const fn situation(&self) -> Situation {
        Situation {
            touched: self.touched,
            source: self.source,
            cpus: self.cpus,
        }
    }
}

/// From which frame size on flipping costs no more than copying. `None`: never, up to the largest
/// size that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// With every price as flipping would have it.
    pub earliest: Option<u32>,
    /// With likely prices.
    pub likely: Option<u32>,
    /// With every price as copying would have it.
    pub latest: Option<u32>,
    /// The smallest size that was counted.
    pub first: u32,
    /// The largest.
    pub last: u32,
}

impl Band {
    /// The band of a comparison.
    pub fn of(comparison: &Comparison, situation: &Situation, profile: &Profile) -> Band {
        let ranges = profile.ranges();
        let at = |bound| comparison.crossover(situation, &ranges, bound);
        let (first, last) = comparison.sizes();
        Band {
            earliest: at(Bound::Least),
            likely: at(Bound::Likely),
            latest: at(Bound::Most),
            first,
            last,
        }
    }

    /// A size as people read it: from the first one that was counted on it is "always".
    pub fn word(&self, size: Option<u32>) -> String {
        match size {
            None => "never".into(),
            Some(size) if size <= self.first => "always".into(),
            Some(size) => bytes(size),
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [earliest, likely, latest] =
            [self.earliest, self.likely, self.latest].map(|size| self.word(size));
        match earliest == likely && likely == latest {
            true => f.write_str(&likely),
            false => write!(f, "{likely} ({earliest} to {latest})"),
        }
    }
}

/// A size as people read it.
pub fn bytes(size: u32) -> String {
    match size {
        0..1000 => format!("{size} B"),
        1000..10_240 => format!("{},{:03} B", size / 1000, size % 1000),
        _ => format!("{:.0} KiB", f64::from(size) / 1024.0),
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The CPU: which of the study's profiles.
    pub profile: usize,
    /// In what situation.
    pub cell: Cell,
    /// From where on flipping pays.
    pub band: Band,
}

/// A cost and its doubt, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticks {
    /// The least.
    pub low: f64,
    /// The likely one.
    pub likely: f64,
    /// The most.
    pub high: f64,
}

/// Vectors, profiles, and what follows.
#[derive(Clone, Debug)]
pub struct Study {
    vectors: Vectors,
    profiles: Vec<Profile>,
    answers: Vec<Answer>,
}

/// A study that can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No profile was given.
    #[error("no cost profile: there must be at least one")]
    NoProfile,
    /// Nothing can be compared.
    #[error(
        "nothing to compare: there must be a setting (batch, touched, CPUs, IOMMU) for which both \
         copying and another strategy are there"
    )]
    NothingToCompare,
    /// Two paths can't be compared.
    #[error("{0:?}: {1}")]
    Mismatch(Cell, costmodel::Mismatch),
}

impl Study {
    /// Asks the model about every CPU and every setting that is there for copying and a way of flipping.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(vectors: Vectors, profiles: Vec<Profile>) -> Result<Study, Error> {
        if profiles.is_empty() {
            return Err(Error::NoProfile);
        }
        let mut answers = Vec::new();
        for cell in cells(&vectors) {
            let Some(comparison) = compare(&vectors, &cell)? else {
                continue;
            };
            for (index, profile) in profiles.iter().enumerate() {
                // Without an IOMMU only "off" can be.
                if !profile.iommu && cell.iommu != Iommu::Off {
                    continue;
                }
                answers.push(Answer {
                    profile: index,
                    cell,
                    band: Band::of(&comparison, &cell.situation(), profile),
                });
            }
        }
        if answers.is_empty() {
            return Err(Error::NothingToCompare);
        }
        answers.sort_by_key(|answer| answer.profile);
        Ok(Study {
            vectors,
            profiles,
            answers,
        })
    }

    /// The vectors.
    pub const fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// The profiles.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// All answers, profile by profile.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The answer of one.
    pub fn answer(&self, profile: usize, cell: &Cell) -> Option<&Answer> {
        let mut answers = self.answers.iter();
        answers.find(|answer| answer.profile == profile && answer.cell == *cell)
    }

    /// The comparison behind an answer.
    pub fn comparison(&self, cell: &Cell) -> Option<Comparison<'_>> {
        compare(&self.vectors, cell).ok().flatten()
    }

    /// What a frame costs by a strategy. `None`: it wasn't counted.
    pub fn cost(
        &self,
        profile: usize,
        strategy: Strategy,
        cell: &Cell,
        size: u32,
    ) -> Option<Ticks> {
        let ranges = self.profiles.get(profile)?.ranges();
        let path = path(&self.vectors, strategy, cell)?;
        let events = path.at(size)?;
        let delivery = match strategy {
            Strategy::Copy => Delivery::Copied,
            _ => Delivery::Flipped,
        };
        let cost = |prices: &costmodel::Prices| {
            let share = prices.of(costmodel::Price::ReadShare);
            let demand = Demand::of(&events, delivery, size, &cell.situation(), share);
            ticks(demand.cost(prices))
        };
        Some(Ticks {
            low: cost(&ranges.low),
            likely: cost(&ranges.likely),
            high: cost(&ranges.high),
        })
    }

    /// What the events are.
    pub fn events(&self) -> Nature {
        match self.vectors.counted() {
            true => Nature::Events,
            false => Nature::ExpectedEvents,
        }
    }

    /// What an answer for a profile is.
    pub fn nature(&self, profile: &Profile) -> Nature {
        Nature::prediction(self.events(), profile.origin.name())
    }
}

/// A cost in ticks.
pub fn ticks(cost: costmodel::Cost) -> f64 {
    cost.0 as f64 / costmodel::Cost::TICK as f64
}

fn cells(vectors: &Vectors) -> Vec<Cell> {
    let mut cells = Vec::new();
    for flip in Strategy::FLIPS {
        for &cpus in &vectors.cpus() {
            for &iommu in &vectors.iommus() {
                for &batch in &vectors.batches() {
                    for touched in Touched::ALL {
                        for source in Source::ALL {
                            cells.push(Cell {
                                flip,
                                batch,
                                touched,
                                source,
                                cpus,
                                iommu,
                            });
                        }
                    }
                }
            }
        }
    }
    cells
}

fn path<'a>(vectors: &'a Vectors, strategy: Strategy, cell: &Cell) -> Option<Path<'a>> {
    vectors.path(strategy, cell.batch, cell.touched, cell.cpus, cell.iommu)
}

fn compare<'a>(vectors: &'a Vectors, cell: &Cell) -> Result<Option<Comparison<'a>>, Error> {
    let copy = path(vectors, Strategy::Copy, cell);
    let flip = path(vectors, cell.flip, cell);
    let (Some(copy), Some(flip)) = (copy, flip) else {
        return Ok(None);
    };
    let comparison = Comparison::new(copy, flip);
    comparison
        .map(Some)
        .map_err(|why| Error::Mismatch(*cell, why))
}
