//! What frames took by a clock.

use crate::chart;
use crate::report::Error;
use crate::study::bytes;
use crate::times::Times;
use crate::vectors::{ReadBy, Strategy};

/// The section about times.
pub struct Section {
    pub cpu: String,
    pub nature: String,
    pub figures: Vec<String>,
    pub batches: Vec<u32>,
    pub rows: Vec<Line>,
}

/// From where on a way to deliver took no longer than a copy, by batch.
pub struct Line {
    pub flip: &'static str,
    pub touched: &'static str,
    pub cells: Vec<String>,
}

/// The section.
///
/// # Errors
/// A picture can't be drawn.
pub fn section(times: &Times) -> Result<Section, Error> {
    let mut figures = Vec::new();
    let mut rows = Vec::new();
    for touched in times.touched() {
        figures.push(chart::measured(times, touched)?);
        for flip in Strategy::FLIPS {
            let of = |batch: &u32| times.crossover(flip, *batch, touched);
            let answers: Vec<_> = times.batches().iter().map(of).collect();
            if answers.iter().all(Option::is_none) {
                continue;
            }
            let word = |answer: &Option<Option<u32>>| match answer {
                None => "–".into(),
                Some(None) => "never".into(),
                Some(Some(size)) => bytes(*size),
            };
            rows.push(Line {
                flip: flip.name(),
                touched: match touched {
                    ReadBy::None | ReadBy::Any => "nothing",
                    ReadBy::Header => "headers",
                    ReadBy::All => "every byte",
                },
                cells: answers.iter().map(word).collect(),
            });
        }
    }
    Ok(Section {
        cpu: times.cpu.clone(),
        nature: times.nature().to_string(),
        figures,
        batches: times.batches(),
        rows,
    })
}
