//! What was counted: tables.

use costmodel::{EVENTS, Event};

use super::FRAME;
use crate::nature::Nature;
use crate::operations::Operations;
use crate::study::{Study, bytes};
use crate::vectors::{Iommu, Row};

/// What frames cost.
pub struct EventTable {
    pub about: String,
    pub nature: String,
    pub instructions: String,
    pub columns: Vec<String>,
    pub rows: Vec<EventRow>,
}

/// What a frame costs by a strategy and batch.
pub struct EventRow {
    pub strategy: &'static str,
    pub batch: u32,
    pub bytes: u32,
    pub cells: Vec<String>,
    pub instructions: String,
}

/// What isolated operations cost.
pub struct OperationTable {
    pub nature: String,
    pub columns: Vec<String>,
    pub rows: Vec<OperationRow>,
}

/// What one costs.
pub struct OperationRow {
    pub name: String,
    pub together: u32,
    pub bytes: String,
    pub cells: Vec<String>,
    pub instructions: String,
}

/// What was counted for the size nearest to a full frame, with one CPU and the first IOMMU mode.
pub fn events(study: &Study) -> EventTable {
    let vectors = study.vectors();
    let iommu = vectors.iommus().first().copied().unwrap_or(Iommu::Off);
    let cpus = vectors.cpus().first().copied().unwrap_or(1);
    let mut rows: Vec<&Row> = Vec::new();
    for row in vectors.rows() {
        if row.iommu != iommu || row.cpus != cpus {
            continue;
        }
        let same = |other: &&Row| {
            other.strategy == row.strategy
                && other.batch == row.batch
                && other.touched == row.touched
        };
        match rows.iter().position(same) {
            Some(at) if distance(row) < distance(rows[at]) => rows[at] = row,
            Some(_) => (),
            None => rows.push(row),
        }
    }
    let any = |event: &&Event| rows.iter().any(|row| row.totals()[**event as usize] > 0);
    let events: Vec<Event> = Event::ALL.iter().filter(any).copied().collect();
    let cells = |row: &Row| {
        let totals: [u64; EVENTS] = row.totals();
        let of = |event: &Event| shown(totals[*event as usize] as f64 / row.frames as f64);
        events.iter().map(of).collect()
    };
    let instructions = rows.iter().any(|row| row.instructions.is_some());
    EventTable {
        about: format!(
            "A frame's mean, at the counted size nearest to {}; {cpus} CPU(s), IOMMU {}.",
            bytes(FRAME),
            iommu.name()
        ),
        nature: study.events().to_string(),
        instructions: match instructions {
            true => Nature::Instructions.to_string(),
            false => "instructions not counted: the profiles' guesses stand for them".into(),
        },
        columns: names(&events),
        rows: rows
            .iter()
            .map(|row| EventRow {
                strategy: row.strategy.name(),
                batch: row.batch,
                bytes: row.bytes,
                cells: cells(row),
                instructions: match row.instructions {
                    Some(total) => format!("{:.1}", total as f64 / row.frames as f64),
                    None => "not counted".into(),
                },
            })
            .collect(),
    }
}

fn distance(row: &Row) -> u64 {
    // As a ratio: 64 is farther from 1,514 than 4,096 is.
    let (low, high) = (row.bytes.min(FRAME), row.bytes.max(FRAME));
    u64::from(high) * 1000 / u64::from(low.max(1))
}

/// What each isolated operation costs by itself.
pub fn operations(operations: &Operations) -> OperationTable {
    let rows = operations.rows();
    let any = |event: &&Event| rows.iter().any(|row| row.totals[**event as usize] > 0);
    let events: Vec<Event> = Event::ALL.iter().filter(any).copied().collect();
    OperationTable {
        nature: format!("{}; {}", Nature::Events, Nature::Instructions),
        columns: names(&events),
        rows: rows
            .iter()
            .map(|row| OperationRow {
                name: row.name.replace('_', " "),
                together: row.together,
                bytes: match row.bytes {
                    0 => String::new(),
                    bytes => bytes.to_string(),
                },
                cells: events
                    .iter()
                    .map(|event| shown(row.mean(row.totals[*event as usize])))
                    .collect(),
                instructions: format!("{:.1}", row.mean(row.instructions)),
            })
            .collect(),
    }
}

fn names(events: &[Event]) -> Vec<String> {
    let names = events.iter().map(|event| event.name().replace('_', " "));
    names.collect()
}

/// A mean as people read it.
fn shown(mean: f64) -> String {
    match mean {
        0.0 => "–".into(),
        mean if mean.fract() == 0.0 => format!("{mean:.0}"),
        _ => format!("{mean:.3}"),
    }
}
