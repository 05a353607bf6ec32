//! `faults`: campaigns of fault injection, for people; and a short one as a check.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::prepare::Prepared;
use crate::checkout::Checkout;
use crate::checks::Tally;
use crate::cli::{FaultOptions, TestOptions};
use crate::faults::campaign::build;
use crate::faults::muster;
use crate::faults::picture::picture;
use crate::faults::planted::planted_kernel;
use crate::faults::sweep::Sweep;
use crate::faults::sweep_row::{Row, is_bounded, is_sound, table as sweep_table};
use crate::faults::table::table;
use crate::faults::{Campaign, Extent, Level, Totals};

/// The names of the checks.
const SHORT: &str = "faults: a short campaign";
const PLANTED: &str = "faults: a planted fault fails a campaign";
const SWEPT: &str = "faults: three scenarios swept in QEMU";
const BOUNDED: &str =
    "faults: interrupts are never off for more than 20,000 instructions of the sweep";
const PLANTED_SWEPT: &str = "faults: a planted fault fails a sweep";
/// The fault that the short sweep is to find, and where.
const PLANTED_FAULT: &str = "free-pinned";
const PLANTED_PAIR: [&str; 2] = ["attach", "bank"];
/// What stands for each planted fault.
const ALL: &str = "all";
/// The scenarios of the short sweep, and what is destroyed in them.
const SWEPT_PAIRS: [[&str; 2]; 2] = [["receive-flip,attach", "bank"], ["netstack-tcp", "session"]];
/// Seeds of the short campaign: a few seconds.
const SEEDS: u64 = 20;

/// Plays a campaign; fails if a run does.
pub(super) fn faults(options: &FaultOptions) -> Result<ExitCode> {
    if options.planted.as_deref() == Some(ALL) {
        return muster();
    }
    if options.target.is_some() && !matches!(options.level, Level::Qemu) {
        bail!("--target and --point are for --level qemu");
    }
    match options.level {
        Level::Sim => {}
        Level::Qemu => return sweep(options),
        Level::Fuzz => return super::fuzz::fuzz(options),
    }
    let checkout = Checkout::open()?;
    let sim = build(&checkout, true, options.planted.is_some())?;
    let extent = match options.minutes {
        Some(minutes) => Extent::Time(Duration::from_secs(60 * minutes)),
        None => Extent::Seeds(options.count),
    };
    let campaign = Campaign {
        seed: options.seed,
        extent,
        steps: options.steps,
        scenario: options.scenario.clone(),
        planted: options.planted.clone(),
    };
    let totals = campaign.play(&sim)?;
    println!("{}", table(&totals));
    for path in draw(&checkout, &totals)? {
        println!("coverage: {}", path.display());
    }
    Ok(exit_code(&totals))
}

/// Sweeps in QEMU; fails if a point does.
fn sweep(options: &FaultOptions) -> Result<ExitCode> {
    let prepared = Prepared::new()?;
    let planted = match &options.planted {
        Some(fault) => Some((planted_kernel(&prepared)?, fault.clone())),
        None => None,
    };
    let sweep = Sweep {
        scenario: Some(options.scenario.clone()).filter(|name| name != "all"),
        target: options.target.clone(),
        point: options.point,
        planted,
        until_failure: false,
    };
    let rows = sweep.play(&prepared)?;
    println!("{}", sweep_table(&rows, options.planted.as_deref()));
    Ok(match is_sound(&rows) && is_bounded(&rows) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Plants all faults, one after the other; fails if one isn't found wherever it is looked for.
fn muster() -> Result<ExitCode> {
    let prepared = Prepared::new()?;
    let sim = build(&prepared.checkout, true, true)?;
    let plants = muster::list(&sim)?;
    let mut searches = muster::simulate(&sim, &plants)?;
    let kernel = planted_kernel(&prepared)?;
    searches.extend(muster::sweep(&prepared, &kernel, &plants)?);
    searches.sort_by_key(|search| plants.iter().position(|plant| *plant == search.plant));
    println!("{}", muster::table(&searches));
    Ok(match muster::is_sound(&plants, &searches) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Success if something was tried and nothing failed.
fn exit_code(totals: &Totals) -> ExitCode {
    match totals.is_sound() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Draws the coverage of each scenario; answers where the pictures are.
fn draw(checkout: &Checkout, totals: &Totals) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for scenario in &totals.scenarios {
        let path = checkout
            .output()?
            .join(format!("faults-{}.svg", scenario.name));
        std::fs::write(&path, picture(scenario)?)
            .with_context(|| format!("can't write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// A short sweep, a short campaign with the seeds that everybody's has, and one with a planted fault.
pub(super) fn check(checkout: &Checkout, options: &TestOptions) -> Tally {
    let mut tally = Tally::default();
    let wanted = |name: &str| match (&options.filter, options.exact) {
        (None, _) => true,
        (Some(filter), false) => name.contains(filter.as_str()),
        (Some(filter), true) => name == filter,
    };
    if wanted(SWEPT) || wanted(BOUNDED) {
        let rows = short_sweep();
        if wanted(SWEPT) {
            tally.check(SWEPT, is_sound(&rows));
        }
        if wanted(BOUNDED) {
            tally.check(BOUNDED, is_bounded(&rows));
        }
    }
    if wanted(PLANTED_SWEPT) {
        tally.check(PLANTED_SWEPT, a_planted_fault_fails_a_sweep());
    }
    let campaign = Campaign {
        seed: 1,
        extent: Extent::Seeds(SEEDS),
        steps: 100_000,
        scenario: "all".into(),
        planted: None,
    };
    let planted = Campaign {
        extent: Extent::Seeds(2),
        planted: Some("keep-all".into()),
        ..campaign.clone()
    };
    if !wanted(SHORT) && !wanted(PLANTED) {
        return tally;
    }
    let sim = build(checkout, false, false);
    let play = |campaign: &Campaign| match &sim {
        Ok(sim) => campaign.play(sim),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    if wanted(SHORT) {
        let totals = play(&campaign);
        match &totals {
            Ok(totals) if totals.is_sound() => {}
            Ok(totals) => println!("{}", table(totals)),
            Err(error) => println!("{error:#}"),
        }
        tally.check(SHORT, totals.is_ok_and(|totals| totals.is_sound()));
    }
    if wanted(PLANTED) {
        let totals = play(&planted);
        if let Err(error) = &totals {
            println!("{error:#}");
        }
        tally.check(PLANTED, totals.is_ok_and(|totals| totals.failures() > 0));
    }
    tally
}

/// Three scenarios, each point of them. Nothing, if they can't be swept.
fn short_sweep() -> Vec<Row> {
    let swept = || -> Result<Vec<Row>> {
        let prepared = Prepared::new()?;
        let mut rows = Vec::new();
        for pair in SWEPT_PAIRS {
            let [scenario, target] = pair.map(|name| Some(name.to_owned()));
            let sweep = Sweep {
                scenario,
                target,
                ..Sweep::default()
            };
            rows.extend(sweep.play(&prepared)?);
        }
        Ok(rows)
    };
    let rows = swept();
    match &rows {
        Ok(rows) if is_sound(rows) && is_bounded(rows) => {}
        Ok(rows) => println!("{}", sweep_table(rows, None)),
        Err(error) => println!("{error:#}"),
    }
    rows.unwrap_or_default()
}

/// A kernel that makes a mistake is found, at a point: before the first everything is as it should be.
fn a_planted_fault_fails_a_sweep() -> bool {
    let swept = || {
        let prepared = Prepared::new()?;
        let [scenario, target] = PLANTED_PAIR.map(|name| Some(name.to_owned()));
        let sweep = Sweep {
            scenario,
            target,
            planted: Some((planted_kernel(&prepared)?, PLANTED_FAULT.into())),
            until_failure: true,
            ..Sweep::default()
        };
        sweep.play(&prepared)
    };
    let rows = swept();
    if let Err(error) = &rows {
        println!("{error:#}");
    }
    let at_a_point = |row: &Row| row.failure.as_ref().is_some_and(|(point, _)| *point > 0);
    rows.is_ok_and(|rows: Vec<Row>| rows.iter().any(at_a_point))
}
