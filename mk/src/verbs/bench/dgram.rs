//! What an echo costs over a real network back-end: the whole system on virtio-net with
//! `-netdev dgram`, a host program as the wire, and a plugin that counts from outside.
//!
//! A figure holds *everything* that the machine executes from the first echo of a round until it
//! is idle again: interrupt entries, driver, stack, kernel, the other user and the timers that
//! happen to run, divided by the echoes. How many datagrams come together depends on the host's
//! scheduling, so it differs from run to run: medians, reported and not gated.

use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::figures::Figure;
use crate::frames::Ends;
use crate::load::EchoLoad;
use crate::machine::{Accelerator, Machine};
use crate::network::Network;
use crate::plugin::{self, Counters, Executed};
use crate::process::Process;
use crate::progress::Step;
use crate::users;
use crate::verbs::Prepared;

/// Rounds that a median is taken of.
pub const ROUNDS: usize = 9;

/// Echoes in a round.
const ECHOES: u32 = 2048;

/// Payload of a datagram: 64 bytes, as in the figures of the in-guest wire.
const DATA: [u8; 64] = [0x75; 64];

/// The host's MAC address.
const HOST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// Longest that the system may take to come up, and longest for a round.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures so many rounds on a machine like this; the figures are ungated.
///
/// # Errors
/// The plugin can't be built or loaded or counts nothing, the system doesn't come up, or echoes
/// are lost.
pub fn measure(
    prepared: &Prepared,
    machine: &Machine,
    verbose: bool,
    rounds: usize,
) -> Result<Vec<Figure>> {
    let plugin = plugin::build(&prepared.checkout)?;
    let manifest = users::manifest(2)?;
    let ends = ends(&manifest)?;
    let wire = tempfile::Builder::new()
        .prefix("usufruct-wire-")
        .tempdir()?;
    let network = Network::wire(wire.path());
    let load = EchoLoad::open(&network, ends, &DATA)?;
    let counters = Counters::new()?;

    let archive = prepared.archive(&manifest)?;
    let (mut launch, _files) = prepared.boot(&archive)?;
    // The plugin counts what TCG translates, on one CPU.
    launch.machine = Machine {
        cpus: 1,
        accelerator: Accelerator::Tcg,
        icount: false,
        ..machine.clone()
    };
    launch.network = network;
    launch.append.push("log=warn".into());
    launch.extra.extend(counters.arguments(&plugin)?);
    if verbose {
        println!("{}", launch.shown()?);
    }

    let step = Step::start("bench: echoes over dgram");
    let mut process = Process::start(&launch)?;
    // Kept, so that the console doesn't see its end.
    let _input = process.take_stdin();
    let console = process.take_stdout().context("standard output is piped")?;
    let drain = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut console = console;
        let _ = console.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    process.resume();
    let measured = load
        .wait_up(PATIENCE, || Ok(process.ended()?.is_none()))
        .and_then(|()| take(&load, &counters, rounds, &step));
    let ended = process.ended()?;
    process.kill();
    let console = drain.join().unwrap_or_default();
    let figures = measured.with_context(|| {
        let ended = ended.map_or(String::new(), |outcome| format!("; QEMU: {outcome}"));
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n    ");
        format!("echoes over dgram{ended}; the console's last lines:\n    {tail}\n")
    })?;
    step.done();
    Ok(figures)
}

/// From the host to the first user.
fn ends(manifest: &manifest::Manifest) -> Result<Ends<std::net::Ipv4Addr>> {
    let user = manifest.user.first().context("there is a user")?;
    let manifest::Ipv4Setting::Static(address) = user.ipv4 else {
        bail!("{} has no fixed address", user.name);
    };
    Ok(Ends {
        from: HOST,
        from_ip: users::GATEWAY,
        to: user.mac.bytes(),
        to_ip: address.address,
    })
}

fn take(load: &EchoLoad, counters: &Counters, count: usize, step: &Step) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for outstanding in [1, 32] {
        // A warm-up: translation, ARP, the stack's first buffers.
        load.run(ECHOES / 4, outstanding, PATIENCE)?;
        let mut rounds = Vec::with_capacity(count);
        for round in 1..=count {
            step.say(format!("{outstanding} outstanding, round {round}"));
            let before = settled(counters)?;
            load.run(ECHOES, outstanding, PATIENCE)?;
            let executed = settled(counters)? - before;
            // A CR3 that is never loaded would be one that the plugin doesn't recognise.
            ensure!(
                executed.user > 0 && executed.kernel > 0 && executed.spaces > 0,
                "the plugin did not count: {executed:?}"
            );
            rounds.push(executed);
        }
        figures.extend(medians(&rounds, outstanding));
    }
    Ok(figures)
}

/// Reads the counters when the guest is idle, or nearly: the last answer leaves before the guest
/// has cleaned up after it.
fn settled(counters: &Counters) -> Result<Executed> {
    let deadline = Instant::now() + Duration::from_millis(200);
    let mut last = counters.read()?;
    loop {
        std::thread::sleep(Duration::from_millis(3));
        let now = counters.read()?;
        if now == last || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}

/// The figures of some rounds.
fn medians(rounds: &[Executed], outstanding: u32) -> [Figure; 4] {
    let figure = |name: String, unit: &str, value: fn(&Executed) -> u64| {
        let mut values: Vec<u64> = rounds.iter().map(value).collect();
        values.sort_unstable();
        let median = values.get(values.len() / 2).copied().unwrap_or(0);
        let each = median as f64 / f64::from(ECHOES);
        Figure {
            name,
            value: (each * 100.0).round() / 100.0,
            unit: unit.into(),
            gated: false,
        }
    };
    let name = |what: &str| format!("dgram.{what}.{outstanding}");
    [
        figure(name("echo.udp64"), "instructions", Executed::instructions),
        figure(name("kernel.udp64"), "instructions", |round| round.kernel),
        figure(name("user.udp64"), "instructions", |round| round.user),
        figure(name("switches.udp64"), "switches", |round| round.spaces),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_round_does_not_move_the_median_and_nothing_is_gated() {
        let round = |echo: u64| Executed {
            user: echo * u64::from(ECHOES),
            kernel: 1000 * u64::from(ECHOES),
            spaces: u64::from(ECHOES) / 2,
        };
        let figures = medians(&[round(3000), round(900_000), round(2000)], 32);
        let told: Vec<(&str, f64)> = figures
            .iter()
            .map(|figure| (&figure.name[..], figure.value))
            .collect();
        assert_eq!(
            told,
            [
                ("dgram.echo.udp64.32", 4000.0),
                ("dgram.kernel.udp64.32", 1000.0),
                ("dgram.user.udp64.32", 3000.0),
                ("dgram.switches.udp64.32", 0.5),
            ]
        );
        assert!(figures.iter().all(|figure| !figure.gated));
    }

    #[test]
    fn the_echoes_go_to_the_first_user() {
        let ends = ends(&users::manifest(2).unwrap()).unwrap();
        assert_eq!(ends.to_ip.to_string(), "10.0.2.21");
        assert_eq!(ends.from_ip, users::GATEWAY);
    }
}
