//! The sweep in QEMU: one boot for each scenario and target, one boot a core at a time.
//!
//! The guest program `sweep` tries a point after the other, and finds out itself how many there are. What
//! it prints is read here; a boot that ends otherwise than it should failed at the point that it was at.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::sweep_row::{Pair, Row};
use crate::launch::Launch;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::progress::Step;
use crate::verbs::Prepared;

/// The guest programs.
const PROGRAMS: [&str; 2] = ["sweep", "swept"];
/// The driver, in which `try_copy` lies between two symbols.
const DRIVER: &str = "ethdrv";
const COPY: [&str; 2] = ["rt_try_copy", "rt_try_end"];
/// Memory: little, since each audit goes over all of it.
const MEMORY: u32 = 32;
/// Boots of a pair at most: where one ends early, the next goes on behind.
const BOOTS: u32 = 8;
/// How long a boot may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// A sweep.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Scenarios, separated by commas; `None` for all.
    pub scenario: Option<String>,
    /// Targets, likewise.
    pub target: Option<String>,
    /// One point alone, told at length.
    pub point: Option<u64>,
    /// A kernel that makes a mistake: where it is, and which mistake.
    pub planted: Option<(PathBuf, String)>,
    /// The first failure ends it: what comes after is not tried.
    pub until_failure: bool,
}

/// What a boot says.
enum Event {
    Line(Row),
    Ended(Row),
}

impl Sweep {
    /// Sweeps. A row for each scenario and target.
    ///
    /// # Errors
    /// Something can't be built or booted, or nothing is of these names.
    pub fn play(&self, prepared: &Prepared) -> Result<Vec<Row>> {
        let mut archive = prepared.archive(&crate::users::manifest(1)?)?;
        for name in PROGRAMS {
            archive.add_program(name, &prepared.artifacts.program(name)?.stripped)?;
        }
        let (mut launch, _files) = prepared.boot(&archive)?;
        launch.machine = Machine {
            icount: true,
            memory: MEMORY,
            ..Machine::default()
        };
        let symbols = &prepared.artifacts.program(DRIVER)?.symbols;
        let [first, end] = COPY.map(|name| address_of(symbols, name));
        let copies = format!("try={:x}:{:x}", first?, end?);
        launch.append.extend(["init=sweep".into(), copies]);
        launch.append.push("log=error".into());
        if let Some((kernel, fault)) = &self.planted {
            launch.kernel.clone_from(kernel);
            launch.append.push(format!("planted={fault}"));
        }
        let pairs = self.pairs(&launch)?;
        if let (Some(point), [pair]) = (self.point, &pairs[..]) {
            return Ok(vec![self.tell(prepared, &launch, pair, point)?]);
        }
        self.play_all(&launch, pairs)
    }

    /// What there is to sweep, as the guest says.
    fn pairs(&self, launch: &Launch) -> Result<Vec<Pair>> {
        let mut words = Vec::new();
        for (word, names) in [("scenario", &self.scenario), ("target", &self.target)] {
            if let Some(names) = names {
                words.push(format!("{word}={names}"));
            }
        }
        let pairs = list(launch, words)?;
        if pairs.is_empty() {
            let all = list(launch, Vec::new())?;
            let all = all.chunk_by(|one, next| one.scenario == next.scenario);
            let all = all.map(|pairs| {
                let targets = pairs.iter().map(|pair| pair.target.as_str());
                let targets: Vec<_> = targets.collect();
                format!("  {} ({})", pairs[0].scenario, targets.join(", "))
            });
            let all: Vec<_> = all.collect();
            bail!(
                "no scenario and target of these names; there are\n{}",
                all.join("\n")
            );
        }
        Ok(pairs)
    }

    fn play_all(&self, launch: &Launch, pairs: Vec<Pair>) -> Result<Vec<Row>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let order = pairs.clone();
        let step = Step::counted(format!("sweep on {cores} cores"), pairs.len() as u64);
        let queue = Queue {
            pairs: Mutex::new(VecDeque::from(pairs)),
            until_failure: self.until_failure,
        };
        let (said, events) = mpsc::channel();
        let mut rows = Vec::new();
        std::thread::scope(|scope| -> Result<()> {
            let mut workers = Vec::new();
            for _ in 0..cores {
                let said = said.clone();
                workers.push(scope.spawn(|| work(&queue, launch, said)));
            }
            drop(said);
            for event in events {
                match event {
                    Event::Line(row) => step.reach(rows.len() as u64, row.progress()),
                    Event::Ended(row) => {
                        rows.push(row);
                        step.reach(rows.len() as u64, "");
                    }
                }
            }
            for worker in workers {
                let ended = worker.join();
                ended.map_err(|_| anyhow::anyhow!("a worker of the sweep panicked"))??;
            }
            Ok(())
        })?;
        rows.sort_by_key(|row: &Row| order.iter().position(|pair| *pair == row.pair));
        let points: u64 = rows.iter().map(|row| row.points).sum();
        step.end(&format!("{points} points"));
        Ok(rows)
    }

    /// Plays one point, and shows what the guest says of it.
    fn tell(&self, prepared: &Prepared, launch: &Launch, pair: &Pair, point: u64) -> Result<Row> {
        let mut symbols = prepared.symbols();
        let mut row = Row::new(pair.clone());
        let mut launch = of(launch, pair);
        launch.append.push(format!("point={point}"));
        let outcome = boot(&launch, |line| {
            let names = symbols.annotate(line);
            println!(
                "{line}{}",
                names.map_or(String::new(), |it| format!(" {it}"))
            );
            row.take(line);
        })?;
        row.end(&outcome);
        Ok(row)
    }
}

/// The boot that sweeps one scenario with one target.
fn of(launch: &Launch, pair: &Pair) -> Launch {
    let mut launch = launch.clone();
    launch.append.push(format!("scenario={}", pair.scenario));
    launch.append.push(format!("target={}", pair.target));
    launch
}

/// What is still to be swept.
struct Queue {
    pairs: Mutex<VecDeque<Pair>>,
    until_failure: bool,
}

impl Queue {
    fn next(&self) -> Option<Pair> {
        self.pairs
            .lock()
            .map_or(None, |mut pairs| pairs.pop_front())
    }

    /// Something failed: nothing more is tried, if that was all that was to be known.
    fn failed(&self) {
        if self.until_failure
            && let Ok(mut pairs) = self.pairs.lock()
        {
            pairs.clear();
        }
    }
}

/// Takes one after the other, until none is left.
fn work(queue: &Queue, launch: &Launch, said: Sender<Event>) -> Result<()> {
    while let Some(pair) = queue.next() {
        let mut row = Row::new(pair);
        for _ in 0..BOOTS {
            let (mut launch, before) = (of(launch, &row.pair), row.at);
            launch.append.push(format!("part={before}/1"));
            if queue.until_failure {
                launch.append.push("until=failure".into());
            }
            row.begin();
            let outcome = boot(&launch, |line| {
                row.take(line);
                if row.at.is_multiple_of(16) {
                    // Whoever listened is gone only when everything ends.
                    let _ = said.send(Event::Line(row.clone()));
                }
            })?;
            if row.end(&outcome) || queue.until_failure || row.at == before {
                break;
            }
        }
        if row.failures > 0 {
            queue.failed();
        }
        let _ = said.send(Event::Ended(row));
    }
    Ok(())
}

/// Boots, and hands over each line of the console.
fn boot(launch: &Launch, mut line: impl FnMut(&str) + Send) -> Result<Outcome> {
    let mut process = Process::start(launch)?;
    let console = process.take_stdout().context("standard output is piped")?;
    process.resume();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
            for bytes in lines {
                line(String::from_utf8_lossy(&bytes).trim_end());
            }
        });
        let outcome = process.wait(Some(LIMIT));
        if reader.join().is_err() {
            bail!("reading the console panicked");
        }
        outcome
    })
}

/// The address of a symbol of a program's.
fn address_of(program: &Path, symbol: &str) -> Result<u64> {
    let output = Command::new("nm")
        .arg(program)
        .output()
        .context("nm can't be run (it comes with gcc, in binutils)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let (address, _, name) = (words.next()?, words.next()?, words.next()?);
            (name == symbol).then(|| u64::from_str_radix(address, 16).ok())?
        })
        .with_context(|| format!("{} has no symbol {symbol}", program.display()))
}

/// The pairs that the guest has, of what these words leave.
fn list(launch: &Launch, words: Vec<String>) -> Result<Vec<Pair>> {
    let mut launch = launch.clone();
    launch.append.push("list=1".into());
    launch.append.extend(words);
    let mut pairs = Vec::new();
    let outcome = boot(&launch, |line| pairs.extend(Pair::listed(line)))?;
    if outcome != Outcome::Halted {
        bail!("the sweep can't be listed: {outcome}");
    }
    Ok(pairs)
}
