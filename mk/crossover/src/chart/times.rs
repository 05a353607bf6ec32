//! What frames took by a clock, over their size: a panel for each batch.

use plotters::prelude::*;

use super::axes::{self, Scale};
use super::style::{Error, GRID, INK, PALE, colour, letters, picture, px};
use crate::times::Times;
use crate::vectors::{ReadBy, Strategy};

const LEFT: i32 = 66;
const TOP: i32 = 118;
const PANEL: (i32, i32) = (250, 190);
const GAP: (i32, i32) = (36, 76);
const FOOT: i32 = 30;
const COLUMNS: usize = 4;
const LEAST_WIDTH: i32 = 860;

const STRATEGIES: [Strategy; 4] = [
    Strategy::Copy,
    Strategy::InPlace,
    Strategy::Exchange,
    Strategy::Sealed,
];

/// What frames took of which so much was read.
///
/// # Errors
/// None were timed, or it can't be drawn.
pub fn measured(times: &Times, touched: ReadBy) -> Result<String, Error> {
    let rows = times.rows().iter().filter(|row| row.touched == touched);
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, 0f64), |(least, most), value| {
            (least.min(value), most.max(value))
        })
    };
    let sizes = ends(&mut rows.clone().map(|row| f64::from(row.bytes)));
    let (least, most) = ends(&mut rows.clone().flat_map(|row| row.quartiles()));
    if most <= 0.0 {
        return Err(Error::Nothing(times.cpu.clone()));
    }
    let costs = (least * 0.8, most * 1.25);
    let batches = times.batches();
    let columns = batches.len().clamp(1, COLUMNS);
    let lines = batches.len().div_ceil(columns) as i32;
    let size = (
        (LEFT + columns as i32 * (PANEL.0 + GAP.0) + 4).max(LEAST_WIDTH) as u32,
        (TOP + lines * (PANEL.1 + GAP.1) - 26 + FOOT) as u32,
    );
    let title = format!("What delivering a frame took on {}", times.cpu);
    picture(size, &title, |root| {
        let at = |x, y| (px(x), px(y));
        root.draw(&Text::new(title.clone(), at(12, 20), letters(16, INK)))?;
        let about = format!(
            "{}; medians, and the shade between quartiles.",
            match touched {
                ReadBy::None | ReadBy::Any => "Nothing is read",
                ReadBy::Header => "Headers are read",
                ReadBy::All => "Every byte is read",
            }
        );
        root.draw(&Text::new(about, at(12, 42), letters(12, PALE)))?;
        for (index, strategy) in STRATEGIES.into_iter().enumerate() {
            let x = 12 + index as i32 * 140;
            let line = [at(x, 68), at(x + 24, 68)];
            root.draw(&PathElement::new(line, colour(strategy).stroke_width(5)))?;
            let name = strategy.name();
            root.draw(&Text::new(name, at(x + 30, 68), letters(13, INK)))?;
        }
        for (index, &batch) in batches.iter().enumerate() {
            let (row, column) = ((index / columns) as i32, (index % columns) as i32);
            let left = px(LEFT + column * (PANEL.0 + GAP.0));
            let top = px(TOP + row * (PANEL.1 + GAP.1));
            let (right, bottom) = (left + px(PANEL.0), top + px(PANEL.1));
            let x = Scale::new(sizes, (left, right));
            let y = Scale::new(costs, (bottom, top));
            let heading = format!("Batch {batch}");
            root.draw(&Text::new(heading, (left, top - px(12)), letters(13, INK)))?;
            let words = Some(((left + right) / 2, "bytes of the frame"));
            axes::sizes(root, &x, (top, bottom), words)?;
            axes::nanoseconds(root, &y, (left, right), column == 0)?;
            for strategy in STRATEGIES {
                let (mut low, mut middle, mut high) = (Vec::new(), Vec::new(), Vec::new());
                for row in times.line(strategy, batch, touched) {
                    let place = x.place(f64::from(row.bytes));
                    let [first, median, third] = row.quartiles();
                    low.push((place, y.place(first)));
                    middle.push((place, y.place(median)));
                    high.push((place, y.place(third)));
                }
                if middle.is_empty() {
                    continue;
                }
                let tint = colour(strategy);
                let around: Vec<(i32, i32)> =
                    low.into_iter().chain(high.into_iter().rev()).collect();
                root.draw(&Polygon::new(around, tint.mix(0.18).filled()))?;
                root.draw(&PathElement::new(middle, tint.stroke_width(5)))?;
            }
            let frame = [(left, top), (right, bottom)];
            root.draw(&Rectangle::new(frame, GRID.stroke_width(2)))?;
        }
        let nature = times.nature().to_string();
        let foot = at(12, size.1 as i32 - 14);
        root.draw(&Text::new(nature, foot, letters(12, INK)))?;
        Ok(())
    })
}
