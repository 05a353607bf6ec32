//! One user's settings.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::address::{Ipv4Setting, Ipv6Setting, Mac};
use super::strategy::Strategy;
use super::text::Name;
use super::words::{Pinning, Service};

/// A `[[user]]` of the manifest, or a user spawned at the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's name: 1 to 15 characters out of a-z, 0-9 and `-`. Required, unique.
    pub name: Name,
    /// The port's MAC address, locally administered and unicast. Unique. Default: derived from
    /// the user's position ([`Mac::derived`]).
    #[serde(default)]
    pub mac: Mac,
    /// Limit of the user's bank, in pages of 4 KiB: all that the user's stack, its buffers and
    /// its session may ever hold. Default [`User::DEFAULT_BANK`].
    #[serde(default = "default_bank")]
    pub bank: u32,

    /// `dhcp` (default) or a fixed address such as `10.0.2.21/24`. Fixed addresses are unique.
    #[serde(default)]
    pub ipv4: Ipv4Setting,
    /// Default router, of the fixed address's subnet. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// `slaac` (default), `off` or a fixed address such as `fd00::21/64`. Fixed ones are unique.
    #[serde(default)]
    pub ipv6: Ipv6Setting,
    /// Default router beside a fixed address: of its subnet, or link-local. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// Name servers, at most [`User::MAX_DNS`]. Default: none (or what DHCP says).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// Whether the port sends only from the user's own IP addresses (as it sends only from its
    /// own MAC address in any case), so that the user can't pose as another. Needs fixed
    /// addresses: the driver does not follow DHCP or router advertisements. Default false.
    #[serde(default)]
    pub bind_addresses: bool,

    /// What the user's stack serves. Default: all of [`Service::ALL`].
    #[serde(default = "all_services")]
    pub services: Vec<Service>,

    /// Most bytes a second that the port sends, in the long run. Default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Most bytes that the port sends at once above its rate; at least one full frame
    /// ([`User::MIN_BURST`]). Needs `rate`. Default: a tenth of a second's worth
    /// ([`User::burst_bytes`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// The port's share of the link when several want to send: its weight in deficit round robin,
    /// 1 to [`User::MAX_SHARE`]. Default 1.
    #[serde(default = "default_share")]
    pub share: u16,
    /// How received frames reach the user's memory: `copy` (default), `flip`, `hybrid` or
    /// `hybrid(2048)`, which flips frames from so many bytes on and copies the others.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether the user never sees a byte that isn't of a frame of its own, at the price of an exchange
    /// for each frame that isn't copied. Default false.
    #[serde(default)]
    pub sealed: bool,
    /// How long the pages that the user sends from are pinned: `session` (default) or `frame`.
    #[serde(default)]
    pub pinning: Pinning,
    /// Whether a process of the user's stands between the driver and the stack and copies all frames, so
    /// that the driver never maps nor pins memory of the stack's. The user's bank pays for it. Default
    /// false.
    #[serde(default)]
    pub copier: bool,
    /// Pages from which the user transmits, [`User::MIN_SLOTS`] to [`User::MAX_SLOTS`]: also the
    /// aperture slots that init sets aside for the port. Default [`User::DEFAULT_SLOTS`].
    #[serde(default = "default_slots")]
    pub transmit_slots: u16,
    /// Pages into which the user receives; bounds as for `transmit_slots`. Default as many as the
    /// [strategy takes](User::receive_slots).
    #[serde(default)]
    pub receive_slots: Option<u16>,
}

impl User {
    /// Default limit of a bank, in pages: 8 MiB.
    pub const DEFAULT_BANK: u32 = 2048;
    /// Highest limit of a bank, in pages: 64 GiB.
    pub const MAX_BANK: u32 = 1 << 24;
    /// Most name servers.
    pub const MAX_DNS: usize = 3;
    /// Least burst, in bytes: an ethernet frame without its check sequence.
    pub const MIN_BURST: u32 = 1514;
    /// Highest share.
    pub const MAX_SHARE: u16 = 1000;
    /// Fewest pages to transmit from or receive into.
    pub const MIN_SLOTS: u16 = 8;
    /// Most pages to transmit from or receive into: both kinds of one port fit into an aperture's
    /// 512 slots, and each kind leaves room in its 512-page segment for rings and statistics.
    pub const MAX_SLOTS: u16 = 240;
    /// Default pages to transmit from, and to receive into by copying.
    pub const DEFAULT_SLOTS: u16 = 64;
    /// Default pages to receive into by flipping. Each frame has one to itself then, and half of them
    /// are with the device: fewer don't take a large window's frames.
    pub const DEFAULT_FLIPPED_SLOTS: u16 = User::MAX_SLOTS;

    /// A user with this name and all settings at their defaults; its MAC address is
    /// [`Mac::UNASSIGNED`].
    pub fn named(name: Name) -> User {
        User {
            name,
            mac: Mac::UNASSIGNED,
            bank: default_bank(),
            ipv4: Ipv4Setting::default(),
            ipv4_gateway: None,
            ipv6: Ipv6Setting::default(),
            ipv6_gateway: None,
            dns: Vec::new(),
            bind_addresses: false,
            services: all_services(),
            rate: None,
            burst: None,
            share: default_share(),
            strategy: Strategy::default(),
            sealed: false,
            pinning: Pinning::default(),
            copier: false,
            transmit_slots: default_slots(),
            receive_slots: None,
        }
    }

    /// The pages in force into which the user receives.
    pub const fn receive_slots(&self) -> u16 {
        match (self.receive_slots, self.strategy) {
            (Some(slots), _) => slots,
            (None, Strategy::Copy) => User::DEFAULT_SLOTS,
            (None, Strategy::Flip | Strategy::Hybrid { .. }) => User::DEFAULT_FLIPPED_SLOTS,
        }
    }

    /// The burst in force, in bytes, where there is a rate.
    pub fn burst_bytes(&self) -> Option<u32> {
        let rate = self.rate?;
        Some(self.burst.unwrap_or(rate / 10).max(User::MIN_BURST))
    }
}

pub(super) fn default_bank() -> u32 {
    User::DEFAULT_BANK
}

fn default_share() -> u16 {
    1
}

fn default_slots() -> u16 {
    User::DEFAULT_SLOTS
}

fn all_services() -> Vec<Service> {
    Service::ALL.into()
}
