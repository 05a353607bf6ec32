//! Pictures of the study, as SVG.
//!
//! Each says on its face what it is, in its last line. Colours are literal in light and are exchanged
//! by a style sheet where the reader's screen is dark.

mod axes;
mod cost;
mod cpus;
mod native;
mod style;
mod times;
mod tornado;

pub use cost::costs;
pub use cpus::predictions;
pub use native::copies;
pub use style::{Error, STYLE};
pub use times::measured;
pub use tornado::decisive;
