//! Tests of the choice; what is timed is told here.

use super::measure::Cost;
use super::*;

const fn cost(base: u64, per_byte: u64) -> Cost {
    Cost { base, per_byte }
}

/// A machine on which reading again costs as much as reading, as under an emulator.
const WITHOUT_CACHES: Times = Times {
    copy: cost(20_000, 400),
    read: cost(20_000, 400),
    read_again: cost(20_000, 400),
    exchange: 110_000,
    emulated: true,
};

#[test]
fn dear_copies_make_the_threshold_lower() {
    let threshold = |per_byte| {
        let line = cost(20_000, per_byte);
        let times = Times {
            copy: line,
            read: line,
            read_again: line,
            ..WITHOUT_CACHES
        };
        choose(Some(&times)).threshold.unwrap_or(u16::MAX)
    };
    let (dear, cheap) = (threshold(2_000), threshold(100));
    assert!(dear < cheap, "{dear} {cheap}");
    assert!(dear > 1);
}

#[test]
fn dear_exchanges_make_it_higher() {
    let threshold = |exchange| {
        let times = Times {
            exchange,
            ..WITHOUT_CACHES
        };
        choose(Some(&times)).threshold.unwrap_or(u16::MAX)
    };
    assert!(threshold(50_000) < threshold(500_000));
}

#[test]
fn where_a_copy_warms_what_is_read_all_is_copied() {
    let times = Times {
        copy: cost(40_000, 24),
        read: cost(39_000, 23),
        read_again: cost(5_000, 4),
        exchange: 150_000,
        emulated: false,
    };
    let choice = choose(Some(&times));
    assert_eq!(choice.threshold, None, "{choice}");
}

#[test]
fn without_times_the_model_answers_alone() {
    let choice = choose(None);
    assert_eq!(choice.measured, None);
    assert_eq!(choice.threshold, threshold(&MODERN));
}

#[test]
fn times_beyond_anything_real_do_no_harm() {
    for large in [0, 1, u64::MAX >> 32, u64::MAX / 5000] {
        let line = cost(large, large >> 12);
        let times = Times {
            copy: line,
            read: line,
            read_again: line,
            exchange: large,
            emulated: false,
        };
        let _ = choose(Some(&times)).threshold;
    }
}
