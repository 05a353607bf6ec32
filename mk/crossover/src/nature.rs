//! What a figure is. Each one shown says so on its face.

use std::fmt;

/// What a figure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Instructions, counted: the same in every run.
    Instructions,
    /// Events, counted: the same in every run.
    Events,
    /// Events as the design foretells them. Nobody counted.
    ExpectedEvents,
    /// Time that an emulator took: nothing that hardware would show.
    EmulatedTime,
    /// Time on hardware.
    HardwareTime,
    /// What a model says.
    Prediction {
        /// Where its events come from.
        events: Box<Nature>,
        /// Where its prices come from.
        prices: String,
    },
    /// What others published.
    Published,
}

impl Nature {
    /// A prediction of the model that this crate is about.
    pub fn prediction(events: Nature, prices: impl Into<String>) -> Nature {
        Nature::Prediction {
            events: Box::new(events),
            prices: prices.into(),
        }
    }
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nature::Instructions => f.write_str("instructions counted (exact)"),
            Nature::Events => f.write_str("events counted (exact)"),
            Nature::ExpectedEvents => f.write_str("events EXPECTED from the design, not counted"),
            Nature::EmulatedTime => f.write_str("time under emulation (not hardware)"),
            Nature::HardwareTime => f.write_str("time on hardware"),
            Nature::Prediction { events, prices } => {
                write!(f, "prediction by the cost model: {events}; prices {prices}")
            }
            Nature::Published => f.write_str("published figures"),
        }
    }
}
