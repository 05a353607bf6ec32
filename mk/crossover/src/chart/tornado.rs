//! Which prices decide: a tornado chart.

use plotters::prelude::*;

use super::style::{Error, GRID, HIGH, INK, LOW, PALE, centred, ending, letters, picture, px};
use crate::sensitivity::{Swing, tornado};
use crate::study::{Band, Cell, Study};

const LEFT: i32 = 440;
const RIGHT: i32 = 180;
const WIDTH: i32 = 1160;
const TOP: i32 = 92;
const ROW: i32 = 24;
/// The most decisive prices that are shown.
const MOST: usize = 10;

/// Which prices decide a cell's answer on a CPU, at a frame size.
///
/// # Errors
/// There is no such answer, no price moves it, or it can't be drawn.
pub fn decisive(study: &Study, profile: usize, cell: &Cell, bytes: u32) -> Result<String, Error> {
    let cpu = &study.profiles()[profile];
    let nothing = || Error::Nothing(cpu.name.clone());
    let band = study.answer(profile, cell).ok_or_else(nothing)?.band;
    let comparison = study.comparison(cell).ok_or_else(nothing)?;
    let bytes = bytes.clamp(band.first, band.last);
    let mut data = tornado(&comparison, cell, cpu, bytes);
    data.swings.truncate(MOST);
    let ends = data
        .swings
        .iter()
        .flat_map(|swing| [swing.at_low, swing.at_high])
        .chain([data.likely, 0.0]);
    let (least, most) = ends.fold((f64::MAX, f64::MIN), |(least, most), end| {
        (least.min(end), most.max(end))
    });
    if data.swings.is_empty() {
        return Err(nothing());
    }
    // Some room at both ends.
    let room = (most - least) * 0.05;
    let (least, most) = (least - room, most + room);
    let (left, right) = (px(LEFT), px(WIDTH - RIGHT));
    let x = |ticks: f64| {
        let share = (ticks - least) / (most - least).max(f64::MIN_POSITIVE);
        left + (share * f64::from(right - left)).round() as i32
    };
    let rows = data.swings.len() as i32;
    let height = TOP + rows * ROW + 70;
    let title = format!("Which prices decide on {}", cpu.title());
    picture((WIDTH as u32, height as u32), &title, |root| {
        let at = |x, y| (px(x), px(y));
        root.draw(&Text::new(title.clone(), at(12, 20), letters(16, INK)))?;
        let about = format!(
            "What {} costs more than copying a frame of {}, in ticks, each price moved through its \
             range. Batch {}, {} read, data in {}.",
            cell.flip.name(),
            crate::study::bytes(bytes),
            cell.batch,
            cell.touched.name(),
            match cell.source {
                costmodel::Source::Dram => "memory",
                costmodel::Source::Cache => "the cache",
            }
        );
        root.draw(&Text::new(about, at(12, 42), letters(12, PALE)))?;
        for (place, tint, word) in [(12, LOW, "price low"), (120, HIGH, "price high")] {
            let square = [at(place, 59), at(place + 12, 69)];
            root.draw(&Rectangle::new(square, tint.filled()))?;
            root.draw(&Text::new(word, at(place + 18, 64), letters(13, INK)))?;
        }
        let over = at(WIDTH - RIGHT + 14, TOP - 12);
        root.draw(&Text::new("crossover: low, high", over, letters(12, PALE)))?;
        let (top, bottom) = (px(TOP), px(TOP + rows * ROW));
        // One label where two would lie on each other.
        let apart = (x(0.0) - x(data.likely)).abs() > px(110);
        let marks = [(0.0, "as dear as copying"), (data.likely, "likely")];
        for (value, word) in marks.into_iter().take(if apart { 2 } else { 1 }) {
            let place = x(value).clamp(left + px(50), right - px(50));
            root.draw(&Text::new(word, (place, top - px(12)), centred(11, PALE)))?;
            let number = format!("{value:+.0}");
            let number = if value == 0.0 { "0".into() } else { number };
            let below = (x(value), bottom + px(12));
            root.draw(&Text::new(number, below, centred(11, PALE)))?;
        }
        for (index, swing) in data.swings.iter().enumerate() {
            let y = px(TOP + index as i32 * ROW + ROW / 2);
            let name = swing.price.meaning();
            root.draw(&Text::new(name, (left - px(10), y), ending(12, INK)))?;
            for (end, tint) in [(swing.at_low, LOW), (swing.at_high, HIGH)] {
                let (from, to) = (x(data.likely).min(x(end)), x(data.likely).max(x(end)));
                let bar = [(from, y - px(8)), (to, y + px(8))];
                root.draw(&Rectangle::new(bar, tint.filled()))?;
            }
            let answers = (right + px(14), y);
            root.draw(&Text::new(outcome(swing, &band), answers, letters(12, INK)))?;
        }
        for (value, tint) in [(0.0, INK), (data.likely, GRID)] {
            let line = [(x(value), top - px(2)), (x(value), bottom + px(2))];
            root.draw(&PathElement::new(line, tint.stroke_width(3)))?;
        }
        let nature = study.nature(cpu).to_string();
        root.draw(&Text::new(nature, at(12, height - 14), letters(12, INK)))?;
        Ok(())
    })
}

fn outcome(swing: &Swing, band: &Band) -> String {
    let [low, high] = [swing.crossover_low, swing.crossover_high].map(|size| band.word(size));
    match low == high {
        true => low,
        false => format!("{low}, {high}"),
    }
}
