//! A straight line through measured times.

use crate::{MILLI, MOST_TICKS};

/// What a copy costs: so much, and so much a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whatever its size, in thousandths of a tick.
    pub base: u64,
    /// Each byte, in thousandths of a tick.
    pub per_byte: u64,
}

/// The line nearest to samples of (bytes, ticks), by least squares of the *relative* error: a short
/// copy's ten ticks count as much as a long one's hundred. Neither part is negative. `None`: fewer
/// than two sizes, more than 16,384 samples, or one of no bytes, no ticks or more ticks than [`MOST_TICKS`].
pub fn fit(samples: &[(u32, u64)]) -> Option<Line> {
    // Weights 1/ticks², in integers: at most 2^48 each, times a size squared, times 2^14 samples.
    const SCALE: i128 = 1 << 48;
    const MOST_SAMPLES: usize = 1 << 14;
    if samples.len() > MOST_SAMPLES {
        return None;
    }
    let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0i128, 0i128, 0i128, 0i128, 0i128);
    for &(bytes, ticks) in samples {
        if bytes == 0 || ticks == 0 || ticks > MOST_TICKS {
            return None;
        }
        let (x, y) = (i128::from(bytes), i128::from(ticks));
        let weight = (SCALE / (y * y)).max(1);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        wy += weight * y;
        wxy += weight * x * y;
    }
    // Narrowed, so that the products of two sums fit.
    let sums = [w, wx, wxx, wy, wxy];
    let widest = sums.iter().copied().max().unwrap_or(0);
    let excess = (128 - widest.leading_zeros()).saturating_sub(56);
    let [w, wx, wxx, wy, wxy] = sums.map(|sum| sum >> excess);
    let milli = i128::from(MILLI);
    let divisor = w * wxx - wx * wx;
    if divisor <= 0 {
        return None;
    }
    let mut per_byte = (w * wxy - wx * wy) * milli / divisor;
    let mut base = (wxx * wy - wx * wxy) * milli / divisor;
    if base < 0 && wxx > 0 {
        base = 0;
        per_byte = wxy * milli / wxx;
    }
    if per_byte < 0 && w > 0 {
        per_byte = 0;
        base = wy * milli / w;
    }
    Some(Line {
        base: u64::try_from(base).ok()?,
        per_byte: u64::try_from(per_byte).ok()?,
    })
}
