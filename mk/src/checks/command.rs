//! Runs a command of a check: its output goes to a log, line by line past a watcher.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::checkout::Checkout;

/// What is left of a command that was run.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
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
        let mut lines = Vec::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_string();
            writeln!(file, "{line}")?;
            watch(&line);
            lines.push(line);
        }
        Ok(Run {
            status: child.wait()?,
            lines,
            log,
        })
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> String {
        self.lines[self.lines.len().saturating_sub(count)..].join("\n")
    }
}
