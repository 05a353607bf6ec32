//! The stack: from a received frame to whoever it is for, and everybody's time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::ops::Range;

use log::info;
use smoltcp::time::Instant;

use crate::address::{ALL_NODES, Addresses, Ipv4, solicited_node};
use crate::config::{self, Config, ConfigError};
use crate::counters::{Counters, Drop};
use crate::dhcp::Dhcp;
use crate::extension::{self, Problem};
use crate::facts::Facts;
use crate::fragment::{Assembly, Refused};
use crate::icmp::Complaint;
use crate::link::{Link, Need, RESERVE};
use crate::node::Node;
use crate::packet::{self, Cast, ETHERNET, Packet, Received, protocol};
use crate::tcp::{Outside, Tcp};
use crate::udp;

/// Frames that one poll takes before others have their turn.
const FRAMES: usize = 64;

/// When to poll next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// At once: there is more to do.
    Now,
    /// Then, or when the link has something.
    At(Instant),
    /// When the link has something.
    Never,
}

/// One user's stack on one port.
pub struct Stack<L, F> {
    config: Config,
    facts: F,
    node: Node<L>,
    tcp: Tcp,
    dhcp: Option<Dhcp>,
    assembly: Assembly,
    /// The frame that is looked at.
    buffer: Vec<u8>,
    started: Instant,
    /// When addresses, leases and reports want to be tended; `None` for never.
    tend: Option<Instant>,
    /// Whether something waits for room to send.
    blocked: bool,
}

impl<L: Link, F: Facts> Stack<L, F> {
    /// A stack that has not spoken yet. `random` must not be guessable: sequence numbers come of it.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(
        config: Config,
        link: L,
        facts: F,
        random: Box<dyn FnMut() -> u64>,
        now: Instant,
    ) -> Result<Stack<L, F>, ConfigError> {
        config.check()?;
        let mut node = Node::new(link, config.mac, random, now);
        let dhcp = match config.ipv4 {
            config::Ipv4::Off => None,
            config::Ipv4::Dhcp => Some(Dhcp::new(&mut node)),
            config::Ipv4::Static {
                address,
                prefix_length,
                gateway,
            } => {
                node.addresses.ipv4 = Some(Ipv4 {
                    address,
                    length: prefix_length,
                    gateway,
                });
                node.addresses.changed();
                info!("address {address}/{prefix_length}");
                node.announce();
                None
            }
        };
        node.start_ipv6(config.ipv6);
        let tcp = Tcp::new(&config, &mut node);
        let buffer = alloc::vec![0; node.link.frame_limit()];
        Ok(Stack {
            config,
            facts,
            tcp,
            dhcp,
            assembly: Assembly::default(),
            buffer,
            started: now,
            tend: Some(now),
            blocked: false,
            node,
        })
    }

    /// Does what there is to do: a bounded number of frames, and each connection at most once.
    pub fn poll(&mut self, now: Instant) -> Wake {
        // A clock that went backwards would make timers wait for it.
        self.node.now = self.node.now.max(now);
        let more = self.receive();
        self.tend();
        let dns: &[Ipv4Addr] = self.dhcp.as_ref().map_or(&[], |dhcp| &dhcp.dns);
        let outside = Outside {
            config: &self.config,
            facts: &self.facts,
            dns,
            started: self.started,
        };
        self.tcp.run(&mut self.node, &outside);
        self.node.link.flush();
        self.blocked |= self.tcp.blocked;
        if !self.blocked && (more || self.tcp.is_ready()) {
            return Wake::Now;
        }
        let due = [self.tend, self.node.neighbors.due(), self.tcp.due()];
        match due.into_iter().flatten().min() {
            // What is due already could not be done: there is no room to send.
            Some(at) if at <= self.node.now && self.blocked => Wake::Never,
            Some(at) if at <= self.node.now => Wake::Now,
            Some(at) => Wake::At(at),
            None => Wake::Never,
        }
    }

    /// Asks the link to notify; to be called before waiting. Returns whether there is something to do
    /// already.
    pub fn arm(&mut self) -> bool {
        self.node.link.arm(match self.blocked {
            true => Need::Room,
            false => Need::Frame,
        })
    }

    /// Takes frames; whether there may be more.
    fn receive(&mut self) -> bool {
        self.blocked = false;
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut more = true;
        for _ in 0..FRAMES {
            if self.node.link.room() <= RESERVE {
                self.blocked = true;
                break;
            }
            let Some(length) = self.node.link.receive(&mut buffer) else {
                more = false;
                break;
            };
            self.node.counters.frames_in += 1;
            self.node.counters.bytes_in += length as u64;
            let outcome = match buffer.get_mut(..length) {
                Some(frame) => self.frame(frame),
                None => Err(Drop::Giant),
            };
            if let Err(reason) = outcome {
                self.node.counters.drop(reason);
            }
        }
        self.buffer = buffer;
        more
    }

    fn frame(&mut self, frame: &mut [u8]) -> Result<(), Drop> {
        match packet::parse(frame, self.node.mac)? {
            Received::Ip(packet, range) => self.ip(packet, frame, range),
            Received::Arp(cast, source) => self.arp(cast, source, frame),
        }
    }

    fn arp(&mut self, cast: Cast, source: packet::Mac, frame: &[u8]) -> Result<(), Drop> {
        let answer = self.node.arp(cast, source, &frame[ETHERNET..])?;
        if let (true, Some(dhcp)) = (answer, &mut self.dhcp) {
            dhcp.feed(&mut self.node, frame);
            self.tend = Some(self.node.now);
        }
        Ok(())
    }

    fn ip(
        &mut self,
        mut packet: Packet,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<(), Drop> {
        match packet.destination {
            IpAddr::V4(address) => {
                let bytes = &buffer[range.start + packet.start..range.end];
                let whole = packet.fragment.is_none() && packet.protocol == protocol::UDP;
                if whole && udp::is_dhcp(&packet, bytes) {
                    return self.dhcp(&packet, &buffer[..range.end]);
                }
                self.check_ipv4(&packet, address)?;
                self.assemble(packet, &mut buffer[range])
            }
            IpAddr::V6(address) => {
                self.check_ipv6(&packet, address)?;
                let bytes = &mut buffer[range];
                let begin = self.skip(&mut packet, bytes)?;
                self.assemble(packet, &mut bytes[begin..])
            }
        }
    }

    /// DHCP is for us before we have an address.
    fn dhcp(&mut self, packet: &Packet, frame: &[u8]) -> Result<(), Drop> {
        let Some(dhcp) = &mut self.dhcp else {
            return Err(Drop::NoService);
        };
        if packet.cast == Cast::Multicast || !self.node.addresses.is_sender(packet.source) {
            return Err(Drop::BadSource);
        }
        dhcp.feed(&mut self.node, frame);
        self.tend = Some(self.node.now);
        Ok(())
    }

    fn check_ipv4(&self, packet: &Packet, address: Ipv4Addr) -> Result<(), Drop> {
        let addresses = &self.node.addresses;
        let Some(own) = addresses.ipv4 else {
            return Err(Drop::NotOurAddress);
        };
        let group = own.is_broadcast(address) || address.is_broadcast();
        let group = group || address == Ipv4Addr::new(224, 0, 0, 1);
        if address != own.address && !group {
            return Err(Drop::NotOurAddress);
        }
        match addresses.is_sender(packet.source) {
            true => Ok(()),
            false => Err(Drop::BadSource),
        }
    }

    fn check_ipv6(&self, packet: &Packet, address: core::net::Ipv6Addr) -> Result<(), Drop> {
        if !self.node.ipv6_spoken {
            return Err(Drop::UnknownType);
        }
        let addresses = &self.node.addresses;
        let group = address == ALL_NODES
            || addresses
                .ipv6
                .iter()
                .any(|own| solicited_node(own.address) == address);
        if !group && !addresses.is_ours(address.into()) {
            return Err(Drop::NotOurAddress);
        }
        // Nobody's address is right where somebody asks whether one is taken.
        match packet.source.is_unspecified() || addresses.is_sender(packet.source) {
            true => Ok(()),
            false => Err(Drop::BadSource),
        }
    }

    fn skip(&mut self, packet: &mut Packet, bytes: &mut [u8]) -> Result<usize, Drop> {
        extension::skip(packet, bytes).map_err(|problem| {
            if let Problem::Parameter {
                code,
                place,
                even_to_groups,
            } = problem
                && (even_to_groups || !packet.destination.is_multicast())
            {
                let complaint = Complaint::Parameter(code, place);
                self.node.complain(complaint, packet, bytes);
            }
            Drop::Malformed
        })
    }

    fn assemble(&mut self, packet: Packet, whole: &mut [u8]) -> Result<(), Drop> {
        let Some(fragment) = packet.fragment else {
            return self.deliver(&packet, whole);
        };
        self.tend = Some(self.node.now);
        let payload = &whole[packet.start..];
        let added = self.assembly.add(&packet, fragment, payload, self.node.now);
        let (mut packet, mut bytes) = match added {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(()),
            Err(Refused) => return Err(Drop::Fragment),
        };
        let begin = match packet.source {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => self.skip(&mut packet, &mut bytes)?,
        };
        // Pieces of pieces make no sense.
        match packet.fragment {
            Some(_) => Err(Drop::Fragment),
            None => self.deliver(&packet, &bytes[begin..]),
        }
    }

    /// Hands a whole packet to its protocol.
    fn deliver(&mut self, packet: &Packet, whole: &[u8]) -> Result<(), Drop> {
        match packet.protocol {
            protocol::TCP => self
                .tcp
                .segment(&mut self.node, &self.config, packet, whole),
            protocol::UDP => self.node.udp(self.config.services, packet, whole),
            protocol::ICMP if packet.source.is_ipv4() => {
                self.node.icmp(packet, &whole[packet.start..])
            }
            protocol::ICMPV6 if packet.source.is_ipv6() => {
                self.tend = Some(self.node.now);
                self.node.icmpv6(packet, &whole[packet.start..])
            }
            _ => {
                self.node.complain(Complaint::Protocol, packet, whole);
                Err(Drop::UnknownType)
            }
        }
    }

    /// Does what is due of everything but connections.
    fn tend(&mut self) {
        if self.node.link.room() <= RESERVE {
            self.blocked = true;
            return;
        }
        self.node.tend_neighbors();
        if self.tend.is_none_or(|at| at > self.node.now) {
            return;
        }
        let dhcp = self.dhcp.as_mut();
        let dhcp = dhcp.and_then(|dhcp| dhcp.tend(&mut self.node));
        let addresses = self.node.tend_ipv6();
        let reports = self.node.tend_reports();
        self.assembly.expire(self.node.now);
        let due = [dhcp, addresses, reports, self.assembly.due()];
        self.tend = due.into_iter().flatten().min();
    }

    /// The port.
    pub fn link_mut(&mut self) -> &mut L {
        &mut self.node.link
    }

    /// The port is another one, or forgot what it was told: groups are subscribed to again, and
    /// everybody told that we are there. Connections go on.
    pub fn relinked(&mut self) {
        self.node.relinked();
        self.tend = Some(self.node.now);
    }

    /// Our addresses and routes.
    pub fn addresses(&self) -> &Addresses {
        &self.node.addresses
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.node.counters
    }

    /// Connections in use, in the order of [`crate::service::Kind::ALL`].
    pub fn connections(&self) -> [u16; 4] {
        self.tcp.live()
    }

    /// Bytes of connections' buffers, in use or kept for the next.
    pub fn memory(&self) -> usize {
        self.tcp.memory()
    }
}
