//! Tests of the arithmetic.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const FREE: Prices = Prices::new([0; PRICES]);

/// Copying costs a tick a byte, an exchange a thousand ticks.
fn plain() -> Prices {
    FREE.with(Price::CacheByte, MILLI)
        .with(Price::GuessedExchange, 1000 * MILLI)
}

fn copying(sizes: &[u32]) -> Vec<Point> {
    let events = |bytes| {
        Events::NONE
            .with(Event::Copies, 1)
            .with(Event::BytesCopied, bytes)
    };
    points(sizes, events)
}

fn exchanging(sizes: &[u32]) -> Vec<Point> {
    points(sizes, |_| Events::NONE.with(Event::Exchanges, 1))
}

fn points(sizes: &[u32], events: impl Fn(u32) -> Events) -> Vec<Point> {
    let point = |&bytes| Point {
        bytes,
        events: events(bytes),
    };
    sizes.iter().map(point).collect()
}

fn situation(touched: Touched, cpus: u16) -> Situation {
    Situation {
        touched,
        source: Source::Cache,
        cpus,
    }
}

const UNTOUCHED: Situation = Situation {
    touched: Touched::None,
    source: Source::Cache,
    cpus: 1,
};

#[test]
fn flipping_pays_from_the_byte_at_which_copying_costs_as_much() {
    let (copy, flip) = (copying(&[64, 4096]), exchanging(&[64, 4096]));
    let comparison = Comparison::new(Path::new(&copy).unwrap(), Path::new(&flip).unwrap()).unwrap();
    assert_eq!(
        default_threshold(&comparison, &UNTOUCHED, &plain()),
        Some(1000)
    );
    let dear = plain().with(Price::GuessedExchange, 4097 * MILLI);
    assert_eq!(default_threshold(&comparison, &UNTOUCHED, &dear), None);
    let cheap = plain().with(Price::GuessedExchange, MILLI);
    assert_eq!(default_threshold(&comparison, &UNTOUCHED, &cheap), Some(64));
}

#[test]
fn a_size_at_which_flipping_pays_only_for_a_while_is_no_crossover() {
    let copy = copying(&[64, 4096, 4097, 8192]);
    // From the second page on an exchange takes ten times as long.
    let flip = points(&[64, 4096, 4097, 8192], |bytes| {
        Events::NONE.with(Event::Exchanges, if bytes > 4096 { 10 } else { 1 })
    });
    let comparison = Comparison::new(Path::new(&copy).unwrap(), Path::new(&flip).unwrap()).unwrap();
    assert_eq!(default_threshold(&comparison, &UNTOUCHED, &plain()), None);
}

#[test]
fn bounds_enclose_what_is_likely() {
    let (copy, flip) = (copying(&[64, 4096]), exchanging(&[64, 4096]));
    let comparison = Comparison::new(Path::new(&copy).unwrap(), Path::new(&flip).unwrap()).unwrap();
    let ranges = Ranges {
        low: plain().with(Price::GuessedExchange, 500 * MILLI),
        likely: plain(),
        high: plain().with(Price::GuessedExchange, 5000 * MILLI),
    };
    let at = |bound| comparison.crossover(&UNTOUCHED, &ranges, bound);
    assert_eq!(at(Bound::Least), Some(500));
    assert_eq!(at(Bound::Likely), Some(1000));
    assert_eq!(at(Bound::Most), None);
}

#[test]
fn doubt_about_a_price_that_both_pay_cancels() {
    let both = Events::NONE.with(Event::Notifications, 1);
    let (one, two) = (
        points(&[64, 4096], |_| both),
        points(&[64, 4096], |_| both.with(Event::Exchanges, 1)),
    );
    let comparison = Comparison::new(Path::new(&one).unwrap(), Path::new(&two).unwrap()).unwrap();
    let ranges = Ranges {
        low: plain(),
        likely: plain().with(Price::GuessedNotification, 100 * MILLI),
        high: plain().with(Price::GuessedNotification, 9000 * MILLI),
    };
    for bound in [Bound::Least, Bound::Likely, Bound::Most] {
        let difference = comparison.difference(64, &UNTOUCHED, &ranges, bound);
        assert_eq!(difference.ticks(), 1000);
    }
}

#[test]
fn counted_instructions_replace_guesses() {
    let counted = Events::NONE
        .with(Event::Traps, 1)
        .with(Event::Exchanges, 1)
        .with_instructions(200);
    let prices = plain()
        .with(Price::Instruction, MILLI / 2)
        .with(Price::Trap, 150 * MILLI)
        .with(Price::GuessedTrap, 400 * MILLI);
    let cost = |events| Demand::of(&events, Delivery::Flipped, 64, &UNTOUCHED, 0).cost(&prices);
    assert_eq!(cost(counted).ticks(), 250);
    let guessed = Events::NONE.with(Event::Traps, 1).with(Event::Exchanges, 1);
    assert_eq!(cost(guessed).ticks(), 1400);
    // And the two don't mix.
    let (one, two) = (
        points(&[64, 4096], |_| counted),
        points(&[64, 4096], |_| guessed),
    );
    let mixed = Comparison::new(Path::new(&one).unwrap(), Path::new(&two).unwrap());
    assert_eq!(mixed.err(), Some(Mismatch::Instructions));
}

#[test]
fn who_reads_pays_where_the_frame_lies() {
    let prices = FREE
        .with(Price::CacheByte, MILLI)
        .with(Price::HotByte, MILLI / 10)
        .with(Price::ReadShare, MILLI / 2);
    let cost = |delivery, touched, cpus| {
        let situation = situation(touched, cpus);
        Demand::of(
            &Events::NONE,
            delivery,
            1000,
            &situation,
            prices.of(Price::ReadShare),
        )
        .cost(&prices)
        .ticks()
    };
    assert_eq!(cost(Delivery::Copied, Touched::None, 1), 0);
    assert_eq!(cost(Delivery::Copied, Touched::All, 1), 100);
    assert_eq!(cost(Delivery::Copied, Touched::All, 2), 500);
    assert_eq!(cost(Delivery::Flipped, Touched::All, 1), 500);
    assert_eq!(cost(Delivery::Flipped, Touched::Header, 1), 64);
}

#[test]
fn paths_are_checked() {
    let some = |sizes: &[u32]| exchanging(sizes);
    assert_eq!(Path::new(&[]).err(), Some(PathError::Empty));
    assert_eq!(Path::new(&some(&[0, 64])).err(), Some(PathError::NoBytes));
    assert_eq!(
        Path::new(&some(&[64, 64])).err(),
        Some(PathError::NotAscending { bytes: 64 })
    );
    let mut uneven = some(&[64, 128]);
    uneven[1].events = uneven[1].events.with_instructions(1);
    assert_eq!(
        Path::new(&uneven).err(),
        Some(PathError::Uneven { bytes: 128 })
    );
    let path = some(&[64, 128]);
    let path = Path::new(&path).unwrap();
    assert_eq!(path.at(63), None);
    assert_eq!(path.at(129), None);
    assert!(path.at(100).is_some());
}

#[test]
fn means_are_checked() {
    let mut totals = [0; EVENTS];
    totals[Event::Traps as usize] = 250;
    let events = Events::mean(&totals, Some(500), 1000).unwrap();
    assert_eq!(events.of(Event::Traps), UNIT / 4);
    assert_eq!(events.instructions(), Some(UNIT / 2));
    assert_eq!(Events::mean(&totals, None, 0), Err(TooMany));
    totals[0] = u64::MAX;
    assert_eq!(Events::mean(&totals, None, 1), Err(TooMany));
}

#[test]
fn a_line_is_found_again() {
    let samples: Vec<(u32, u64)> = [64, 256, 1500, 4096, 9000]
        .iter()
        .map(|&bytes| (bytes, 100 + u64::from(bytes) / 4))
        .collect();
    let line = fit(&samples).unwrap();
    assert!((99_000..=101_000).contains(&line.base), "{line:?}");
    assert!((247..=253).contains(&line.per_byte), "{line:?}");
    assert_eq!(fit(&[(64, 100)]), None);
    assert_eq!(fit(&[(64, 0), (128, 5)]), None);
    assert_eq!(fit(&vec![(64, 5); 20_000]), None);
}

proptest! {
    #[test]
    fn nothing_overflows(
        counts in proptest::collection::vec(0..=MOST_EVENTS, EVENTS),
        instructions in proptest::option::of(0..=MOST_EVENTS),
        prices in proptest::collection::vec(0..=u64::MAX, PRICES),
        bytes in 1..=u32::MAX,
        cpus in 0..=u16::MAX,
    ) {
        let totals: [u64; EVENTS] = counts.try_into().unwrap();
        let events = Events::mean(&totals, instructions, 1).unwrap();
        let prices = Prices::new(prices.try_into().unwrap());
        let situation = situation(Touched::All, cpus);
        for delivery in [Delivery::Copied, Delivery::Flipped] {
            let share = prices.of(Price::ReadShare);
            let demand = Demand::of(&events, delivery, bytes, &situation, share);
            prop_assert!(demand.cost(&prices) >= Cost(0));
            prop_assert!(Demand::NONE.less(&demand).cost(&prices) <= Cost(0));
        }
    }

    #[test]
    fn bounds_are_in_order(
        bytes in 64u32..=9000,
        spread in 0u64..5000,
        share in 0u64..1200,
        touched in 0usize..3,
    ) {
        let (copy, flip) = (copying(&[64, 9000]), exchanging(&[64, 9000]));
        let comparison =
            Comparison::new(Path::new(&copy).unwrap(), Path::new(&flip).unwrap()).unwrap();
        let ranges = Ranges {
            low: plain().with(Price::ReadShare, share / 2),
            likely: plain().with(Price::ReadShare, share),
            high: plain()
                .with(Price::ReadShare, share + spread)
                .with(Price::CacheByte, MILLI + spread),
        };
        let situation = situation(Touched::ALL[touched], 1);
        let at = |bound| comparison.difference(bytes, &situation, &ranges, bound);
        prop_assert!(at(Bound::Least) <= at(Bound::Likely));
        prop_assert!(at(Bound::Likely) <= at(Bound::Most));
    }

    #[test]
    fn a_fit_takes_any_samples(
        samples in proptest::collection::vec((0..=u32::MAX, 0..=u64::MAX), 0..20)
    ) {
        let _ = fit(&samples);
    }

    #[test]
    fn a_fit_takes_any_good_samples(
        samples in proptest::collection::vec((1..=u32::MAX, 1..=MOST_TICKS), 2..20)
    ) {
        let _ = fit(&samples);
    }
}
