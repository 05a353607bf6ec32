//! ICMP and ICMPv6: echo, and telling senders what went wrong.

use core::net::IpAddr;

use smoltcp::wire::{IPV4_MIN_MTU, IPV6_MIN_MTU};

use crate::counters::Drop;
use crate::header::{Check, Header};
use crate::link::Link;
use crate::mld;
use crate::ndp;
use crate::node::{HOP_LIMIT, Node};
use crate::packet::{Cast, IPV4, IPV6, Packet, protocol};
use crate::slaac;

/// What can't be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// Nobody listens on the port.
    Port,
    /// The protocol isn't spoken.
    Protocol,
    /// A header makes no sense (ICMPv6): code and place.
    Parameter(u8, usize),
}

impl<L: Link> Node<L> {
    /// Handles an ICMP message.
    pub fn icmp(&mut self, packet: &Packet, message: &[u8]) -> Result<(), Drop> {
        if message.len() < 8 {
            return Err(Drop::Runt);
        }
        if !packet.sum.is_intact() {
            return Err(Drop::Checksum);
        }
        const ECHO_REQUEST: u8 = 8;
        const ECHO_REPLY: u8 = 0;
        match (message[0], message[1]) {
            // A request to everybody isn't answered (RFC 1122 section 3.2.2.6 allows that).
            (ECHO_REQUEST, 0) if packet.cast == Cast::Us => {
                self.echo(packet, message, ECHO_REPLY);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Handles an ICMPv6 message.
    pub fn icmpv6(&mut self, packet: &Packet, message: &[u8]) -> Result<(), Drop> {
        if message.len() < 8 {
            return Err(Drop::Runt);
        }
        if !packet.is_intact(message.len()) {
            return Err(Drop::Checksum);
        }
        const ECHO_REQUEST: u8 = 128;
        const ECHO_REPLY: u8 = 129;
        let local = packet.hop_limit == ndp::HOP_LIMIT;
        match (message[0], message[1]) {
            (ECHO_REQUEST, 0) if self.addresses.is_sender(packet.source) => {
                if packet.destination.is_multicast() && !self.may_answer() {
                    return Err(Drop::RateLimited);
                }
                self.echo(packet, message, ECHO_REPLY);
                Ok(())
            }
            (ndp::SOLICITATION, 0) if local => self.neighbor_solicitation(packet, message),
            (ndp::ADVERTISEMENT, 0) if local => self.neighbor_advertisement(packet, message),
            (slaac::ADVERTISEMENT, 0) if local => self.router_advertisement(packet, message),
            (mld::QUERY, 0) => {
                self.listener_query(packet, message);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn echo(&mut self, packet: &Packet, message: &[u8], reply: u8) {
        let source = if packet.destination.is_multicast() {
            let source = self.addresses.source_for(packet.source, self.now);
            match source {
                Some(source) => source,
                None => return,
            }
        } else {
            packet.destination
        };
        let header = Header {
            source,
            destination: packet.source,
            protocol: packet.protocol,
            hop_limit: HOP_LIMIT,
        };
        let check = match packet.protocol {
            protocol::ICMPV6 => Check::Pseudo(2),
            _ => Check::Plain(2),
        };
        self.counters.pings += 1;
        self.send(header, message.len(), check, |into| {
            into.copy_from_slice(message);
            into[0] = reply;
        });
    }

    /// Tells a packet's sender what was wrong with it. `bytes` is the packet from its IP header on.
    /// Whether the packet deserves an answer at all is checked here (RFC 1122 section 3.2.2, RFC
    /// 4443 section 2.4), all but that it wasn't an error itself.
    pub fn complain(&mut self, complaint: Complaint, packet: &Packet, bytes: &[u8]) {
        let parameter = matches!(complaint, Complaint::Parameter(..));
        let to_us = packet.cast == Cast::Us && self.addresses.is_ours(packet.destination);
        if !(to_us || parameter) || !self.addresses.is_sender(packet.source) {
            return;
        }
        if !self.may_answer() {
            self.counters.drop(Drop::RateLimited);
            return;
        }
        let (kind, code, rest, protocol, most) = match (packet.source, complaint) {
            (IpAddr::V4(_), Complaint::Protocol) => (3, 2, 0, protocol::ICMP, IPV4_MIN_MTU - IPV4),
            (IpAddr::V4(_), Complaint::Port) => (3, 3, 0, protocol::ICMP, IPV4_MIN_MTU - IPV4),
            (IpAddr::V4(_), Complaint::Parameter(..)) => return,
            (IpAddr::V6(_), Complaint::Port) => (1, 4, 0, protocol::ICMPV6, IPV6_MIN_MTU - IPV6),
            // What follows the IPv6 header is what isn't known.
            (IpAddr::V6(_), Complaint::Protocol) => {
                (4, 1, IPV6, protocol::ICMPV6, IPV6_MIN_MTU - IPV6)
            }
            (IpAddr::V6(_), Complaint::Parameter(code, place)) => {
                (4, code, place, protocol::ICMPV6, IPV6_MIN_MTU - IPV6)
            }
        };
        let source = if self.addresses.is_ours(packet.destination) {
            Some(packet.destination)
        } else {
            self.addresses.source_for(packet.source, self.now)
        };
        let Some(source) = source else {
            return;
        };
        let header = Header {
            source,
            destination: packet.source,
            protocol,
            hop_limit: HOP_LIMIT,
        };
        let quoted = bytes.len().min(most - 8);
        let check = match protocol {
            protocol::ICMPV6 => Check::Pseudo(2),
            _ => Check::Plain(2),
        };
        self.send(header, 8 + quoted, check, |message| {
            message[..4].copy_from_slice(&[kind, code, 0, 0]);
            message[4..8].copy_from_slice(&(rest as u32).to_be_bytes());
            message[8..].copy_from_slice(&bytes[..quoted]);
        });
    }
}
