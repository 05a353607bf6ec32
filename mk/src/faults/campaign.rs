//! A campaign: the simulator's processes, one a core, and what they say.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::totals::Totals;
use crate::checkout::Checkout;
use crate::process::die_with_parent;
use crate::progress::Step;

/// How long a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many seeds, each with every scenario.
    Seeds(u64),
    /// So long.
    Time(Duration),
}

/// A campaign in the simulator.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub seed: u64,
    /// How long it is.
    pub extent: Extent,
    /// Steps of each run.
    pub steps: u64,
    /// A scenario's name, or all.
    pub scenario: String,
    /// A fault that is planted, and should be found.
    pub planted: Option<String>,
}

/// Builds the simulator; answers where it is. `release`: for long campaigns. Otherwise as tests are
/// built, with the checks of arithmetic.
///
/// # Errors
/// It can't be built.
pub fn build(checkout: &Checkout, release: bool, planted: bool) -> Result<PathBuf> {
    let mut command = checkout.cargo();
    command.args(["build", "-p", "sim", "--bin", "sim"]);
    command.arg("--message-format=json-render-diagnostics");
    if release {
        command.arg("--release");
    }
    if planted {
        command.args(["--features", "planted"]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    if !output.status.success() {
        bail!("the simulator can't be built (cargo: {})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut built = messages.filter_map(|message: Value| {
        let ours = message["target"]["name"] == "sim";
        let path = message["executable"].as_str().filter(|_| ours)?;
        Some(PathBuf::from(path))
    });
    built.next_back().context("cargo built no simulator")
}

/// A process of the simulator's.
struct Worker {
    child: Child,
    reader: Option<JoinHandle<()>>,
    /// What it says of panics, and of options that it doesn't understand.
    log: File,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Campaign {
    /// Plays it with this simulator.
    ///
    /// # Errors
    /// A process can't be started, says what mk doesn't understand, or ends before it is done.
    pub fn play(&self, sim: &Path) -> Result<Totals> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let workers = match self.extent {
            Extent::Seeds(count) => cores.min(count.max(1)),
            Extent::Time(_) => cores,
        };
        let begun = Instant::now();
        let step = Step::counted(format!("faults on {workers} cores"), self.length());
        let (said, lines) = mpsc::channel();
        let mut running = Vec::new();
        for n in 0..workers {
            running.push(self.start(sim, (n, workers), &said)?);
        }
        drop(said);
        let mut totals = Totals::default();
        let whole = self.listen(&lines, begun, &step, &mut totals)?;
        for worker in running {
            finish(worker, whole, totals.failures() > 0)?;
        }
        // What came before the end was told it.
        for line in lines.try_iter() {
            totals.line(&line)?;
        }
        totals.sort();
        if let Extent::Seeds(count) = self.extent {
            let expected = count.saturating_mul(totals.scenarios.len() as u64);
            if totals.runs() != expected {
                bail!("the simulator played {} runs of {expected}", totals.runs());
            }
        }
        step.end(&format!(
            "{} runs, {} failures",
            totals.runs(),
            totals.failures()
        ));
        Ok(totals)
    }

    /// What progress is measured by: seeds, or seconds.
    fn length(&self) -> u64 {
        match self.extent {
            Extent::Seeds(count) => count,
            Extent::Time(time) => time.as_secs(),
        }
    }

    /// Starts a process that plays every n-th seed.
    fn start(&self, sim: &Path, (number, of): (u64, u64), said: &Sender<String>) -> Result<Worker> {
        let log = tempfile::tempfile().context("no room for what the simulator says")?;
        let panics = log.try_clone()?;
        let count = match self.extent {
            Extent::Seeds(count) => count.saturating_sub(number),
            Extent::Time(_) => u64::MAX,
        };
        let mut command = Command::new(sim);
        command.args(["--json", "--keep-going", "--scenario", &self.scenario]);
        for (option, value) in [
            ("--seed", self.seed.saturating_add(number)),
            ("--count", count),
            ("--every", of),
            ("--steps", self.steps),
        ] {
            command.arg(option).arg(value.to_string());
        }
        if let Some(fault) = &self.planted {
            command.arg("--planted").arg(fault);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(panics);
        die_with_parent(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} can't be run", sim.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let said = said.clone();
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
            for line in lines {
                // The last one may be a piece: its process was ended.
                let whole = String::from_utf8(line)
                    .ok()
                    .filter(|line| line.ends_with('}'));
                if whole.is_some_and(|line| said.send(line).is_err()) {
                    break;
                }
            }
        });
        Ok(Worker {
            child,
            reader: Some(reader),
            log,
        })
    }

    /// Takes in what comes. `true`: all processes have said all; `false`: the time is up.
    fn listen(
        &self,
        lines: &Receiver<String>,
        begun: Instant,
        step: &Step,
        totals: &mut Totals,
    ) -> Result<bool> {
        loop {
            let left = match self.extent {
                Extent::Seeds(_) => Duration::from_secs(1),
                Extent::Time(time) => {
                    let left = time.saturating_sub(begun.elapsed());
                    if left.is_zero() {
                        return Ok(false);
                    }
                    left.min(Duration::from_secs(1))
                }
            };
            match lines.recv_timeout(left) {
                Ok(line) => totals.line(&line)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
            let done = match self.extent {
                Extent::Seeds(_) => totals.runs() / (totals.scenarios.len() as u64).max(1),
                Extent::Time(_) => begun.elapsed().as_secs(),
            };
            step.reach(
                done,
                format!("{} runs, {} failures", totals.runs(), totals.failures()),
            );
        }
    }
}

/// Ends a process. One that has said all must have ended by itself, and as it should.
fn finish(mut worker: Worker, whole: bool, failed: bool) -> Result<()> {
    if !whole {
        let _ = worker.child.kill();
    }
    let status = worker.child.wait()?;
    if let Some(reader) = worker.reader.take() {
        let _ = reader.join();
    }
    let expected = status.success() || status.code() == Some(1) && failed;
    if whole && !expected {
        let mut bytes = Vec::new();
        worker.log.rewind()?;
        worker.log.read_to_end(&mut bytes)?;
        let log = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        bail!("the simulator ended: {status}\n{last}");
    }
    Ok(())
}
