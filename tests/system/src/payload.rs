//! Kernels of a few instructions, by which the harness proves itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A kernel of a few instructions, out of `payloads/payload.S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Writes this to the exit port.
    Exit(u32),
    /// Prints a backtrace as the kernel's panic does, and exits as it does.
    Panic,
    /// Causes a fault that no handler can take.
    TripleFault,
    /// Resets the machine.
    Reset,
    /// Switches the machine off.
    PowerOff,
    /// Does nothing for ever.
    Hang,
    /// Prints for ever.
    Flood,
    /// Prints its command line and the first name in its archive.
    StartInfo,
    /// Repeats what is typed, until a `!`.
    Echo,
}

impl Payload {
    fn define(self) -> String {
        match self {
            Payload::Exit(value) => format!("-DEXIT={value}"),
            Payload::Panic => "-DPANIC".into(),
            Payload::TripleFault => "-DTRIPLE_FAULT".into(),
            Payload::Reset => "-DRESET".into(),
            Payload::PowerOff => "-DPOWER_OFF".into(),
            Payload::Hang => "-DHANG".into(),
            Payload::Flood => "-DFLOOD".into(),
            Payload::StartInfo => "-DSTART_INFO".into(),
            Payload::Echo => "-DECHO".into(),
        }
    }

    /// Assembles it into a folder.
    pub(crate) fn build(self, folder: &Path) -> Result<PathBuf> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
        let kernel = folder.join("payload.elf");
        let output = Command::new("gcc")
            .args(["-nostdlib", "-static", "-no-pie", "-m64", &self.define()])
            .arg("-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments")
            .arg("-Wl,-T")
            .arg(sources.join("payload.ld"))
            .arg(sources.join("payload.S"))
            .arg("-o")
            .arg(&kernel)
            .output()
            .context("gcc can't be run")?;
        if !output.status.success() {
            bail!("gcc: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(kernel)
    }
}
