//! IP addresses bound to a port: what it may send then, and what not.
//!
//! A bound port sends IPv4, ARP and IPv6, and only as one of its addresses. Neighbour discovery is
//! looked into, because an advertisement speaks for its target and not for its source: a bound port
//! advertises only its own addresses at its own MAC address, and is no router.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use alloc::vec::Vec;

use dev::Mac;
use dev::statistics::Counter;

/// Most addresses bound to a port.
pub const MOST: usize = 8;

/// The addresses bound to a port.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
}

/// IPv6: next headers.
mod next {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION: u8 = 60;
}

/// ICMPv6 types of neighbour discovery (RFC 4861, section 4).
mod icmp {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

/// Options of neighbour discovery that name a link-layer address.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

const IPV6_HEADER: usize = 40;
const ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl Bindings {
    /// Whether there are any.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// Binds an address. `false`: there are enough.
    pub fn add(&mut self, address: IpAddr) -> bool {
        if self.ipv4.len() + self.ipv6.len() >= MOST {
            return false;
        }
        match address {
            IpAddr::V4(address) => self.ipv4.push(address),
            IpAddr::V6(address) => self.ipv6.push(address),
        }
        true
    }

    /// Checks an IPv4 packet.
    pub(crate) fn check_ipv4(&self, packet: &[u8]) -> Result<(), Counter> {
        let header = packet.first_chunk::<20>().ok_or(Counter::Malformed)?;
        if header[0] >> 4 != 4 || header[0] & 15 < 5 {
            return Err(Counter::Malformed);
        }
        let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
        if !self.ipv4.contains(&source) {
            return Err(Counter::SpoofedIpv4);
        }
        Ok(())
    }

    /// Checks an ARP packet: ethernet and IPv4, sent by the port for one of its addresses, or for none
    /// (a probe, RFC 5227).
    pub(crate) fn check_arp(&self, packet: &[u8], mac: Mac) -> Result<(), Counter> {
        let packet = packet.first_chunk::<28>().ok_or(Counter::Malformed)?;
        if packet[..6] != ETHERNET {
            return Err(Counter::Malformed);
        }
        let sender = Ipv4Addr::new(packet[14], packet[15], packet[16], packet[17]);
        let own = sender.is_unspecified() || self.ipv4.contains(&sender);
        if packet[8..14] != mac.bytes() || !own {
            return Err(Counter::SpoofedArp);
        }
        Ok(())
    }

    /// Checks an IPv6 packet of `length` bytes, of which `packet` are the first.
    pub(crate) fn check_ipv6(&self, packet: &[u8], mac: Mac, length: u32) -> Result<(), Counter> {
        let header = packet
            .first_chunk::<IPV6_HEADER>()
            .ok_or(Counter::Malformed)?;
        if header[0] >> 4 != 6 {
            return Err(Counter::Malformed);
        }
        let source = address(&header[8..24]);
        // Who has no address yet sends from none: duplicate address detection, group reports.
        if !source.is_unspecified() && !self.ipv6.contains(&source) {
            return Err(Counter::SpoofedIpv6);
        }
        // Behind the payload lies padding, which nobody looks at.
        let payload = u16::from_be_bytes([header[4], header[5]]) as usize;
        if IPV6_HEADER + payload > length as usize {
            return Err(Counter::Malformed);
        }
        let copied = &packet[IPV6_HEADER..];
        let whole = copied.len() >= payload;
        let copied = &copied[..payload.min(copied.len())];
        match upper_layer(header[6], copied)? {
            Upper::Icmp(message) => self.check_icmpv6(message, source, mac, whole),
            Upper::Fragmented => Err(Counter::UncheckedHeader),
            // Without an address there is nothing to say but that.
            Upper::Other if source.is_unspecified() => Err(Counter::SpoofedIpv6),
            Upper::Other => Ok(()),
        }
    }

    fn check_icmpv6(
        &self,
        message: &[u8],
        source: Ipv6Addr,
        mac: Mac,
        whole: bool,
    ) -> Result<(), Counter> {
        let kind = *message.first().ok_or(Counter::UncheckedHeader)?;
        let options = match kind {
            icmp::ROUTER_SOLICITATION => 8,
            icmp::NEIGHBOUR_SOLICITATION => 24,
            icmp::NEIGHBOUR_ADVERTISEMENT => {
                let target = message.get(8..24).ok_or(Counter::Malformed)?;
                if !self.ipv6.contains(&address(target)) {
                    return Err(Counter::SpoofedNeighbour);
                }
                24
            }
            icmp::ROUTER_ADVERTISEMENT | icmp::REDIRECT => return Err(Counter::RouterMessage),
            // Group reports (RFC 2710, 3810) may come from nowhere; nothing else may.
            130..=132 | 143 => return Ok(()),
            _ if source.is_unspecified() => return Err(Counter::SpoofedIpv6),
            _ => return Ok(()),
        };
        if !whole {
            // An option that isn't copied can't be checked.
            return Err(Counter::UncheckedHeader);
        }
        check_options(message.get(options..).ok_or(Counter::Malformed)?, mac)
    }
}

/// Every link-layer address in the options must be the port's.
fn check_options(mut options: &[u8], mac: Mac) -> Result<(), Counter> {
    while let [kind, units, ..] = *options {
        let length = units as usize * 8;
        if length == 0 || length > options.len() {
            return Err(Counter::Malformed);
        }
        let (option, rest) = options.split_at(length);
        if (kind == SOURCE_ADDRESS || kind == TARGET_ADDRESS) && option[2..8] != mac.bytes() {
            return Err(Counter::SpoofedNeighbour);
        }
        options = rest;
    }
    if options.is_empty() {
        Ok(())
    } else {
        Err(Counter::Malformed)
    }
}

/// What an IPv6 packet carries, as far as that matters.
enum Upper<'a> {
    Icmp(&'a [u8]),
    /// ICMPv6 in pieces, or a piece of which nobody can say what it is.
    Fragmented,
    Other,
}

/// Walks the extension headers.
fn upper_layer(mut kind: u8, mut bytes: &[u8]) -> Result<Upper<'_>, Counter> {
    let mut fragmented = false;
    loop {
        let length = match kind {
            next::ICMPV6 if fragmented => return Ok(Upper::Fragmented),
            next::ICMPV6 => return Ok(Upper::Icmp(bytes)),
            next::HOP_BY_HOP | next::ROUTING | next::DESTINATION => {
                let [_, units, ..] = *bytes else {
                    return Err(Counter::UncheckedHeader);
                };
                8 + units as usize * 8
            }
            next::AUTHENTICATION => {
                let [_, units, ..] = *bytes else {
                    return Err(Counter::UncheckedHeader);
                };
                8 + units as usize * 4
            }
            next::FRAGMENT => {
                let [_, _, high, low, ..] = *bytes else {
                    return Err(Counter::UncheckedHeader);
                };
                let offset = u16::from_be_bytes([high, low]) >> 3;
                if offset != 0 {
                    // What follows the first piece begins anywhere; of neighbour discovery there are
                    // no pieces (RFC 6980), and the first piece says what it is.
                    return match *bytes {
                        [next::ICMPV6, ..] => Ok(Upper::Fragmented),
                        [next::HOP_BY_HOP | next::ROUTING | next::DESTINATION, ..] => {
                            Ok(Upper::Fragmented)
                        }
                        _ => Ok(Upper::Other),
                    };
                }
                fragmented = true;
                8
            }
            _ => return Ok(Upper::Other),
        };
        let (header, rest) = bytes
            .split_at_checked(length)
            .ok_or(Counter::UncheckedHeader)?;
        kind = header[0];
        bytes = rest;
    }
}

/// An IPv6 address out of 16 bytes.
fn address(bytes: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    Ipv6Addr::from(octets)
}
