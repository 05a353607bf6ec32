//! Installs what is missing: QEMU and a C++ compiler by apt, the bare target by rustup or else Debian's compiler.
//!
//! Every verb calls this first; when nothing is missing it costs a few milliseconds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::toolchain::{self, Bare, DEBIAN_PACKAGES, TARGET};

/// QEMU's program.
pub const QEMU: &str = "qemu-system-x86_64";

/// What there is after [`ready`].
#[derive(Clone, Debug)]
pub struct Tools {
    /// How to build for the bare target.
    pub bare: Bare,
    /// Where QEMU is.
    pub qemu: PathBuf,
}

/// Installs what is missing for building and booting.
///
/// # Errors
/// Something is missing and can't be installed; the error says by which command it could be.
pub fn ready() -> Result<Tools> {
    Ok(Tools {
        bare: bare()?,
        qemu: qemu()?,
    })
}

/// The way to build for the bare target, installed if need be.
///
/// # Errors
/// There is none and none can be installed.
pub fn bare() -> Result<Bare> {
    if let Some(bare) = Bare::find()? {
        return Ok(bare);
    }
    let choice = toolchain::choice()?;
    let mut reasons = Vec::new();
    if choice != Some(Bare::Debian) {
        match rustup_target() {
            Ok(()) => return Ok(Bare::Installed),
            Err(error) => reasons.push(format!("rustup target add {TARGET}: {error:#}")),
        }
    }
    if choice != Some(Bare::Installed) {
        match apt(DEBIAN_PACKAGES) {
            Ok(()) => reasons.push("Debian's compiler was installed but is not complete".into()),
            Err(error) => reasons.push(format!("Debian's compiler: {error:#}")),
        }
        if let Some(bare) = Bare::find()? {
            return Ok(bare);
        }
    }
    bail!(
        "nothing can build for {TARGET}:\n  {}",
        reasons.join("\n  ")
    )
}

/// Where QEMU is, installed if need be.
///
/// # Errors
/// It is missing and can't be installed.
pub fn qemu() -> Result<PathBuf> {
    if let Some(path) = find(QEMU) {
        return Ok(path);
    }
    apt(&["qemu-system-x86"]).with_context(|| format!("{QEMU} is missing"))?;
    find(QEMU).with_context(|| format!("{QEMU} is still not on the PATH"))
}

/// Makes sure of a C++ compiler, of which libFuzzer is built.
///
/// # Errors
/// There is none and none can be installed.
pub fn cplusplus() -> Result<()> {
    let there = |program| find(program).is_some();
    if std::env::var_os("CXX").is_some() || ["c++", "g++", "clang++"].into_iter().any(there) {
        return Ok(());
    }
    apt(&["g++"]).context("there is no C++ compiler")
}

/// Where the PATH has a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn rustup_target() -> Result<()> {
    if find("rustup").is_none() {
        bail!("there is no rustup");
    }
    let step = Step::start(format!("rustup target add {TARGET}"));
    quietly(Command::new("rustup").args(["target", "add", TARGET]))?;
    step.done();
    Ok(())
}

/// Installs Debian packages; says what to type where that isn't possible from here.
fn apt(packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if find("apt-get").is_none() {
        bail!(
            "there is no apt-get; install by your system's means: {}",
            packages.join(" ")
        );
    }
    if !rustix::process::geteuid().is_root() {
        bail!("only root may install it; type: sudo {by_hand}");
    }
    let install = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages);
        quietly(&mut command)
    };
    let step = Step::start(by_hand);
    if install().is_err() {
        // On a fresh machine the lists are missing or too old.
        step.say("apt-get update");
        quietly(Command::new("apt-get").args(["update", "--quiet"]))?;
        install()?;
    }
    step.done();
    Ok(())
}

/// Runs a command without showing what it says, unless it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} can't be run"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    bail!(
        "{program} failed ({}):\n    {}",
        output.status,
        last.join("\n    ")
    )
}
