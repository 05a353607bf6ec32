//! `faults --level fuzz`: hostile processes, and everything that takes apart what strangers wrote.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::prepare::Prepared;
use crate::checkout::Checkout;
use crate::checks::Tally;
use crate::cli::{FaultOptions, TestOptions};
use crate::faults::Extent;
use crate::faults::fuzzed::{Fuzzed, is_sound, table};
use crate::faults::planted::planted_kernel;
use crate::faults::{invocations, parsers, vandals};

/// The names of the checks.
const KERNEL: &str = "faults: ten million invocations of hostile processes";
const PARSERS: &str = "faults: every parser, for a moment each";
/// Seeds of ten million invocations.
const SEEDS: u64 = 650;
/// How long all parsers are fuzzed.
const MOMENT: Duration = Duration::from_secs(2 * parsers::TARGETS.len() as u64);
/// Of so many seeds, hostile stacks play one when everything is played.
const FEW: u64 = 10;

/// Fuzzes; fails if something was found.
pub(super) fn fuzz(options: &FaultOptions) -> Result<ExitCode> {
    let extent = match options.minutes {
        Some(minutes) => Extent::Time(Duration::from_secs(60 * minutes)),
        None => Extent::Seeds(options.count),
    };
    let all = match &options.planted {
        Some(fault) if options.scenario == invocations::NAME => {
            let prepared = Prepared::new()?;
            let planted = (planted_kernel(&prepared)?, fault.clone());
            let (seed, planted) = (options.seed, Some(&planted));
            vec![invocations::play(&prepared, seed, extent, planted)?]
        }
        Some(_) => bail!(
            "faults are planted in the kernel; at this level: --scenario {}",
            invocations::NAME
        ),
        None if options.scenario == "all" => play_all(options.seed, extent)?,
        None => vec![play(&options.scenario, options.seed, extent)?],
    };
    println!("{}", table(&all));
    Ok(match is_sound(&all) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Plays a scenario.
fn play(scenario: &str, seed: u64, extent: Extent) -> Result<Fuzzed> {
    match scenario {
        invocations::NAME => invocations::play(&Prepared::new()?, seed, extent, None),
        vandals::NAME => vandals::play(&Prepared::new()?.checkout, seed, extent),
        _ if parsers::TARGETS.contains(&scenario) => {
            parsers::build(&Checkout::open()?)?.play(scenario, seed, extent)
        }
        _ => bail!(
            "no scenario '{scenario}' at this level: there are {}, {}, {}, and all",
            invocations::NAME,
            vandals::NAME,
            parsers::TARGETS.join(", ")
        ),
    }
}

/// Plays all of them. A time is divided between kernel, stacks and parsers. A stack takes much longer for
/// a seed than the others do: it gets a few of them.
fn play_all(seed: u64, extent: Extent) -> Result<Vec<Fuzzed>> {
    let (third, few) = match extent {
        Extent::Time(time) => (Extent::Time(time / 3), Extent::Time(time / 3)),
        Extent::Seeds(count) => (extent, Extent::Seeds(count.div_ceil(FEW))),
    };
    let mut fuzzed = vec![
        play(invocations::NAME, seed, third)?,
        play(vandals::NAME, seed, few)?,
    ];
    fuzzed.extend(play_parsers(seed, third)?);
    Ok(fuzzed)
}

/// Plays all parsers, which share a time.
fn play_parsers(seed: u64, extent: Extent) -> Result<Vec<Fuzzed>> {
    let fuzzer = parsers::build(&Checkout::open()?)?;
    let share = match extent {
        Extent::Time(time) => Extent::Time(time / parsers::TARGETS.len() as u32),
        Extent::Seeds(_) => extent,
    };
    let play = |target| fuzzer.play(target, seed, share);
    parsers::TARGETS.into_iter().map(play).collect()
}

/// Ten million invocations in QEMU, and each parser for a moment.
pub(super) fn check(options: &TestOptions) -> Tally {
    let mut tally = Tally::default();
    let wanted = |name: &str| match (&options.filter, options.exact) {
        (None, _) => true,
        (Some(filter), false) => name.contains(filter.as_str()),
        (Some(filter), true) => name == filter,
    };
    if wanted(KERNEL) {
        let played = play(invocations::NAME, 1, Extent::Seeds(SEEDS));
        tally.check(KERNEL, is_told_sound(played.map(|one| vec![one])));
    }
    if wanted(PARSERS) {
        match parsers::possible() {
            Ok(()) => {
                let played = play_parsers(1, Extent::Time(MOMENT));
                tally.check(PARSERS, is_told_sound(played));
            }
            Err(error) => tally.unavailable(PARSERS, format!("{error:#}")),
        }
    }
    tally
}

/// Whether nothing was found; otherwise it is printed what was.
fn is_told_sound(played: Result<Vec<Fuzzed>>) -> bool {
    match played {
        Ok(all) if is_sound(&all) => true,
        Ok(all) => {
            println!("{}", table(&all));
            false
        }
        Err(error) => {
            println!("{error:#}");
            false
        }
    }
}
