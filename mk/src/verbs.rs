//! What mk does, one module a verb.

mod announce;
mod bench;
mod crossover;
mod faults;
mod fuzz;
mod gdb;
mod prepare;
mod run;
mod simple;
mod test;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Verb};

pub use bench::{check as bench_check, program as bench_program};
pub use prepare::Prepared;

/// Does what the command line says.
///
/// # Errors
/// Whatever went wrong, in words for the user.
pub fn execute(cli: Cli) -> Result<ExitCode> {
    let machine = cli.verb.machine();
    if let Some(doubt) = machine.and_then(|machine| machine.accel.doubt()) {
        eprintln!("mk: {doubt}");
    }
    match cli.verb {
        Verb::Setup => simple::setup(),
        Verb::Build(options) => simple::build(&options),
        Verb::Run(options) => run::run(&options),
        Verb::Test(options) => test::test(&options),
        Verb::Faults(options) => faults::faults(&options),
        Verb::Bench(options) => bench::bench(&options),
        Verb::Crossover(options) => crossover::crossover(&options),
        Verb::Gdb(options) => gdb::gdb(&options),
        Verb::Pcap(options) => run::pcap(options),
        Verb::Doc(options) => simple::doc(&options),
        Verb::Clean => simple::clean(),
        Verb::Symbolize => simple::symbolize(),
        Verb::Help { verb } => simple::help(verb.as_deref()),
    }
}
