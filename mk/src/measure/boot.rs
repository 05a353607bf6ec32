//! Boots the bench once.

use std::io::{BufRead, BufReader};
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

use super::{Counted, Key, Plan, outside};

/// The program that measures.
const BENCH: &str = "crossover";
/// Longest that a boot may take.
const LIMIT: Duration = Duration::from_secs(1800);
/// Lines of the console that are shown when it went wrong.
const LAST: usize = 20;

/// What it printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub rows: Vec<Counted>,
    pub skipped: Vec<Key>,
    /// How the plugin's counts compare with the kernel's.
    pub outside: Vec<String>,
}

/// Boots the bench: on the kernel as it is, or with these programs in its and the driver's stead;
/// `watched` by the plugin, or not. `step` is called for each row.
pub(super) fn run(
    prepared: &Prepared,
    counting: Option<&Artifacts>,
    plan: &Plan,
    watched: bool,
    step: &dyn Fn(),
) -> Result<Printed> {
    let stripped = |name: &str| -> Result<&Path> {
        let from = counting.filter(|counting| counting.program(name).is_ok());
        Ok(&from.unwrap_or(&prepared.artifacts).program(name)?.stripped)
    };
    let mut archive = Archive::new();
    for name in ["spacebank", "ethdrv", "recipient", BENCH] {
        archive.add_program(name, stripped(name)?)?;
    }
    archive.add("etc/crossover", plan.render());
    let (mut launch, _files) = prepared.boot_with(stripped("kernel")?, &archive)?;
    launch.machine = Machine {
        icount: true,
        accelerator: Accelerator::Tcg,
        ..Machine::default()
    };
    let words = [format!("init={BENCH}"), "log=warn".to_string()];
    launch.append.extend(words);
    let watch = match (watched, counting) {
        (true, Some(counting)) => {
            let symbols = |name: &str| Ok::<_, anyhow::Error>(&counting.program(name)?.symbols);
            let room = usize::try_from(plan.rows())?;
            let watch = Watch::new(symbols("kernel")?, symbols("ethdrv")?, room)?;
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
    for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        if let Some(row) = Counted::parse(&line) {
            printed.rows.push(row);
            step();
        } else if let Some(key) = Key::skipped(&line) {
            printed.skipped.push(key);
            plan.touched.iter().for_each(|_| step());
        } else {
            lines.push(line);
        }
    }
    let outcome = process.wait(Some(LIMIT))?;
    if outcome != Outcome::Halted {
        let tail = &lines[lines.len().saturating_sub(LAST)..];
        bail!(
            "it ended wrongly: {outcome}; its last lines:\n    {}",
            tail.join("\n    ")
        );
    }
    if let Some(watch) = watch {
        printed.outside = outside::compare(&printed.rows, &watch.read()?)?;
    }
    Ok(printed)
}
