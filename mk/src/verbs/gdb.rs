//! `gdb`: the system frozen at its first instruction, and gdb with the right symbols.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol};

use super::run::ready;
use crate::cli::GdbOptions;
use crate::launch::Console;
use crate::machine::path_text;
use crate::process::die_with_parent;

pub(super) fn gdb(options: &GdbOptions) -> Result<ExitCode> {
    let port = options.gdb_port;
    if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        bail!("port {port} (for gdb) can't be had: {error}\n--gdb-port PORT takes another");
    }
    let mut ready = ready(&options.run, Console::Pipe)?;
    let artifacts = &ready.prepared.artifacts;
    let kernel = artifacts.kernel()?.symbols.clone();
    let mut commands = vec![
        // Loading symbols would ask.
        "set confirm off".to_string(),
        format!("target remote 127.0.0.1:{port}"),
    ];
    if let Some(address) = entry(&kernel) {
        // By address: gdb knows the function only by its mangled name. In hardware: the page tables
        // that a written breakpoint needs are not there yet.
        commands.push(format!("thbreak *{address:#x}"));
    }
    if let Some(name) = &options.program {
        let program = path_text(&artifacts.program(name)?.symbols)?;
        commands.insert(2, format!("add-symbol-file {program}"));
    }
    let log = ready.prepared.checkout.output()?.join("gdb-console.log");
    ready.launch.extra.extend([
        "-gdb".to_string(),
        format!("tcp:127.0.0.1:{port}"),
        "-S".to_string(),
    ]);
    let console =
        std::fs::File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
    println!("The guest's console goes to {}", log.display());

    let mut arguments = vec!["-q".to_string(), path_text(&kernel)?];
    for command in &commands {
        arguments.extend(["-ex".to_string(), command.clone()]);
    }
    println!("gdb {}", shell_words::join(&arguments));
    println!("`continue` goes to the kernel's first Rust function.\n");

    let mut qemu = Command::new(&ready.launch.qemu);
    qemu.args(ready.launch.arguments()?)
        .stdin(Stdio::null())
        .stdout(console);
    if crate::setup::find("gdb").is_none() {
        println!(
            "There is no gdb here (Debian: apt-get install gdb). QEMU waits for one that you start."
        );
        // Not in mk's place: what it boots from is this run's own, and goes with mk.
        die_with_parent(&mut qemu);
        let status = qemu.status().context("QEMU can't be run")?;
        return Ok(match status.success() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        });
    }
    // A group of its own: Ctrl-C is gdb's, to stop the guest.
    die_with_parent(&mut qemu);
    let mut qemu = qemu.process_group(0).spawn().context("QEMU can't be run")?;
    let status = Command::new("gdb").args(&arguments).status();
    let _ = qemu.kill();
    let _ = qemu.wait();
    Ok(if status?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where the kernel's first function in Rust is.
fn entry(kernel: &Path) -> Option<u64> {
    let bytes = std::fs::read(kernel).ok()?;
    let file = object::File::parse(&bytes[..]).ok()?;
    let start = file.symbols().find(|symbol| {
        symbol
            .name()
            .is_ok_and(|name| name.starts_with("_ZN6kernel5start17h"))
    });
    Some(start?.address())
}
