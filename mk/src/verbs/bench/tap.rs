//! How long things take over a tap: the whole system on virtio-net, this host's Linux as the peer.
//!
//! The figures are **time under emulation**: they hold what QEMU, the host's Linux, the client and the
//! scheduler take, and say nothing about hardware. They are for comparing with another guest in the
//! same place. Nothing is gated.
//!
//! Tap and guest get a network namespace of their own, so that no address on this host is in the way;
//! and QEMU and the client share one CPU, because a wake-up across CPUs takes longer than an echo.

use std::io::Read;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::show;
use crate::cli::BenchOptions;
use crate::figures::Figure;
use crate::machine::Machine;
use crate::network::{Network, Tap};
use crate::process::Process;
use crate::progress::Step;
use crate::setup;
use crate::sockets::{Guest, Ports};
use crate::users;
use crate::verbs::Prepared;

/// Rounds that a median is taken of.
const ROUNDS: usize = 7;

/// How long a round of one figure takes.
const ROUND: Duration = Duration::from_millis(700);

/// Longest that the system may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tap's name, in a namespace of its own.
const TAP: &str = "usufruct0";

pub(super) fn bench(options: &BenchOptions) -> Result<ExitCode> {
    if !options.in_namespace {
        // Built before, so that the namespace is for what is measured only.
        Prepared::new()?;
        return enter();
    }
    let prepared = Prepared::new()?;
    let figures = measure(&prepared, options)?;
    println!(
        "mk: medians of {ROUNDS} rounds over a tap, QEMU and client on one CPU. They are time under \
         emulation: they say nothing about hardware, and nothing is gated"
    );
    show(&figures);
    Ok(ExitCode::SUCCESS)
}

/// Does the same again, in a network namespace and on one CPU.
fn enter() -> Result<ExitCode> {
    for program in ["unshare", "taskset"] {
        if setup::find(program).is_none() {
            bail!("bench --tap needs the program {program} (Debian: apt-get install util-linux)");
        }
    }
    let cpu = first_cpu(&std::fs::read_to_string("/proc/self/status")?)
        .context("/proc/self/status doesn't say on which CPUs this may run")?;
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        // Whoever may make users of his own is root among them.
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", "taskset", "--cpu-list", &cpu]);
    command.arg(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    let status = command
        .arg("--in-namespace")
        .status()
        .context("unshare can't be run")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The first CPU of the list in a process's status.
fn first_cpu(status: &str) -> Option<String> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let digits = list.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    (!digits.is_empty()).then(|| digits.to_string())
}

fn measure(prepared: &Prepared, options: &BenchOptions) -> Result<Vec<Figure>> {
    let manifest = users::manifest(2)?;
    let user = manifest.user.first().context("there is a user")?;
    let manifest::Ipv4Setting::Static(address) = user.ipv4 else {
        bail!("{} has no fixed address", user.name);
    };
    let guest = Guest {
        address: address.address,
        ports: Ports::default(),
    };
    let tap = Tap::prepare(TAP)?;
    let archive = prepared.archive(&manifest)?;
    let (mut launch, _files) = prepared.boot(&archive)?;
    launch.machine = Machine {
        icount: false,
        ..options.machine.machine()
    };
    launch.network = Network::Tap(TAP.into());
    launch.append.push("log=warn".into());
    if options.machine.verbose {
        println!("{}", launch.shown()?);
    }

    let step = Step::start("bench: time over a tap");
    let mut process = Process::start(&launch)?;
    // Kept, so that the console doesn't see its end.
    let _input = process.take_stdin();
    let mut console = process.take_stdout().context("standard output is piped")?;
    let drain = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = console.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let up = match process.ended()? {
        None => tap.bring_up(launch.machine.mtu),
        Some(_) => Ok(()),
    };
    process.resume();
    let measured = up
        .and_then(|()| guest.wait_up(PATIENCE, || Ok(process.ended()?.is_none())))
        .and_then(|()| take(&guest, &step));
    let ended = process.ended()?;
    process.kill();
    let console = drain.join().unwrap_or_default();
    let figures = measured.with_context(|| {
        let ended = ended.map_or(String::new(), |outcome| format!("; QEMU: {outcome}"));
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n    ");
        format!("over a tap{ended}; the console's last lines:\n    {tail}\n")
    })?;
    step.done();
    Ok(figures)
}

/// What is measured, in what, and how. All take turns, so that a busy moment hits each alike.
type Measurement = (&'static str, &'static str, fn(&Guest) -> Result<f64>);

const MEASUREMENTS: [Measurement; 6] = [
    ("tap.echo.udp64.1", "echoes/s", |guest| {
        guest.echoes(64, 1, ROUND)
    }),
    ("tap.echo.udp64.32", "echoes/s", |guest| {
        guest.echoes(64, 32, ROUND)
    }),
    ("tap.echo.udp1472.1", "echoes/s", |guest| {
        guest.echoes(1472, 1, ROUND)
    }),
    ("tap.echo.udp1472.32", "echoes/s", |guest| {
        guest.echoes(1472, 32, ROUND)
    }),
    ("tap.tcp.to-guest", "Mbit/s", |guest| guest.send(ROUND)),
    ("tap.tcp.from-guest", "Mbit/s", |guest| guest.fetch(ROUND)),
];

fn take(guest: &Guest, step: &Step) -> Result<Vec<Figure>> {
    let mut rounds = MEASUREMENTS.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..=ROUNDS {
        step.say(format!("round {round} of {ROUNDS}"));
        for ((name, _, measure), values) in MEASUREMENTS.iter().zip(&mut rounds) {
            let value = measure(guest).context(*name)?;
            // The first is a warm-up: translation, ARP, the stack's buffers.
            if round > 0 {
                values.push(value);
            }
        }
    }
    let figures = MEASUREMENTS.iter().zip(rounds);
    Ok(figures
        .map(|((name, unit, _), values)| Figure {
            name: (*name).into(),
            value: median(values).round(),
            unit: (*unit).into(),
            gated: false,
        })
        .collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cpu_is_read_from_any_list() {
        let status = |list: &str| format!("Name:\tmk\nCpus_allowed_list:\t{list}\nMems:\t1\n");
        assert_eq!(first_cpu(&status("0-1")), Some("0".into()));
        assert_eq!(first_cpu(&status("3,5-7")), Some("3".into()));
        assert_eq!(first_cpu(&status("12")), Some("12".into()));
        assert_eq!(first_cpu("Name:\tmk\n"), None);
        assert_eq!(first_cpu(&status("")), None);
    }

    #[test]
    fn an_odd_round_does_not_move_the_median() {
        assert_eq!(median(vec![5.0, 1e9, 4.0]), 5.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
