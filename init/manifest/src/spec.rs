//! A user described in words at the console: `spawn carol --ipv4 10.0.2.23/24 --share 2`.
//!
//! The options are the manifest's keys, written `--ipv4-gateway X` or `--ipv4-gateway=X`. What is
//! not said comes from the manifest's `[spawn]` section.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::Manifest;
use super::address::{Ipv4Setting, Ipv6Setting, Mac};
use super::check::{Broken, pool_address};
use super::strategy::Strategy;
use super::text::{Name, plain};
use super::user::User;
use super::words::{Pinning, Service};

/// Why a described user was refused, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for SpecError {}

impl From<Broken> for SpecError {
    fn from((key, message): Broken) -> SpecError {
        // The name is no option: it stands by itself.
        match key {
            "name" => SpecError(message),
            _ => SpecError(format!("--{}: {message}", key.replace('_', "-"))),
        }
    }
}

/// What the console said of a user. [`UserSpec::into_user`] makes the user of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    pub(super) user: User,
    given: Vec<&'static str>,
}

impl UserSpec {
    /// The options and what each takes, for `help` and for errors.
    pub const OPTIONS: &'static [(&'static str, &'static str)] = &[
        ("--mac", Mac::WANTED),
        ("--bank", "pages of 4 KiB, such as 2048"),
        ("--ipv4", Ipv4Setting::WANTED),
        ("--ipv4-gateway", "the router's IPv4 address"),
        ("--ipv6", Ipv6Setting::WANTED),
        ("--ipv6-gateway", "the router's IPv6 address"),
        (
            "--dns",
            "addresses of name servers, with commas between them",
        ),
        ("--bind-addresses", "yes or no"),
        (
            "--services",
            "out of http, echo, discard, chargen, with commas between them; or none",
        ),
        ("--rate", "bytes a second, such as 1000000"),
        ("--burst", "bytes, such as 100000"),
        ("--share", "a weight, 1 to 1000"),
        ("--strategy", Strategy::WANTED),
        ("--sealed", "yes or no"),
        ("--pinning", Pinning::WANTED),
        ("--copier", "yes or no"),
        ("--transmit-slots", "pages"),
        ("--receive-slots", "pages"),
    ];

    /// Reads the words after `spawn`.
    ///
    /// # Errors
    /// The first word that is wrong, and what would be right in its place.
    pub fn parse(words: &[&str]) -> Result<UserSpec, SpecError> {
        let Some((name, options)) = words.split_first() else {
            return Err(SpecError("which user?".to_string()));
        };
        let name: Name = name
            .parse()
            .map_err(|error| SpecError(format!("{error}")))?;
        let mut spec = UserSpec {
            user: User::named(name),
            given: Vec::new(),
        };
        let mut options = options.iter();
        while let Some(word) = options.next() {
            let (option, inline) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (*word, None),
            };
            let Some((option, wanted)) = UserSpec::OPTIONS
                .iter()
                .find(|(known, _)| *known == option)
                .copied()
            else {
                let known: Vec<&str> = UserSpec::OPTIONS.iter().map(|(known, _)| *known).collect();
                let unknown = super::NotThat::shorten(option);
                return Err(SpecError(format!(
                    "{unknown:?} is no option; the options are {}",
                    known.join(" ")
                )));
            };
            if spec.given.contains(&option) {
                return Err(SpecError(format!("{option} is given twice")));
            }
            let value = inline
                .or_else(|| options.next().copied())
                .ok_or_else(|| SpecError(format!("{option} lacks its value: {wanted}")))?;
            set(&mut spec.user, option, value, wanted)
                .map_err(|error| SpecError(format!("{option}: {error}")))?;
            spec.given.push(option);
        }
        Ok(spec)
    }

    /// The user's name.
    pub fn name(&self) -> &Name {
        &self.user.name
    }

    /// Fills in what was not said, and checks the whole beside the users that are there
    /// (`present`, which need not be the manifest's).
    ///
    /// # Errors
    /// A setting that is out of bounds, doesn't go with another, or is another user's.
    pub fn into_user(self, manifest: &Manifest, present: &[User]) -> Result<User, SpecError> {
        let UserSpec { mut user, given } = self;
        let said = |option: &str| given.contains(&option);
        let spawn = &manifest.spawn;
        if !said("--bank") {
            user.bank = spawn.bank;
        }
        if !said("--strategy") {
            user.strategy = spawn.strategy;
        }
        if !said("--sealed") {
            user.sealed = spawn.sealed;
        }
        if !said("--pinning") {
            user.pinning = spawn.pinning;
        }
        if !said("--mac") {
            // One more than there are users is enough for one to be free.
            let free = (0..=present.len() as u32)
                .map(Mac::derived)
                .find(|mac| present.iter().all(|other| other.mac != *mac));
            user.mac = free.unwrap_or(Mac::UNASSIGNED);
        }
        if !said("--ipv4")
            && let Some(first) = spawn.ipv4_first
        {
            let taken = |address| {
                present.iter().any(|other| {
                    matches!(other.ipv4, Ipv4Setting::Static(cidr) if cidr.address == address)
                })
            };
            let free = (0..spawn.ipv4_count)
                .filter_map(|index| pool_address(first, index))
                .find(|cidr| !taken(cidr.address));
            if let Some(cidr) = free {
                user.ipv4 = Ipv4Setting::Static(cidr);
                user.ipv4_gateway = user.ipv4_gateway.or(spawn.ipv4_gateway);
            }
        }
        user.check()?;
        for other in present {
            user.check_beside(other)?;
        }
        Ok(user)
    }
}

fn set(user: &mut User, option: &str, value: &str, wanted: &'static str) -> Result<(), String> {
    let word = |error: super::NotThat| error.to_string();
    match option {
        "--mac" => user.mac = value.parse().map_err(word)?,
        "--bank" => user.bank = plain(value, wanted)?,
        "--ipv4" => user.ipv4 = value.parse().map_err(word)?,
        "--ipv4-gateway" => user.ipv4_gateway = Some(plain(value, wanted)?),
        "--ipv6" => user.ipv6 = value.parse().map_err(word)?,
        "--ipv6-gateway" => user.ipv6_gateway = Some(plain(value, wanted)?),
        "--dns" => {
            let servers = value.split(',').map(|server| plain(server, wanted));
            user.dns = servers.collect::<Result<Vec<IpAddr>, String>>()?;
        }
        "--bind-addresses" => user.bind_addresses = yes_or_no(value, wanted)?,
        "--services" if value == "none" => user.services = Vec::new(),
        "--services" => {
            let services = value
                .split(',')
                .map(|service| service.parse().map_err(word));
            user.services = services.collect::<Result<Vec<Service>, String>>()?;
        }
        "--rate" => user.rate = Some(plain(value, wanted)?),
        "--burst" => user.burst = Some(plain(value, wanted)?),
        "--share" => user.share = plain(value, wanted)?,
        "--strategy" => user.strategy = value.parse().map_err(word)?,
        "--sealed" => user.sealed = yes_or_no(value, wanted)?,
        "--pinning" => user.pinning = value.parse().map_err(word)?,
        "--copier" => user.copier = yes_or_no(value, wanted)?,
        "--transmit-slots" => user.transmit_slots = plain(value, wanted)?,
        "--receive-slots" => user.receive_slots = Some(plain(value, wanted)?),
        // Only options of the list get here, and a test sets each of them.
        _ => return Err("can't be set".to_string()),
    }
    Ok(())
}

fn yes_or_no(value: &str, wanted: &'static str) -> Result<bool, String> {
    match value {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(super::NotThat::new(value, wanted).to_string()),
    }
}
