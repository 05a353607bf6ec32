//! UDP (RFC 768) and its services: echo, discard, character source.
//!
//! These answer a datagram at once out of the datagram, so they need neither a socket nor a buffer.
//! None of them answers a well-known port, a group or a broadcast, so two of them can't be set on
//! each other; and none sends more datagrams than it gets.

use core::net::IpAddr;

use crate::checksum::Sum;
use crate::config::Services;
use crate::counters::Drop;
use crate::header::{Check, Header};
use crate::icmp::Complaint;
use crate::link::Link;
use crate::node::{HOP_LIMIT, Node};
use crate::packet::{Cast, Packet, field, field16};
use crate::service::chargen;

/// Bytes of a UDP header.
pub const HEADER: usize = 8;
/// Ports that no client has.
const WELL_KNOWN: usize = 1024;

/// Ports of the services, for UDP and TCP alike.
pub mod port {
    /// Echo (RFC 862).
    pub const ECHO: u16 = 7;
    /// Discard (RFC 863).
    pub const DISCARD: u16 = 9;
    /// Character source (RFC 864).
    pub const CHARGEN: u16 = 19;
    /// HTTP.
    pub const HTTP: u16 = 80;
}

/// A datagram whose length and checksum were found right.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Port it came from.
    pub source: u16,
    /// Port it goes to.
    pub destination: u16,
    /// What it holds.
    pub payload: &'a [u8],
    /// Its checksum as it lay in the packet; zero for none.
    pub checksum: [u8; 2],
}

/// Takes a UDP packet apart.
pub fn parse<'a>(packet: &Packet, bytes: &'a [u8]) -> Result<Datagram<'a>, Drop> {
    if bytes.len() < HEADER {
        return Err(Drop::Runt);
    }
    let length = field16(bytes, 4);
    let Some(payload) = bytes.get(HEADER..length) else {
        return Err(Drop::Malformed);
    };
    let checksum = field(bytes, 6);
    let intact = if checksum == [0, 0] {
        // No checksum: allowed with IPv4 only (RFC 8200 section 8.1).
        packet.source.is_ipv4()
    } else if length == bytes.len() {
        packet.is_intact(length)
    } else {
        let sum = Sum::of(&bytes[..length]);
        Packet { sum, ..*packet }.is_intact(length)
    };
    if !intact {
        return Err(Drop::Checksum);
    }
    Ok(Datagram {
        source: field16(bytes, 0) as u16,
        destination: field16(bytes, 2) as u16,
        payload,
        checksum,
    })
}

impl<L: Link> Node<L> {
    /// Handles a UDP packet. `whole` is the packet from its IP header on.
    pub fn udp(&mut self, services: Services, packet: &Packet, whole: &[u8]) -> Result<(), Drop> {
        let bytes = &whole[packet.start..];
        let datagram = parse(packet, bytes)?;
        let service = match datagram.destination {
            port::ECHO => services.echo,
            port::DISCARD => services.discard,
            port::CHARGEN => services.chargen,
            _ => false,
        };
        if !service {
            self.complain(Complaint::Port, packet, whole);
            return Err(Drop::NoService);
        }
        if datagram.destination == port::DISCARD {
            return Ok(());
        }
        let to_us = packet.cast == Cast::Us && !packet.destination.is_multicast();
        let to_us = to_us && self.addresses.is_ours(packet.destination);
        if !to_us
            || usize::from(datagram.source) < WELL_KNOWN
            || !self.addresses.is_sender(packet.source)
        {
            return Err(Drop::BadSource);
        }
        self.counters.datagrams += 1;
        match datagram.destination {
            port::ECHO => {
                // Swapping addresses and ports leaves the sum as it was.
                let payload = datagram.payload;
                let head = answer_header(&datagram, payload.len());
                self.send_with(answer_to(packet), &head, payload);
            }
            _ => {
                let length = chargen::datagram_length(datagram.payload.len());
                let head = answer_header(&datagram, length);
                let (total, check) = (HEADER + length, Check::Pseudo(6));
                self.send(answer_to(packet), total, check, |bytes| {
                    let (udp, payload) = bytes.split_at_mut(HEADER);
                    udp.copy_from_slice(&head);
                    chargen::fill(0, payload);
                });
            }
        }
        Ok(())
    }
}

/// What an answer to a packet says of itself.
fn answer_to(packet: &Packet) -> Header {
    Header {
        source: packet.destination,
        destination: packet.source,
        protocol: packet.protocol,
        hop_limit: HOP_LIMIT,
    }
}

/// The UDP header of an answer to a datagram, with that one's checksum.
fn answer_header(datagram: &Datagram, length: usize) -> [u8; HEADER] {
    let [a, b] = datagram.destination.to_be_bytes();
    let [c, d] = datagram.source.to_be_bytes();
    let [e, f] = ((HEADER + length) as u16).to_be_bytes();
    let [g, h] = datagram.checksum;
    [a, b, c, d, e, f, g, h]
}

/// Whether a UDP packet is from a DHCP server to a client.
pub fn is_dhcp(packet: &Packet, bytes: &[u8]) -> bool {
    matches!(packet.source, IpAddr::V4(_))
        && bytes.len() >= HEADER
        && field16(bytes, 0) == 67
        && field16(bytes, 2) == 68
}
