//! Runs a command of a check: its output goes to a log, line by line past a watcher. When its time is
//! up, it and all that it started is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::checkout::Checkout;

/// What is left of a command that was run.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// Its time was up before it ended.
    pub timed_out: bool,
    /// All it wrote, to either stream, in order.
    pub lines: Vec<String>,
    /// The file that holds the same.
    pub log: PathBuf,
}

impl Run {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// It can't be started, or the log can't be written.
    pub fn new(
        checkout: &Checkout,
        name: &str,
        mut command: Command,
        limit: Duration,
        mut watch: impl FnMut(&str),
    ) -> Result<Run> {
        let folder = checkout.output()?.join("logs");
        std::fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{name}.log"));
        let mut file = std::fs::File::create(&log)
            .with_context(|| format!("can't write {}", log.display()))?;
        let (reader, writer) = std::io::pipe()?;
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command
            .spawn()
            .with_context(|| format!("{program} can't be run"))?;
        // The command holds the pipe's writing ends; without this the pipe would never end.
        drop(command);
        let (ended, watchdog) = mpsc::channel::<()>();
        let pid = Pid::from_child(&child);
        let watchdog = std::thread::spawn(move || {
            let timed_out = watchdog.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if timed_out {
                kill_tree(pid);
            }
            timed_out
        });
        let mut lines = Vec::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_string();
            writeln!(file, "{line}")?;
            watch(&line);
            lines.push(line);
        }
        let status = child.wait()?;
        drop(ended);
        let timed_out = watchdog.join().unwrap_or(false);
        if timed_out {
            let words = format!("mk: ended after {} s: its time was up", limit.as_secs());
            writeln!(file, "{words}")?;
            lines.push(words);
        }
        Ok(Run {
            status,
            timed_out,
            lines,
            log,
        })
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> String {
        self.lines[self.lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Kills a process and everything that descends from it. (A process group of its own would be
/// simpler, but would take Ctrl-C from it.)
fn kill_tree(root: Pid) {
    // Stopped first, so that none starts another while its children are listed; a dead process has
    // none.
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next).copied() {
        let _ = kill_process(pid, Signal::STOP);
        tree.extend(children(pid));
        next += 1;
    }
    for pid in tree {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", parent.as_raw_nonzero());
    let Ok(tasks) = std::fs::read_dir(tasks) else {
        return Vec::new();
    };
    let lists = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list
                .split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            pids.collect::<Vec<Pid>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn run(script: &str, limit: Duration) -> Run {
        let checkout = Checkout::open().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Run::new(
            &checkout,
            &format!("own-test-{}", limit.as_millis()),
            command,
            limit,
            |_| {},
        )
        .unwrap()
    }

    #[test]
    fn both_streams_are_read_in_order() {
        let run = run(
            "echo one; echo two >&2; echo three; exit 3",
            Duration::from_secs(20),
        );
        assert_eq!(run.lines, ["one", "two", "three"]);
        assert_eq!((run.status.code(), run.timed_out), (Some(3), false));
        assert_eq!(run.tail(2), "two\nthree");
    }

    #[test]
    fn a_command_whose_time_is_up_is_killed_with_its_descendants() {
        let start = Instant::now();
        // The grandchild holds the pipe: reading would go on for as long as it lives.
        let run = run(
            "echo up; sh -c 'sleep 60; true'; true",
            Duration::from_millis(300),
        );
        assert!(run.timed_out && !run.status.success());
        assert_eq!(run.lines[0], "up");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
    }
}
