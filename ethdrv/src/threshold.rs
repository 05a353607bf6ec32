//! From which length on `hybrid` flips where nobody names one.
//!
//! What a frame costs either way in events was counted in the running system ([`counted`], made from
//! the crossover bench's reviewed vectors). What this machine charges is timed when the driver begins,
//! as far as it can be ([`measure`]); the rest is the cost model's, scaled by how an exchange that was
//! timed compares with one that was predicted. The model's answer is the threshold.
//!
//! It is asked about recipients that read every byte, as stacks do that verify checksums, about
//! exchanges in batches, as they come under load, and about data in a cache. An emulator has no caches
//! and its time says nothing of hardware: the choice says so.

mod counted;
mod measure;

use alloc::vec::Vec;

use costmodel::{
    Comparison, Delivery, Demand, Event, Events, MODERN, PRICES, Path, Point, Price, Prices,
    Situation, Source, Touched, default_threshold,
};
use dev::hybrid::{Choice, LONGEST, Measured};

use counted::Counted;

pub use measure::{PAIRS, Times, measure};

const SITUATION: Situation = Situation {
    touched: Touched::All,
    source: Source::Cache,
    cpus: 1,
};

/// The choice that follows from what was timed; from the model alone where nothing was.
pub fn choose(times: Option<&Times>) -> Choice {
    let prices = times.map_or(MODERN, prices);
    Choice {
        threshold: threshold(&prices),
        measured: times.map(|times| Measured {
            copy: times.copy.base,
            byte: times.copy.per_byte,
            exchange: times.exchange,
            emulated: times.emulated,
        }),
    }
}

/// The model's answer. `None`: copy frames of any length that there is.
fn threshold(prices: &Prices) -> Option<u16> {
    let (copy, exchange) = (points(counted::COPY)?, points(counted::EXCHANGE)?);
    let comparison = Comparison::new(Path::new(&copy).ok()?, Path::new(&exchange).ok()?).ok()?;
    let from = default_threshold(&comparison, &SITUATION, prices)?;
    // Nobody counted shorter ones than the first: if it pays there, it is taken to pay from the start.
    let from = if from <= comparison.sizes().0 {
        1
    } else {
        from
    };
    u16::try_from(from).ok().filter(|_| from <= LONGEST)
}

fn points(counted: &[Counted]) -> Option<Vec<Point>> {
    let point = |one: &Counted| {
        let events = Events::mean(&one.events, one.instructions, one.frames).ok()?;
        Some(Point {
            bytes: one.bytes,
            events,
        })
    };
    counted.iter().map(point).collect()
}

/// What this machine charges, in thousandths of a nanosecond: what was timed as it was, everything else
/// as the model's machine of 2023 would, if exchanging took it as long.
fn prices(times: &Times) -> Prices {
    let predicted = predicted_exchange();
    let scaled = |price: &Price| {
        let value = u128::from(MODERN.of(*price)) * u128::from(times.exchange) / predicted.max(1);
        u64::try_from(value).unwrap_or(u64::MAX)
    };
    let mut values = [0; PRICES];
    for (value, price) in values.iter_mut().zip(Price::ALL) {
        *value = scaled(price);
    }
    let share = times.read.at_page() * costmodel::MILLI / times.copy.at_page().max(1);
    Prices::new(values)
        .with(Price::CacheCopy, times.copy.base)
        .with(Price::CacheByte, times.copy.per_byte)
        .with(Price::HotRead, times.read_again.base)
        .with(Price::HotByte, times.read_again.per_byte)
        .with(Price::ReadShare, share)
}

/// What the model says of the exchange that is timed, a pair: thousandths of its ticks.
fn predicted_exchange() -> u128 {
    let whole = |event: Event, count| {
        let mut totals = [0; costmodel::EVENTS];
        totals[event as usize] = count;
        totals
    };
    // One call; two entries a pair; and so many that the whole address space is invalidated.
    let mut totals = whole(Event::Traps, 1);
    totals[Event::Entries as usize] = 2 * PAIRS as u64;
    totals[Event::FullFlushes as usize] = 1;
    let instructions = counted::EXCHANGE_CALL * PAIRS as u64 / 10;
    let Ok(events) = Events::mean(&totals, Some(instructions), PAIRS as u64) else {
        return 1;
    };
    let unread = Situation {
        touched: Touched::None,
        ..SITUATION
    };
    let cost = Demand::of(&events, Delivery::Flipped, 1, &unread, 0).cost(&MODERN);
    u128::try_from(cost.0 / i128::from(costmodel::UNIT)).unwrap_or(1)
}

#[cfg(test)]
mod tests;
