//! IPv6 addresses: asking whether they are free (RFC 4862), and what routers announce (RFC 4861
//! section 6.3). smoltcp's own autoconfiguration is not used.
//!
//! Announcements are hostile input: tables are bounded, the newcomer loses where one is full, and
//! nothing that is announced can make an address vanish sooner than two hours from now (RFC 4862
//! section 5.5.3).

use core::net::{IpAddr, Ipv6Addr};

use log::{debug, info, warn};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::NdiscOptionType;

use crate::address::{
    ALL_NODES, ALL_ROUTERS, Ipv6, LINK_LOCAL, MAX_IPV6, MAX_PREFIXES, MAX_ROUTERS, Prefix, Stage,
    Until, from_mac, group_mac, solicited_node,
};
use crate::config;
use crate::counters::Drop;
use crate::header::{Check, Header};
use crate::link::Link;
use crate::ndp::{HOP_LIMIT, Options, station};
use crate::node::{LEAST_IPV6_MTU, Node};
use crate::packet::{Packet, field, protocol};

/// ICMPv6 type of a router solicitation.
const SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ADVERTISEMENT: u8 = 134;
/// Questions for routers (RFC 4861 section 10).
const MAX_SOLICITATIONS: u8 = 3;
/// Time between them.
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// Random wait before the first word, so that hosts that start together don't speak together.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Questions whether an address is free (RFC 4862 section 5.1).
const PROBES: u8 = 1;
/// How long an answer may take.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// An announcement can't shorten an address's life to less than this.
const TWO_HOURS: Duration = Duration::from_secs(7200);
/// An address is good for 64 bits of interface identifier.
const SLAAC_LENGTH: u8 = 64;

/// What is under way.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Whether routers are listened to.
    enabled: bool,
    /// When to ask for routers, and how often yet.
    ask: Option<(Instant, u8)>,
}

impl<L: Link> Node<L> {
    /// Starts IPv6 as it is configured.
    pub fn start_ipv6(&mut self, mode: config::Ipv6) {
        if mode == config::Ipv6::Off {
            return;
        }
        if self.mtu < LEAST_IPV6_MTU {
            warn!(
                "no IPv6: the link carries packets of {} bytes only",
                self.mtu
            );
            return;
        }
        self.ipv6_spoken = true;
        self.link.subscribe(group_mac(ALL_NODES.into()), true);
        let delay = self.random_delay(FIRST_DELAY);
        let first = self.now + delay;
        self.add_ipv6(from_mac(LINK_LOCAL, self.mac), false, first);
        match mode {
            config::Ipv6::Off => {}
            config::Ipv6::Slaac => self.discovery.enabled = true,
            config::Ipv6::Static {
                address,
                prefix_length,
                gateway,
            } => {
                if !address.is_unicast_link_local() {
                    self.add_ipv6(address, false, first);
                }
                let prefix = Prefix {
                    address,
                    length: prefix_length,
                };
                self.addresses.on_link.push((prefix, Until::Forever));
                if let Some(gateway) = gateway {
                    self.addresses.routers.push((gateway, Until::Forever));
                    self.fixed_router = true;
                }
            }
        }
    }

    /// Takes an address that nobody else may have.
    fn add_ipv6(&mut self, address: Ipv6Addr, announced: bool, first: Instant) {
        if self.addresses.ipv6.len() >= MAX_IPV6 || self.addresses.entry(address).is_some() {
            return;
        }
        self.addresses.ipv6.push(Ipv6 {
            address,
            stage: Stage::Tentative {
                left: PROBES,
                next: first,
            },
            announced,
            valid: Until::Forever,
            preferred: Until::Forever,
        });
        let group = solicited_node(address);
        self.link.subscribe(group_mac(group.into()), true);
        self.report_groups();
    }

    /// Subscribes again to every group, on a link that has forgotten, and tells everybody that we are
    /// (still) there.
    pub fn relinked(&mut self) {
        if self.ipv6_spoken {
            self.link.subscribe(group_mac(ALL_NODES.into()), true);
            for n in 0..self.addresses.ipv6.len() {
                let group = solicited_node(self.addresses.ipv6[n].address);
                self.link.subscribe(group_mac(group.into()), true);
            }
            self.report_groups();
        }
        self.announce();
    }

    /// Does what is due, and answers when something will be.
    pub fn tend_ipv6(&mut self) -> Option<Instant> {
        for n in 0..self.addresses.ipv6.len() {
            self.tend_address(n);
        }
        self.expire();
        if let Some((due, left)) = self.discovery.ask
            && due <= self.now
        {
            self.discovery.ask = (left > 1).then(|| (due + SOLICITATION_INTERVAL, left - 1));
            self.ask_for_routers();
        }
        let expiries = self
            .addresses
            .ipv6
            .iter()
            .map(|own| own.valid)
            .chain(self.addresses.on_link.iter().map(|(_, until)| *until))
            .chain(self.addresses.routers.iter().map(|(_, until)| *until))
            .filter_map(Until::instant);
        let probes = self
            .addresses
            .ipv6
            .iter()
            .filter_map(|own| match own.stage {
                Stage::Tentative { next, .. } => Some(next),
                _ => None,
            });
        let ask = self.discovery.ask.map(|(due, _)| due);
        expiries.chain(probes).chain(ask).min()
    }

    fn tend_address(&mut self, n: usize) {
        let Ipv6 { address, stage, .. } = self.addresses.ipv6[n];
        let Stage::Tentative { left, next } = stage else {
            return;
        };
        if next > self.now {
            return;
        }
        if left > 0 {
            self.addresses.ipv6[n].stage = Stage::Tentative {
                left: left - 1,
                next: self.now + PROBE_INTERVAL,
            };
            let nobody = Ipv6Addr::UNSPECIFIED.into();
            self.solicit(nobody, solicited_node(address), address, false);
            return;
        }
        self.addresses.ipv6[n].stage = Stage::Assigned;
        self.addresses.changed();
        info!("address {address}");
        if address.is_unicast_link_local() && self.discovery.enabled {
            self.discovery.ask = Some((self.now, MAX_SOLICITATIONS));
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        let addresses = &mut self.addresses;
        let before = addresses.ipv6.len();
        addresses.ipv6.retain(|own| {
            let over = own.valid.is_over(now);
            if over {
                info!("address {} expired", own.address);
                // Other addresses may share the group (they end in the same 24 bits); they all come
                // from the same identifier, and the link-local one stays.
                debug_assert!(own.announced);
            }
            !over
        });
        if addresses.ipv6.len() != before {
            addresses.changed();
        }
        addresses.on_link.retain(|(_, until)| !until.is_over(now));
        addresses.routers.retain(|(router, until)| {
            let over = until.is_over(now);
            if over {
                info!("router {router} expired");
            }
            !over
        });
    }

    fn ask_for_routers(&mut self) {
        let Some(source) = self.addresses.link_local() else {
            return;
        };
        let mac = self.mac;
        let header = Header {
            source: source.into(),
            destination: ALL_ROUTERS.into(),
            protocol: protocol::ICMPV6,
            hop_limit: HOP_LIMIT,
        };
        self.send(header, 16, Check::Pseudo(2), |message| {
            message[..8].copy_from_slice(&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
            message[8..10].copy_from_slice(&[1, 1]);
            message[10..].copy_from_slice(&mac);
        });
    }

    /// Handles what a router announces. The hop limit was checked.
    pub fn router_advertisement(&mut self, packet: &Packet, message: &[u8]) -> Result<(), Drop> {
        let IpAddr::V6(router) = packet.source else {
            return Err(Drop::Malformed);
        };
        if !router.is_unicast_link_local() || !self.addresses.is_sender(packet.source) {
            return Err(Drop::BadSource);
        }
        let (fixed, options) = message.split_at_checked(16).ok_or(Drop::Runt)?;
        // All options are checked before any of them does something.
        let mac = station(options, NdiscOptionType::SourceLinkLayerAddr)?;
        if !self.discovery.enabled {
            return Ok(());
        }
        self.discovery.ask = None;
        let lifetime = Duration::from_secs(u16::from_be_bytes(field(fixed, 6)).into());
        self.note_router(router, lifetime);
        if let Some(mac) = mac {
            let flags = (false, true, true);
            let waiting = self.neighbors.learn(packet.source, mac, self.now, flags);
            self.release(waiting, mac);
        }
        for option in Options(options) {
            match option? {
                (NdiscOptionType::Mtu, bytes) if bytes.len() == 8 => {
                    let mtu = u32::from_be_bytes(field(bytes, 4)) as usize;
                    if (LEAST_IPV6_MTU..=self.link.mtu()).contains(&mtu) && mtu != self.mtu {
                        info!("router {router} says that the link carries {mtu} bytes");
                        self.mtu = mtu;
                        self.addresses.changed();
                    }
                }
                (NdiscOptionType::PrefixInformation, bytes) if bytes.len() == 32 => {
                    self.note_prefix(bytes);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_router(&mut self, router: Ipv6Addr, lifetime: Duration) {
        let until = Until::Instant(self.now + lifetime);
        let routers = &mut self.addresses.routers;
        let known = routers.iter().position(|(known, _)| *known == router);
        match known {
            Some(n) if lifetime == Duration::ZERO => {
                routers.remove(n);
                info!("router {router} retired");
            }
            Some(n) => routers[n].1 = until,
            None if lifetime == Duration::ZERO => {}
            None if routers.len() >= MAX_ROUTERS => {
                debug!("router {router} ignored: {MAX_ROUTERS} are known");
            }
            None => {
                info!("router {router}");
                routers.push((router, until));
            }
        }
    }

    fn note_prefix(&mut self, option: &[u8]) {
        let (length, flags) = (option[2], option[3]);
        let valid = lifetime(field(option, 4));
        let preferred = lifetime(field(option, 8));
        let prefix = Prefix {
            address: Ipv6Addr::from(field::<16>(option, 16)),
            length,
        };
        let address = prefix.address;
        if length > 128
            || address.is_unicast_link_local()
            || address.is_multicast()
            || address.is_unspecified()
            || address.is_loopback()
        {
            return;
        }
        const ON_LINK: u8 = 0x80;
        const AUTONOMOUS: u8 = 0x40;
        if flags & ON_LINK != 0 {
            self.note_on_link(prefix, valid);
        }
        let sensible = match (preferred, valid) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(preferred), Some(valid)) => preferred <= valid,
        };
        if flags & AUTONOMOUS != 0 && length == SLAAC_LENGTH && sensible {
            self.note_autonomous(prefix, valid, preferred);
        }
    }

    fn until(&self, lifetime: Option<Duration>) -> Until {
        lifetime.map_or(Until::Forever, |time| Until::Instant(self.now + time))
    }

    fn note_on_link(&mut self, prefix: Prefix, valid: Option<Duration>) {
        let until = self.until(valid);
        let known =
            self.addresses.on_link.iter().position(|(known, _)| {
                known.length == prefix.length && known.contains(prefix.address)
            });
        match known {
            Some(n) if valid == Some(Duration::ZERO) => {
                self.addresses.on_link.remove(n);
            }
            Some(n) => self.addresses.on_link[n].1 = until,
            None if valid == Some(Duration::ZERO) => {}
            None if self.addresses.on_link.len() >= MAX_PREFIXES => {
                debug!(
                    "prefix {} ignored: {MAX_PREFIXES} are known",
                    prefix.address
                );
            }
            None => self.addresses.on_link.push((prefix, until)),
        }
    }

    fn note_autonomous(
        &mut self,
        prefix: Prefix,
        valid: Option<Duration>,
        preferred: Option<Duration>,
    ) {
        let address = from_mac(prefix.address, self.mac);
        let (now, until, preferred) = (self.now, self.until(valid), self.until(preferred));
        if let Some(entry) = self.addresses.entry(address) {
            if !entry.announced {
                return;
            }
            entry.preferred = preferred;
            let soon = now + TWO_HOURS;
            entry.valid = match (entry.valid, until) {
                (_, Until::Forever) => until,
                (_, Until::Instant(new)) if new > soon => until,
                (Until::Instant(old), Until::Instant(new)) if new > old => until,
                (Until::Instant(old), _) if old <= soon => Until::Instant(old),
                _ => Until::Instant(soon),
            };
        } else if valid != Some(Duration::ZERO) {
            if self.addresses.ipv6.len() >= MAX_IPV6 {
                debug!("prefix {} ignored: no room for an address", prefix.address);
                return;
            }
            self.add_ipv6(address, true, now);
            if let Some(entry) = self.addresses.entry(address) {
                entry.valid = until;
                entry.preferred = preferred;
            }
        }
    }
}

/// A lifetime in seconds; `None` for ever.
fn lifetime(bytes: [u8; 4]) -> Option<Duration> {
    match u32::from_be_bytes(bytes) {
        u32::MAX => None,
        seconds => Some(Duration::from_secs(seconds.into())),
    }
}
