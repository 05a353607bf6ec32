//! `crossover`: copy or flip? Counts of the running system, what a model says of them, and a page to look
//! at.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use crossover::native::{self, Calibration};
use crossover::operations::Operations;
use crossover::profile::Profile;
use crossover::report::{More, Report};
use crossover::selection::Selection;
use crossover::study::Study;
use crossover::table::table;
use crossover::times::Times;
use crossover::vectors::{Iommu, Vectors};

use crate::checkout::Checkout;
use crate::cli::CrossoverOptions;
use crate::machine::Accelerator;
use crate::measure::{self, Plan};
use crate::progress::Step;
use crate::verbs::Prepared;

/// What is done where there is no time on hardware.
const GOING_ON: &str = "going on with counts, which are exact anywhere; --calibrate times copies on this \
                        machine, outside a guest";

/// Samples of each time that is taken natively.
const SAMPLES: usize = 401;
/// The profile that gives what a calibration can't measure, where none is named.
const BASE: &str = "sapphire-rapids";
/// Where a calibration goes, in the folder of the report.
const CALIBRATED: &str = "this-machine.toml";
/// Where the vectors go, in the folder of the report.
const VECTORS: &str = "vectors.csv";
/// Where isolated operations go, in the folder of the report.
const OPERATIONS: &str = "operations.csv";
/// Where times go, in the folder of the report.
const TIMES: &str = "times.csv";
/// Frames that each row is timed over, at least: the clock is coarse, and hosts interrupt.
const TIMED_FRAMES: u32 = 1024;

/// Counts or reads vectors, asks the model, and writes the report.
pub(super) fn crossover(options: &CrossoverOptions) -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => checkout.output()?.join("crossover"),
    };
    let mut profiles = profiles(&options.profile)?;
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let calibration = match options.calibrate {
        true => calibrate(&mut profiles, &folder.join(CALIBRATED)),
        false => None,
    };
    let times = times(options)?;
    let (vectors, operations) = vectors(options)?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))
    };
    write(VECTORS, vectors.to_csv()?)?;
    if let Some(operations) = &operations {
        write(OPERATIONS, operations.to_csv())?;
    }
    if let Some(times) = &times {
        write(TIMES, times.to_csv()?)?;
    }
    let step = Step::start("crossover: the model and its pictures");
    let study = Study::new(vectors, profiles)?;
    let more = More {
        operations: operations.as_ref(),
        calibration: calibration.as_ref(),
        times: times.as_ref(),
    };
    Report::new(&study, &more)?.write(&folder)?;
    step.done();
    println!("{}", table(&study).context("there is no answer")?);
    let counts = [
        Some(VECTORS),
        operations.is_some().then_some(OPERATIONS),
        times.is_some().then_some(TIMES),
    ];
    let report = ["crossover.html", "crossover.svg", "crossover.csv"];
    for name in report.into_iter().chain(counts.into_iter().flatten()) {
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

/// Time on hardware, if it was asked for and can be had. Where it can't, says why.
fn times(options: &CrossoverOptions) -> Result<Option<Times>> {
    if options.accel != Accelerator::Kvm {
        return Ok(None);
    }
    let device = Path::new("/dev/kvm").exists();
    if let Some(why) = no_time(options.accel.doubt().is_none(), device) {
        println!("mk: --accel kvm: {why}: {GOING_ON}");
        return Ok(None);
    }
    let plan = Plan {
        frames: TIMED_FRAMES,
        verbose: options.verbose,
        ..plan(&selection(options), options.quick)?
    };
    let prepared = Prepared::new()?;
    let (hardware, boots) = (Accelerator::Kvm, measure::BOOTS);
    let step = Step::counted("crossover: time on hardware", boots as u64 * plan.rows());
    let progress = |done, of| step.reach(done, format!("{done} of {of} rows"));
    let timed = measure::time(&prepared, &plan, hardware, boots, &progress);
    Ok(match timed {
        Ok(times) => {
            step.done();
            Some(times)
        }
        Err(error) => {
            step.end("not to be had");
            println!("mk: --accel kvm: {error:#}: {GOING_ON}");
            None
        }
    })
}

/// Why no time on hardware can be measured.
const fn no_time(virtualises: bool, device: bool) -> Option<&'static str> {
    match (virtualises, device) {
        (false, _) => {
            Some("this CPU doesn't say that it can virtualise (no vmx or svm in /proc/cpuinfo)")
        }
        (true, false) => Some("there is no /dev/kvm"),
        (true, true) => None,
    }
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

/// The vectors, and isolated operations where they are counted.
fn vectors(options: &CrossoverOptions) -> Result<(Vectors, Option<Operations>)> {
    let selection = selection(options);
    let (vectors, operations) = match &options.vectors {
        Some(file) => (Vectors::read(file)?.select(&selection)?, None),
        None => count(&selection, options)?,
    };
    if !vectors.counted() {
        println!("mk: not all of these vectors were counted: nothing here is a result");
    }
    Ok((vectors, operations))
}

fn selection(options: &CrossoverOptions) -> Selection {
    Selection {
        sizes: options.sizes.clone(),
        batches: options.batches.clone(),
        modes: options.modes.clone(),
    }
}

/// Counts in the running system, everything twice.
fn count(
    selection: &Selection,
    options: &CrossoverOptions,
) -> Result<(Vectors, Option<Operations>)> {
    let plan = plan(selection, options.quick)?;
    let prepared = Prepared::new()?;
    let plan = Plan {
        verbose: options.verbose,
        ..plan
    };
    let step = Mutex::new(Step::counted(
        "crossover: counting, all twice",
        4 * plan.rows(),
    ));
    let measured = measure::measure(&prepared, &plan, &|done, of| {
        let step = step.lock().unwrap_or_else(PoisonError::into_inner);
        step.reach(done, format!("{done} of {of} rows"));
    })?;
    step.into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .end("identical in both runs");
    println!(
        "mk: {} rows; two runs agree in every instruction and every event, and the kernel's counts with \
         those of a plugin that watched from outside:",
        measured.vectors.rows().len()
    );
    for line in &measured.outside {
        println!("mk:   {line}");
    }
    if !measured.skipped.is_empty() {
        println!(
            "mk: {} settings can't be: the driver hasn't buffers for so many so long frames at once",
            measured.skipped.len()
        );
    }
    Ok((measured.vectors, measured.operations))
}

/// What is to be counted: all, or as the options say.
fn plan(selection: &Selection, quick: bool) -> Result<Plan> {
    if !selection.takes_iommu(Iommu::Off) {
        bail!("counts are taken with the IOMMU off only; for other modes give counts by --vectors");
    }
    let all = match quick {
        true => Plan::quick(),
        false => Plan::full(),
    };
    let chosen = |own: &[u32], all: Vec<u32>| match own.is_empty() {
        true => all,
        false => {
            let mut own = own.to_vec();
            own.sort_unstable();
            own.dedup();
            own
        }
    };
    Ok(Plan {
        sizes: chosen(&selection.sizes, all.sizes),
        batches: chosen(&selection.batches, all.batches),
        strategies: all
            .strategies
            .into_iter()
            .filter(|strategy| selection.takes_strategy(*strategy))
            .collect(),
        ..all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossover::vectors::Strategy;

    #[test]
    fn options_narrow_what_is_counted() {
        let selection = Selection {
            sizes: vec![1514, 64, 64],
            batches: vec![],
            modes: vec!["exchange".parse().unwrap()],
        };
        let narrow = plan(&selection, true).unwrap();
        assert_eq!(narrow.sizes, [64, 1514]);
        assert_eq!(narrow.batches, Plan::quick().batches);
        assert_eq!(narrow.strategies, [Strategy::Copy, Strategy::Exchange]);
        assert_eq!(plan(&Selection::default(), false).unwrap(), Plan::full());
        let strict = Selection {
            modes: vec!["strict".parse().unwrap()],
            ..Selection::default()
        };
        let error = plan(&strict, false).unwrap_err().to_string();
        assert!(error.contains("--vectors"), "{error}");
    }

    #[test]
    fn without_virtualisation_there_is_no_time_and_a_reason() {
        assert!(no_time(false, true).unwrap().contains("vmx"));
        assert!(no_time(true, false).unwrap().contains("/dev/kvm"));
        assert_eq!(no_time(true, true), None);
    }

    #[test]
    fn a_profile_is_a_file_or_one_that_comes_along() {
        assert!(profiles(&[]).unwrap().len() > 1);
        let named = profiles(&["zen4".into()]).unwrap();
        assert_eq!(named.len(), 1);
        let error = format!("{:#}", profiles(&["z80".into()]).unwrap_err());
        assert!(error.contains("pentium-3"), "{error}");
    }
}
