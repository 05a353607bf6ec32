//! Colours, letters, and what a picture's text gets besides.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use quick_xml::events::{BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use crate::vectors::Strategy;

/// Pictures are drawn at twice the size at which they are shown: coordinates are whole numbers.
pub const SCALE: u32 = 2;

/// Behind everything.
pub const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// Letters.
pub const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
/// Letters of less weight, and axes.
pub const PALE: RGBColor = RGBColor(0x59, 0x63, 0x6e);
/// Lines behind the data.
pub const GRID: RGBColor = RGBColor(0xdd, 0xe2, 0xe8);
/// Where an answer is "never".
pub const NEVER: RGBColor = RGBColor(0xf1, 0xf3, 0xf5);
/// A price at the low end of its range.
pub const LOW: RGBColor = RGBColor(0x2a, 0x8f, 0xbd);
/// At the high end.
pub const HIGH: RGBColor = RGBColor(0xd1, 0x6a, 0x1d);

const FAMILY: &str = "sans-serif";

/// The style sheet of pictures: letters, and other colours in the dark.
pub const STYLE: &str = "\
.figure text { font-family: system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
@media (prefers-color-scheme: dark) {
.figure [fill='#FFFFFF'] { fill: #0f1419; }
.figure [fill='#1B1F24'] { fill: #e6edf3; } .figure [stroke='#1B1F24'] { stroke: #e6edf3; }
.figure [fill='#59636E'] { fill: #9aa7b4; } .figure [stroke='#59636E'] { stroke: #9aa7b4; }
.figure [stroke='#DDE2E8'] { stroke: #2b323a; }
.figure [fill='#F1F3F5'] { fill: #1a2129; }
.figure [fill='#0072B2'] { fill: #56b4e9; } .figure [stroke='#0072B2'] { stroke: #56b4e9; }
.figure [fill='#C75000'] { fill: #ff9d57; } .figure [stroke='#C75000'] { stroke: #ff9d57; }
.figure [fill='#00805C'] { fill: #3ddbac; } .figure [stroke='#00805C'] { stroke: #3ddbac; }
.figure [fill='#A5507F'] { fill: #e79bc5; } .figure [stroke='#A5507F'] { stroke: #e79bc5; }
}
";

/// A picture that can't be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plotting library says no.
    #[error("drawing: {0}")]
    Draw(String),
    /// What it drew isn't XML.
    #[error("the picture's text: {0}")]
    Text(String),
    /// The study has no answer that the picture is about.
    #[error("nothing to draw: the study has no answer for {0}")]
    Nothing(String),
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for Error {
    fn from(error: DrawingAreaErrorKind<E>) -> Error {
        Error::Draw(error.to_string())
    }
}

/// A strategy's colour: told apart by people who see fewer colours, too.
pub const fn colour(strategy: Strategy) -> RGBColor {
    match strategy {
        Strategy::Copy => RGBColor(0xc7, 0x50, 0x00),
        Strategy::InPlace => RGBColor(0x00, 0x80, 0x5c),
        Strategy::Exchange => RGBColor(0x00, 0x72, 0xb2),
        Strategy::Sealed => RGBColor(0xa5, 0x50, 0x7f),
    }
}

/// Letters of a height, as it is shown, starting at the left of a place.
pub fn letters(height: u32, colour: RGBColor) -> TextStyle<'static> {
    // The library draws letters smaller than it is told, by this factor.
    (FAMILY, f64::from(height * SCALE) * 1.24)
        .into_font()
        .color(&colour)
        .pos(Pos::new(HPos::Left, VPos::Center))
}

/// The same, centred.
pub fn centred(height: u32, colour: RGBColor) -> TextStyle<'static> {
    letters(height, colour).pos(Pos::new(HPos::Center, VPos::Center))
}

/// The same, ending at the right.
pub fn ending(height: u32, colour: RGBColor) -> TextStyle<'static> {
    letters(height, colour).pos(Pos::new(HPos::Right, VPos::Center))
}

/// A length as it is shown, in units of the picture.
pub const fn px(length: i32) -> i32 {
    length * SCALE as i32
}

/// Draws a picture of a size (as shown), and gives it a title for those who can't see it.
pub fn picture(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(&DrawingArea<SVGBackend, plotters::coord::Shift>) -> Result<(), Error>,
) -> Result<String, Error> {
    let mut text = String::new();
    {
        let size = (size.0 * SCALE, size.1 * SCALE);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&PAPER)?;
        draw(&root)?;
        root.present()?;
    }
    finish(&text, size, title)
}

fn finish(text: &str, size: (u32, u32), title: &str) -> Result<String, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Text(error.to_string());
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new(Vec::new());
    loop {
        match reader.read_event().map_err(|error| wrong(&error))? {
            Event::Eof => break,
            Event::Start(start) if start.name().as_ref() == "svg" => {
                let view_box = format!("0 0 {} {}", size.0 * SCALE, size.1 * SCALE);
                let mut svg = BytesStart::new("svg");
                svg.push_attribute(("xmlns", "http://www.w3.org/2000/svg"));
                svg.push_attribute(("class", "figure"));
                svg.push_attribute(("role", "img"));
                svg.push_attribute(("aria-label", title));
                svg.push_attribute(("width", size.0.to_string().as_str()));
                svg.push_attribute(("height", size.1.to_string().as_str()));
                svg.push_attribute(("viewBox", view_box.as_str()));
                writer
                    .write_event(Event::Start(svg))
                    .map_err(|error| wrong(&error))?;
                for (name, content) in [("title", title), ("style", STYLE)] {
                    writer
                        .create_element(name)
                        .write_text_content(BytesText::new(content))
                        .map_err(|error| wrong(&error))?;
                }
            }
            event => writer.write_event(event).map_err(|error| wrong(&error))?,
        }
    }
    String::from_utf8(writer.into_inner()).map_err(|error| wrong(&error))
}
