//! Clocks measured on a machine whose host takes its CPU away at any time.

use kernel::calibration::{INTERVAL_TIMER, PRECISION, Rates, Reading, by_crystal};
use proptest::prelude::*;
use sim::random::Dice;

const APIC: u64 = 1_000_000_000;
/// Picoseconds of a second.
const SECOND: u128 = 1_000_000_000_000;

/// Clocks of known rates, and a host that takes the CPU away with some chance at each step.
struct Busy<'d> {
    now: u128,
    frequency: u64,
    dice: &'d Dice,
    /// Of 100 steps so many lose the CPU, for up to 5 ms.
    chance: u64,
}

impl Busy<'_> {
    /// What takes a microsecond, or much longer.
    fn step(&mut self) {
        self.now += SECOND / 1_000_000;
        if self.dice.word() % 100 < self.chance {
            self.now += u128::from(self.dice.word() % 5_000) * SECOND / 1_000_000;
        }
    }

    fn at(&self, rate: u64) -> u64 {
        (self.now * u128::from(rate) / SECOND) as u64
    }

    fn read(&mut self) -> Reading {
        let before = self.at(self.frequency);
        self.step();
        let (interval, apic) = (self.at(INTERVAL_TIMER), self.at(APIC));
        self.step();
        Reading {
            before,
            after: self.at(self.frequency),
            interval: u16::MAX.wrapping_sub(interval as u16),
            apic: u32::MAX.wrapping_sub(apic as u32),
        }
    }

    fn narrowest(&mut self) -> Reading {
        (1..16).fold(self.read(), |best, _| best.narrower(self.read()))
    }

    fn measure(&mut self) -> Option<Rates> {
        let first = self.narrowest();
        let end = self.now + SECOND / 100;
        while self.now < end {
            self.step();
        }
        Rates::between(&first, &self.narrowest())
    }
}

fn is_near(value: u64, expected: u64, parts: u64) -> bool {
    value.abs_diff(expected) <= expected / parts
}

proptest! {
    /// The interval timer, of 16 bits, comes round after 55 ms: with a chance of one in 20 it doesn't.
    #[test]
    fn a_cpu_that_is_taken_away_is_measured_right(seed: u64, megahertz in 500..5_000u64, chance in 0..5u64) {
        let dice = Dice::new(seed);
        let frequency = megahertz * 1_000_000;
        let mut busy = Busy { now: 0, frequency, dice: &dice, chance };
        let start = busy.now;
        let rates = busy.measure();
        prop_assume!(busy.now - start < SECOND / 20);
        let rates = rates.expect("all clocks count");
        let ratio = (u128::from(APIC) << 32) / u128::from(frequency);
        prop_assert!(is_near(rates.frequency, frequency, rates.precision), "{rates:?}");
        prop_assert!(is_near(rates.apic_ratio, ratio as u64, rates.precision), "{rates:?}");
        if chance == 0 {
            prop_assert!(rates.precision >= PRECISION, "{rates:?}");
        }
    }
}

#[test]
fn a_wide_reading_makes_a_measurement_that_is_known_to_be_bad() {
    let at = |tick: u64, width: u64, interval: u16| Reading {
        before: tick,
        after: tick + width,
        interval,
        apic: u32::MAX - tick as u32,
    };
    let first = at(0, 1_000, 60_000);
    let good = Rates::between(&first, &at(26_000_000, 1_000, 48_068)).expect("both count");
    let bad = Rates::between(&first, &at(26_000_000, 9_000_000, 48_068)).expect("both count");
    assert!(is_near(good.frequency, 2_600_000_000, PRECISION));
    assert!(good.precision >= PRECISION && bad.precision < PRECISION);
    assert_eq!(bad.better(good), good);
    assert_eq!(good.better(bad), good);
}

#[test]
fn clocks_that_stand_still_are_no_measure() {
    let first = Reading {
        before: 5,
        after: 9,
        interval: 50,
        apic: 50,
    };
    let last = Reading {
        before: 1_000,
        after: 1_010,
        interval: 20,
        apic: 20,
    };
    assert!(Rates::between(&first, &last).is_some());
    for stuck in [
        Reading {
            interval: 50,
            ..last
        },
        Reading { apic: 50, ..last },
        Reading {
            before: 5,
            after: 9,
            ..last
        },
    ] {
        assert_eq!(Rates::between(&first, &stuck), None, "{stuck:?}");
    }
    assert_eq!(Rates::between(&last, &first), None, "time went backwards");
}

#[test]
fn a_crystal_counts_only_if_all_of_it_is_told() {
    assert_eq!(by_crystal(2, 216, 24_000_000), Some(2_592_000_000));
    for (eax, ebx, ecx) in [(0, 216, 24_000_000), (2, 0, 24_000_000), (2, 216, 0)] {
        assert_eq!(by_crystal(eax, ebx, ecx), None);
    }
}
