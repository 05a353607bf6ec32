//! What a stack is told when it starts.
//!
//! Whoever starts stacks (init) fills in a [`Config`] and passes it on; the stack checks it again
//! with [`Config::check`], because it panics on nothing that it is told. Nothing here knows how the
//! stack is built.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Everything that one user's stack is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The user's name, for the page and the log.
    pub name: String,
    /// The port's MAC address.
    pub mac: [u8; 6],
    /// How the IPv4 address comes about.
    pub ipv4: Ipv4,
    /// How the IPv6 addresses come about.
    pub ipv6: Ipv6,
    /// Name servers, besides those that DHCP tells.
    pub dns: Vec<IpAddr>,
    /// What is served.
    pub services: Services,
    /// How much of it.
    pub limits: Limits,
}

/// How the IPv4 address comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv4 {
    /// No IPv4.
    Off,
    /// From a DHCP server (RFC 2131).
    Dhcp,
    /// Given.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// Length of the subnet's prefix, in bits.
        prefix_length: u8,
        /// Default router, in the subnet.
        gateway: Option<Ipv4Addr>,
    },
}

/// How the IPv6 addresses come about. Unless off, there is a link-local one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv6 {
    /// No IPv6.
    Off,
    /// One for each prefix that a router announces (RFC 4862).
    Slaac,
    /// Given. Router advertisements are ignored.
    Static {
        /// The address.
        address: Ipv6Addr,
        /// Length of the subnet's prefix, in bits.
        prefix_length: u8,
        /// Default router, in the subnet or link-local.
        gateway: Option<Ipv6Addr>,
    },
}

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// HTTP/1.1 on TCP port 80.
    pub http: bool,
    /// Echo on TCP and UDP port 7 (RFC 862).
    pub echo: bool,
    /// Discard on TCP and UDP port 9 (RFC 863).
    pub discard: bool,
    /// Character source on TCP and UDP port 19 (RFC 864).
    pub chargen: bool,
}

impl Services {
    /// Everything.
    pub const ALL: Services = Services {
        http: true,
        echo: true,
        discard: true,
        chargen: true,
    };
    /// Nothing.
    pub const NONE: Services = Services {
        http: false,
        echo: false,
        discard: false,
        chargen: false,
    };
}

/// Bounds of what peers can make the stack hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// HTTP connections at once.
    pub http_connections: u16,
    /// Connections at once to each of the other services.
    pub service_connections: u16,
    /// Bytes of a connection's receive window.
    pub receive_buffer: u32,
    /// Bytes that a connection may have sent and not yet seen acknowledged.
    pub send_buffer: u32,
    /// Bytes of all connections' buffers together. The process's heap must have as much and
    /// [`Limits::OVERHEAD`] more.
    pub memory: u32,
    /// Seconds that a client has for an HTTP request's head, and a peer for the handshake's end.
    pub head_seconds: u16,
    /// Seconds that a connection may go without any progress before it is dropped. One whose peer isn't
    /// heard at all has three minutes at least: the wire may be to blame.
    pub idle_seconds: u16,
}

impl Limits {
    /// Bytes of heap that the stack uses besides connections' buffers, at most: tables sized for
    /// the defaults, packets that wait for a neighbour, and datagrams in pieces.
    pub const OVERHEAD: u32 = 512 * 1024;
    /// Least receive or send buffer: a full segment each way.
    pub const MIN_BUFFER: u32 = 2048;
    /// Greatest receive or send buffer.
    pub const MAX_BUFFER: u32 = 16 << 20;
    /// Most connections of one service.
    pub const MAX_CONNECTIONS: u16 = 8192;

    /// Least memory for connections' buffers.
    pub const LEAST_MEMORY: u32 = 64 * 1024;
    /// Connections whose buffers should fit at once before windows get smaller.
    const TOGETHER: u32 = 8;

    /// The same limits for a heap of so many bytes: what a small bank calls for. Fewer connections
    /// fit then, and if very few would, windows get smaller, too.
    pub fn within(self, heap: u32) -> Limits {
        let memory = self.memory.min(heap.saturating_sub(Limits::OVERHEAD));
        let share = (memory / Limits::TOGETHER).max(Limits::MIN_BUFFER);
        Limits {
            memory,
            receive_buffer: self.receive_buffer.min(share),
            send_buffer: self.send_buffer.min(share),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            http_connections: 32,
            service_connections: 8,
            // One more than fits without window scaling, on purpose: then it is negotiated.
            receive_buffer: 128 * 1024,
            send_buffer: 64 * 1024,
            memory: 4 << 20,
            head_seconds: 10,
            idle_seconds: 60,
        }
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The name is empty or longer than [`Config::LONGEST_NAME`] bytes.
    Name(usize),
    /// The MAC address is a group's, or zero.
    Mac([u8; 6]),
    /// The IPv4 address can't be a host's in its subnet.
    Ipv4Address(Ipv4Addr, u8),
    /// The IPv4 router isn't another host of the subnet.
    Ipv4Gateway(Ipv4Addr),
    /// The IPv6 address can't be a host's.
    Ipv6Address(Ipv6Addr, u8),
    /// The IPv6 router is neither another host of the subnet nor link-local.
    Ipv6Gateway(Ipv6Addr),
    /// A limit is out of its bounds.
    Limit {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The least that is right.
        least: u64,
        /// The most that is right.
        most: u64,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Name(length) => write!(
                f,
                "the name has {length} bytes, must have 1 to {}",
                Config::LONGEST_NAME
            ),
            ConfigError::Mac(mac) => {
                write!(f, "MAC address {mac:02x?} is not a single station's")
            }
            ConfigError::Ipv4Address(address, length) => {
                write!(f, "{address}/{length} can't be a host's IPv4 address")
            }
            ConfigError::Ipv4Gateway(gateway) => {
                write!(f, "IPv4 router {gateway} is not another host of the subnet")
            }
            ConfigError::Ipv6Address(address, length) => {
                write!(f, "{address}/{length} can't be a host's IPv6 address")
            }
            ConfigError::Ipv6Gateway(gateway) => write!(
                f,
                "IPv6 router {gateway} is neither another host of the subnet nor link-local"
            ),
            ConfigError::Limit {
                name,
                value,
                least,
                most,
            } => write!(f, "{name} is {value}, must be {least} to {most}"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Longest name, in bytes.
    pub const LONGEST_NAME: usize = 64;

    /// A configuration with defaults: DHCP, SLAAC, every service.
    pub fn new(name: &str, mac: [u8; 6]) -> Config {
        Config {
            name: name.into(),
            mac,
            ipv4: Ipv4::Dhcp,
            ipv6: Ipv6::Slaac,
            dns: Vec::new(),
            services: Services::ALL,
            limits: Limits::default(),
        }
    }

    /// Whether the stack can run with it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=Config::LONGEST_NAME).contains(&self.name.len()) {
            return Err(ConfigError::Name(self.name.len()));
        }
        if self.mac == [0; 6] || self.mac[0] & 1 != 0 {
            return Err(ConfigError::Mac(self.mac));
        }
        if let Ipv4::Static {
            address,
            prefix_length,
            gateway,
        } = self.ipv4
        {
            check_ipv4(address, prefix_length, gateway)?;
        }
        if let Ipv6::Static {
            address,
            prefix_length,
            gateway,
        } = self.ipv6
        {
            check_ipv6(address, prefix_length, gateway)?;
        }
        self.limits.check()
    }
}

/// Whether an address can be a host's in a subnet of that length, and the router another's.
pub(crate) fn check_ipv4(
    address: Ipv4Addr,
    length: u8,
    gateway: Option<Ipv4Addr>,
) -> Result<(), ConfigError> {
    let host_of_subnet = |other: Ipv4Addr| {
        let hosts = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        let host = other.to_bits() & hosts;
        let inside = (other.to_bits() ^ address.to_bits()) & !hosts == 0;
        // Point-to-point links and single hosts have no broadcast address (RFC 3021).
        inside && (length >= 31 || (host != 0 && host != hosts))
    };
    let [first, ..] = address.octets();
    let unicast = first != 0 && first != 127 && first < 224;
    if length == 0 || length > 32 || !unicast || !host_of_subnet(address) {
        return Err(ConfigError::Ipv4Address(address, length));
    }
    match gateway {
        Some(gateway) if gateway == address || !host_of_subnet(gateway) => {
            Err(ConfigError::Ipv4Gateway(gateway))
        }
        _ => Ok(()),
    }
}

fn check_ipv6(address: Ipv6Addr, length: u8, gateway: Option<Ipv6Addr>) -> Result<(), ConfigError> {
    let unicast = |address: Ipv6Addr| {
        !(address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || address.to_ipv4_mapped().is_some())
    };
    if length == 0 || length > 128 || !unicast(address) {
        return Err(ConfigError::Ipv6Address(address, length));
    }
    let hosts = u128::MAX.checked_shr(length.into()).unwrap_or(0);
    match gateway {
        Some(gateway)
            if gateway == address
                || !unicast(gateway)
                || !(gateway.is_unicast_link_local()
                    || (gateway.to_bits() ^ address.to_bits()) & !hosts == 0) =>
        {
            Err(ConfigError::Ipv6Gateway(gateway))
        }
        _ => Ok(()),
    }
}

impl Limits {
    fn check(&self) -> Result<(), ConfigError> {
        let bounds: [(&'static str, u64, u64, u64); 7] = [
            (
                "http_connections",
                self.http_connections.into(),
                1,
                Limits::MAX_CONNECTIONS.into(),
            ),
            (
                "service_connections",
                self.service_connections.into(),
                1,
                Limits::MAX_CONNECTIONS.into(),
            ),
            (
                "receive_buffer",
                self.receive_buffer.into(),
                Limits::MIN_BUFFER.into(),
                Limits::MAX_BUFFER.into(),
            ),
            (
                "send_buffer",
                self.send_buffer.into(),
                Limits::MIN_BUFFER.into(),
                Limits::MAX_BUFFER.into(),
            ),
            (
                "memory",
                self.memory.into(),
                Limits::LEAST_MEMORY.into(),
                u32::MAX.into(),
            ),
            ("head_seconds", self.head_seconds.into(), 1, 3600),
            ("idle_seconds", self.idle_seconds.into(), 1, 3600),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Limit {
                    name,
                    value,
                    least,
                    most,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
