//! What must hold between settings, and the bounds of amounts.
//!
//! The same checks serve manifests and users spawned at the console.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

use super::address::{Ipv4Cidr, Ipv4Setting, Ipv6Setting, Mac};
use super::error::Problem;
use super::user::User;
use super::{MAX_POOL, MAX_USERS, Manifest, Spawn};

/// A setting that breaks a rule: the key, and the rule.
pub(super) type Broken = (&'static str, String);

fn rule(holds: bool, key: &'static str, message: impl Into<String>) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err((key, message.into()))
    }
}

fn within(value: u32, least: u32, most: u32, key: &'static str, unit: &str) -> Result<(), Broken> {
    rule(
        (least..=most).contains(&value),
        key,
        format!("{value} is out of bounds: {least} to {most}{unit}"),
    )
}

impl User {
    /// Checks what can be said of one user without knowing the others.
    pub(super) fn check(&self) -> Result<(), Broken> {
        rule(self.mac != Mac::UNASSIGNED, "mac", "none was assigned")?;
        within(self.bank, 1, User::MAX_BANK, "bank", " pages")?;
        self.check_addresses()?;
        let slots = |value, key| {
            within(
                u32::from(value),
                User::MIN_SLOTS.into(),
                User::MAX_SLOTS.into(),
                key,
                " pages",
            )
        };
        slots(self.transmit_slots, "transmit_slots")?;
        slots(self.receive_slots(), "receive_slots")?;
        within(
            u32::from(self.share),
            1,
            User::MAX_SHARE.into(),
            "share",
            "",
        )?;
        rule(
            self.rate != Some(0),
            "rate",
            "0 would send nothing; leave it out for no limit",
        )?;
        if let Some(burst) = self.burst {
            rule(self.rate.is_some(), "burst", "means nothing without rate")?;
            within(burst, User::MIN_BURST, u32::MAX, "burst", " bytes")?;
        }
        for (index, service) in self.services.iter().enumerate() {
            let twice = self.services[..index].contains(service);
            rule(!twice, "services", format!("{service} stands there twice"))?;
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), Broken> {
        match (self.ipv4, self.ipv4_gateway) {
            (_, None) => {}
            (Ipv4Setting::Dhcp, Some(_)) => rule(
                false,
                "ipv4_gateway",
                "DHCP says it; leave it out, or set a fixed ipv4",
            )?,
            (Ipv4Setting::Static(own), Some(gateway)) => rule(
                own.contains(gateway) && gateway != own.address,
                "ipv4_gateway",
                format!("{gateway} is no other host of the subnet of {own}"),
            )?,
        }
        match (self.ipv6, self.ipv6_gateway) {
            (_, None) => {}
            (Ipv6Setting::Static(own), Some(gateway)) => rule(
                (own.contains(gateway) || gateway.is_unicast_link_local())
                    && gateway != own.address,
                "ipv6_gateway",
                format!("{gateway} is neither link-local nor another host of the subnet of {own}"),
            )?,
            (Ipv6Setting::Off | Ipv6Setting::Slaac, Some(_)) => {
                rule(false, "ipv6_gateway", "goes with a fixed ipv6 address only")?
            }
        }
        rule(
            self.dns.len() <= User::MAX_DNS,
            "dns",
            format!(
                "{} name servers are too many: at most {}",
                self.dns.len(),
                User::MAX_DNS
            ),
        )?;
        for server in &self.dns {
            let unicast = !server.is_unspecified()
                && !server.is_multicast()
                && *server != IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
            rule(unicast, "dns", format!("{server} is no host's address"))?;
        }
        if self.bind_addresses {
            rule(
                self.ipv4 != Ipv4Setting::Dhcp,
                "bind_addresses",
                "needs a fixed ipv4 address: the driver does not follow DHCP",
            )?;
            rule(
                self.ipv6 != Ipv6Setting::Slaac,
                "bind_addresses",
                "needs ipv6 fixed or off: the driver does not follow router advertisements",
            )?;
        }
        Ok(())
    }

    /// Checks that another user has none of the things that only one can have.
    pub(super) fn check_beside(&self, other: &User) -> Result<(), Broken> {
        rule(
            self.name != other.name,
            "name",
            format!("there is a user {} already", other.name),
        )?;
        let of = |what: &dyn core::fmt::Display| format!("{what} is {}'s already", other.name);
        rule(self.mac != other.mac, "mac", of(&self.mac))?;
        if let (Ipv4Setting::Static(own), Ipv4Setting::Static(their)) = (self.ipv4, other.ipv4) {
            rule(own.address != their.address, "ipv4", of(&own.address))?;
        }
        if let (Ipv6Setting::Static(own), Ipv6Setting::Static(their)) = (self.ipv6, other.ipv6) {
            rule(own.address != their.address, "ipv6", of(&own.address))?;
        }
        Ok(())
    }
}

impl Spawn {
    fn check(&self) -> Result<(), Broken> {
        within(self.bank, 1, User::MAX_BANK, "bank", " pages")?;
        within(self.ipv4_count, 1, MAX_POOL, "ipv4_count", " addresses")?;
        let Some(first) = self.ipv4_first else {
            return rule(
                self.ipv4_gateway.is_none(),
                "ipv4_gateway",
                "means nothing without ipv4_first",
            );
        };
        rule(
            (0..self.ipv4_count).all(|index| pool_address(first, index).is_some()),
            "ipv4_count",
            format!(
                "the subnet of {first} ends before {} addresses",
                self.ipv4_count
            ),
        )?;
        if let Some(gateway) = self.ipv4_gateway {
            let in_pool = (0..self.ipv4_count)
                .any(|index| pool_address(first, index).is_some_and(|of| of.address == gateway));
            rule(
                first.contains(gateway) && !in_pool,
                "ipv4_gateway",
                format!("{gateway} is not in the subnet of {first}, or is in the pool"),
            )?;
        }
        Ok(())
    }
}

/// The pool's address at `index`, where the subnet has it.
pub(super) fn pool_address(first: Ipv4Cidr, index: u32) -> Option<Ipv4Cidr> {
    let bits = first.address.to_bits().checked_add(index)?;
    let cidr = Ipv4Cidr {
        address: bits.into(),
        length: first.length,
    };
    (first.contains(cidr.address) && cidr.usable()).then_some(cidr)
}

impl Manifest {
    /// Checks everything.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let of_spawn = |(key, message): Broken| Problem::section("spawn", Some(key), message);
        self.spawn.check().map_err(of_spawn)?;
        if self.user.len() > MAX_USERS {
            let message = format!("{} are too many: at most {MAX_USERS}", self.user.len());
            return Err(Problem::section("user", None, message));
        }
        // Maps, not a comparison of each with each: a thousand users are checked at boot, on one
        // emulated CPU.
        let mut names = BTreeMap::new();
        let mut macs = BTreeMap::new();
        let mut ipv4 = BTreeMap::new();
        let mut ipv6 = BTreeMap::new();
        for (index, user) in self.user.iter().enumerate() {
            let of_user = |(key, message): Broken| Problem::user(index, key, message);
            user.check().map_err(of_user)?;
            let mut earlier = [names.insert(&user.name, user), macs.insert(user.mac, user)]
                .into_iter()
                .flatten()
                .next();
            if let Ipv4Setting::Static(cidr) = user.ipv4 {
                earlier = earlier.or(ipv4.insert(cidr.address, user));
            }
            if let Ipv6Setting::Static(cidr) = user.ipv6 {
                earlier = earlier.or(ipv6.insert(cidr.address, user));
            }
            if let Some(earlier) = earlier {
                user.check_beside(earlier).map_err(of_user)?;
            }
        }
        Ok(())
    }
}
