//! Which prices decide: each one moved through its range, the others left likely.

use costmodel::{Bound, Comparison, Price, Prices, Ranges};

use crate::profile::Profile;
use crate::study::{Cell, ticks};

/// What one price's doubt does to the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Swing {
    /// The price.
    pub price: Price,
    /// What flipping costs more than copying, in ticks, with the price low.
    pub at_low: f64,
    /// With it high.
    pub at_high: f64,
    /// The crossover with the price low.
    pub crossover_low: Option<u32>,
    /// With it high.
    pub crossover_high: Option<u32>,
}

impl Swing {
    /// How far the difference moves.
    pub fn width(&self) -> f64 {
        (self.at_high - self.at_low).abs()
    }
}

/// A tornado chart's data.
#[derive(Clone, Debug, PartialEq)]
pub struct Tornado {
    /// The frame size that the differences are at.
    pub bytes: u32,
    /// The difference with likely prices, in ticks: above 0 copying is cheaper.
    pub likely: f64,
    /// What each price does, the most decisive first. Those that do nothing are left out.
    pub swings: Vec<Swing>,
}

/// How the answer of a cell on a CPU depends on each price.
pub fn tornado(comparison: &Comparison, cell: &Cell, profile: &Profile, bytes: u32) -> Tornado {
    let situation = cell.situation();
    let ranges = profile.ranges();
    let difference = |prices: Prices| {
        let ranges = Ranges::exactly(prices);
        ticks(comparison.difference(bytes, &situation, &ranges, Bound::Likely))
    };
    let crossover =
        |prices: Prices| comparison.crossover(&situation, &Ranges::exactly(prices), Bound::Likely);
    let mut swings: Vec<Swing> = Price::ALL
        .iter()
        .map(|&price| {
            let low = ranges.likely.with(price, ranges.low.of(price));
            let high = ranges.likely.with(price, ranges.high.of(price));
            Swing {
                price,
                at_low: difference(low),
                at_high: difference(high),
                crossover_low: crossover(low),
                crossover_high: crossover(high),
            }
        })
        .filter(|swing| swing.width() > 0.0)
        .collect();
    swings.sort_by(|one, other| other.width().total_cmp(&one.width()));
    Tornado {
        bytes,
        likely: difference(ranges.likely),
        swings,
    }
}
