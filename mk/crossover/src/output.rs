//! What the study is written as: a table, a picture and a page.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::study::Study;
use crate::vectors::{Error, Iommu, Strategy};

/// A line of `crossover.csv`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The CPU.
    pub profile: String,
    /// How frames are delivered, other than by a copy.
    pub strategy: Strategy,
    /// Frames delivered together.
    pub batch: u32,
    /// How much of them is read.
    pub touched: String,
    /// Where they lie.
    pub source: String,
    /// CPUs.
    pub cpus: u16,
    /// What the IOMMU does.
    pub iommu: Iommu,
    /// From which size on it pays, with every price as flipping would have it.
    pub earliest: Size,
    /// With likely prices.
    pub likely: Size,
    /// With every price as copying would have it.
    pub latest: Size,
    /// The smallest size that the answer is about.
    pub from_bytes: u32,
    /// The largest.
    pub to_bytes: u32,
    /// What the line is.
    pub nature: String,
}

/// A size in bytes, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub Option<u32>);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(size) => write!(f, "{size}"),
            None => f.write_str("never"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "never" => Ok(Size(None)),
            number => match number.parse() {
                Ok(size) => Ok(Size(Some(size))),
                Err(_) => Err(de::Error::custom("right is a size in bytes, or never")),
            },
        }
    }
}

/// The study's answers, a line each.
pub fn lines(study: &Study) -> Vec<Line> {
    let line = |answer: &crate::study::Answer| {
        let profile = &study.profiles()[answer.profile];
        let (cell, band) = (&answer.cell, &answer.band);
        Line {
            profile: profile.name.clone(),
            strategy: cell.flip,
            batch: cell.batch,
            touched: cell.touched.name().into(),
            source: cell.source.name().into(),
            cpus: cell.cpus,
            iommu: cell.iommu,
            earliest: Size(band.earliest),
            likely: Size(band.likely),
            latest: Size(band.latest),
            from_bytes: band.first,
            to_bytes: band.last,
            nature: study.nature(profile).to_string(),
        }
    };
    study.answers().iter().map(line).collect()
}

/// Anything as CSV text.
pub(crate) fn to_csv<T: serde::Serialize>(rows: &[T]) -> Result<String, Error> {
    let wrong = |what: String| Error::Format {
        file: "CSV".into(),
        what,
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer
            .serialize(row)
            .map_err(|error| wrong(error.to_string()))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}
