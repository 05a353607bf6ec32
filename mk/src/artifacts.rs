//! Builds the bare-metal programs: one cargo call, one profile, for everything.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::programs::{Programs, Role};
use crate::toolchain::Bare;

/// Built programs.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// All programs, the kernel too.
    pub built: Vec<Built>,
    /// What could not be built because it does not exist yet.
    pub notes: Vec<String>,
}

/// A built program.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The ELF file with symbols and line numbers.
    pub symbols: PathBuf,
    /// The ELF file to boot, without them.
    pub stripped: PathBuf,
}

impl Artifacts {
    /// Builds everything. cargo's own progress goes to standard error.
    ///
    /// # Errors
    /// cargo fails, or a program can't be stripped.
    pub fn build(checkout: &Checkout, bare: Bare) -> Result<Artifacts> {
        let programs = Programs::find(checkout)?;
        let notes = programs.notes.clone();
        if programs.programs.is_empty() {
            return Ok(Artifacts {
                built: Vec::new(),
                notes,
            });
        }
        let built = compile(
            checkout,
            bare,
            &programs,
            &[],
            &checkout.output()?.join("bin"),
            &[],
        )?;
        Ok(Artifacts { built, notes })
    }

    /// Builds some programs with a further feature, in a target folder of their own.
    ///
    /// # Errors
    /// As for [`Artifacts::build`].
    pub fn build_variant(
        checkout: &Checkout,
        bare: Bare,
        programs: &Programs,
        feature: &str,
        target: &Path,
    ) -> Result<Artifacts> {
        let there = ["--target-dir".into(), target.as_os_str().to_owned()];
        let folder = target.join("bin");
        let built = compile(checkout, bare, programs, &[feature], &folder, &there)?;
        let notes = Vec::new();
        Ok(Artifacts { built, notes })
    }

    /// The kernel.
    ///
    /// # Errors
    /// There is none yet.
    pub fn kernel(&self) -> Result<&Built> {
        self.built
            .iter()
            .find(|built| built.role == Role::Kernel)
            .with_context(|| format!("there is no kernel to boot:\n  {}", self.notes.join("\n  ")))
    }

    /// The program of this name.
    ///
    /// # Errors
    /// There is none; the error lists what there is.
    pub fn program(&self, name: &str) -> Result<&Built> {
        self.built
            .iter()
            .find(|built| built.name == name)
            .with_context(|| {
                let names: Vec<&str> = self.built.iter().map(|built| &built.name[..]).collect();
                format!("there is no program {name}; there are: {}", names.join(" "))
            })
    }

    /// The programs that every archive holds.
    pub fn system(&self) -> impl Iterator<Item = &Built> {
        self.built.iter().filter(|built| built.role == Role::System)
    }
}

/// Builds programs with these features, and strips them into a folder. `more`: for cargo.
fn compile(
    checkout: &Checkout,
    bare: Bare,
    programs: &Programs,
    features: &[&str],
    folder: &Path,
    more: &[OsString],
) -> Result<Vec<Built>> {
    let executables = cargo_build(checkout, bare, programs, features, more)?;
    std::fs::create_dir_all(folder)?;
    let mut built = Vec::new();
    for program in &programs.programs {
        let symbols = executables
            .iter()
            .find(|(name, _)| *name == program.name)
            .map(|(_, path)| path.clone())
            .with_context(|| format!("cargo built no {}", program.name))?;
        let stripped = folder.join(&program.name);
        strip(&symbols, &stripped)?;
        let name = program.name.clone();
        built.push(Built {
            name,
            role: program.role,
            symbols,
            stripped,
        });
    }
    Ok(built)
}

fn cargo_build(
    checkout: &Checkout,
    bare: Bare,
    programs: &Programs,
    features: &[&str],
    more: &[OsString],
) -> Result<Vec<(String, PathBuf)>> {
    let mut command = bare.cargo();
    command
        .current_dir(checkout.root())
        .args([
            "build",
            "--profile",
            "bare",
            "--message-format=json-render-diagnostics",
        ])
        .args(bare.flags())
        .args(programs.selection(features))
        .args(more)
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo can't be run")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let mut executables = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        if message["reason"] == "compiler-artifact"
            && let (Some(name), Some(path)) = (
                message["target"]["name"].as_str(),
                message["executable"].as_str(),
            )
        {
            executables.push((name.to_string(), PathBuf::from(path)));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("the bare-metal programs can't be built (cargo: {status})");
    }
    Ok(executables)
}

/// Writes a copy without symbols, unless the copy is newer than the original.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let modified = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    if modified(to).is_some_and(|copy| modified(from).is_some_and(|original| copy > original)) {
        return Ok(());
    }
    // By way of a file of its own: several tests may do this at once.
    let mut half: OsString = to.as_os_str().to_owned();
    half.push(format!(".{}", std::process::id()));
    let status = Command::new("strip")
        .arg("--strip-all")
        .arg("-o")
        .arg(&half)
        .arg(from)
        .status()
        .context("strip can't be run (it comes with gcc, in binutils)")?;
    if !status.success() {
        bail!("strip {} failed ({status})", from.display());
    }
    std::fs::rename(&half, to).with_context(|| format!("can't write {}", to.display()))
}
