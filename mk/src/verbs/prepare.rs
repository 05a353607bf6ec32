//! What every verb that boots does first: tools, build, manifest, archive.

use std::path::PathBuf;

use anyhow::{Context, Result};
use manifest::Manifest;

use crate::archive::Archive;
use crate::artifacts::Artifacts;
use crate::checkout::Checkout;
use crate::cli::UserOptions;
use crate::launch::Launch;
use crate::setup::{self, Tools};
use crate::symbols::Symbols;

/// Everything that is needed for a boot.
#[derive(Debug)]
pub struct Prepared {
    /// The checkout.
    pub checkout: Checkout,
    /// Compiler and QEMU.
    pub tools: Tools,
    /// What was built.
    pub artifacts: Artifacts,
}

impl Prepared {
    /// Installs what is missing, and builds.
    ///
    /// # Errors
    /// Something is missing for good, or does not compile.
    pub fn new() -> Result<Prepared> {
        let checkout = Checkout::open()?;
        let tools = setup::ready()?;
        let artifacts = Artifacts::build(&checkout, tools.bare)?;
        Ok(Prepared {
            checkout,
            tools,
            artifacts,
        })
    }

    /// The archive that every boot has, with this manifest.
    ///
    /// # Errors
    /// The manifest breaks a rule, or a program can't be read.
    pub fn archive(&self, manifest: &Manifest) -> Result<Archive> {
        let mut archive = Archive::new();
        for built in self.artifacts.system() {
            archive.add_program(&built.name, &built.stripped)?;
        }
        archive.add(manifest::PATH, manifest.render()?);
        Ok(archive)
    }

    /// Writes the archive to where people look for it.
    ///
    /// # Errors
    /// As for [`Prepared::archive`], or it can't be written.
    pub fn save_archive(&self, archive: &Archive, name: &str) -> Result<PathBuf> {
        let file = self.checkout.output()?.join(name);
        archive.save(&file)?;
        Ok(file)
    }

    /// A boot of the kernel; the archive is still to be set.
    ///
    /// # Errors
    /// There is no kernel.
    pub fn launch(&self) -> Result<Launch> {
        let kernel = self.artifacts.kernel()?;
        Ok(Launch::new(
            &self.tools.qemu,
            self.checkout.root(),
            &kernel.stripped,
        ))
    }

    /// The symbols of what was built.
    pub fn symbols(&self) -> Symbols {
        Symbols::of(&self.artifacts, self.checkout.root())
    }
}

/// The manifest that the options ask for.
///
/// # Errors
/// Too many users, or a file that can't be read or breaks a rule.
pub(super) fn manifest(options: &UserOptions) -> Result<Manifest> {
    let mut manifest = match &options.manifest {
        None => crate::users::manifest(options.users)?,
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("can't read {}", file.display()))?;
            Manifest::parse(&text).with_context(|| file.display().to_string())?
        }
    };
    if let Some(level) = options.log {
        manifest.system.log = level;
    }
    Ok(manifest)
}
