//! The answer for a terminal: CPUs by batches.

use costmodel::{Source, Touched};

use crate::nature::Nature;
use crate::page::FRAME;
use crate::study::{Band, Cell, Study, bytes};
use crate::vectors::Strategy;

/// Batches that there is room for.
const COLUMNS: usize = 4;
const NAME: usize = 25;
const WIDTH: usize = 21;

/// From which frame size on exchanging pays on each CPU, by batch and place of the data; headers are
/// read, on as few CPUs and with as little IOMMU as was counted. Then what all answers come to.
/// `None`: there is no answer.
pub fn table(study: &Study) -> Option<String> {
    let (_, cell) = crate::page::first(study)?;
    let batches = few(&study.vectors().batches(), COLUMNS);
    let mut text = format!(
        "From which frame size on {} is cheaper than a copy, where headers are read; {}, IOMMU {}.\n\
         Likely size, and the band that the doubt of all prices allows, up to {} bytes.\n\
         What this is: {}.\n",
        cell.flip.name(),
        cpus(cell.cpus),
        cell.iommu.name(),
        largest(study),
        Nature::prediction(study.events(), "of each CPU's profile"),
    );
    for source in [Source::Dram, Source::Cache] {
        let lies = match source {
            Source::Dram => "data in memory",
            Source::Cache => "data in the cache",
        };
        text.push_str(&format!("\n{lies:<NAME$}"));
        for batch in &batches {
            let heading = match to(
                study,
                &Cell {
                    batch: *batch,
                    source,
                    ..cell
                },
            ) {
                Some(last) if last < largest(study) => format!("batch {batch}, to {last}"),
                _ => format!("batch {batch}"),
            };
            text.push_str(&format!("{heading:<WIDTH$}"));
        }
        text.truncate(text.trim_end().len());
        for (index, profile) in study.profiles().iter().enumerate() {
            let name: String = profile.name.chars().take(NAME - 1).collect();
            let mut line = format!("\n{name:<NAME$}");
            let mut some = false;
            for &batch in &batches {
                let cell = Cell {
                    batch,
                    source,
                    ..cell
                };
                let answer = study.answer(index, &cell);
                some |= answer.is_some();
                let word = answer.map_or_else(String::new, |answer| short(&answer.band));
                line.push_str(&format!("{word:<WIDTH$}"));
            }
            if some {
                text.push_str(line.trim_end());
            }
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&summary(study));
    Some(text)
}

fn cpus(count: u16) -> String {
    match count {
        1 => "one CPU".into(),
        count => format!("{count} CPUs"),
    }
}

/// The largest size that the answers of a cell are about.
fn to(study: &Study, cell: &Cell) -> Option<u32> {
    let answers = study.answers().iter();
    let bands = answers.filter(|answer| answer.cell == *cell);
    bands.map(|answer| answer.band.last).max()
}

fn largest(study: &Study) -> u32 {
    let last = study.answers().iter().map(|answer| answer.band.last);
    last.max().unwrap_or(0)
}

/// A band in few letters: `never`, `1480 (610-never)`.
fn short(band: &Band) -> String {
    let word = |size: Option<u32>| match size {
        None => "never".to_owned(),
        Some(size) if size <= band.first => "always".into(),
        Some(size) => size.to_string(),
    };
    let [earliest, likely, latest] = [band.earliest, band.likely, band.latest].map(word);
    match earliest == latest {
        true => likely,
        false => format!("{likely} ({earliest}-{latest})"),
    }
}

/// What all answers about exchanging come to, by how much is read: in how many it never pays.
fn summary(study: &Study) -> String {
    let mut text = String::new();
    for touched in Touched::ALL {
        let answers: Vec<Band> = study
            .answers()
            .iter()
            .filter(|answer| answer.cell.flip == Strategy::Exchange)
            .filter(|answer| answer.cell.touched == touched)
            .map(|answer| answer.band)
            .collect();
        if answers.is_empty() {
            continue;
        }
        let never = answers.iter().filter(|band| band.likely.is_none()).count();
        let within = |band: &&Band| band.likely.is_some_and(|size| size <= FRAME);
        let read = match touched {
            Touched::None => "nothing is read",
            Touched::Header => "headers are read",
            Touched::All => "every byte is read",
        };
        text.push_str(&format!(
            "Where {read}, of {} answers (CPU, batch, CPUs, IOMMU, place of the data) it never pays \
             in {never},\nand within a full frame of {} in {}.\n",
            answers.len(),
            bytes(FRAME),
            answers.iter().filter(within).count(),
        ));
    }
    text
}

/// So many at most, the ends among them.
pub(crate) fn few(all: &[u32], most: usize) -> Vec<u32> {
    if all.len() <= most || most < 2 {
        return all.to_vec();
    }
    let last = all.len() - 1;
    (0..most)
        .map(|column| all[column * last / (most - 1)])
        .collect()
}
