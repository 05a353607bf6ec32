//! `bench`: boots the bench programs under instruction counting and compares their figures; then
//! tells what an echo costs over a real network back-end (see `dgram.rs`). `bench --tap` tells how
//! long things take over another (see `tap.rs`).

mod dgram;
mod tap;

use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::prepare::Prepared;
use crate::cli::BenchOptions;
use crate::figures::{Comparison, Figure, Reviewed};
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::progress::Step;

/// The guest programs that measure: each is booted by itself, in init's place (`init=NAME` on the
/// kernel's command line).
const PROGRAMS: &[&str] = &["bench", "echo", "ranges"];

/// The one of them that measures in spacebank's place as well.
const AS_SPACEBANK: &str = "ranges";

/// The reviewed figures.
const REVIEWED: &str = "tests/bench/figures.txt";

/// The first of the bench programs that is built, if any.
pub fn program(prepared: &Prepared) -> Option<&'static str> {
    PROGRAMS
        .iter()
        .copied()
        .find(|name| prepared.artifacts.program(name).is_ok())
}

pub(super) fn bench(options: &BenchOptions) -> Result<ExitCode> {
    if options.tap {
        return tap::bench(options);
    }
    let prepared = Prepared::new()?;
    let machine = Machine {
        icount: true,
        ..options.machine.machine()
    };
    if program(&prepared).is_none() {
        bail!(
            "there is nothing to measure yet: no program {}",
            PROGRAMS.join(" or ")
        );
    }
    let limit = Duration::from_secs(options.timeout);
    let figures = measure(&prepared, &machine, limit, options.machine.verbose)?;
    show(&figures);
    let reviewed = reviewed(&prepared)?;
    if options.bless {
        let file = prepared.checkout.root().join(REVIEWED);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, reviewed.bless(&figures))
            .with_context(|| format!("can't write {}", file.display()))?;
        println!("mk: {REVIEWED} holds these figures now");
        return Ok(ExitCode::SUCCESS);
    }
    if !options.quick {
        dgram_figures(&prepared, options);
    }
    let comparison = reviewed.compare(&figures);
    for note in &comparison.notes {
        println!("mk: {note}");
    }
    for bad in &comparison.bad {
        println!("mk: worse: {bad}");
    }
    println!(
        "mk: {} figures good, {} bad",
        comparison.good,
        comparison.bad.len()
    );
    Ok(if comparison.bad.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(figures: &[Figure]) {
    for figure in figures {
        let ungated = if figure.gated { "" } else { " ungated" };
        println!(
            "figure {} {} {}{ungated}",
            figure.name, figure.value, figure.unit
        );
    }
}

/// Prints the figures over a real back-end, or why there are none: nothing depends on them.
fn dgram_figures(prepared: &Prepared, options: &BenchOptions) {
    println!(
        "mk: from here on medians of {} rounds, counted from outside by a plugin, over a real QEMU \
         back-end (-netdev dgram): not reproducible, not gated",
        dgram::ROUNDS
    );
    let (machine, verbose) = (options.machine.machine(), options.machine.verbose);
    match dgram::measure(prepared, &machine, verbose, dgram::ROUNDS) {
        Ok(figures) => show(&figures),
        Err(error) => println!("mk: not measured: {error:#}"),
    }
}

/// The bench as one of the checks of `test`.
///
/// # Errors
/// It can't be run to its end.
pub fn check(prepared: &Prepared, limit: Duration) -> Result<Comparison> {
    let machine = Machine {
        icount: true,
        ..Machine::default()
    };
    Ok(reviewed(prepared)?.compare(&measure(prepared, &machine, limit, false)?))
}

/// Whether echoes over a real back-end can be counted at all, as one of the checks of `test`: one
/// round, whose figures nobody looks at.
///
/// # Errors
/// They can't.
pub fn check_dgram(prepared: &Prepared) -> Result<()> {
    dgram::measure(prepared, &Machine::default(), false, 1)?;
    Ok(())
}

fn reviewed(prepared: &Prepared) -> Result<Reviewed> {
    let file = prepared.checkout.root().join(REVIEWED);
    if !file.exists() {
        return Ok(Reviewed::default());
    }
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    Reviewed::parse(&text).context(REVIEWED)
}

fn measure(
    prepared: &Prepared,
    machine: &Machine,
    limit: Duration,
    verbose: bool,
) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    for name in PROGRAMS {
        let Ok(program) = prepared.artifacts.program(name) else {
            continue;
        };
        let mut archive = prepared.archive(&crate::users::manifest(2)?)?;
        archive.add_program(name, &program.stripped)?;
        if *name == AS_SPACEBANK {
            archive.add_program("spacebank", &program.stripped)?;
        }
        let (mut launch, _files) = prepared.boot(&archive)?;
        launch.machine = machine.clone();
        launch
            .append
            .extend([format!("init={name}"), "log=warn".to_string()]);
        if verbose {
            println!("{}", launch.shown()?);
        }
        let step = Step::start(format!("bench: {name}"));
        for figure in boot(&launch, limit, prepared, name, &step)? {
            if figures.iter().any(|other| other.name == figure.name) {
                bail!("the figure {} was printed twice", figure.name);
            }
            figures.push(figure);
        }
        step.done();
    }
    Ok(figures)
}

fn boot(
    launch: &crate::launch::Launch,
    limit: Duration,
    prepared: &Prepared,
    name: &str,
    step: &Step,
) -> Result<Vec<Figure>> {
    let mut process = Process::start(launch)?;
    let console = process.take_stdout().context("standard output is piped")?;
    process.resume();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        lines
            .map(|line| String::from_utf8_lossy(&line).trim_end().to_string())
            .collect()
    });
    step.say("QEMU runs");
    let outcome = process.wait(Some(limit))?;
    let lines: Vec<String> = reader.join().unwrap_or_default();
    if outcome != Outcome::Halted {
        let mut symbols = prepared.symbols();
        symbols.alias("init", name);
        let tail = lines
            .iter()
            .skip(lines.len().saturating_sub(40))
            .map(|line| {
                let names = symbols
                    .annotate(line)
                    .map_or(String::new(), |names| format!(" {names}"));
                format!("    {line}{names}")
            });
        bail!(
            "the bench ended wrongly: {outcome}; its last lines:\n{}",
            tail.collect::<Vec<_>>().join("\n")
        );
    }
    Ok(lines
        .iter()
        .filter_map(|line| Figure::printed(line))
        .collect())
}
