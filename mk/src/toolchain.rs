//! How to call cargo, for the host and for the bare target.
//!
//! rustup's stable toolchain with the target added is the usual case. Where rustup can't be had or
//! can't download, Debian's compiler builds the standard library's core from Debian's source
//! package instead. Everything that builds for the bare target goes through [`Bare::cargo`].

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// The bare target.
pub const TARGET: &str = "x86_64-unknown-none";

/// Environment variable that forces one of the ways: `rustup` or `debian`.
pub const CHOICE: &str = "USUFRUCT_TOOLCHAIN";

/// Packages of Debian's compiler, newer than the release's own.
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A way to build for the bare target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// The toolchain in use has the target's libraries.
    Installed,
    /// Debian's compiler, which builds the libraries itself.
    Debian,
}

impl Bare {
    /// The way that is ready for use, if there is one.
    ///
    /// # Errors
    /// [`CHOICE`] is set to something else than its two words.
    pub fn find() -> Result<Option<Bare>> {
        Ok(match choice()? {
            Some(Bare::Installed) => has_target().then_some(Bare::Installed),
            Some(Bare::Debian) => has_debian().then_some(Bare::Debian),
            None if has_target() => Some(Bare::Installed),
            None => has_debian().then_some(Bare::Debian),
        })
    }

    /// cargo, ready for a subcommand that builds for the bare target (`build`, `clippy`). The
    /// flags that the subcommand needs are in [`Bare::flags`].
    pub fn cargo(self) -> Command {
        match self {
            Bare::Installed => host_cargo(),
            Bare::Debian => {
                let mut command = clean(Command::new("/usr/bin/cargo"));
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", "ld.lld");
                command
            }
        }
    }

    /// Flags to stand after the subcommand.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Bare::Installed => &["--target", TARGET],
            Bare::Debian => &[
                "--target",
                TARGET,
                "-Zbuild-std=core,alloc,compiler_builtins",
                "-Zbuild-std-features=compiler-builtins-mem",
            ],
        }
    }
}

/// The way that the user asked for by [`CHOICE`].
///
/// # Errors
/// It is set to something else than its two words.
pub fn choice() -> Result<Option<Bare>> {
    match std::env::var(CHOICE).as_deref() {
        Err(_) | Ok("") => Ok(None),
        Ok("rustup") => Ok(Some(Bare::Installed)),
        Ok("debian") => Ok(Some(Bare::Debian)),
        Ok(other) => bail!("{CHOICE}={other}: it must be rustup or debian"),
    }
}

fn has_target() -> bool {
    let output = clean(Command::new("rustc"))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    output.is_ok_and(|output| {
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

fn has_debian() -> bool {
    // The source package's version need not be the compiler's; cargo would say so itself.
    let source = Path::new("/usr/lib/rustlib/src/rust/library/core");
    ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/bin/ld.lld"]
        .iter()
        .all(|tool| Path::new(tool).exists())
        && (source.is_dir() || debian_sysroot_source().is_some())
}

fn debian_sysroot_source() -> Option<()> {
    let output = Command::new("/usr/bin/rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    Path::new(sysroot.trim())
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
        .then_some(())
}

/// cargo for the host: the one that the user's PATH names.
pub fn host_cargo() -> Command {
    clean(Command::new("cargo"))
}

/// Takes out of a command's environment what cargo put there for mk itself: a child cargo would
/// take it for its own, and build scripts would run again for nothing.
pub fn clean(mut command: Command) -> Command {
    for (key, _) in std::env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        let of_mk = name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_BIN_")
            || matches!(
                name,
                "CARGO"
                    | "CARGO_MANIFEST_DIR"
                    | "CARGO_MANIFEST_PATH"
                    | "CARGO_CRATE_NAME"
                    | "CARGO_PRIMARY_PACKAGE"
                    | "OUT_DIR"
            );
        if of_mk {
            command.env_remove(name);
        }
    }
    command
}
