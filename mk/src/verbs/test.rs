//! `test`: everything that can be checked.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::prepare::Prepared;
use super::{bench, faults, fuzz};
use crate::checkout::Checkout;
use crate::checks::{self, Part, Tally};
use crate::cli::TestOptions;
use crate::measure;
use crate::setup;

/// How long the bench may take as a check.
const BENCH: Duration = Duration::from_secs(300);

pub(super) fn test(options: &TestOptions) -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let parts: Vec<Part> = match (&options.only[..], &options.filter) {
        ([], None) => Part::ALL.to_vec(),
        // A name can only be a test's.
        ([], Some(_)) => vec![Part::Host, Part::Qemu],
        (only, _) => Part::ALL
            .iter()
            .copied()
            .filter(|part| only.contains(part))
            .collect(),
    };
    // Clippy for the bare target needs its libraries, the last two parts need QEMU too.
    if parts
        .iter()
        .any(|part| matches!(part, Part::Lint | Part::Qemu | Part::Bench))
    {
        setup::ready()?;
    }
    let mut tally = Tally::default();
    for part in parts {
        tally.add(match part {
            Part::Lint => checks::lint(&checkout)?,
            Part::Host => {
                let mut host = checks::host(&checkout, options)?;
                host.add(faults::check(&checkout, options));
                host.add(fuzz::check(options));
                host
            }
            Part::Loom => checks::loom(&checkout, options)?,
            Part::Miri => checks::miri(&checkout, options)?,
            Part::Qemu => checks::system(&checkout, options)?,
            Part::Bench => bench_as_check()?,
        });
    }
    println!("\n{}", tally.summary());
    let good = tally.failed.is_empty() && tally.passed > 0;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn bench_as_check() -> Result<Tally> {
    let mut tally = Tally::default();
    let prepared = match Prepared::new() {
        Ok(prepared) => prepared,
        Err(error) => {
            println!("{error:#}");
            tally.check("bench: it could not be built", false);
            return Ok(tally);
        }
    };
    if bench::program(&prepared).is_none() {
        tally.unavailable("bench", "there is no bench program yet");
        return Ok(tally);
    }
    match bench::check(&prepared, BENCH) {
        Ok(comparison) => {
            for note in &comparison.notes {
                println!("mk: {note}");
            }
            tally.passed += comparison.good;
            tally
                .failed
                .extend(comparison.bad.iter().map(|bad| format!("bench: {bad}")));
        }
        Err(error) => {
            println!("{error:#}");
            tally.check("bench: it did not come to its end", false);
        }
    }
    match measure::check(&prepared) {
        Ok(wrong) => {
            wrong.iter().for_each(|what| println!("mk: {what}"));
            tally.check(
                "crossover: what is counted is the same each time, and as it must be",
                wrong.is_empty(),
            );
        }
        Err(error) => {
            println!("{error:#}");
            tally.check("crossover: frames are counted", false);
        }
    }
    let counted = bench::check_dgram(&prepared);
    if let Err(error) = &counted {
        println!("{error:#}");
    }
    tally.check("bench: echoes over dgram are counted", counted.is_ok());
    Ok(tally)
}
