//! What a frame costs by each strategy, over its size: a panel for each batch and place of the data.

use costmodel::Source;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::axes::{self, Scale};
use super::style::{Error, GRID, INK, PALE, colour, letters, picture, px};
use crate::profile::Profile;
use crate::study::{Band, Cell, Study, bytes};
use crate::vectors::Strategy;

const LEFT: i32 = 66;
const TOP: i32 = 126;
const PANEL: (i32, i32) = (250, 190);
const GAP: (i32, i32) = (36, 84);
const FOOT: i32 = 30;
/// Panels beside each other: one for each batch; more go below.
const COLUMNS: usize = 4;
/// The least width in which the lines of text above the panels end.
const LEAST_WIDTH: i32 = 860;
/// Points of a line.
const POINTS: u32 = 60;

struct Panel<'a> {
    study: &'a Study,
    profile: usize,
    cell: Cell,
    /// It is the first of its row.
    labels: bool,
    left: i32,
    top: i32,
}

/// The costs on a CPU, in the situation of a cell (whose batch and source are all shown).
///
/// # Errors
/// There is nothing to show, or it can't be drawn.
pub fn costs(study: &Study, profile: usize, cell: &Cell) -> Result<String, Error> {
    let cpu = &study.profiles()[profile];
    let nothing = || Error::Nothing(cpu.name.clone());
    let batches = study.vectors().batches();
    let columns = batches.len().clamp(1, COLUMNS);
    let rows = batches.len().div_ceil(columns);
    let answered = |cell: &Cell| study.answer(profile, cell).is_some();
    let mut panels = Vec::new();
    for (part, source) in [Source::Dram, Source::Cache].into_iter().enumerate() {
        for (index, &batch) in batches.iter().enumerate() {
            let (row, column) = (part * rows + index / columns, index % columns);
            let cell = Cell {
                batch,
                source,
                ..*cell
            };
            if answered(&cell) {
                panels.push(Panel {
                    study,
                    profile,
                    cell,
                    labels: column == 0,
                    left: px(LEFT + column as i32 * (PANEL.0 + GAP.0)),
                    top: px(TOP + row as i32 * (PANEL.1 + GAP.1)),
                });
            }
        }
    }
    let first = panels.first().ok_or_else(nothing)?;
    let band = first.band().ok_or_else(nothing)?;
    let sizes = (f64::from(band.first), f64::from(band.last));
    let all = panels.iter().flat_map(Panel::lines).flat_map(|line| line.1);
    let (least, most) = all.fold((f64::MAX, 0f64), |(least, most), (_, cost)| {
        (least.min(cost), most.max(cost))
    });
    let times = (least * 0.8, most * 1.25);
    let size = (
        (LEFT + columns as i32 * (PANEL.0 + GAP.0) + 4).max(LEAST_WIDTH) as u32,
        (TOP + 2 * rows as i32 * (PANEL.1 + GAP.1) - 26 + FOOT) as u32,
    );
    let title = format!("What delivering a frame costs on {}", cpu.title());
    picture(size, &title, |root| {
        let at = |x, y| (px(x), px(y));
        root.draw(&Text::new(title.clone(), at(12, 20), letters(16, INK)))?;
        let about = format!(
            "{} read by the recipient; {} CPU(s); IOMMU {}. Dot and shade: from which size on {} \
             likely pays, and where that may lie.",
            match cell.touched.name() {
                "none" => "Nothing",
                "header" => "Headers",
                _ => "Every byte",
            },
            cell.cpus,
            cell.iommu.name(),
            cell.flip.name()
        );
        root.draw(&Text::new(about, at(12, 42), letters(12, PALE)))?;
        legend(root, study, size.0 as i32)?;
        for panel in &panels {
            panel.draw(root, sizes, times)?;
        }
        let nature = study.nature(cpu).to_string();
        let foot = at(12, size.1 as i32 - 14);
        root.draw(&Text::new(nature, foot, letters(12, INK)))?;
        Ok(())
    })
}

fn legend(root: &DrawingArea<SVGBackend, Shift>, study: &Study, width: i32) -> Result<(), Error> {
    let mut x = 12;
    for strategy in study.vectors().strategies() {
        let y = px(68);
        let line = [(px(x), y), (px(x + 24), y)];
        root.draw(&PathElement::new(line, colour(strategy).stroke_width(5)))?;
        let name = strategy.name();
        root.draw(&Text::new(name, (px(x + 30), y), letters(13, INK)))?;
        x += 56 + 8 * name.len() as i32;
        if x > width - 120 {
            break;
        }
    }
    Ok(())
}

type Line = (Strategy, Vec<(f64, f64)>);

impl Panel<'_> {
    fn band(&self) -> Option<Band> {
        self.study
            .answer(self.profile, &self.cell)
            .map(|answer| answer.band)
    }

    fn cpu(&self) -> &Profile {
        &self.study.profiles()[self.profile]
    }

    /// Size and nanoseconds, for each strategy.
    fn lines(&self) -> Vec<Line> {
        let Some(band) = self.band() else {
            return Vec::new();
        };
        let (first, last) = (f64::from(band.first), f64::from(band.last));
        let size = |step: u32| {
            let share = f64::from(step) / f64::from(POINTS);
            (first * (last / first).powf(share)).round() as u32
        };
        let cost = |strategy, bytes| {
            let ticks = self.study.cost(self.profile, strategy, &self.cell, bytes)?;
            let time = self.cpu().nanoseconds(ticks.likely);
            (time > 0.0).then_some((f64::from(bytes), time))
        };
        let mut sizes: Vec<u32> = (0..=POINTS).map(size).collect();
        // Steps lie between sizes that were counted.
        let counted = self.study.vectors().rows().iter().map(|row| row.bytes);
        sizes.extend(counted.filter(|bytes| (band.first..=band.last).contains(bytes)));
        sizes.sort_unstable();
        sizes.dedup();
        let line = |strategy| {
            let points = sizes.iter().filter_map(|&bytes| cost(strategy, bytes));
            (strategy, points.collect())
        };
        let strategies = self.study.vectors().strategies();
        strategies.into_iter().map(line).collect()
    }

    fn draw(
        &self,
        root: &DrawingArea<SVGBackend, Shift>,
        sizes: (f64, f64),
        times: (f64, f64),
    ) -> Result<(), Error> {
        let (left, top) = (self.left, self.top);
        let (right, bottom) = (left + px(PANEL.0), top + px(PANEL.1));
        let x = Scale::new(sizes, (left, right));
        let y = Scale::new(times, (bottom, top));
        let from = match self.cell.source {
            Source::Dram => "data in memory",
            Source::Cache => "data in the cache",
        };
        let Some(band) = self.band() else {
            return Ok(());
        };
        let mut heading = format!("Batch {}, {from}", self.cell.batch);
        if f64::from(band.last) < sizes.1 {
            // There are too few buffers for more of it at once.
            heading += &format!(", to {}", bytes(band.last));
        }
        root.draw(&Text::new(heading, (left, top - px(27)), letters(13, INK)))?;
        let answer = match band.likely {
            Some(_) => format!("from {band}"),
            None => band.to_string(),
        };
        let tint = colour(self.cell.flip);
        root.draw(&Text::new(answer, (left, top - px(10)), letters(12, tint)))?;
        let words = Some(((left + right) / 2, "bytes of the frame"));
        axes::sizes(root, &x, (top, bottom), words)?;
        axes::nanoseconds(root, &y, (left, right), self.labels)?;
        if let Some(earliest) = band.earliest {
            let from = x.place(f64::from(earliest));
            let to = band.latest.map_or(right, |size| x.place(f64::from(size)));
            let corners = [(from, top), (to, bottom)];
            root.draw(&Rectangle::new(corners, tint.mix(0.13).filled()))?;
        }
        if let Some(likely) = band.likely.filter(|size| *size > band.first) {
            let at = x.place(f64::from(likely));
            let line = [(at, top), (at, bottom)];
            root.draw(&PathElement::new(line, tint.stroke_width(3)))?;
        }
        for (strategy, points) in self.lines() {
            let points: Vec<(i32, i32)> = points
                .into_iter()
                .map(|(size, time)| (x.place(size), y.place(time)))
                .collect();
            root.draw(&PathElement::new(points, colour(strategy).stroke_width(5)))?;
        }
        let crossing = band.likely.filter(|size| *size > band.first);
        if let Some(size) = crossing {
            let strategy = self.cell.flip;
            let cost = self.study.cost(self.profile, strategy, &self.cell, size);
            if let Some(ticks) = cost {
                let time = self.cpu().nanoseconds(ticks.likely);
                let dot = (x.place(f64::from(size)), y.place(time));
                root.draw(&Circle::new(dot, px(5), tint.filled()))?;
            }
        }
        let frame = [(left, top), (right, bottom)];
        root.draw(&Rectangle::new(frame, GRID.stroke_width(2)))?;
        Ok(())
    }
}
