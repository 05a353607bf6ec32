//! Manifests for `--users N`.
//!
//! User k (from 1) has the fixed address 10.0.2.(20+k), so that forwarded ports have somewhere to
//! lead. Two more addresses are a pool for users who are spawned at the console.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use manifest::{Ipv4Cidr, Ipv4Setting, Mac, Manifest, Spawn, User};

/// Most users of a generated manifest: their addresses fit below those that QEMU's DHCP gives.
pub const MAX_USERS: u32 = 200;

/// Addresses for users who are spawned later.
pub const SPARE: u32 = 2;

/// The network of QEMU's user networking.
pub const PREFIX: u8 = 24;

/// The router there.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// First address that QEMU's DHCP server gives away: beyond all fixed ones.
pub const DHCP_START: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 230);

const NAMES: [&str; 10] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
];

/// The name of user `k`, from 1.
pub fn name(k: u32) -> String {
    let known = usize::try_from(k)
        .ok()
        .and_then(|k| k.checked_sub(1))
        .and_then(|k| NAMES.get(k));
    known.map_or_else(|| format!("user-{k}"), |name| name.to_string())
}

/// The address of user `k`, from 1 to [`MAX_USERS`] + [`SPARE`].
fn address(k: u32) -> Ipv4Cidr {
    let base = Ipv4Addr::new(10, 0, 2, 20).to_bits();
    Ipv4Cidr {
        address: Ipv4Addr::from_bits(base + k),
        length: PREFIX,
    }
}

/// A manifest with `count` users.
///
/// # Errors
/// More than [`MAX_USERS`].
pub fn manifest(count: u32) -> Result<Manifest> {
    if count > MAX_USERS {
        bail!("--users {count}: at most {MAX_USERS} (write a manifest of your own for more)");
    }
    let mut manifest = Manifest {
        spawn: Spawn {
            ipv4_first: Some(address(count + 1)),
            ipv4_count: SPARE,
            ipv4_gateway: Some(GATEWAY),
            ..Spawn::default()
        },
        ..Manifest::default()
    };
    for k in 1..=count {
        let mut user = User::named(name(k).parse()?);
        user.mac = Mac::derived(k - 1);
        user.ipv4 = Ipv4Setting::Static(address(k));
        user.ipv4_gateway = Some(GATEWAY);
        manifest.user.push(user);
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_manifest_is_one_that_init_accepts() {
        for count in [0, 1, 2, 10, 11, MAX_USERS] {
            let made = manifest(count).unwrap();
            let text = made.render().unwrap();
            assert_eq!(Manifest::parse(&text).unwrap(), made);
            assert_eq!(made.user.len(), count as usize);
        }
        assert!(manifest(MAX_USERS + 1).is_err());
    }

    #[test]
    fn users_have_the_names_and_addresses_that_the_readme_promises() {
        let made = manifest(11).unwrap();
        let seen: Vec<String> = made
            .user
            .iter()
            .map(|user| format!("{} {}", user.name, user.ipv4))
            .collect();
        assert_eq!(seen[0], "alice 10.0.2.21/24");
        assert_eq!(seen[1], "bob 10.0.2.22/24");
        assert_eq!(seen[10], "user-11 10.0.2.31/24");
    }

    #[test]
    fn no_fixed_address_is_one_that_dhcp_gives() {
        let last = address(MAX_USERS + SPARE).address;
        assert!(last < DHCP_START && last.octets()[..3] == [10, 0, 2]);
    }
}
