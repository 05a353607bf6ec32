//! Where things are in a checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A checkout of the project, and what cargo says of it.
#[derive(Debug)]
pub struct Checkout {
    root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

impl Checkout {
    /// Asks cargo about the checkout that this tool was built from.
    ///
    /// # Errors
    /// cargo can't be run, or does not understand the workspace.
    pub fn open() -> Result<Checkout> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("mk stands in a folder of the checkout")?
            .to_path_buf();
        if !root.join("Cargo.toml").is_file() {
            bail!(
                "{} is gone; build mk again in the checkout you want to use",
                root.display()
            );
        }
        let output = crate::toolchain::host_cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root)
            .output()
            .context("cargo can't be run")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?
            .into();
        Ok(Checkout {
            root,
            target,
            metadata,
        })
    }

    /// The top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder for what mk makes: kernel, programs, archives, logs.
    ///
    /// # Errors
    /// It can't be made.
    pub fn output(&self) -> Result<PathBuf> {
        let folder = self.target.join("usufruct");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        Ok(folder)
    }

    /// The packages of the workspace, as `cargo metadata` describes them.
    pub fn packages(&self) -> &[Value] {
        self.metadata["packages"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// The package of this name.
    pub fn package(&self, name: &str) -> Option<&Value> {
        self.packages()
            .iter()
            .find(|package| package["name"] == name)
    }

    /// A cargo command for the host, in the top folder.
    pub fn cargo(&self) -> Command {
        let mut command = crate::toolchain::host_cargo();
        command.current_dir(&self.root);
        command
    }
}
