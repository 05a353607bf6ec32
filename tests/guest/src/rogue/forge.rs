//! Frames, honest and forged.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody.
pub const EVERYBODY: Mac = [0xff; 6];
/// All bridges next to a station.
pub const BRIDGES: Mac = [1, 0x80, 0xc2, 0, 0, 0];
/// Whoever is at the other end of the link.
pub const PAUSE: Mac = [1, 0x80, 0xc2, 0, 0, 1];
/// What a forged frame says: it must not be seen anywhere.
pub const FORGED: &[u8] = b"forged frame";
/// What an honest one says.
pub const HONEST: &[u8] = b"honest frame";

/// A type that means what those who use it say (IEEE 802, local experimental).
pub const EXPERIMENTAL: u16 = 0x88b5;
/// Control of the link (IEEE 802.3, 31.4).
pub const CONTROL: u16 = 0x8808;
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// The protocol number of ICMPv6.
const ICMPV6: u8 = 58;
/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An ethernet frame of at least 60 bytes.
pub fn ethernet(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&to[..], &from, &kind.to_be_bytes(), payload].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// A UDP datagram, without a checksum, in an IPv4 packet.
pub fn udp(
    (to, to_ip): (Mac, Ipv4Addr),
    (from, from_ip): (Mac, Ipv4Addr),
    port: u16,
    data: &[u8],
) -> Vec<u8> {
    let mut header = [0u8; 28];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(28 + data.len() as u16).to_be_bytes());
    header[8] = 64;
    header[9] = 17;
    header[12..16].copy_from_slice(&from_ip.octets());
    header[16..20].copy_from_slice(&to_ip.octets());
    let mut sum: u32 = header[..20]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
    header[20..22].copy_from_slice(&5000u16.to_be_bytes());
    header[22..24].copy_from_slice(&port.to_be_bytes());
    header[24..26].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
    ethernet(to, from, IPV4, &[&header[..], data].concat())
}

/// An ARP message: `operation` 1 asks for `target`, 2 tells it. What follows it is padding.
pub fn arp(
    to: Mac,
    from: Mac,
    operation: u8,
    sender: (Mac, Ipv4Addr),
    target: (Mac, Ipv4Addr),
    padding: &[u8],
) -> Vec<u8> {
    let message = [
        &[0, 1, 8, 0, 6, 4, 0, operation][..],
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
        padding,
    ];
    ethernet(to, from, ARP, &message.concat())
}

/// An IPv6 packet to all nodes.
pub fn ipv6(to: Mac, from: Mac, source: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], protocol, 255];
    let packet = [&header, &source.octets()[..], &ALL_NODES.octets(), payload];
    ethernet(to, from, IPV6, &packet.concat())
}

/// An ICMPv6 message of this type (RFC 4861), to all nodes; nobody checks its checksum.
pub fn icmpv6(from: Mac, source: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], body];
    ipv6(EVERYBODY, from, source, ICMPV6, &message.concat())
}

/// A neighbour advertisement: `target` is at `link`.
pub fn advertisement(
    from: Mac,
    source: Ipv6Addr,
    target: Ipv6Addr,
    link: Mac,
    padding: &[u8],
) -> Vec<u8> {
    let body = [&target.octets()[..], &[2, 1], &link, padding];
    icmpv6(from, source, 136, &body.concat())
}

/// A neighbour solicitation from nowhere that says that the asker is at `link`.
pub fn solicitation(from: Mac, target: Ipv6Addr, link: Mac, padding: &[u8]) -> Vec<u8> {
    let body = [&target.octets()[..], &[1, 1], &link, padding];
    icmpv6(from, Ipv6Addr::UNSPECIFIED, 135, &body.concat())
}

/// Who asks for this address by ARP.
pub fn asks_for(frame: &[u8], ip: Ipv4Addr) -> Option<(Mac, Ipv4Addr)> {
    let is_request = frame.get(12..14)? == ARP.to_be_bytes() && frame.get(20..22)? == [0, 1];
    if !is_request || frame.get(38..42)? != ip.octets() {
        return None;
    }
    let mac: Mac = frame.get(22..28)?.try_into().ok()?;
    let ip: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
    Some((mac, ip.into()))
}
