//! What every verb that boots does first: tools, build, manifest, archive.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use manifest::Manifest;
use rustix::io::Errno;
use rustix::process::Pid;
use tempfile::TempDir;

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

    /// A boot of this archive, from copies that only this run has.
    ///
    /// # Errors
    /// There is no kernel, or a copy can't be written.
    pub fn boot(&self, archive: &Archive) -> Result<(Launch, OwnFiles)> {
        self.boot_with(&self.artifacts.kernel()?.stripped, archive)
    }

    /// The same of another kernel.
    ///
    /// # Errors
    /// A copy can't be written.
    pub fn boot_with(&self, kernel: &Path, archive: &Archive) -> Result<(Launch, OwnFiles)> {
        let own = OwnFiles::copy(&self.checkout.output()?, kernel, archive)?;
        let mut launch = Launch::new(&self.tools.qemu, self.checkout.root(), &own.kernel);
        launch.archive = Some(own.archive.clone());
        Ok((launch, own))
    }

    /// A boot of the kernel as it was built; the archive is still to be set.
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

/// Kernel and archive of one run: QEMU reads them again at each restart of the guest, and meanwhile
/// another run may have built others. They go when this is dropped.
#[derive(Debug)]
pub struct OwnFiles {
    kernel: PathBuf,
    archive: PathBuf,
    _folder: TempDir,
}

impl OwnFiles {
    /// Copies the kernel and writes the archive, in a new folder under `parent`.
    fn copy(parent: &Path, kernel: &Path, archive: &Archive) -> Result<OwnFiles> {
        clear_up(parent);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{RUN}{}-", std::process::id()))
            .tempdir_in(parent)
            .with_context(|| format!("can't make a folder in {}", parent.display()))?;
        let own = OwnFiles {
            kernel: folder.path().join("kernel"),
            archive: folder.path().join("boot.tar"),
            _folder: folder,
        };
        std::fs::copy(kernel, &own.kernel)
            .with_context(|| format!("can't copy {}", kernel.display()))?;
        archive.save(&own.archive)?;
        Ok(own)
    }
}

/// What the names of runs' folders begin with; the number of the process that made it follows.
const RUN: &str = "run-";

/// Removes the folders of runs that were killed before they could do so themselves. One that can't be
/// removed now can be at the next run.
fn clear_up(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(RUN)?.split('-').next()?.parse().ok())
            .and_then(Pid::from_raw);
        let gone = |owner| rustix::process::test_kill_process(owner) == Err(Errno::SRCH);
        if owner.is_some_and(gone) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_boots_what_its_run_built_whatever_others_have_built_since() {
        let output = tempfile::tempdir().unwrap();
        let kernel = output.path().join("kernel");
        std::fs::write(&kernel, "mine").unwrap();
        let mut archive = Archive::new();
        archive.add("etc/x", "mine");
        let mine = OwnFiles::copy(output.path(), &kernel, &archive).unwrap();
        let before = std::fs::read(&mine.archive).unwrap();

        std::fs::write(&kernel, "another's").unwrap();
        archive.add("etc/x", "another's");
        let other = OwnFiles::copy(output.path(), &kernel, &archive).unwrap();
        assert_eq!(std::fs::read(&mine.kernel).unwrap(), b"mine");
        assert_eq!(std::fs::read(&mine.archive).unwrap(), before);
        assert_ne!(std::fs::read(&other.archive).unwrap(), before);

        let gone = mine.archive.clone();
        drop(mine);
        assert!(!gone.exists() && other.archive.exists());
    }

    #[test]
    fn the_folder_of_a_run_that_was_killed_goes_at_the_next() {
        let output = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = output.path().join(format!("run-{}-x", child.id()));
        child.wait().unwrap();
        let others = ["run-", "run-x", "bench", "run--1"].map(|name| output.path().join(name));
        for folder in others.iter().chain([&dead]) {
            std::fs::create_dir(folder).unwrap();
        }
        let kernel = output.path().join("kernel");
        std::fs::write(&kernel, "k").unwrap();
        let first = OwnFiles::copy(output.path(), &kernel, &Archive::new()).unwrap();
        let _second = OwnFiles::copy(output.path(), &kernel, &Archive::new()).unwrap();
        assert!(!dead.exists());
        assert!(first.kernel.exists() && others.iter().all(|folder| folder.exists()));
    }
}
