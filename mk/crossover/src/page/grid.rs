//! How the answer changes with batch, what is read, where it lies, CPUs and IOMMU: a table.

use costmodel::{Source, Touched};

use crate::study::{Band, Cell, Study, bytes};
use crate::vectors::{Iommu, Strategy};

/// A table of answers for a CPU and a way to deliver.
pub struct Grid {
    pub flip: &'static str,
    pub usual: bool,
    pub rows: Vec<Line>,
}

/// Answers for a batch, CPUs and an IOMMU mode: what is read by where it lies.
pub struct Line {
    pub iommu: &'static str,
    pub cpus: u16,
    pub batch: u32,
    /// The largest size that it is about.
    pub to: String,
    pub cells: Vec<Shade>,
}

/// An answer, and how it is coloured: a class of the page's style sheet.
pub struct Shade {
    pub class: &'static str,
    pub likely: String,
    pub range: String,
}

pub fn grid(study: &Study, profile: usize, flip: Strategy) -> Option<Grid> {
    let vectors = study.vectors();
    let mut rows = Vec::new();
    for iommu in vectors.iommus() {
        for &cpus in &vectors.cpus() {
            for &batch in &vectors.batches() {
                let of = |touched, source| Cell {
                    flip,
                    batch,
                    touched,
                    source,
                    cpus,
                    iommu,
                };
                rows.extend(line(study, profile, iommu, cpus, batch, of));
            }
        }
    }
    (!rows.is_empty()).then(|| Grid {
        flip: flip.name(),
        usual: flip == Strategy::Exchange,
        rows,
    })
}

fn line(
    study: &Study,
    profile: usize,
    iommu: Iommu,
    cpus: u16,
    batch: u32,
    of: impl Fn(Touched, Source) -> Cell,
) -> Option<Line> {
    let mut cells = Vec::new();
    let mut last = None;
    for touched in Touched::ALL {
        for source in [Source::Dram, Source::Cache] {
            let answer = study.answer(profile, &of(touched, source));
            last = last.max(answer.map(|answer| answer.band.last));
            cells.push(shade(answer.map(|answer| &answer.band)));
        }
    }
    last.map(|last| Line {
        iommu: iommu.name(),
        cpus,
        batch,
        to: bytes(last),
        cells,
    })
}

fn shade(band: Option<&Band>) -> Shade {
    let Some(band) = band else {
        return Shade {
            class: "unasked",
            likely: "not counted".into(),
            range: String::new(),
        };
    };
    let likely = band.word(band.likely);
    let (earliest, latest) = (band.word(band.earliest), band.word(band.latest));
    Shade {
        class: match band.likely {
            None => "never",
            Some(size) if size > 4096 => "pages",
            Some(size) if size > super::FRAME => "page",
            Some(size) if size > band.first => "frame",
            Some(_) => "always",
        },
        range: match earliest == latest {
            true => String::new(),
            false => format!("{earliest} to {latest}"),
        },
        likely,
    }
}
