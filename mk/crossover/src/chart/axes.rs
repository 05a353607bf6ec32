//! Logarithmic axes, drawn by the bench itself: the places of their marks are chosen, not computed.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::style::{Error, GRID, PALE, centred, ending, px};

/// A logarithmic scale from values to places.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    start: i32,
    end: i32,
}

impl Scale {
    /// From two values, both above 0, to two places.
    pub fn new(values: (f64, f64), places: (i32, i32)) -> Scale {
        let low = values.0.max(f64::MIN_POSITIVE);
        Scale {
            low,
            // Something to divide by, where there is one value only.
            high: values.1.max(low * 2.0),
            start: places.0,
            end: places.1,
        }
    }

    /// The place of a value, which stays within the scale.
    pub fn place(&self, value: f64) -> i32 {
        let value = value.clamp(self.low, self.high);
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.start + (share * f64::from(self.end - self.start)).round() as i32
    }

    /// Whether a value is on the scale.
    pub fn shows(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Sizes that get a mark.
const SIZES: &[(u32, &str)] = &[
    (64, "64"),
    (256, "256"),
    (1024, "1 K"),
    (4096, "4 K"),
    (16384, "16 K"),
    (65536, "64 K"),
];

/// Marks and lines for sizes. `with_words`: what they are in.
pub fn sizes(
    area: &DrawingArea<SVGBackend, Shift>,
    scale: &Scale,
    (top, bottom): (i32, i32),
    with_words: Option<(i32, &str)>,
) -> Result<(), Error> {
    for (size, name) in SIZES {
        if !scale.shows(f64::from(*size)) {
            continue;
        }
        let x = scale.place(f64::from(*size));
        area.draw(&PathElement::new(
            [(x, top), (x, bottom)],
            GRID.stroke_width(2),
        ))?;
        area.draw(&Text::new(*name, (x, bottom + px(12)), centred(11, PALE)))?;
    }
    if let Some((middle, words)) = with_words {
        let at = (middle, bottom + px(29));
        area.draw(&Text::new(words.to_owned(), at, centred(12, PALE)))?;
    }
    Ok(())
}

/// Marks and lines for nanoseconds: powers of ten and what lies a half and a fifth between.
pub fn nanoseconds(
    area: &DrawingArea<SVGBackend, Shift>,
    scale: &Scale,
    (left, right): (i32, i32),
    labels: bool,
) -> Result<(), Error> {
    for power in 0..9 {
        for step in [1.0, 2.0, 5.0] {
            let value = step * 10f64.powi(power);
            if !scale.shows(value) {
                continue;
            }
            let y = scale.place(value);
            area.draw(&PathElement::new(
                [(left, y), (right, y)],
                GRID.stroke_width(2),
            ))?;
            if labels {
                let at = (left - px(6), y);
                area.draw(&Text::new(time(value), at, ending(11, PALE)))?;
            }
        }
    }
    Ok(())
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1e3 => format!("{nanoseconds:.0} ns"),
        1e3..1e6 => format!("{:.0} µs", nanoseconds / 1e3),
        _ => format!("{:.0} ms", nanoseconds / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_on_the_scale() {
        let scale = Scale::new((64.0, 65536.0), (100, 1100));
        assert_eq!(scale.place(64.0), 100);
        assert_eq!(scale.place(2048.0), 600);
        assert_eq!(scale.place(1e9), 1100);
        assert_eq!(scale.place(0.0), 100);
        let point = Scale::new((1500.0, 1500.0), (0, 10));
        assert_eq!(point.place(1500.0), 0);
    }
}
