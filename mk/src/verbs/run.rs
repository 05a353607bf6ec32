//! `run` and `pcap`: the system on the user's terminal.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, ExitCode};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::announce;
use super::prepare::{OwnFiles, Prepared, manifest};
use crate::cli::RunOptions;
use crate::forwards::Forwards;
use crate::launch::{Console, Launch};
use crate::network::{Choice, Network, Tap};
use crate::outcome::Outcome;
use crate::process::Process;
use crate::symbols::Symbols;
use crate::terminal::{Keyboard, Raw};

/// A boot that is ready to go, and what must live as long as it.
pub(super) struct Ready {
    pub prepared: Prepared,
    pub launch: Launch,
    tap: Option<Tap>,
    _files: OwnFiles,
    _sockets: Option<TempDir>,
}

impl Ready {
    /// Brings up what only exists once QEMU runs, and lets the guest go.
    pub fn go(&self, process: &mut Process) -> Result<()> {
        if let Some(tap) = &self.tap
            && process.ended()?.is_none()
        {
            tap.bring_up(self.launch.machine.mtu)?;
        }
        process.resume();
        Ok(())
    }
}

/// Everything up to the boot, and what the user should know before it.
pub(super) fn ready(options: &RunOptions, console: Console) -> Result<Ready> {
    let manifest = manifest(&options.users)?;
    let mut tap = None;
    let mut sockets = None;
    // Before the long part, so that a mistake shows at once.
    let network = match &options.net {
        Choice::User => {
            let forwards = Forwards::of(&manifest, options.port_offset)?;
            forwards.check_free()?;
            Network::User(forwards)
        }
        Choice::Tap(name) => {
            tap = Some(Tap::prepare(name)?);
            Network::Tap(name.clone())
        }
        Choice::Dgram(Some(folder)) => Network::wire_in(folder)?,
        Choice::Dgram(None) => {
            let made = tempfile::Builder::new()
                .prefix("usufruct-wire-")
                .tempdir()?;
            Network::wire(sockets.insert(made).path())
        }
    };
    if let Some(file) = &options.pcap {
        check_writable(file)?;
    }
    options
        .machine
        .machine()
        .arguments(crate::checkout::Checkout::open()?.root())?;

    let prepared = Prepared::new()?;
    let mut archive = prepared.archive(&manifest)?;
    for name in named_programs(&options.append) {
        archive.add_program(name, &prepared.artifacts.program(name)?.stripped)?;
    }
    let (mut launch, files) = prepared.boot(&archive)?;
    launch.machine = options.machine.machine();
    launch.console = console;
    launch.append.push(format!("log={}", manifest.system.log));
    launch.append.extend(options.append.iter().cloned());
    launch.extra = options.qemu.clone();
    launch.pcap = options.pcap.clone();

    if let Network::User(forwards) = &network {
        launch.append.push(forwards.word());
    }
    let told = announce::network(&network, tap.as_ref(), &options.append);
    print!("{told}");
    launch.network = network;
    if options.machine.verbose {
        println!("{}", launch.shown()?);
    }
    Ok(Ready {
        prepared,
        launch,
        tap,
        _files: files,
        _sockets: sockets,
    })
}

/// The programs that words of the command line ask for: the archive must hold them, also those that
/// are only for tests.
fn named_programs(words: &[String]) -> impl Iterator<Item = &str> {
    words.iter().filter_map(|word| {
        let program = word.strip_prefix("program=bin/");
        program.or_else(|| word.strip_prefix("init="))
    })
}

/// Whether a recording can be written: QEMU would find out only after the build.
///
/// # Errors
/// It can't.
fn check_writable(file: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // An older recording stays as it is until QEMU starts.
    let opened = options.append(true).create(true).open(file);
    opened
        .map(drop)
        .with_context(|| format!("--pcap: can't write {}", file.display()))
}

/// Boots, again after each reset, until the guest or the user ends it.
pub(super) fn run(options: &RunOptions) -> Result<ExitCode> {
    let ready = ready(options, Console::Terminal)?;
    println!("Ctrl-A x ends QEMU, Ctrl-A c switches to its monitor and back.\n");
    std::io::stdout().flush()?;
    // Of all boots together: a guest that resets itself for ever must come to an end too.
    let limit = options.timeout.map(Duration::from_secs);
    let start = Instant::now();
    let keyboard = Keyboard::open();
    let raw = Raw::enter()?;
    let outcome = loop {
        let mut process = Process::start(&ready.launch)?;
        keyboard.connect(process.take_stdin());
        let stdout = process.take_stdout().context("standard output is piped")?;
        let shown = show(stdout, ready.prepared.symbols());
        ready.go(&mut process)?;
        let left = limit.map(|limit| limit.saturating_sub(start.elapsed()));
        let mut outcome = process.wait(left)?;
        if let (Outcome::TimedOut { after }, Some(limit)) = (&mut outcome, limit) {
            *after = limit;
        }
        let _ = shown.join();
        if outcome != Outcome::Reset {
            break outcome;
        }
        println!("\nmk: the guest asked for a restart");
    };
    drop(raw);
    let ran = !matches!(outcome, Outcome::NotStarted { .. });
    if let Some(file) = options.pcap.as_ref().filter(|_| ran) {
        println!("\nmk: recorded in {}", file.display());
    }
    println!("\nmk: {outcome}");
    Ok(if outcome.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Copies the console to standard output, with names for the addresses in backtraces.
fn show(mut console: ChildStdout, symbols: Symbols) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut filter = symbols.filter(std::io::stdout());
        let mut bytes = [0; 4096];
        loop {
            match console.read(&mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let written = filter
                        .write_all(&bytes[..count])
                        .and_then(|()| filter.flush());
                    if written.is_err() {
                        return;
                    }
                }
            }
        }
    })
}

/// `run`, with a recording in any case.
pub(super) fn pcap(mut options: RunOptions) -> Result<ExitCode> {
    let file = options
        .pcap
        .get_or_insert_with(|| PathBuf::from("usufruct.pcap"));
    println!(
        "Recording to {} (read it with tcpdump -r or wireshark).",
        file.display()
    );
    run(&options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_cannot_be_written_is_refused_and_an_old_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.pcap");
        check_writable(&file).unwrap();
        std::fs::write(&file, "old").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        let error = check_writable(&folder.path().join("nope/x.pcap")).unwrap_err();
        assert!(error.to_string().contains("nope/x.pcap"), "{error}");
    }
}
