//! The predictions for named CPUs: where the crossover lies, and where it may.

use costmodel::{Source, Touched};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::axes::{self, Scale};
use super::style::{Error, GRID, INK, NEVER, PALE, centred, colour, ending, letters, picture, px};
use crate::nature::Nature;
use crate::study::{Band, Cell, Study};

const LEFT: i32 = 246;
const TOP: i32 = 92;
const ROW: i32 = 32;
const COLUMN: i32 = 254;
const NEVERS: i32 = 46;
const GAP: i32 = 18;

/// The bands of all CPUs that have an answer, for each part of a frame that may be read.
///
/// # Errors
/// No CPU has an answer, or it can't be drawn.
pub fn predictions(study: &Study, cell: &Cell) -> Result<String, Error> {
    let band = |profile: usize, touched, source| -> Option<Band> {
        let cell = Cell {
            touched,
            source,
            ..*cell
        };
        study.answer(profile, &cell).map(|answer| answer.band)
    };
    let columns: Vec<Touched> = Touched::ALL
        .into_iter()
        .filter(|&touched| {
            let mut profiles = 0..study.profiles().len();
            profiles.any(|profile| band(profile, touched, Source::Dram).is_some())
        })
        .collect();
    let mut rows = Vec::new();
    for profile in 0..study.profiles().len() {
        for source in [Source::Dram, Source::Cache] {
            if columns
                .iter()
                .any(|&touched| band(profile, touched, source).is_some())
            {
                rows.push((profile, source));
            }
        }
    }
    let nothing = || Error::Nothing("these CPUs".into());
    let (first_touched, first_row) = (
        *columns.first().ok_or_else(nothing)?,
        *rows.first().ok_or_else(nothing)?,
    );
    let range = band(first_row.0, first_touched, first_row.1).ok_or_else(nothing)?;
    let size = (
        (LEFT + columns.len() as i32 * (COLUMN + NEVERS + GAP) + 8) as u32,
        (TOP + rows.len() as i32 * ROW + 84) as u32,
    );
    let title = format!("From which frame size on {} pays", cell.flip.name());
    picture(size, &title, |root| {
        let at = |x, y| (px(x), px(y));
        root.draw(&Text::new(title.clone(), at(12, 20), letters(16, INK)))?;
        let about = format!(
            "Batches of {}; {} CPU(s); IOMMU {}. Dot: likely; bar: what the doubt of all prices allows.",
            cell.batch,
            cell.cpus,
            cell.iommu.name()
        );
        root.draw(&Text::new(about, at(12, 42), letters(12, PALE)))?;
        for (index, &(profile, source)) in rows.iter().enumerate() {
            let y = px(TOP + index as i32 * ROW + ROW / 2);
            let name = &study.profiles()[profile].name;
            let lies = match source {
                Source::Dram => "memory",
                Source::Cache => "cache",
            };
            if source == Source::Dram {
                root.draw(&Text::new(cut(name), (px(12), y), letters(13, INK)))?;
            }
            let place = (px(LEFT - 10), y);
            root.draw(&Text::new(lies, place, ending(12, PALE)))?;
        }
        for (column, &touched) in columns.iter().enumerate() {
            let left = px(LEFT + column as i32 * (COLUMN + NEVERS + GAP));
            let bands = rows
                .iter()
                .map(|&(profile, source)| band(profile, touched, source));
            draw_column(root, left, touched, range, bands.collect(), cell)?;
        }
        let nature = Nature::prediction(
            study.events(),
            "of each CPU's profile, whose sources are below",
        );
        let foot = at(12, size.1 as i32 - 14);
        root.draw(&Text::new(nature.to_string(), foot, letters(12, INK)))?;
        Ok(())
    })
}

/// A name that ends before the column beside it.
fn cut(name: &str) -> String {
    const MOST: usize = 24;
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.into(),
    }
}

fn draw_column(
    root: &DrawingArea<SVGBackend, Shift>,
    left: i32,
    touched: Touched,
    range: Band,
    bands: Vec<Option<Band>>,
    cell: &Cell,
) -> Result<(), Error> {
    let (top, bottom) = (px(TOP), px(TOP + bands.len() as i32 * ROW));
    let (right, end) = (left + px(COLUMN), left + px(COLUMN + NEVERS));
    let never = (right + end) / 2;
    let x = Scale::new(
        (f64::from(range.first), f64::from(range.last)),
        (left, right),
    );
    let heading = match touched {
        Touched::None => "Nothing is read",
        Touched::Header => "Headers are read",
        Touched::All => "Every byte is read",
    };
    root.draw(&Text::new(heading, (left, top - px(14)), letters(13, INK)))?;
    root.draw(&Rectangle::new(
        [(right, top), (end, bottom)],
        NEVER.filled(),
    ))?;
    root.draw(&Text::new(
        "never",
        (never, top - px(14)),
        centred(12, PALE),
    ))?;
    let words = Some(((left + right) / 2, "bytes of the frame"));
    axes::sizes(root, &x, (top, bottom), words)?;
    let tint = colour(cell.flip);
    let place = |size: Option<u32>| size.map_or(never, |size| x.place(f64::from(size)));
    for (index, band) in bands.into_iter().enumerate() {
        let y = top + px(index as i32 * ROW + ROW / 2);
        if index % 2 == 0 {
            let line = [(left, y - px(ROW / 2)), (end, y - px(ROW / 2))];
            root.draw(&PathElement::new(line, GRID.stroke_width(2)))?;
        }
        let Some(band) = band else {
            root.draw(&Text::new("not asked", (left, y), letters(10, PALE)))?;
            continue;
        };
        let bar = [
            (place(band.earliest), y + px(3)),
            (place(band.latest), y + px(10)),
        ];
        root.draw(&Rectangle::new(bar, tint.mix(0.35).filled()))?;
        let dot = (place(band.likely), y + px(6));
        root.draw(&Circle::new(dot, px(5), tint.filled()))?;
        let label = band.word(band.likely);
        if band.likely.is_some_and(|size| size > band.first) {
            let at = (dot.0.max(left + px(26)), y - px(8));
            let style = centred(12, INK);
            root.draw(&Text::new(label, at, style))?;
        }
    }
    root.draw(&Rectangle::new(
        [(left, top), (end, bottom)],
        GRID.stroke_width(2),
    ))?;
    Ok(())
}
