//! The command line: verbs and options, and errors that list what there is.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::machine::{Accelerator, Machine, memory_size, mtu};
use crate::network::Choice;

mod values;

/// Usufruct's host tool: builds, runs, tests and measures the system.
#[derive(Debug, Parser)]
#[command(
    name = "cargo mk",
    bin_name = "cargo mk",
    disable_help_subcommand = true
)]
#[command(after_help = "make VERB ARGS=\"OPTIONS\" does the same as cargo mk VERB OPTIONS.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What mk does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Install what is missing: QEMU, the bare-metal Rust target.
    Setup,
    /// Build kernel, programs and boot archive; print where they are.
    Build(BuildOptions),
    /// Boot the system in QEMU, its console on this terminal. Ctrl-A x leaves.
    Run(RunOptions),
    /// Run all checks and tests; the last line counts them.
    Test(TestOptions),
    /// Inject faults: take memory back at every instant, and check what must hold.
    Faults(FaultOptions),
    /// Measure; compare with the reviewed figures in tests/bench/figures.txt.
    Bench(BenchOptions),
    /// Copy or flip? From which frame size on, on which CPU: a table, and a page to look at.
    Crossover(CrossoverOptions),
    /// Boot frozen, and debug with gdb.
    Gdb(GdbOptions),
    /// Run, and record what the network card sends and receives.
    Pcap(RunOptions),
    /// Build the documentation of all crates.
    Doc(DocOptions),
    /// Remove everything that was built.
    Clean,
    /// Append names to the addresses in backtraces on standard input.
    Symbolize,
    /// Show this, or the options of a verb.
    Help {
        /// The verb.
        verb: Option<String>,
    },
}

/// The machine to boot on.
#[derive(Args, Clone, Debug)]
pub struct MachineOptions {
    /// CPUs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::cpus)]
    pub smp: u32,
    /// Memory: 128M, 1G.
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = memory_size)]
    pub memory: u32,
    /// What executes the guest: auto, tcg or kvm. auto is kvm where the CPU can virtualise.
    #[arg(long, value_name = "HOW", default_value_t = Accelerator::Auto)]
    pub accel: Accelerator,
    /// Count instructions: the guest's clock advances by a nanosecond with each, and idle time is
    /// skipped, so that it runs ahead of the host's (slow; implies tcg).
    #[arg(long)]
    pub icount: bool,
    /// Let the network card tell this MTU: 68 to 9000. Without it none is told, and 1500 is assumed.
    #[arg(long, value_name = "N", value_parser = mtu)]
    pub mtu: Option<u16>,
    /// Print the QEMU command line.
    #[arg(short, long)]
    pub verbose: bool,
}

impl Verb {
    /// The machine, for verbs that boot one.
    pub fn machine(&self) -> Option<&MachineOptions> {
        match self {
            Verb::Run(options) | Verb::Pcap(options) => Some(&options.machine),
            Verb::Gdb(options) => Some(&options.run.machine),
            Verb::Test(options) => Some(&options.machine),
            Verb::Bench(options) => Some(&options.machine),
            _ => None,
        }
    }
}

impl MachineOptions {
    /// The machine that is asked for.
    pub fn machine(&self) -> Machine {
        Machine {
            cpus: self.smp,
            memory: self.memory,
            accelerator: self.accel,
            icount: self.icount,
            mtu: self.mtu,
        }
    }
}

/// Whom the system serves.
#[derive(Args, Clone, Debug)]
pub struct UserOptions {
    /// How many users the generated manifest has: alice, bob, carol, ...
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = values::users,
        conflicts_with = "manifest"
    )]
    pub users: u32,
    /// A manifest of your own.
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Least important log messages that are shown: off, error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<manifest::LogLevel>,
}

/// Options of `build`.
#[derive(Args, Clone, Debug)]
pub struct BuildOptions {
    /// For whom the boot archive is.
    #[command(flatten)]
    pub users: UserOptions,
}

/// Options of `run` and `pcap`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Whom the system serves.
    #[command(flatten)]
    pub users: UserOptions,
    /// What it boots on.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Network: user (forwarded ports), tap[=INTERFACE], dgram[=FOLDER] (unix sockets).
    #[arg(long, value_name = "KIND", default_value = "user")]
    pub net: Choice,
    /// Added to all forwarded ports (alice's http is 8081 + N, bob's 8082 + N).
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::port_offset)]
    pub port_offset: u32,
    /// Record what the network card sends and receives.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// End QEMU after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub timeout: Option<u64>,
    /// A word for the kernel's command line: key=value. May be given several times.
    #[arg(long, value_name = "WORD")]
    pub append: Vec<String>,
    /// An argument for QEMU. May be given several times.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub qemu: Vec<String>,
}

/// Options of `test`.
#[derive(Args, Clone, Debug)]
pub struct TestOptions {
    /// Only these parts: lint, host, loom, miri, qemu, bench. Several with commas between them.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<crate::checks::Part>,
    /// Only tests whose name contains this.
    pub filter: Option<String>,
    /// Only the test with exactly this name.
    #[arg(long, requires = "filter")]
    pub exact: bool,
    /// What QEMU cases boot on, where a case doesn't say.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Seconds that a QEMU case may take, instead of what it says.
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub timeout: Option<u64>,
}

/// Options of `faults`.
#[derive(Args, Clone, Debug)]
pub struct FaultOptions {
    /// Where: sim, the simulator; qemu, a sweep over every kernel entry of scenarios in QEMU; fuzz, hostile
    /// processes and stacks in QEMU, and every parser.
    #[arg(long, value_name = "LEVEL", default_value_t = crate::faults::Level::Sim)]
    pub level: crate::faults::Level,
    /// What is played, or all; a wrong name lists what there is. In QEMU, several with commas.
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub scenario: String,
    /// In QEMU: what is destroyed: bank, session, driver.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// In QEMU: one point alone, told at length; 0 for what comes before the first. Needs a scenario and a
    /// target.
    #[arg(long, value_name = "N", requires_all = ["scenario", "target"])]
    pub point: Option<u64>,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many seeds, each with every scenario.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// For so many minutes, instead of so many seeds.
    #[arg(long, value_name = "N", conflicts_with = "count", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub minutes: Option<u64>,
    /// Steps of each run.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Plant a fault, to see that it is found; a wrong name lists them. all: one after the other, at every
    /// level, with a table of what finds it.
    #[arg(long, value_name = "FAULT")]
    pub planted: Option<String>,
}

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// Take today's figures for the reviewed ones: rewrites tests/bench/figures.txt.
    #[arg(long)]
    pub bless: bool,
    /// Only the exact figures: leave out those over a real network back-end.
    #[arg(long)]
    pub quick: bool,
    /// Measure something else: time under emulation over a tap, with this host's Linux as the peer.
    #[arg(long, conflicts_with_all = ["bless", "quick"])]
    pub tap: bool,
    /// This process has a network namespace of its own already.
    #[arg(long, hide = true, requires = "tap")]
    pub in_namespace: bool,
    /// What the bench boots on. Instructions are counted in any case.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Seconds that each boot may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = values::seconds)]
    pub timeout: u64,
}

/// Options of `crossover`.
#[derive(Args, Clone, Debug)]
pub struct CrossoverOptions {
    /// Only these frame sizes, in bytes, with commas between them.
    #[arg(long, value_name = "BYTES", value_delimiter = ',', value_parser = values::frame)]
    pub sizes: Vec<u32>,
    /// Only these batches: how many frames are delivered together.
    #[arg(long, value_name = "FRAMES", value_delimiter = ',', value_parser = values::batch)]
    pub batches: Vec<u32>,
    /// Only these ways to deliver (copy, in_place, exchange, sealed), and only with the IOMMU so (off,
    /// static, strict, lazy).
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    pub modes: Vec<crossover::selection::Mode>,
    /// Only for this CPU: a file, or the name of a profile that comes with the project; a wrong name
    /// lists them. May be given several times.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Vec<String>,
    /// Where table, picture and page go, instead of a folder beside what is built.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Take the counts of a file that was written before.
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    pub vectors: Option<PathBuf>,
    /// Fewer sizes and batches, over fewer frames.
    #[arg(long)]
    pub quick: bool,
    /// Time copies on this machine, and write a profile of it.
    #[arg(long)]
    pub calibrate: bool,
    /// kvm: ask for time on hardware; where there is none to be had, that is said.
    #[arg(long, value_name = "HOW", default_value_t = Accelerator::Tcg)]
    pub accel: Accelerator,
    /// Print the QEMU command lines.
    #[arg(short, long)]
    pub verbose: bool,
}

/// Options of `gdb`.
#[derive(Args, Clone, Debug)]
pub struct GdbOptions {
    /// As for run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Port on 127.0.0.1 where QEMU waits for gdb.
    #[arg(long, value_name = "PORT", default_value_t = 1234, value_parser = values::port)]
    pub gdb_port: u16,
    /// Load this program's symbols besides the kernel's.
    #[arg(long, value_name = "NAME")]
    pub program: Option<String>,
}

/// Options of `doc`.
#[derive(Args, Clone, Debug)]
pub struct DocOptions {
    /// Open it in a browser.
    #[arg(long)]
    pub open: bool,
}

/// Reads the command line. A wrong one ends mk, with a list of what there is.
pub fn read() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let list = what_there_is(&error);
        let _ = error.print();
        if let Some(list) = list {
            eprintln!("\n{list}");
        }
        std::process::exit(error.exit_code())
    })
}

/// For an unknown verb or option: the known ones.
fn what_there_is(error: &clap::Error) -> Option<String> {
    let command = Cli::command();
    match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::MissingSubcommand => Some(verbs(&command)),
        ErrorKind::UnknownArgument => {
            // The usage in the error starts with the verb that was being read.
            let usage = match error.get(ContextKind::Usage) {
                Some(ContextValue::StyledStr(usage)) => usage.to_string(),
                _ => String::new(),
            };
            let word = usage
                .split_whitespace()
                .skip_while(|word| *word != "mk")
                .nth(1);
            let verb = word.and_then(|word| command.find_subcommand(word));
            Some(verb.map_or_else(|| verbs(&command), options))
        }
        _ => None,
    }
}

fn verbs(command: &clap::Command) -> String {
    let lines = command.get_subcommands().map(|verb| {
        format!(
            "  {:<10}{}",
            verb.get_name(),
            verb.get_about().unwrap_or_default()
        )
    });
    format!("Verbs:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn options(verb: &clap::Command) -> String {
    let lines = verb.get_arguments().filter_map(|option| {
        let long = option.get_long().filter(|_| !option.is_hide_set())?;
        let value = option
            .get_value_names()
            .filter(|_| option.get_action().takes_values());
        let value = value.map_or(String::new(), |names| format!(" {}", names.join(" ")));
        let help = option
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        Some(format!("  {:<22}{help}", format!("--{long}{value}")))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return format!("{} takes no options.", verb.get_name());
    }
    format!("Options of {}:\n{}", verb.get_name(), lines.join("\n"))
}

#[cfg(test)]
mod tests;
