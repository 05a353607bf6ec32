//! From a user's settings to those of its port.

use dev::settings::{OWN_THRESHOLD, Pinning, PortSettings, Rate, Receive, Strategy};

use crate::manifest::{self, Ipv4Setting, Ipv6Setting, User};

/// The settings of a user's port.
pub fn settings(user: &User) -> PortSettings {
    PortSettings {
        mac: dev::Mac::new(user.mac.bytes()),
        rate: Rate {
            bytes_per_second: user.rate.map_or(0, u64::from),
            burst: user.burst_bytes().map_or(0, u64::from),
            share: user.share,
        },
        transmit_pages: user.transmit_slots,
        receive_pages: user.receive_slots(),
        receive: receive(user.strategy, user.sealed),
        pinning: match user.pinning {
            manifest::Pinning::Session => Pinning::Session,
            manifest::Pinning::Frame => Pinning::Frame,
        },
    }
}

/// How a port receives.
pub fn receive(strategy: manifest::Strategy, sealed: bool) -> Receive {
    let (strategy, threshold) = match strategy {
        manifest::Strategy::Copy => (Strategy::Copy, None),
        manifest::Strategy::Flip => (Strategy::Flip, None),
        manifest::Strategy::Hybrid { threshold } => (Strategy::Hybrid, threshold),
    };
    Receive {
        strategy,
        threshold: threshold.unwrap_or(OWN_THRESHOLD),
        sealed,
    }
}

/// The IP addresses that a user's port is bound to; none where it is not bound. A bound port may
/// always use the link-local address that follows from its MAC address.
pub fn addresses(user: &User) -> impl Iterator<Item = core::net::IpAddr> {
    let ipv4 = match user.ipv4 {
        Ipv4Setting::Static(cidr) => Some(cidr.address.into()),
        Ipv4Setting::Dhcp => None,
    };
    let ipv6 = match user.ipv6 {
        Ipv6Setting::Static(cidr) => Some(cidr.address.into()),
        Ipv6Setting::Off | Ipv6Setting::Slaac => None,
    };
    let link_local =
        matches!(user.ipv6, Ipv6Setting::Static(_)).then(|| link_local(user.mac.bytes()).into());
    [ipv4, ipv6, link_local]
        .into_iter()
        .flatten()
        .filter(|_| user.bind_addresses)
}

/// The link-local address with the interface identifier of a MAC address (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> core::net::Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    core::net::Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(identifier))
}
