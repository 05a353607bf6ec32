//! A kernel for the sweep that can be told to make a mistake.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::verbs::Prepared;

/// Builds it, beside the one that everybody else boots. `planted=NAME` on its command line names the
/// mistake.
///
/// # Errors
/// It can't be built.
pub fn planted_kernel(prepared: &Prepared) -> Result<PathBuf> {
    let folder = prepared.checkout.output()?.join("planted");
    let bare = prepared.tools.bare;
    let status = bare
        .cargo()
        .current_dir(prepared.checkout.root())
        .args([
            "build",
            "--profile",
            "bare",
            "-p",
            "kernel",
            "--bin",
            "kernel",
        ])
        .args(["--features", "kernel/bare,kernel/planted-faults"])
        .args(bare.flags())
        .arg("--target-dir")
        .arg(&folder)
        .stdin(Stdio::null())
        .status()
        .context("cargo can't be run")?;
    if !status.success() {
        bail!("the kernel with planted faults can't be built (cargo: {status})");
    }
    let kernel = folder.join("x86_64-unknown-none/bare/kernel");
    match kernel.exists() {
        true => Ok(kernel),
        false => bail!("cargo built no {}", kernel.display()),
    }
}
