//! The page: everything in one file.

use askama::Template;
use costmodel::{Source, Touched};

use crate::anchors::Outcome;
use crate::chart;
use crate::nature::Nature;
use crate::profile::{Letter, in_ticks};
use crate::report::{Error, More};
use crate::study::{Cell, Study, bytes};
use crate::vectors::{Iommu, Strategy};

mod answer;
mod counts;
mod grid;
mod timed;

use counts::{EventTable, OperationTable};
use grid::Grid;

/// The frame that single figures are about: a full one of ethernet.
pub(crate) const FRAME: u32 = 1514;
/// The batch that single figures are about, or the nearest.
const BATCH: u32 = 32;
/// The ways to deliver without a copy: the one that is usually asked about first.
const SHOWN: [Strategy; 3] = [Strategy::Exchange, Strategy::Sealed, Strategy::InPlace];

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'a str,
    counted: bool,
    answers: Vec<answer::Line>,
    answer: String,
    answered: String,
    natures: [(String, &'static str); 6],
    summary: Summary,
    cpus: Vec<Cpu>,
    predictions: Vec<Prediction>,
    native: Option<String>,
    timed: Option<timed::Section>,
    events: EventTable,
    operations: Option<OperationTable>,
    anchors: Vec<Anchor>,
    letters: Vec<(&'static str, &'static str)>,
}

struct Summary {
    asked: usize,
    never: usize,
    beyond: usize,
    frame: String,
    largest: String,
}

/// A way to deliver, on all CPUs.
struct Prediction {
    flip: &'static str,
    figure: String,
}

/// A CPU's part of the page.
struct Cpu {
    number: usize,
    name: String,
    title: String,
    nature: String,
    clock: String,
    costs: String,
    decisive: Vec<String>,
    grids: Vec<Grid>,
    prices: Vec<Charge>,
}

struct Charge {
    meaning: &'static str,
    low: f64,
    likely: f64,
    high: f64,
    source: &'static str,
    from: String,
}

struct Anchor {
    name: String,
    profile: String,
    published: String,
    from: String,
    model: String,
    verdict: String,
    registered: String,
    role: &'static str,
    holds: bool,
    note: String,
}

/// The page's text.
///
/// # Errors
/// A picture can't be drawn, or the page not be put together.
pub fn html(study: &Study, more: &More<'_>, anchors: &[Outcome]) -> Result<String, Error> {
    let mut cpus = Vec::new();
    for (number, profile) in study.profiles().iter().enumerate() {
        // One may have no answer, where only modes of an IOMMU were counted that it hasn't.
        let Some(cell) = usual(study, number) else {
            continue;
        };
        cpus.push(cpu(study, number, profile, &cell)?);
    }
    let mut predictions = Vec::new();
    if let Some((first, cell)) = first(study) {
        for flip in SHOWN {
            let cell = Cell { flip, ..cell };
            if study.answer(first, &cell).is_some() {
                predictions.push(Prediction {
                    flip: flip.name(),
                    figure: chart::predictions(study, &cell)?,
                });
            }
        }
    }
    let (answers, about) = match first(study) {
        Some((_, cell)) => (answer::lines(study, &cell), about(study, &cell)),
        None => (Vec::new(), String::new()),
    };
    let page = Page {
        answers,
        answer: about,
        answered: Nature::prediction(study.events(), "of each CPU's profile").to_string(),
        natures: natures(),
        style: chart::STYLE,
        counted: study.vectors().counted(),
        summary: summary(study),
        cpus,
        predictions,
        native: more.calibration.map(chart::copies).transpose()?,
        timed: more.times.map(timed::section).transpose()?,
        events: counts::events(study),
        operations: more.operations.map(counts::operations),
        anchors: anchors.iter().map(anchor).collect(),
        letters: Letter::ALL
            .iter()
            .map(|letter| (letter.name(), letter.meaning()))
            .collect(),
    };
    Ok(page.render()?)
}

/// The situation that single figures are about: exchanges in batches of about 32 on one CPU, headers
/// read, data in memory, no IOMMU; or the nearest to it that was counted.
pub(crate) fn usual(study: &Study, profile: usize) -> Option<Cell> {
    let far = |cell: &Cell| {
        (
            cell.iommu != Iommu::Off,
            cell.cpus,
            cell.flip != Strategy::Exchange,
            cell.batch.abs_diff(BATCH),
            cell.touched != Touched::Header,
            cell.source != Source::Dram,
        )
    };
    let answers = study.answers().iter();
    let cells = answers.filter(|answer| answer.profile == profile);
    cells.map(|answer| answer.cell).min_by_key(far)
}

/// The first CPU that has an answer, and its usual situation.
pub(crate) fn first(study: &Study) -> Option<(usize, Cell)> {
    let answered = |profile| usual(study, profile).map(|cell| (profile, cell));
    (0..study.profiles().len()).find_map(answered)
}

fn about(study: &Study, cell: &Cell) -> String {
    let answers = study.answers().iter();
    let bands = answers.filter(|answer| answer.cell == *cell);
    let last = bands.map(|answer| answer.band.last).max().unwrap_or(0);
    format!(
        "By {}, against a copy; {} CPU(s); IOMMU {}; in batches of {} up to frames of {}, the largest \
         counted so. Likely prices; the doubt is in the chart below.",
        cell.flip.name(),
        cell.cpus,
        cell.iommu.name(),
        cell.batch,
        bytes(last)
    )
}

/// What figures can be, and what is to be thought of each.
fn natures() -> [(String, &'static str); 6] {
    [
        (
            Nature::Events.to_string(),
            "by the kernel of the running system: the same in every run, on any machine",
        ),
        (
            Nature::Instructions.to_string(),
            "the length of the path, without loops that copy or zero: the same in every run",
        ),
        (
            Nature::EmulatedTime.to_string(),
            "an emulator has no caches and no TLB of a CPU: never used here",
        ),
        (
            Nature::HardwareTime.to_string(),
            "off a real CPU's clock: only where something ran on it",
        ),
        (
            "prediction by the cost model".into(),
            "counts, multiplied by a CPU's prices; which ones, and from which sources, is said with it",
        ),
        (
            Nature::Published.to_string(),
            "what others measured, on their machines",
        ),
    ]
}

fn summary(study: &Study) -> Summary {
    let likely: Vec<Option<u32>> = study
        .answers()
        .iter()
        .map(|answer| answer.band.likely)
        .collect();
    let never = likely.iter().filter(|size| size.is_none()).count();
    let large = likely.iter().flatten().filter(|size| **size > FRAME);
    let largest = study.answers().iter().map(|answer| answer.band.last).max();
    Summary {
        asked: likely.len(),
        never,
        beyond: large.count(),
        frame: bytes(FRAME),
        largest: bytes(largest.unwrap_or(0)),
    }
}

fn cpu(
    study: &Study,
    number: usize,
    profile: &crate::profile::Profile,
    cell: &Cell,
) -> Result<Cpu, Error> {
    let mut decisive = Vec::new();
    for source in [Source::Dram, Source::Cache] {
        let cell = Cell { source, ..*cell };
        if study.answer(number, &cell).is_some() {
            decisive.push(chart::decisive(study, number, &cell, FRAME)?);
        }
    }
    let charge = |(price, entry): &(costmodel::Price, crate::profile::Entry)| Charge {
        meaning: price.meaning(),
        low: in_ticks(entry.low),
        likely: in_ticks(entry.likely),
        high: in_ticks(entry.high),
        source: entry.source.name(),
        from: entry.from.clone(),
    };
    Ok(Cpu {
        number,
        name: profile.name.clone(),
        title: profile.title(),
        nature: study.nature(profile).to_string(),
        clock: format!("{:.1} GHz", profile.hertz as f64 / 1e9),
        costs: chart::costs(study, number, cell)?,
        decisive,
        grids: SHOWN
            .iter()
            .filter_map(|&flip| grid::grid(study, number, flip))
            .collect(),
        prices: profile.entries().iter().map(charge).collect(),
    })
}

fn anchor(outcome: &Outcome) -> Anchor {
    let number = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    };
    let (low, high) = outcome.published;
    Anchor {
        name: outcome.name.clone(),
        profile: outcome.profile.clone(),
        published: match low {
            0.0 => format!("at most {} {}", number(high), outcome.unit),
            low if low == high => format!("{} {}", number(low), outcome.unit),
            low => format!("{} to {} {}", number(low), number(high), outcome.unit),
        },
        from: outcome.from.clone(),
        model: format!(
            "{} ({} to {})",
            number(outcome.model.likely),
            number(outcome.model.low),
            number(outcome.model.high)
        ),
        verdict: outcome.verdict(),
        registered: match outcome.registered {
            1.0 => "none".into(),
            miss => format!("a factor of {miss:.2}"),
        },
        role: outcome.role.name(),
        holds: outcome.holds(),
        note: outcome.note.clone(),
    }
}
