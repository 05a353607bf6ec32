//! Copying against flipping, and from where on flipping pays.

use crate::{Cost, Delivery, Demand, HEADER, Path, Price, Prices, Ranges, Situation};

/// Which end of the doubt is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// All prices as flipping would have them.
    Least,
    /// Likely prices.
    Likely,
    /// All prices as copying would have them.
    Most,
}

/// Two paths that can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Instructions were counted for one of them only.
    Instructions,
    /// They have no size in common.
    Sizes,
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Mismatch::Instructions => "instructions are counted for one of the two only",
            Mismatch::Sizes => "the two have no frame size in common",
        })
    }
}

impl core::error::Error for Mismatch {}

/// Copying and a way of flipping, over the sizes that both were counted for.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    copy: Path<'a>,
    flip: Path<'a>,
    first: u32,
    last: u32,
}

/// Steps in which the sizes between two counted ones are looked at. Costs are straight lines there,
/// but bounds of their difference, where several prices change sides, are not quite.
const STEPS: u32 = 16;

impl<'a> Comparison<'a> {
    /// Compares two paths.
    ///
    /// # Errors
    /// See [`Mismatch`].
    pub fn new(copy: Path<'a>, flip: Path<'a>) -> Result<Comparison<'a>, Mismatch> {
        if copy.counted() != flip.counted() {
            return Err(Mismatch::Instructions);
        }
        let first = copy.sizes().0.max(flip.sizes().0);
        let last = copy.sizes().1.min(flip.sizes().1);
        if first > last || first == 0 {
            return Err(Mismatch::Sizes);
        }
        Ok(Comparison {
            copy,
            flip,
            first,
            last,
        })
    }

    /// The smallest and the largest size that it speaks of.
    pub const fn sizes(&self) -> (u32, u32) {
        (self.first, self.last)
    }

    /// What flipping a frame asks more than copying it. Sizes outside [`sizes`](Comparison::sizes)
    /// are taken for the nearest one inside.
    pub fn demand(&self, bytes: u32, situation: &Situation, read_share: u64) -> Demand {
        let bytes = bytes.clamp(self.first, self.last);
        let asked = |path: &Path, delivery| match path.at(bytes) {
            Some(events) => Demand::of(&events, delivery, bytes, situation, read_share),
            // Both paths have every size between the first and the last.
            None => Demand::NONE,
        };
        asked(&self.flip, Delivery::Flipped).less(&asked(&self.copy, Delivery::Copied))
    }

    /// What flipping a frame costs more than copying it.
    pub fn difference(
        &self,
        bytes: u32,
        situation: &Situation,
        ranges: &Ranges,
        bound: Bound,
    ) -> Cost {
        let at = |prices: &Prices| self.demand(bytes, situation, prices.of(Price::ReadShare));
        // The share multiplies other prices: the extremes lie at one of its ends.
        match bound {
            Bound::Likely => at(&ranges.likely).cost(&ranges.likely),
            Bound::Least => at(&ranges.low)
                .least(ranges)
                .min(at(&ranges.high).least(ranges)),
            Bound::Most => at(&ranges.low)
                .most(ranges)
                .max(at(&ranges.high).most(ranges)),
        }
    }

    /// The smallest size from which on, up to the largest, flipping costs no more than copying.
    /// `None`: never, so far as was counted.
    pub fn crossover(&self, situation: &Situation, ranges: &Ranges, bound: Bound) -> Option<u32> {
        let pays = |bytes| self.difference(bytes, situation, ranges, bound) <= Cost(0);
        if !pays(self.last) {
            return None;
        }
        let mut reached = self.last;
        while reached > self.first {
            let below = self.step_down(reached);
            if !pays(below) {
                // It pays at `reached` and not at `below`.
                let (mut no, mut yes) = (below, reached);
                while yes - no > 1 {
                    let middle = no + (yes - no) / 2;
                    match pays(middle) {
                        true => yes = middle,
                        false => no = middle,
                    }
                }
                return Some(yes);
            }
            reached = below;
        }
        Some(self.first)
    }

    /// The next size to look at below one that isn't the first.
    fn step_down(&self, bytes: u32) -> u32 {
        // Where the lines bend: at sizes that were counted, and where a header is a whole frame.
        let corner = |path: &Path| {
            let below = path.points().partition_point(|point| point.bytes < bytes);
            let corner = below.checked_sub(1).and_then(|at| path.points().get(at));
            corner.map_or(self.first, |point| point.bytes)
        };
        let header = if bytes > HEADER { HEADER } else { self.first };
        let corner = corner(&self.copy).max(corner(&self.flip)).max(header);
        let step = bytes - (bytes / STEPS).max(1);
        step.max(corner).max(self.first)
    }
}

/// The length in bytes from which on `hybrid` should flip, with prices that are known. `None`: it
/// should always copy.
///
/// ```
/// use costmodel::*;
///
/// // What a benchmark counted for the two ways, at two sizes.
/// let point = |bytes, events| Point { bytes, events };
/// let copied = |bytes| Events::NONE.with(Event::Copies, 1).with(Event::BytesCopied, bytes);
/// let flipped = Events::NONE.with(Event::Exchanges, 1).with(Event::Entries, 2);
/// let copy = [64, 4096].map(|bytes| point(bytes, copied(bytes)));
/// let flip = [64, 4096].map(|bytes| point(bytes, flipped));
/// let comparison = Comparison::new(Path::new(&copy)?, Path::new(&flip)?).unwrap();
///
/// // What was timed at boot: bytes and ticks. Everything else is taken to be as usual.
/// let line = fit(&[(256, 300), (1514, 550), (4096, 1050)]).unwrap();
/// let prices = MODERN
///     .with(Price::DramCopy, line.base)
///     .with(Price::DramByte, line.per_byte);
///
/// let situation = Situation { touched: Touched::None, source: Source::Dram, cpus: 1 };
/// let threshold = default_threshold(&comparison, &situation, &prices);
/// assert!(threshold.is_some_and(|bytes| (300..900).contains(&bytes)));
/// # Ok::<(), PathError>(())
/// ```
pub fn default_threshold(
    comparison: &Comparison,
    situation: &Situation,
    prices: &Prices,
) -> Option<u32> {
    comparison.crossover(situation, &Ranges::exactly(*prices), Bound::Likely)
}
