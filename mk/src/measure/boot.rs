//! Boots the bench once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::archive::Archive;
use crate::artifacts::Artifacts;
use crate::machine::{Accelerator, Machine};
use crate::outcome::Outcome;
use crate::plugin::{self, Watch};
use crate::process::Process;
use crate::verbs::Prepared;

use super::outside::{self, Stretch};
use super::work::Work;
use super::{Counted, Key, Plan, console};

/// The program that measures.
const BENCH: &str = "crossover";
/// The program that does isolated operations, and between what its loops lie.
const ISOLATED: &str = "isolated";
const LOOPS: [&str; 2] = ["isolated_loops_begin", "isolated_loops_end"];
/// Lines of isolated operations that there is room for.
const OPERATIONS: usize = 256;
/// Longest that nothing may be printed: a row takes a second or two, and a busy host ten times as long.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest that the end may take once everything is printed.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines of the console that are shown when it went wrong.
const LAST: usize = 20;

/// What it printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub rows: Vec<Counted>,
    pub skipped: Vec<Key>,
    /// Lines about isolated operations.
    pub work: Vec<Work>,
    /// How the plugin's counts compare with the kernel's.
    pub outside: Vec<String>,
}

impl Printed {
    /// What was counted, in the order in which it was.
    fn stretches(&self) -> Vec<Stretch> {
        let rows = self.rows.iter();
        let rows = rows.map(|row| (format!("{row:?}"), row.events.unwrap_or_default()));
        let work = self.work.iter();
        let work = work.map(|work| (format!("{work:?}"), work.events.unwrap_or_default()));
        let all = rows.chain(work);
        all.map(|(name, events)| Stretch { name, events }).collect()
    }
}

/// How it is booted.
#[derive(Clone, Copy, Debug)]
pub(super) enum How<'a> {
    /// Under icount, on the kernel as it is.
    Plain,
    /// Under icount, with these programs in the kernel's and the driver's stead.
    Counting(&'a Artifacts),
    /// So too, and watched by the plugin.
    Watched(&'a Artifacts),
    /// On the kernel as it is, by the CPU's clock.
    Timed(Accelerator),
}

impl How<'_> {
    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            How::Plain => "instructions",
            How::Counting(_) => "events",
            How::Watched(_) => "events, watched",
            How::Timed(_) => "time",
        }
    }
}

/// Boots the bench. `step` is called for each row.
pub(super) fn run(
    prepared: &Prepared,
    how: How<'_>,
    plan: &Plan,
    step: &dyn Fn(),
) -> Result<Printed> {
    let counting = match how {
        How::Counting(programs) | How::Watched(programs) => Some(programs),
        How::Plain | How::Timed(_) => None,
    };
    let (accelerator, icount) = match how {
        How::Timed(accelerator) => (accelerator, false),
        _ => (Accelerator::Tcg, true),
    };
    let stripped = |name: &str| -> Result<&Path> {
        let from = counting.filter(|counting| counting.program(name).is_ok());
        Ok(&from.unwrap_or(&prepared.artifacts).program(name)?.stripped)
    };
    let mut archive = Archive::new();
    for name in ["spacebank", "ethdrv", "recipient", ISOLATED, BENCH] {
        archive.add_program(name, stripped(name)?)?;
    }
    archive.add("etc/crossover", plan.render());
    let (mut launch, _files) = prepared.boot_with(stripped("kernel")?, &archive)?;
    launch.machine = Machine {
        icount,
        accelerator,
        ..Machine::default()
    };
    let words = [format!("init={BENCH}"), "log=warn".to_string()];
    launch.append.extend(words);
    let watch = match how {
        How::Watched(counting) => {
            let symbols = |name: &str| Ok::<_, anyhow::Error>(&counting.program(name)?.symbols);
            let room = usize::try_from(plan.rows())? + OPERATIONS;
            let isolated = &prepared.artifacts.program(ISOLATED)?.symbols;
            let others: [(&Path, _); 2] = [(isolated, LOOPS), (isolated, plugin::COPY)];
            let watch = Watch::new(symbols("kernel")?, symbols("ethdrv")?, &others, room)?;
            let plugin = plugin::build(&prepared.checkout)?;
            launch.extra.extend(watch.arguments(&plugin)?);
            Some(watch)
        }
        _ => None,
    };
    if plan.verbose {
        println!("{}", launch.shown()?);
    }
    let mut process = Process::start(&launch)?;
    let console = process.take_stdout().context("standard output is piped")?;
    process.resume();
    let mut printed = Printed::default();
    let mut lines = Vec::new();
    let read = console::lines(console, SILENCE, |line| {
        if let Some(row) = Counted::parse(&line) {
            printed.rows.push(row);
            step();
        } else if let Some(work) = Work::parse(&line) {
            printed.work.push(work);
        } else if let Some(key) = Key::skipped(&line) {
            printed.skipped.push(key);
            plan.touched.iter().for_each(|_| step());
        } else {
            lines.push(line);
        }
    });
    let wrong = match read {
        Err(error) => Some(format!("{error:#}, after {} rows", printed.rows.len())),
        Ok(()) => match process.wait(Some(LIMIT))? {
            Outcome::Halted => None,
            outcome => Some(format!("it ended wrongly: {outcome}")),
        },
    };
    if let Some(wrong) = wrong {
        let tail = &lines[lines.len().saturating_sub(LAST)..];
        bail!("{wrong}; its last lines:\n    {}", tail.join("\n    "));
    }
    if let Some(watch) = watch {
        printed.outside = outside::compare(&printed.stretches(), &watch.read()?)?;
    }
    Ok(printed)
}
