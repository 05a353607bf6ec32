//! The coverage as a picture: a heat map, as SVG.
//!
//! A row for each thing that the driver can be doing, a column for each operation of the kernel; a
//! cell says how often a revocation came there. What was not tried stays pale.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::totals::Scenario;

const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const PALE: RGBColor = RGBColor(0x59, 0x63, 0x6e);
/// What was not tried.
const UNTRIED: RGBColor = RGBColor(0xf1, 0xf3, 0xf5);
/// What was tried least, and most.
const LIGHT: (u8, u8, u8) = (0xcf, 0xe6, 0xf2);
const DARK: (u8, u8, u8) = (0x0b, 0x4a, 0x7a);

const LEFT: i32 = 236;
const TOP: i32 = 204;
const CELL: (i32, i32) = (46, 22);
/// Between what was revoked and what a revocation came upon.
const GAP: i32 = 18;
const MARGIN: i32 = 16;
const BOTTOM: i32 = 52;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a scenario's coverage.
///
/// # Errors
/// The plotting library refuses.
pub fn picture(scenario: &Scenario) -> Result<String> {
    let mut text = String::new();
    let (rows, columns) = (scenario.driver.len() as i32, scenario.kernel.len() as i32);
    // The words need their room, however few columns there are.
    let width = (LEFT + columns * CELL.0 + GAP + MARGIN).max(900);
    let height = TOP + rows * CELL.1 + BOTTOM;
    {
        let root = SVGBackend::with_string(&mut text, (width as u32, height as u32));
        let root = root.into_drawing_area();
        draw(&root, scenario, height).map_err(|error| anyhow!("drawing the coverage: {error}"))?;
    }
    Ok(text)
}

fn draw(
    root: &Area<'_>,
    scenario: &Scenario,
    height: i32,
) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&PAPER)?;
    let words = |words: String, at: (i32, i32), size, colour, place| {
        root.draw(&Text::new(words, at, letters(size, colour, place)))
    };
    let (tried, all) = scenario.pairs();
    let title = format!("Where revocations came: {}", scenario.name);
    words(title, (MARGIN, 22), 18, INK, HPos::Left)?;
    let about = format!(
        "{} runs, {} steps, {} failures. {tried} of {all} pairs tried; not all of them can be.",
        scenario.runs,
        scenario.steps,
        scenario.failures.len()
    );
    words(about, (MARGIN, 44), 13, PALE, HPos::Left)?;
    let groups = [
        (0, "What was revoked"),
        (scenario.revocations, "The driver's next operation after it"),
    ];
    for (column, name) in groups {
        words(
            name.into(),
            (left(scenario, column), 70),
            13,
            INK,
            HPos::Left,
        )?;
    }
    words("Driver".into(), (LEFT - 10, 70), 13, INK, HPos::Right)?;
    for (n, name) in scenario.kernel.iter().enumerate() {
        let at = (left(scenario, n) + CELL.0 / 2, TOP - 8);
        let upwards = letters(13, INK, HPos::Left).transform(FontTransform::Rotate270);
        root.draw(&Text::new(name.clone(), at, upwards))?;
    }
    let most = scenario
        .coverage
        .iter()
        .flatten()
        .copied()
        .max()
        .unwrap_or(0);
    for (n, (name, counts)) in scenario.driver.iter().zip(&scenario.coverage).enumerate() {
        let top = TOP + n as i32 * CELL.1;
        let middle = top + CELL.1 / 2;
        words(name.clone(), (LEFT - 10, middle), 13, INK, HPos::Right)?;
        for (column, count) in counts.iter().enumerate() {
            let left = left(scenario, column);
            let corners = [(left + 1, top + 1), (left + CELL.0 - 1, top + CELL.1 - 1)];
            let share = share(*count, most);
            root.draw(&Rectangle::new(corners, tint(*count, share).filled()))?;
            if *count > 0 {
                let colour = if share > 0.45 { PAPER } else { INK };
                let at = (left + CELL.0 / 2, middle);
                words(short(*count), at, 12, colour, HPos::Center)?;
            }
        }
    }
    let legend = "A cell counts revocations, by objects on the left and by the driver's calls on the \
                  right; darker is more, by the logarithm. Grey and empty: not tried.";
    words(legend.into(), (MARGIN, height - 20), 12, PALE, HPos::Left)?;
    root.present()?;
    Ok(())
}

/// Where a column begins.
fn left(scenario: &Scenario, column: usize) -> i32 {
    let gap = if column >= scenario.revocations {
        GAP
    } else {
        0
    };
    LEFT + column as i32 * CELL.0 + gap
}

fn letters(size: u32, colour: RGBColor, place: HPos) -> TextStyle<'static> {
    // The library draws letters smaller than it is told, by this factor.
    ("sans-serif", f64::from(size) * 1.24)
        .into_font()
        .color(&colour)
        .pos(Pos::new(place, VPos::Center))
}

/// How dark a count is, of the highest.
fn share(count: u64, most: u64) -> f64 {
    if most <= 1 {
        return 0.0;
    }
    (count.max(1) as f64).ln() / (most as f64).ln()
}

fn tint(count: u64, share: f64) -> RGBColor {
    if count == 0 {
        return UNTRIED;
    }
    let between =
        |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share) as u8;
    RGBColor(
        between(LIGHT.0, DARK.0),
        between(LIGHT.1, DARK.1),
        between(LIGHT.2, DARK.2),
    )
}

/// A count in at most four letters or so.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        1_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_their_cells() {
        let long = [
            9_999,
            10_000,
            999_999,
            1_000_000,
            999_999_999,
            1_000_000_000,
        ];
        assert_eq!(long.map(short), ["9999", "10k", "999k", "1M", "999M", "1G"]);
        assert_eq!(share(0, 0), 0.0);
        assert_eq!(share(500, 500), 1.0);
    }
}
