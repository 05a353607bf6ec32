//! Verbs that are a few lines each.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::CommandFactory;

use super::prepare::{Prepared, manifest};
use crate::artifacts::Artifacts;
use crate::checkout::Checkout;
use crate::cli::{BuildOptions, Cli, DocOptions};
use crate::setup;
use crate::symbols::Symbols;

pub(super) fn setup() -> Result<ExitCode> {
    let tools = setup::ready()?;
    println!("QEMU: {}", tools.qemu.display());
    println!("bare-metal target: {:?}", tools.bare);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn build(options: &BuildOptions) -> Result<ExitCode> {
    let manifest = manifest(&options.users)?;
    let prepared = Prepared::new()?;
    for note in &prepared.artifacts.notes {
        println!("left out: {note}");
    }
    let archive = prepared.archive(&manifest)?;
    if let Ok(kernel) = prepared.artifacts.kernel() {
        println!("kernel:  {}", kernel.stripped.display());
    }
    println!(
        "archive: {}",
        prepared.save_archive(&archive, "boot.tar")?.display()
    );
    for path in archive.paths() {
        println!("    {path}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn doc(options: &DocOptions) -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let mut command = checkout.cargo();
    command.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    if options.open {
        command.arg("--open");
    }
    if !command.status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let index = checkout.target().join("doc/kernel/index.html");
    println!("{}", index.display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn clean() -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let status = checkout.cargo().arg("clean").status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Annotates backtraces in a log; of what is built now, which should be what made the log.
pub(super) fn symbolize() -> Result<ExitCode> {
    let checkout = Checkout::open()?;
    let artifacts = Artifacts::build(&checkout, setup::bare()?)?;
    let mut filter = Symbols::of(&artifacts, checkout.root()).filter(std::io::stdout().lock());
    let mut stdin = std::io::stdin().lock();
    let mut bytes = [0; 4096];
    loop {
        let count = stdin.read(&mut bytes)?;
        if count == 0 {
            filter.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        filter.write_all(&bytes[..count])?;
    }
}

pub(super) fn help(verb: Option<&str>) -> Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    match verb {
        None => command.print_help()?,
        Some(name) => match command.find_subcommand_mut(name) {
            Some(verb) => verb.print_help()?,
            None => {
                let names: Vec<&str> = command
                    .get_subcommands()
                    .map(|verb| verb.get_name())
                    .collect();
                bail!("there is no verb {name}; there are: {}", names.join(" "))
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}
