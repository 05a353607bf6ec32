//! What the stack knows about itself, at one instant, for the page.

use smoltcp::time::Instant;

use crate::address::Addresses;
use crate::config::Config;
use crate::counters::Counters;
use crate::facts::Facts;

/// Everything that a page can be made of.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What the stack was told.
    pub config: &'a Config,
    /// Its addresses.
    pub addresses: &'a Addresses,
    /// What it counted.
    pub counters: &'a Counters,
    /// What others counted.
    pub facts: &'a dyn Facts,
    /// Name servers that DHCP told.
    pub dns: &'a [core::net::Ipv4Addr],
    /// Connections at once, in the order of [`crate::service::Kind::ALL`].
    pub connections: [u16; 4],
    /// Now.
    pub now: Instant,
    /// When the stack started.
    pub started: Instant,
}
