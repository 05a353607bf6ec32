//! Neighbour discovery (RFC 4861): questions and answers about IPv6 neighbours.
//!
//! Routers' announcements are the business of [`crate::slaac`].

use core::net::{IpAddr, Ipv6Addr};

use log::warn;
use smoltcp::wire::{NdiscOption, NdiscOptionType};

use crate::address::{ALL_NODES, Stage, solicited_node};
use crate::counters::Drop;
use crate::header::{Check, Header};
use crate::link::Link;
use crate::node::Node;
use crate::packet::{Mac, Packet, field, protocol};
use crate::text::ShowMac;

/// Hop limit of everything in neighbour discovery: what came over a router has less.
pub const HOP_LIMIT: u8 = 255;

/// ICMPv6 type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// The options of a neighbour discovery message, each checked to lie in it and to be of some length
/// (RFC 4861 section 4.6).
pub struct Options<'a>(pub &'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Result<(NdiscOptionType, &'a [u8]), Drop>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let all = core::mem::take(&mut self.0);
        let checked = all.len() >= 2 && all[1] != 0;
        let length = if checked { usize::from(all[1]) * 8 } else { 0 };
        let (Some(option), Some(rest)) = (all.get(..length), all.get(length..)) else {
            return Some(Err(Drop::Malformed));
        };
        if option.is_empty() {
            return Some(Err(Drop::Malformed));
        }
        self.0 = rest;
        let kind = NdiscOption::new_unchecked(option).option_type();
        Some(Ok((kind, option)))
    }
}

/// The link-layer address among the options, if there is one. All options are checked.
pub fn station(options: &[u8], wanted: NdiscOptionType) -> Result<Option<Mac>, Drop> {
    let mut found = None;
    for option in Options(options) {
        let (kind, bytes) = option?;
        if kind == wanted && bytes.len() == 8 {
            let mac: Mac = field(bytes, 2);
            if mac[0] & 1 != 0 {
                return Err(Drop::BadSource);
            }
            found = Some(mac);
        }
    }
    Ok(found)
}

/// The target address of a solicitation or advertisement, and its options.
fn target(message: &[u8]) -> Result<(Ipv6Addr, &[u8]), Drop> {
    let (fixed, options) = message.split_at_checked(24).ok_or(Drop::Runt)?;
    let target = Ipv6Addr::from(field::<16>(fixed, 8));
    if target.is_multicast() {
        return Err(Drop::Malformed);
    }
    Ok((target, options))
}

impl<L: Link> Node<L> {
    /// Handles a question about an address (RFC 4861 section 7.2.3).
    pub fn neighbor_solicitation(&mut self, packet: &Packet, message: &[u8]) -> Result<(), Drop> {
        let (target, options) = target(message)?;
        let station = station(options, NdiscOptionType::SourceLinkLayerAddr)?;
        let own_question = packet.source_mac == self.mac;
        let Some(entry) = self.addresses.entry(target) else {
            return Err(Drop::NotOurAddress);
        };
        let probe = packet.source.is_ipv6() && packet.source.is_unspecified();
        match entry.stage {
            Stage::Tentative { .. } => {
                // Somebody else wants the same address, now (RFC 4862 section 5.4.3).
                if probe && !own_question {
                    self.duplicate(target, packet.source_mac);
                }
                return Ok(());
            }
            Stage::Duplicate => return Ok(()),
            Stage::Assigned => {}
        }
        if probe {
            let to_group = packet.destination == IpAddr::V6(solicited_node(target));
            if station.is_some() || !to_group {
                return Err(Drop::Malformed);
            }
            self.advertise(target, ALL_NODES.into(), OVERRIDE);
            return Ok(());
        }
        if !self.addresses.is_sender(packet.source) {
            return Err(Drop::BadSource);
        }
        if let Some(mac) = station {
            let flags = (false, true, true);
            let waiting = self.neighbors.learn(packet.source, mac, self.now, flags);
            self.release(waiting, mac);
        }
        self.advertise(target, packet.source, SOLICITED | OVERRIDE);
        Ok(())
    }

    /// Handles an answer (RFC 4861 section 7.2.5).
    pub fn neighbor_advertisement(&mut self, packet: &Packet, message: &[u8]) -> Result<(), Drop> {
        let (target, options) = target(message)?;
        let flags = message[4];
        let to_group = packet.destination.is_multicast();
        if to_group && flags & SOLICITED != 0 {
            return Err(Drop::Malformed);
        }
        let station = station(options, NdiscOptionType::TargetLinkLayerAddr)?;
        if let Some(entry) = self.addresses.entry(target) {
            if packet.source_mac == self.mac {
                return Ok(());
            }
            match entry.stage {
                Stage::Tentative { .. } => self.duplicate(target, packet.source_mac),
                _ => warn!("{} claims our address {target}", ShowMac(packet.source_mac)),
            }
            return Ok(());
        }
        let neighbour = IpAddr::V6(target);
        if let Some(mac) = station {
            let flags = (flags & SOLICITED != 0, false, flags & OVERRIDE != 0);
            let waiting = self.neighbors.learn(neighbour, mac, self.now, flags);
            self.release(waiting, mac);
        } else if flags & SOLICITED != 0 {
            self.neighbors.confirm(neighbour, self.now);
        }
        if flags & ROUTER == 0 {
            self.addresses
                .routers
                .retain(|(router, _)| IpAddr::V6(*router) != neighbour || self.fixed_router);
        }
        Ok(())
    }

    /// Asks who has an IPv6 address: the station that had it, or all.
    pub fn ask_ndp(&mut self, address: Ipv6Addr, station: Option<Mac>) {
        let to = match station {
            Some(_) => address,
            None => solicited_node(address),
        };
        let source = self.addresses.source_for(address.into(), self.now);
        let Some(source) = source else {
            return;
        };
        self.solicit(source, to, address, true);
    }

    /// Sends a question: from nobody, if it only asks whether an address is free.
    pub fn solicit(&mut self, source: IpAddr, to: Ipv6Addr, target: Ipv6Addr, with_station: bool) {
        let mac = self.mac;
        let header = Header {
            source,
            destination: to.into(),
            protocol: protocol::ICMPV6,
            hop_limit: HOP_LIMIT,
        };
        let length = if with_station { 32 } else { 24 };
        self.send(header, length, Check::Pseudo(2), |message| {
            message[..8].copy_from_slice(&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
            message[8..24].copy_from_slice(&target.octets());
            if with_station {
                message[24..26].copy_from_slice(&[1, 1]);
                message[26..].copy_from_slice(&mac);
            }
        });
    }

    fn advertise(&mut self, target: Ipv6Addr, to: IpAddr, flags: u8) {
        let mac = self.mac;
        let header = Header {
            source: target.into(),
            destination: to,
            protocol: protocol::ICMPV6,
            hop_limit: HOP_LIMIT,
        };
        self.send(header, 32, Check::Pseudo(2), |message| {
            message[..8].copy_from_slice(&[ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
            message[8..24].copy_from_slice(&target.octets());
            message[24..26].copy_from_slice(&[2, 1]);
            message[26..].copy_from_slice(&mac);
        });
    }

    /// Somebody else has an address that we were about to take.
    fn duplicate(&mut self, address: Ipv6Addr, station: Mac) {
        warn!("{} already has {address}: not used", ShowMac(station));
        if let Some(entry) = self.addresses.entry(address) {
            entry.stage = Stage::Duplicate;
        }
        self.addresses.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn options_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut left = bytes.len();
            for option in Options(&bytes) {
                let Ok((_, option)) = option else { break };
                prop_assert!(!option.is_empty() && option.len() <= left);
                left -= option.len();
            }
        }
    }

    #[test]
    fn options_of_no_length_are_refused() {
        let mut options = Options(&[1, 1, 2, 3, 4, 5, 6, 7, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert!(options.next().unwrap().is_ok());
        assert_eq!(options.next(), Some(Err(Drop::Malformed)));
        assert_eq!(options.next(), None);
    }
}
