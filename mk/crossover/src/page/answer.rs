//! The answer in a few lines: what there is to know for who reads no further.

use costmodel::{Source, Touched};

use crate::study::{Band, Cell, Study, bytes};

/// A question and its answer.
pub struct Line {
    pub asked: String,
    pub memory: String,
    pub cache: String,
}

/// The answers for a situation, by what is read; and for single frames.
pub fn lines(study: &Study, cell: &Cell) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut ask = |asked: String, cell: Cell| {
        let of = |source| spread(study, &Cell { source, ..cell });
        if let (Some(memory), Some(cache)) = (of(Source::Dram), of(Source::Cache)) {
            lines.push(Line {
                asked,
                memory,
                cache,
            });
        }
    };
    let together = match cell.batch {
        1 => "one frame at a time".into(),
        batch => format!("{batch} frames at a time"),
    };
    for (touched, words) in [
        (Touched::All, "Every byte is read"),
        (Touched::Header, "Headers are read"),
        (Touched::None, "Nothing is read"),
    ] {
        ask(format!("{words}, {together}"), Cell { touched, ..*cell });
    }
    if cell.batch > 1 && study.vectors().batches().contains(&1) {
        let single = Cell {
            batch: 1,
            touched: Touched::Header,
            ..*cell
        };
        ask("Headers are read, one frame at a time".into(), single);
    }
    lines
}

/// From where to where the likely sizes lie, with the CPUs at the ends, and on which it never pays.
fn spread(study: &Study, cell: &Cell) -> Option<String> {
    let mut never = Vec::new();
    let mut sizes: Vec<(u32, Band, &str)> = Vec::new();
    for (index, profile) in study.profiles().iter().enumerate() {
        let Some(answer) = study.answer(index, cell) else {
            continue;
        };
        match answer.band.likely {
            Some(size) => sizes.push((size, answer.band, &profile.name)),
            None => never.push(profile.name.as_str()),
        }
    }
    sizes.sort_by_key(|(size, ..)| *size);
    let from = |(size, band, name): &(u32, Band, &str)| match *size <= band.first {
        true => format!("always on {name}"),
        false => format!("from {} ({name})", bytes(*size)),
    };
    let paid = match &sizes[..] {
        [] if never.is_empty() => return None,
        [] => return Some("never, on any of these CPUs".into()),
        [one] => from(one),
        [first, .., (size, _, name)] => format!("{} to {} ({name})", from(first), bytes(*size)),
    };
    Some(match never.is_empty() {
        true => paid,
        false => format!("{paid}; never on {}", never.join(", ")),
    })
}
