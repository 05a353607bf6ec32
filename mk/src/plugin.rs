//! Counts what a guest executes, from outside: the plugin of `mk/plugin/count.c` for QEMU's
//! translator.
//!
//! Needed where the guest's own clock can't count: icount with one of QEMU's network back-ends is
//! not reproducible. The plugin adds to a file that it maps; [`Counters::read`] reads the file
//! while the guest runs. [`Watch`] compares with a kernel that counts events.

use std::ffi::OsString;
use std::fs::File;
use std::ops::Sub;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::checkout::Checkout;
use crate::machine::path_text;

mod watch;

pub use watch::{COPY, Seen, Watch};

/// The plugin's source, in the checkout.
const SOURCE: &str = "mk/plugin/count.c";

/// Length of the counters in their file, in bytes: `enum counter` of the plugin.
const LENGTH: usize = 3 * size_of::<u64>();

/// Compiles the plugin, by gcc, into the folder for what mk makes.
///
/// # Errors
/// gcc can't be run, or refuses.
pub fn build(checkout: &Checkout) -> Result<PathBuf> {
    let library = checkout.output()?.join("libcount.so");
    // By way of a file of its own: another mk may run it.
    let mut half: OsString = library.as_os_str().to_owned();
    half.push(format!(".{}", std::process::id()));
    compile(&checkout.root().join(SOURCE), Path::new(&half), &[])?;
    std::fs::rename(&half, &library)
        .with_context(|| format!("can't write {}", library.display()))?;
    Ok(library)
}

fn compile(source: &Path, library: &Path, more: &[&str]) -> Result<()> {
    let output = Command::new("gcc")
        .args(["-std=c11", "-O2", "-Wall", "-Wextra"])
        .args(["-D_POSIX_C_SOURCE=200809L", "-fvisibility=hidden"])
        .args(more)
        .args(["-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(source)
        .output()
        .context("gcc can't be run")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("gcc {}: {}", source.display(), error.trim());
    }
    Ok(())
}

/// What was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Instructions in the lower half of the address space: programs.
    pub user: u64,
    /// Instructions in the upper half: the kernel.
    pub kernel: u64,
    /// Loads of CR3, each a switch to another address space.
    pub spaces: u64,
}

impl Executed {
    /// Instructions of both halves.
    pub fn instructions(&self) -> u64 {
        self.user.wrapping_add(self.kernel)
    }

    fn decode(bytes: &[u8; LENGTH]) -> Executed {
        let [user, kernel, spaces] = std::array::from_fn(|k| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[8 * k..8 * k + 8]);
            u64::from_ne_bytes(word)
        });
        Executed {
            user,
            kernel,
            spaces,
        }
    }
}

impl Sub for Executed {
    type Output = Executed;
    /// What was executed between two readings; the counters may wrap.
    fn sub(self, earlier: Executed) -> Executed {
        Executed {
            user: self.user.wrapping_sub(earlier.user),
            kernel: self.kernel.wrapping_sub(earlier.kernel),
            spaces: self.spaces.wrapping_sub(earlier.spaces),
        }
    }
}

/// The counters of one boot.
#[derive(Debug)]
pub struct Counters {
    file: NamedTempFile,
}

impl Counters {
    /// Counters that stand at zero.
    ///
    /// # Errors
    /// Their file can't be made.
    pub fn new() -> Result<Counters> {
        let file = tempfile::Builder::new()
            .prefix("usufruct-counters-")
            .tempfile()
            .context("can't make a file for the counters")?;
        file.as_file().set_len(LENGTH as u64)?;
        Ok(Counters { file })
    }

    /// QEMU's arguments that load the plugin.
    ///
    /// # Errors
    /// A path that QEMU can't be given.
    pub fn arguments(&self, plugin: &Path) -> Result<[String; 2]> {
        let (plugin, file) = (path_text(plugin)?, path_text(self.file.path())?);
        Ok(["-plugin".into(), format!("{plugin},counters={file}")])
    }

    /// How they stand now. The three are not read at one instant unless the guest is idle.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(&self) -> Result<Executed> {
        let mut bytes = [0; LENGTH];
        let file: &File = self.file.as_file();
        file.read_exact_at(&mut bytes, 0)
            .context("can't read the counters")?;
        Ok(Executed::decode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_compiles_without_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libcount.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/count.c");
        compile(&source, &library, &["-Werror"]).unwrap();
        assert!(library.is_file());
    }

    #[test]
    fn what_lies_between_two_readings_is_told_even_across_a_wrap() {
        let counters = Counters::new().unwrap();
        assert_eq!(counters.read().unwrap(), Executed::default());
        let write = |words: [u64; 3]| {
            let bytes = words.map(u64::to_ne_bytes).concat();
            counters.file.as_file().write_all_at(&bytes, 0).unwrap();
            counters.read().unwrap()
        };
        let earlier = write([u64::MAX, 10, 1]);
        let between = write([4, 30, 3]) - earlier;
        let (user, kernel, spaces) = (5, 20, 2);
        assert_eq!(
            between,
            Executed {
                user,
                kernel,
                spaces
            }
        );
        assert_eq!(between.instructions(), 25);
    }
}
