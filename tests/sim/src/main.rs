//! Campaigns of the simulator: many seeds, one after the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use sim::plant::Plant;
use sim::record;
use sim::scenario::{Report, Scenario};
use sim::shrink::shrink;
use sim::world::Settings;

#[global_allocator]
static HEAP: sim::heap::Counting = sim::heap::Counting;

/// Plays scenarios with kernel, servers and clients, interleaved by a seed, and checks what must hold
/// after each step.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// What to play: storage, ethernet, invocations, accounting or all.
    #[arg(long, default_value = "all")]
    scenario: String,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Audit the whole kernel once in so many steps.
    #[arg(long)]
    audit_every: Option<u32>,
    /// Plant a fault, which should be found. Those of the kernel's need the feature `planted`.
    #[arg(long)]
    planted: Option<String>,
    /// Only list the faults that can be planted: in each line one, and whose mistake it is.
    #[arg(long)]
    list_planted: bool,
    /// Print everything that happens.
    #[arg(long)]
    trace: bool,
    /// Parties that stay away, by name.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Don't look for a shorter run that fails in the same way.
    #[arg(long)]
    no_shrink: bool,
    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// From one seed to the next: for several processes side by side.
    #[arg(long, default_value_t = 1, requires = "json", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Print a line of JSON for each run instead; shrink nothing.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // A program that panics is a finding like others.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    if options.list_planted {
        for plant in Plant::all() {
            println!("{} {}", plant.name(), plant.whose());
        }
        return ExitCode::SUCCESS;
    }
    let scenarios: Vec<Scenario> = Scenario::ALL
        .into_iter()
        .filter(|scenario| options.scenario == "all" || options.scenario == scenario.name())
        .collect();
    if scenarios.is_empty() {
        let names = Scenario::ALL.map(Scenario::name).join(", ");
        eprintln!(
            "no scenario '{}': there are {names}, and all",
            options.scenario
        );
        return ExitCode::from(2);
    }
    let plant = match options
        .planted
        .as_deref()
        .map(|name| (name, Plant::named(name)))
    {
        Some((name, None)) => {
            let names: Vec<&str> = Plant::all().into_iter().map(Plant::name).collect();
            eprintln!("no fault '{name}': there are {}", names.join(", "));
            return ExitCode::from(2);
        }
        planted => planted.and_then(|planted| planted.1),
    };
    let mut parts = Vec::new();
    for scenario in scenarios {
        match away(scenario, &options.without) {
            Ok(without) => parts.push((scenario, without)),
            Err(name) => {
                let names = scenario.parties().join(", ");
                eprintln!(
                    "no party '{name}' in {}: there are {names}",
                    scenario.name()
                );
                return ExitCode::from(2);
            }
        }
    }
    let failures = if options.json {
        record_all(&parts, plant, &options)
    } else {
        print_all(&parts, plant, &options)
    };
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Plays the scenarios one after the other, for who reads; answers how many runs failed.
fn print_all(parts: &[(Scenario, u32)], plant: Option<Plant>, options: &Options) -> u64 {
    let mut failures = 0;
    for (scenario, without) in parts {
        failures += campaign(*scenario, *without, plant, options);
        if failures != 0 && !options.keep_going {
            break;
        }
    }
    failures
}

/// Plays the seeds one after the other, each with all scenarios, for a program that reads; answers how
/// many runs failed. Whoever read may go: then it ends.
fn record_all(parts: &[(Scenario, u32)], plant: Option<Plant>, options: &Options) -> u64 {
    let mut output = std::io::stdout().lock();
    let mut failures = 0;
    for (scenario, _) in parts {
        if writeln!(output, "{}", record::heading(*scenario)).is_err() {
            return failures;
        }
    }
    let end = options.seed.saturating_add(options.count);
    let mut seed = options.seed;
    while seed < end {
        for (scenario, without) in parts {
            let report = scenario.play(settings(seed, *without, plant, options));
            let line = writeln!(output, "{}", record::run(&report));
            if line.and_then(|()| output.flush()).is_err() {
                return failures;
            }
            failures += u64::from(report.failure.is_some());
            if failures != 0 && !options.keep_going {
                return failures;
            }
        }
        seed = seed.saturating_add(options.every);
    }
    failures
}

/// How the run with a seed is played.
fn settings(seed: u64, without: u32, plant: Option<Plant>, options: &Options) -> Settings {
    let chosen = Settings::from_seed(seed);
    Settings {
        steps: options.steps,
        live: options.trace,
        without,
        plant,
        audit_every: options.audit_every.unwrap_or(chosen.audit_every),
        ..chosen
    }
}

/// Prints the shortest run that fails like this one.
fn print_shortest(report: &Report) {
    let shortest = shrink(report);
    if shortest.settings != report.settings {
        println!("\nthe shortest that fails like it:\n{shortest}");
    }
}

/// The parties with these names, a bit each; or the name that is none.
fn away(scenario: Scenario, names: &[String]) -> Result<u32, &str> {
    names.iter().try_fold(0, |all, name| {
        let known = scenario.parties().iter().position(|party| party == name);
        known.map(|n| all | 1 << n).ok_or(name.as_str())
    })
}

/// Seconds that this thread has had a core, where the system tells (Linux, proc(5)).
fn cpu_seconds() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = told.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// Plays one scenario with all seeds; answers how many runs failed.
fn campaign(scenario: Scenario, without: u32, plant: Option<Plant>, options: &Options) -> u64 {
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let (mut runs, mut steps, mut failures, mut over) = (0, 0, 0, 0);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in options.seed..options.seed.saturating_add(options.count) {
        let report = scenario.play(settings(seed, without, plant, options));
        runs += 1;
        steps += report.steps;
        over += u64::from(report.over);
        for (what, count) in &report.counts {
            *counts.entry(what).or_default() += count;
        }
        if report.failure.is_some() {
            println!("{report}");
            if !options.no_shrink && !options.trace {
                print_shortest(&report);
            }
            failures += 1;
            if !options.keep_going {
                break;
            }
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let seconds = match (cpu, cpu_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => elapsed,
    };
    println!(
        "{}: {runs} runs, {over} played to their end, {steps} steps, {failures} failures; \
         {elapsed:.1} s, of which {seconds:.1} s on a core: {:.0} steps a second of that",
        scenario.name(),
        steps as f64 / seconds.max(1e-9),
    );
    for (what, count) in counts {
        println!("{count:>12} {what}");
    }
    failures
}
