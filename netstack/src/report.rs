//! What the stack knows about itself, at one instant, for the page.

use smoltcp::time::Instant;

use crate::address::Addresses;
use crate::config::Config;
use crate::counters::Counters;
use crate::facts::Facts;

/// Shows counters to a visitor, by name.
pub type ShowCounters<'a> = dyn Fn(&mut dyn FnMut(&'static str, u64)) + 'a;

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
    /// What the driver counted.
    pub session: &'a ShowCounters<'a>,
    /// Name servers that DHCP told.
    pub dns: &'a [core::net::Ipv4Addr],
    /// Connections at once, in the order of [`crate::service::Kind::ALL`].
    pub connections: [u16; 4],
    /// Now.
    pub now: Instant,
    /// When the stack started.
    pub started: Instant,
}
