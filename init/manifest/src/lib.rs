//! The boot manifest: which users exist and what each may have.
//!
//! A manifest is TOML text in the boot archive at [`PATH`]. `mk` writes one for `--users N` and
//! checks one given by `--manifest FILE` before it boots; init reads it at boot, and uses the
//! same types for users that are spawned at the console ([`UserSpec`]). Everything that stands in
//! a [`Manifest`] returned by [`Manifest::parse`] has been checked: names, MAC and IP addresses
//! are unique and well formed, amounts are inside their bounds, settings fit together.
//!
//! A crate of its own, so that mk can be built (and can report) while init can't.
//!
//! It is *not* checked that the machine has the memory that the banks' limits add up to: limits
//! are ceilings, not reservations, and may exceed what there is.
//!
//! Neighbours: `text`, `address`, `words` (values with a textual form), `user` (one user's settings), `check` (what
//! must hold between settings), `error` (errors that name line and key), `spec` (console words).
//!
//! ```
//! use manifest::Manifest;
//!
//! let manifest = Manifest::parse("[[user]]\nname = 'alice'\nipv4 = '10.0.2.21/24'\n").unwrap();
//! assert_eq!(manifest.user[0].name.as_str(), "alice");
//!
//! let error = Manifest::parse("[[user]]\nname = 'alice'\nmac = 'x'\n").unwrap_err();
//! assert!(error.to_string().starts_with("line 3: user[0].mac: "));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod check;
mod error;
mod spec;
mod strategy;
mod text;
mod user;
mod words;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use address::{Ipv4Cidr, Ipv4Setting, Ipv6Cidr, Ipv6Setting, Mac};
pub use error::ManifestError;
pub use spec::{SpecError, UserSpec};
pub use strategy::Strategy;
pub use text::{Name, NetDevice, NotThat};
pub use user::User;
pub use words::{LogLevel, Pinning, Service};

/// Where the manifest stands in the boot archive.
pub const PATH: &str = "etc/manifest.toml";

/// Longest manifest that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// Most users that a manifest may name.
pub const MAX_USERS: usize = 1024;

/// Most addresses in the pool for spawned users.
pub const MAX_POOL: u32 = 1024;

/// The whole manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[system]`: settings that belong to no user.
    #[serde(default)]
    pub system: System,
    /// `[spawn]`: what users get who are spawned at the console.
    #[serde(default)]
    pub spawn: Spawn,
    /// `[[user]]`: the users started at boot, in this order.
    #[serde(default)]
    pub user: Vec<User>,
}

/// Settings that belong to no user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Least important messages that are still shown: `off`, `error`, `warn`, `info` (default),
    /// `debug` or `trace`. The console's `log LEVEL` changes it later.
    #[serde(default)]
    pub log: LogLevel,
    /// The network card: `auto` (default: the first virtio-net function) or a PCI address such as
    /// `00:02.0`.
    #[serde(default)]
    pub net_device: NetDevice,
}

/// What users get who are spawned at the console and ask for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// Limit of a spawned user's bank, in pages of 4 KiB. Default [`User::DEFAULT_BANK`].
    #[serde(default = "user::default_bank")]
    pub bank: u32,
    /// First address of a pool from which spawned users get fixed IPv4 addresses, as
    /// ADDRESS/LENGTH. Default: none, spawned users use DHCP. A user takes the first address of
    /// the pool that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_first: Option<Ipv4Cidr>,
    /// How many addresses the pool has. Default 1.
    #[serde(default = "default_pool")]
    pub ipv4_count: u32,
    /// Router of the pool's subnet. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_gateway: Option<core::net::Ipv4Addr>,
    /// As a user's key of this name.
    #[serde(default)]
    pub strategy: Strategy,
    /// As a user's key of this name.
    #[serde(default)]
    pub sealed: bool,
    /// As a user's key of this name.
    #[serde(default)]
    pub pinning: Pinning,
}

fn default_pool() -> u32 {
    1
}

impl Default for Spawn {
    fn default() -> Self {
        Spawn {
            bank: User::DEFAULT_BANK,
            ipv4_first: None,
            ipv4_count: default_pool(),
            ipv4_gateway: None,
            strategy: Strategy::default(),
            sealed: false,
            pinning: Pinning::default(),
        }
    }
}

impl Manifest {
    /// Reads and checks a manifest. Users without a `mac` get the one derived from their position
    /// ([`Mac::derived`]).
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and key.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        if text.len() > MAX_TEXT {
            return Err(ManifestError::too_long(text.len()));
        }
        let mut manifest: Manifest =
            toml::from_str(text).map_err(|error| ManifestError::from_toml(text, &error))?;
        for (index, user) in manifest.user.iter_mut().enumerate() {
            if user.mac == Mac::UNASSIGNED {
                // MAX_USERS is checked below and fits; a longer list is refused anyhow.
                user.mac = Mac::derived(index as u32);
            }
        }
        manifest
            .check()
            .map_err(|problem| ManifestError::from_problem(text, problem))?;
        Ok(manifest)
    }

    /// The manifest as TOML text. [`Manifest::parse`] of it gives an equal manifest if this one
    /// passes its checks.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key: a manifest that could not be read back is
    /// not written.
    pub fn render(&self) -> Result<String, ManifestError> {
        self.check().map_err(ManifestError::from_unwritten)?;
        toml::to_string(self).map_err(|error| ManifestError::from_render(&error))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
