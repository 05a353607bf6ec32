//! MAC and IP addresses, and how a user gets its IP addresses.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use super::text::{NotThat, as_text};

/// A locally administered unicast MAC address (IEEE 802, U/L bit set, I/G bit clear).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// Stands for "derive one"; never in a manifest that was parsed.
    pub const UNASSIGNED: Mac = Mac([0; 6]);

    /// The address derived from a user's position: `02:75:73` ("us") and the position plus one.
    pub fn derived(index: u32) -> Mac {
        let [_, high, middle, low] = index.saturating_add(1).to_be_bytes();
        Mac([0x02, 0x75, 0x73, high, middle, low])
    }

    /// The six bytes, in the order of the wire.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl Default for Mac {
    fn default() -> Self {
        Mac::UNASSIGNED
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        let wrong = || NotThat::new(text, Self::WANTED);
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            // from_str_radix alone would take "+2".
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() || bytes[0] & 0b11 != 0b10 {
            return Err(wrong());
        }
        Ok(Mac(bytes))
    }
}

macro_rules! cidr {
    ($(#[$doc:meta])* $name:ident, $address:ty, $bits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The address itself.
            pub address: $address,
            /// Length of the subnet's prefix, in bits.
            pub length: u8,
        }

        impl $name {
            /// Whether an address is of this subnet.
            pub fn contains(&self, other: $address) -> bool {
                let shift = $bits - u32::from(self.length.min($bits));
                let prefix = |address: $address| address.to_bits().checked_shr(shift).unwrap_or(0);
                prefix(self.address) == prefix(other)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.address, self.length)
            }
        }

        impl FromStr for $name {
            type Err = NotThat;
            fn from_str(text: &str) -> Result<Self, NotThat> {
                let parsed = text.split_once('/').and_then(|(address, length)| {
                    let digits = length.bytes().all(|digit| digit.is_ascii_digit());
                    let length = length.parse().ok().filter(|n| digits && *n <= $bits)?;
                    Some($name { address: address.parse().ok()?, length })
                });
                let cidr = parsed.filter($name::usable);
                cidr.ok_or_else(|| NotThat::new(text, Self::WANTED))
            }
        }
    };
}

cidr! {
    /// An IPv4 host address and the length of its subnet's prefix.
    Ipv4Cidr, Ipv4Addr, 32
}

cidr! {
    /// An IPv6 host address and the length of its subnet's prefix.
    Ipv6Cidr, Ipv6Addr, 128
}

impl Ipv4Cidr {
    /// Whether the address can be a host's: unicast, and neither first nor last of its subnet.
    pub(super) fn usable(&self) -> bool {
        let host = match 32 - u32::from(self.length) {
            32 => return false,
            bits @ 2.. => {
                let mask = (1u32 << bits) - 1;
                let host = self.address.to_bits() & mask;
                host != 0 && host != mask
            }
            // Point-to-point links and single hosts have no broadcast address (RFC 3021).
            _ => true,
        };
        let [first, ..] = self.address.octets();
        host && first != 0 && first != 127 && first < 224
    }
}

impl Ipv6Cidr {
    pub(super) fn usable(&self) -> bool {
        self.length > 0
            && !self.address.is_unspecified()
            && !self.address.is_loopback()
            && !self.address.is_multicast()
            && self.address.to_ipv4_mapped().is_none()
    }
}

/// How a user gets its IPv4 address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv4Setting {
    /// From a DHCP server on the link.
    #[default]
    Dhcp,
    /// It is given.
    Static(Ipv4Cidr),
}

/// How a user gets its IPv6 addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6Setting {
    /// No IPv6.
    Off,
    /// A link-local address, and one for each prefix that a router announces (RFC 4862).
    #[default]
    Slaac,
    /// A link-local address, and the given one.
    Static(Ipv6Cidr),
}

impl fmt::Display for Ipv4Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ipv4Setting::Dhcp => f.write_str("dhcp"),
            Ipv4Setting::Static(cidr) => cidr.fmt(f),
        }
    }
}

impl FromStr for Ipv4Setting {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        match text {
            "dhcp" => Ok(Ipv4Setting::Dhcp),
            _ => text
                .parse()
                .map(Ipv4Setting::Static)
                .map_err(|_| NotThat::new(text, Self::WANTED)),
        }
    }
}

impl fmt::Display for Ipv6Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ipv6Setting::Off => f.write_str("off"),
            Ipv6Setting::Slaac => f.write_str("slaac"),
            Ipv6Setting::Static(cidr) => cidr.fmt(f),
        }
    }
}

impl FromStr for Ipv6Setting {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        match text {
            "off" => Ok(Ipv6Setting::Off),
            "slaac" => Ok(Ipv6Setting::Slaac),
            _ => text
                .parse()
                .map(Ipv6Setting::Static)
                .map_err(|_| NotThat::new(text, Self::WANTED)),
        }
    }
}

as_text! {
    Mac: "a locally administered unicast MAC address, such as 02:75:73:00:00:01 \
          (second digit 2, 6, a or e)";
    Ipv4Cidr: "an IPv4 host address with prefix length, such as 10.0.2.21/24";
    Ipv6Cidr: "an IPv6 host address with prefix length, such as fd00::21/64";
    Ipv4Setting: "an IPv4 setting: dhcp, or a host address such as 10.0.2.21/24";
    Ipv6Setting: "an IPv6 setting: off, slaac, or a host address such as fd00::21/64";
}
