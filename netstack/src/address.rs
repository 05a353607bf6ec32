//! The host's own addresses, the subnets on its link, and its routers.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::time::Instant;

use crate::packet::Mac;

/// Most IPv6 addresses: a link-local one, and one for each of [`MAX_PREFIXES`]. smoltcp holds one
/// IPv4 address besides.
pub const MAX_IPV6: usize = 6;
/// Most subnets on the link that routers can announce.
pub const MAX_PREFIXES: usize = 5;
/// Most default routers (IPv6).
pub const MAX_ROUTERS: usize = 4;

/// The prefix of addresses that hold on one link only.
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
/// Every IPv6 node of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Every IPv6 router of the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Any address in it.
    pub address: Ipv6Addr,
    /// Bits that its addresses share.
    pub length: u8,
}

impl Prefix {
    /// Whether an address is in it.
    pub fn contains(&self, other: Ipv6Addr) -> bool {
        let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
        (self.address.to_bits() ^ other.to_bits()) & !host == 0
    }
}

/// The IPv4 address and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// The address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub length: u8,
    /// Default router.
    pub gateway: Option<Ipv4Addr>,
}

impl Ipv4 {
    fn hosts(&self) -> u32 {
        u32::MAX.checked_shr(self.length.into()).unwrap_or(0)
    }

    /// Whether an address is of the subnet.
    pub fn contains(&self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & !self.hosts() == 0
    }

    /// Whether an address stands for all hosts of the subnet. Its first address did so in 1985.
    pub fn is_broadcast(&self, other: Ipv4Addr) -> bool {
        let host = other.to_bits() & self.hosts();
        self.length < 31 && self.contains(other) && (host == self.hosts() || host == 0)
    }
}

/// Until when something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Always.
    Forever,
    /// Not at this instant any more.
    Instant(Instant),
}

impl Until {
    /// Whether it is over.
    pub fn is_over(self, now: Instant) -> bool {
        matches!(self, Until::Instant(end) if end <= now)
    }

    /// The instant, if there is one.
    pub fn instant(self) -> Option<Instant> {
        match self {
            Until::Forever => None,
            Until::Instant(end) => Some(end),
        }
    }
}

/// How far an IPv6 address has come (RFC 4862 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody may use it yet: `left` more questions whether somebody has it, the next one then.
    Tentative {
        /// Questions yet to ask.
        left: u8,
        /// When to ask, or, with none left, when nobody has answered.
        next: Instant,
    },
    /// Ours.
    Assigned,
    /// Somebody else has it.
    Duplicate,
}

/// One IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// The address.
    pub address: Ipv6Addr,
    /// How far it has come.
    pub stage: Stage,
    /// The prefix that a router announced for it, for those that come and go.
    pub announced: bool,
    /// Until when it may be used.
    pub valid: Until,
    /// Until when it is a good source for something new.
    pub preferred: Until,
}

/// The whole of it.
#[derive(Debug, Default)]
pub struct Addresses {
    /// The IPv4 address.
    pub ipv4: Option<Ipv4>,
    /// The IPv6 addresses; at most [`MAX_IPV6`].
    pub ipv6: Vec<Ipv6>,
    /// Subnets on the link; at most [`MAX_PREFIXES`]. Having an address says nothing of what else is
    /// on the link (RFC 5942).
    pub on_link: Vec<(Prefix, Until)>,
    /// Default routers; at most [`MAX_ROUTERS`].
    pub routers: Vec<(Ipv6Addr, Until)>,
    /// Changes with each change that smoltcp's copy must follow.
    pub generation: u32,
}

impl Addresses {
    /// No addresses, and room for all that may come.
    pub fn new() -> Addresses {
        Addresses {
            ipv4: None,
            ipv6: Vec::with_capacity(MAX_IPV6),
            on_link: Vec::with_capacity(MAX_PREFIXES),
            routers: Vec::with_capacity(MAX_ROUTERS),
            generation: 0,
        }
    }

    /// Something changed.
    pub fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Whether packets to this address are for this host.
    pub fn is_ours(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some_and(|own| own.address == address),
            IpAddr::V6(address) => self.assigned().any(|own| own.address == address),
        }
    }

    /// The IPv6 addresses that may be used.
    pub fn assigned(&self) -> impl Iterator<Item = &Ipv6> {
        self.ipv6.iter().filter(|own| own.stage == Stage::Assigned)
    }

    /// The entry of an IPv6 address, however far it has come.
    pub fn entry(&mut self, address: Ipv6Addr) -> Option<&mut Ipv6> {
        self.ipv6.iter_mut().find(|own| own.address == address)
    }

    /// The link-local address, once it may be used.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.assigned()
            .map(|own| own.address)
            .find(Ipv6Addr::is_unicast_link_local)
    }

    /// Whether a packet can come from there: from one station, and not from this one.
    pub fn is_sender(&self, address: IpAddr) -> bool {
        if self.is_ours(address) {
            return false;
        }
        match address {
            IpAddr::V4(address) => {
                let [first, ..] = address.octets();
                let broadcast = self.ipv4.is_some_and(|own| own.is_broadcast(address));
                first != 0 && first != 127 && first < 224 && !broadcast
            }
            IpAddr::V6(address) => {
                !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
            }
        }
    }

    /// The neighbour through which packets to an address go: itself, or a router. `reachable` tells
    /// routers that are known to answer from others (RFC 4861 section 6.3.6).
    pub fn next_hop(
        &self,
        destination: IpAddr,
        reachable: impl Fn(Ipv6Addr) -> bool,
    ) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(address) => {
                let own = self.ipv4?;
                if own.contains(address) {
                    return Some(destination);
                }
                own.gateway.map(IpAddr::V4)
            }
            IpAddr::V6(address) => {
                let neighbour = address.is_unicast_link_local()
                    || self
                        .on_link
                        .iter()
                        .any(|(prefix, _)| prefix.contains(address));
                if neighbour {
                    return Some(destination);
                }
                let mut routers = self.routers.iter().map(|(router, _)| *router);
                let first = routers.next()?;
                let answering = [first].into_iter().chain(routers).find(|&r| reachable(r));
                Some(IpAddr::V6(answering.unwrap_or(first)))
            }
        }
    }

    /// The address to send from (RFC 6724, as far as one interface needs it).
    pub fn source_for(&self, destination: IpAddr, now: Instant) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(_) => self.ipv4.map(|own| IpAddr::V4(own.address)),
            IpAddr::V6(destination) => {
                let link = is_of_link(destination);
                let rank = |own: &&Ipv6| {
                    let scope = own.address.is_unicast_link_local() == link;
                    let preferred = !own.preferred.is_over(now);
                    let shared = (own.address.to_bits() ^ destination.to_bits()).leading_zeros();
                    (scope, preferred, shared)
                };
                let best = self.assigned().max_by_key(rank)?;
                Some(IpAddr::V6(best.address))
            }
        }
    }
}

/// Whether an address is meaningful on one link only.
fn is_of_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.segments()[0] & 0xff0f == 0xff02
}

/// The interface identifier made from a MAC address (RFC 4291 appendix A), under a prefix of 64 bits.
pub fn from_mac(prefix: Ipv6Addr, mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    let prefix = prefix.to_bits() & !u128::from(u64::MAX);
    Ipv6Addr::from_bits(prefix | u128::from(identifier))
}

/// The group in which questions about an address are asked (RFC 4291 section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let low = address.to_bits() & 0xff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low)
}

/// The MAC address of an IP group (RFC 1112 section 6.4, RFC 2464 section 7).
pub fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(address: &str) -> Ipv6 {
        Ipv6 {
            address: address.parse().unwrap(),
            stage: Stage::Assigned,
            announced: false,
            valid: Until::Forever,
            preferred: Until::Forever,
        }
    }

    #[test]
    fn identifiers_and_groups_are_made_as_the_standards_say() {
        // RFC 2464 sections 4 and 5.
        let mac = [0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde];
        let address = from_mac(LINK_LOCAL, mac);
        assert_eq!(address.to_string(), "fe80::3656:78ff:fe9a:bcde");
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff9a:bcde");
        let group = group_mac(solicited_node(address).into());
        assert_eq!(group, [0x33, 0x33, 0xff, 0x9a, 0xbc, 0xde]);
        let group = group_mac("224.128.2.3".parse().unwrap());
        assert_eq!(group, [0x01, 0x00, 0x5e, 0x00, 0x02, 0x03]);
    }

    use alloc::string::ToString;

    #[test]
    fn neighbours_are_reached_directly_and_others_through_a_router() {
        let mut addresses = Addresses::new();
        let hop = |addresses: &Addresses, to: &str| {
            let hop = addresses.next_hop(to.parse().unwrap(), |r| r.segments()[7] == 2);
            hop.map(|hop| hop.to_string()).unwrap_or_default()
        };
        assert_eq!(hop(&addresses, "10.0.2.2"), "");
        addresses.ipv4 = Some(Ipv4 {
            address: [10, 0, 2, 21].into(),
            length: 24,
            gateway: Some([10, 0, 2, 2].into()),
        });
        assert_eq!(hop(&addresses, "10.0.2.9"), "10.0.2.9");
        assert_eq!(hop(&addresses, "10.0.3.9"), "10.0.2.2");

        addresses.ipv6.push(assigned("fd00::21"));
        assert_eq!(hop(&addresses, "fd00::9"), "", "an address is no subnet");
        let prefix = Prefix {
            address: "fd00::".parse().unwrap(),
            length: 64,
        };
        addresses.on_link.push((prefix, Until::Forever));
        assert_eq!(hop(&addresses, "fd00::9"), "fd00::9");
        assert_eq!(hop(&addresses, "fe80::9"), "fe80::9");
        assert_eq!(hop(&addresses, "fd00:0:0:1::9"), "");
        for router in ["fe80::1", "fe80::2"] {
            let router = router.parse().unwrap();
            addresses.routers.push((router, Until::Forever));
        }
        assert_eq!(
            hop(&addresses, "fd00:0:0:1::9"),
            "fe80::2",
            "the one that answers"
        );
    }

    #[test]
    fn sources_fit_destinations() {
        let now = Instant::from_secs(100);
        let mut addresses = Addresses::new();
        let mut old = assigned("2001:db8:1::1");
        old.preferred = Until::Instant(now);
        addresses.ipv6 = alloc::vec![assigned("fe80::1"), old, assigned("2001:db8:2::1")];
        let source = |to: &str| {
            let source = addresses.source_for(to.parse().unwrap(), now);
            source.unwrap().to_string()
        };
        assert_eq!(source("fe80::9"), "fe80::1");
        assert_eq!(source("ff02::1"), "fe80::1");
        assert_eq!(source("2001:db8:2::9"), "2001:db8:2::1");
        assert_eq!(
            source("2001:db8:1::9"),
            "2001:db8:2::1",
            "not the deprecated one"
        );
        assert!(
            addresses
                .source_for("1.2.3.4".parse().unwrap(), now)
                .is_none()
        );
    }

    #[test]
    fn groups_nobody_and_ourselves_are_no_senders() {
        let mut addresses = Addresses::new();
        addresses.ipv4 = Some(Ipv4 {
            address: [10, 0, 2, 21].into(),
            length: 24,
            gateway: None,
        });
        addresses.ipv6.push(assigned("fd00::21"));
        for bad in [
            "10.0.2.21",
            "10.0.2.255",
            "10.0.2.0",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "fd00::21",
        ] {
            assert!(!addresses.is_sender(bad.parse().unwrap()), "{bad}");
        }
        for good in ["10.0.2.2", "192.0.2.255", "fd00::22", "fe80::1"] {
            assert!(addresses.is_sender(good.parse().unwrap()), "{good}");
        }
    }
}
