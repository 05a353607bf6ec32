//! Copies and reads of the machine at hand: time on hardware.

use plotters::prelude::*;

use super::axes::{self, Scale};
use super::style::{Error, GRID, INK, PALE, letters, picture, px};
use crate::native::{Calibration, Place, SIZES, Work};
use crate::nature::Nature;

const SIZE: (u32, u32) = (760, 440);
const LEFT: i32 = 70;
const RIGHT: i32 = 190;
const TOP: i32 = 66;
const FOOT: i32 = 78;

/// What copies by the fastest way, and reads, took on this machine.
///
/// # Errors
/// Nothing was timed, or it can't be drawn.
pub fn copies(calibration: &Calibration) -> Result<String, Error> {
    let nanoseconds = |ticks: u64| ticks as f64 * 1e9 / calibration.hertz as f64;
    let shown = |place: Place| {
        let copy = Work::Copy(calibration.best(place));
        [(copy, 5), (Work::Read, 2)]
    };
    let line = |work: Work, place: Place| -> Vec<(f64, f64)> {
        let timings = calibration.timings.iter();
        timings
            .filter(|one| one.work == work && one.place == place)
            .map(|one| (f64::from(one.bytes), nanoseconds(one.ticks.median)))
            .collect()
    };
    let all = Place::ALL
        .into_iter()
        .flat_map(|place| shown(place).map(|(work, _)| line(work, place)))
        .flatten();
    let (least, most) = all.fold((f64::MAX, 0f64), |(least, most), (_, time)| {
        (least.min(time), most.max(time))
    });
    if most <= 0.0 {
        return Err(Error::Nothing("this machine".into()));
    }
    let (left, right) = (px(LEFT), px(SIZE.0 as i32 - RIGHT));
    let (top, bottom) = (px(TOP), px(SIZE.1 as i32 - FOOT));
    let sizes = (f64::from(SIZES[0]), f64::from(SIZES[SIZES.len() - 1]));
    let x = Scale::new(sizes, (left, right));
    let y = Scale::new((least * 0.8, most * 1.25), (bottom, top));
    let title = format!("Copying and reading on this machine: {}", calibration.cpu);
    picture(SIZE, &title, |root| {
        root.draw(&Text::new(
            title.clone(),
            (px(12), px(20)),
            letters(16, INK),
        ))?;
        let about = "Medians. Thick: the fastest copy, to a hot destination; thin: only reading.";
        root.draw(&Text::new(about, (px(12), px(42)), letters(12, PALE)))?;
        let words = Some(((left + right) / 2, "bytes"));
        axes::sizes(root, &x, (top, bottom), words)?;
        axes::nanoseconds(root, &y, (left, right), true)?;
        for (index, place) in Place::ALL.into_iter().enumerate() {
            let tint = [
                RGBColor(0x00, 0x80, 0x5c),
                RGBColor(0x00, 0x72, 0xb2),
                RGBColor(0xc7, 0x50, 0x00),
            ][index];
            for (work, width) in shown(place) {
                let points: Vec<(i32, i32)> = line(work, place)
                    .into_iter()
                    .map(|(bytes, time)| (x.place(bytes), y.place(time)))
                    .collect();
                root.draw(&PathElement::new(points, tint.stroke_width(width)))?;
            }
            let name = format!("{}, {}", place.name(), calibration.best(place).name());
            let at = px(TOP + 12 + index as i32 * 22);
            let key = [(right + px(14), at), (right + px(34), at)];
            root.draw(&PathElement::new(key, tint.stroke_width(5)))?;
            root.draw(&Text::new(name, (right + px(40), at), letters(12, INK)))?;
        }
        root.draw(&Rectangle::new(
            [(left, top), (right, bottom)],
            GRID.stroke_width(2),
        ))?;
        let nature = format!(
            "{}; the middle half of samples spreads by at most {:.0} % in nine of ten cases{}",
            Nature::HardwareTime,
            calibration.noise() * 100.0,
            match calibration.noisy() {
                true => ": too noisy to be trusted",
                false => "",
            }
        );
        let foot = (px(12), px(SIZE.1 as i32 - 14));
        root.draw(&Text::new(nature, foot, letters(12, INK)))?;
        Ok(())
    })
}
