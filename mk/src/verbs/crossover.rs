//! `crossover`: copy or flip? Event vectors, what a model says of them, and a page to look at.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use crossover::native::{self, Calibration};
use crossover::profile::Profile;
use crossover::report::Report;
use crossover::selection::Selection;
use crossover::study::Study;
use crossover::table::table;
use crossover::vectors::Vectors;

use crate::checkout::Checkout;
use crate::cli::CrossoverOptions;
use crate::machine::Accelerator;
use crate::progress::Step;

/// Samples of each time that is taken natively.
const SAMPLES: usize = 401;
/// The profile that gives what a calibration can't measure, where none is named.
const BASE: &str = "sapphire-rapids";
/// Where a calibration goes, in the folder of the report.
const CALIBRATED: &str = "this-machine.toml";
/// Where the vectors go, in the folder of the report.
const VECTORS: &str = "vectors.csv";

/// Counts or reads vectors, asks the model, and writes the report.
pub(super) fn crossover(options: &CrossoverOptions) -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => checkout.output()?.join("crossover"),
    };
    let mut profiles = profiles(&options.profile)?;
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    if let Some(why) = no_time(options.accel) {
        println!("mk: {why}");
    }
    let calibration = match options.calibrate {
        true => calibrate(&mut profiles, &folder.join(CALIBRATED)),
        false => None,
    };
    let vectors = vectors(options)?;
    let file = folder.join(VECTORS);
    std::fs::write(&file, vectors.to_csv()?)
        .with_context(|| format!("can't write {}", file.display()))?;
    let step = Step::start("crossover: the model and its pictures");
    let study = Study::new(vectors, profiles)?;
    Report::new(&study, calibration.as_ref())?.write(&folder)?;
    step.done();
    println!("{}", table(&study).context("there is no answer")?);
    for name in ["crossover.html", "crossover.svg", "crossover.csv", VECTORS] {
        println!("{}", folder.join(name).display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The profiles by their files or names; all that come with the project where none is named.
fn profiles(names: &[String]) -> Result<Vec<Profile>> {
    if names.is_empty() {
        return Ok(Profile::built_in()?);
    }
    let read = |name: &String| match Path::new(name) {
        path if path.is_file() => Profile::read(path),
        _ => Profile::named(name),
    };
    let read: Result<Vec<Profile>, _> = names.iter().map(read).collect();
    read.context("--profile takes a file, or the name of a profile that comes with the project")
}

/// Why no time on hardware is measured, if it was asked for.
fn no_time(accelerator: Accelerator) -> Option<String> {
    if accelerator != Accelerator::Kvm {
        return None;
    }
    accelerator.doubt()?;
    Some(
        "this CPU doesn't say that it can virtualise (no vmx or svm in /proc/cpuinfo), so no time is \
         measured in a guest on it: going on with counts, which are exact anywhere"
            .into(),
    )
}

/// Times copies on this machine, puts a profile of them before the others, and writes it. Where that
/// can't be done, says so.
fn calibrate(profiles: &mut Vec<Profile>, file: &Path) -> Option<Calibration> {
    let step = Step::start("crossover: copies on this machine");
    let base = match profiles.first() {
        Some(first) if profiles.len() == 1 => Ok(first.clone()),
        _ => Profile::named(BASE),
    };
    let calibrated = || -> Result<(Calibration, Profile)> {
        let base = base?;
        let calibration = native::calibrate(SAMPLES)?;
        let profile = calibration.profile(&base)?;
        std::fs::write(file, calibration.to_toml(&base)?)
            .with_context(|| format!("can't write {}", file.display()))?;
        Ok((calibration, profile))
    };
    match calibrated() {
        Ok((calibration, profile)) => {
            step.done();
            println!("mk: {}: {}", file.display(), profile.name);
            println!(
                "mk: copies and reads are measured here, with the clock of this CPU; every other price \
                 is another profile's, and the file says whose"
            );
            if calibration.noisy() {
                println!("mk: the machine is too busy for these times to be trusted; do it again");
            }
            profiles.insert(0, profile);
            Some(calibration)
        }
        Err(error) => {
            step.end("not to be had");
            println!("mk: {error:#}; going on without");
            None
        }
    }
}

fn vectors(options: &CrossoverOptions) -> Result<Vectors> {
    let selection = Selection {
        sizes: options.sizes.clone(),
        batches: options.batches.clone(),
        modes: options.modes.clone(),
    };
    let read = Vectors::read(&options.vectors)?;
    let vectors = read.select(&selection)?;
    if !vectors.counted() {
        println!("mk: not all of these vectors were counted: nothing here is a result");
    }
    Ok(vectors)
}
