//! Frames byte by byte, right or wrong, and what stands in the guest's.
//!
//! Written out by hand rather than by the library that the guest's stacks use: a mistake that both
//! sides share would not be seen.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A MAC address.
pub type Mac = [u8; 6];

/// Every station.
pub const BROADCAST: Mac = [0xff; 6];

/// Values of the type field.
pub mod ether_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// Values of the protocol field.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// An ethernet frame (without padding: shorter ones are runts).
pub fn ethernet(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from[..], &kind.to_be_bytes(), payload].concat()
}

/// A frame filled with zeros up to the least length of ethernet, 60 bytes.
pub fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

/// Who has `target`? Broadcast.
pub fn arp_request(from: Mac, from_ip: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    padded(ethernet(
        BROADCAST,
        from,
        ether_type::ARP,
        &arp(1, from, from_ip, [0; 6], target),
    ))
}

/// `from_ip` is at `from`.
pub fn arp_reply(from: Mac, from_ip: Ipv4Addr, to: Mac, to_ip: Ipv4Addr) -> Vec<u8> {
    padded(ethernet(
        to,
        from,
        ether_type::ARP,
        &arp(2, from, from_ip, to, to_ip),
    ))
}

fn arp(operation: u16, from: Mac, from_ip: Ipv4Addr, to: Mac, to_ip: Ipv4Addr) -> Vec<u8> {
    [
        &[0, 1, 8, 0, 6, 4][..],
        &operation.to_be_bytes(),
        &from,
        &from_ip.octets(),
        &to,
        &to_ip.octets(),
    ]
    .concat()
}

/// The two ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends<Ip> {
    /// The sender's MAC address.
    pub from: Mac,
    /// The sender's IP address.
    pub from_ip: Ip,
    /// The receiver's MAC address.
    pub to: Mac,
    /// The receiver's IP address.
    pub to_ip: Ip,
}

/// An IPv4 packet in a frame.
pub fn ipv4(ends: &Ends<Ipv4Addr>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[6] = 0x40;
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&ends.from_ip.octets());
    header[16..20].copy_from_slice(&ends.to_ip.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    padded(ethernet(
        ends.to,
        ends.from,
        ether_type::IPV4,
        &[&header[..], payload].concat(),
    ))
}

/// An IPv6 packet in a frame.
pub fn ipv6(ends: &Ends<Ipv6Addr>, protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let packet = [
        &[0x60, 0, 0, 0][..],
        &length.to_be_bytes(),
        &[protocol, hop_limit],
        &ends.from_ip.octets(),
        &ends.to_ip.octets(),
        payload,
    ]
    .concat();
    padded(ethernet(ends.to, ends.from, ether_type::IPV6, &packet))
}

/// An ICMP echo request in an IPv4 packet.
pub fn ping4(ends: &Ends<Ipv4Addr>, identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    ipv4(
        ends,
        protocol::ICMP,
        &echo(8, identifier, sequence, data, &[]),
    )
}

/// An ICMPv6 echo request in an IPv6 packet.
pub fn ping6(ends: &Ends<Ipv6Addr>, identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let length = 8 + data.len();
    let pseudo = pseudo6(ends, protocol::ICMPV6, length);
    ipv6(
        ends,
        protocol::ICMPV6,
        64,
        &echo(128, identifier, sequence, data, &pseudo),
    )
}

fn echo(kind: u8, identifier: u16, sequence: u16, data: &[u8], pseudo: &[u8]) -> Vec<u8> {
    let mut message = [
        &[kind, 0, 0, 0][..],
        &identifier.to_be_bytes(),
        &sequence.to_be_bytes(),
        data,
    ]
    .concat();
    let sum = checksum(&[pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A UDP datagram in an IPv4 packet.
pub fn udp4(ends: &Ends<Ipv4Addr>, from_port: u16, to_port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let pseudo = [
        &ends.from_ip.octets()[..],
        &ends.to_ip.octets(),
        &[0, protocol::UDP],
        &length.to_be_bytes(),
    ]
    .concat();
    ipv4(
        ends,
        protocol::UDP,
        &udp(from_port, to_port, length, data, &pseudo),
    )
}

/// A UDP datagram in an IPv6 packet.
pub fn udp6(ends: &Ends<Ipv6Addr>, from_port: u16, to_port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let pseudo = pseudo6(ends, protocol::UDP, length.into());
    ipv6(
        ends,
        protocol::UDP,
        64,
        &udp(from_port, to_port, length, data, &pseudo),
    )
}

fn udp(from_port: u16, to_port: u16, length: u16, data: &[u8], pseudo: &[u8]) -> Vec<u8> {
    let header = [from_port, to_port, length, 0]
        .map(u16::to_be_bytes)
        .concat();
    let mut datagram = [&header[..], data].concat();
    let sum = match checksum(&[pseudo, &datagram]) {
        // Zero would say that there is no checksum (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// A router's announcement of a prefix for autoconfiguration (RFC 4861, 4.2 and 4.6.2), to all
/// nodes; times in seconds.
pub fn router_advertisement(
    from: Mac,
    from_ip: Ipv6Addr,
    router_lifetime: u16,
    prefix: Ipv6Addr,
    prefix_length: u8,
    prefix_lifetime: u32,
) -> Vec<u8> {
    let ends = Ends {
        from,
        from_ip,
        to: [0x33, 0x33, 0, 0, 0, 1],
        to_ip: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    };
    let mut message = [
        &[134, 0, 0, 0, 64, 0][..],
        &router_lifetime.to_be_bytes(),
        &[0; 8],
        // Source link-layer address.
        &[1, 1],
        &from,
        // Prefix information: on-link and autonomous.
        &[3, 4, prefix_length, 0xc0],
        &prefix_lifetime.to_be_bytes(),
        &prefix_lifetime.to_be_bytes(),
        &[0; 4],
        &prefix.octets(),
    ]
    .concat();
    let sum = checksum(&[&pseudo6(&ends, protocol::ICMPV6, message.len()), &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(&ends, protocol::ICMPV6, 255, &message)
}

fn pseudo6(ends: &Ends<Ipv6Addr>, protocol: u8, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    [
        &ends.from_ip.octets()[..],
        &ends.to_ip.octets(),
        &length.to_be_bytes(),
        &[0, 0, 0, protocol],
    ]
    .concat()
}

/// The internet checksum (RFC 1071) over parts that follow each other; only the last may have an
/// odd length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whom a frame is for.
pub fn destination(frame: &[u8]) -> Option<Mac> {
    frame.get(..6)?.try_into().ok()
}

/// Whom a frame says that it is from.
pub fn source(frame: &[u8]) -> Option<Mac> {
    frame.get(6..12)?.try_into().ok()
}

/// A frame's type field.
pub fn kind(frame: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?))
}

/// What follows the type field.
pub fn payload(frame: &[u8]) -> &[u8] {
    frame.get(14..).unwrap_or_default()
}

/// The MAC address in an ARP reply that says where `ip` is.
pub fn arp_answer(frame: &[u8], ip: Ipv4Addr) -> Option<Mac> {
    let message = payload(frame);
    let is_reply = kind(frame) == Some(ether_type::ARP) && message.get(6..8)? == [0, 2];
    (is_reply && message.get(14..18)? == ip.octets())
        .then_some(message.get(8..14)?.try_into().ok()?)
}

/// Sender and receiver of an IPv4 packet, its protocol, and what it carries.
pub fn ipv4_parts(frame: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8, &[u8])> {
    let packet = payload(frame);
    if kind(frame)? != ether_type::IPV4 || packet.first()? >> 4 != 4 {
        return None;
    }
    let header = usize::from(packet[0] & 0xf) * 4;
    let length = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let address = |at: usize| -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?.into())
    };
    Some((
        address(12)?,
        address(16)?,
        *packet.get(9)?,
        packet.get(header..length)?,
    ))
}

#[cfg(test)]
mod tests {
    use smoltcp::wire::{EthernetFrame, Icmpv6Packet, Ipv4Packet, Ipv6Packet, UdpPacket};

    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];

    fn v4() -> Ends<Ipv4Addr> {
        let (from_ip, to_ip) = (Ipv4Addr::new(10, 0, 2, 2), Ipv4Addr::new(10, 0, 2, 21));
        Ends {
            from: A,
            from_ip,
            to: B,
            to_ip,
        }
    }

    #[test]
    fn another_implementation_takes_the_ipv4_frames_for_good() {
        let frame = udp4(&v4(), 1000, 7, b"odd");
        let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
        let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
        assert!(packet.verify_checksum());
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let udp = UdpPacket::new_checked(packet.payload()).unwrap();
        assert!(udp.verify_checksum(&from, &to));
        assert_eq!(
            (udp.src_port(), udp.dst_port(), udp.payload()),
            (1000, 7, &b"odd"[..])
        );
    }

    #[test]
    fn another_implementation_takes_the_ipv6_frames_for_good() {
        let router: Ipv6Addr = "fe80::2".parse().unwrap();
        let prefix: Ipv6Addr = "fd00::".parse().unwrap();
        for frame in [
            router_advertisement(A, router, 1800, prefix, 64, 3600),
            ping6(
                &Ends {
                    from: A,
                    from_ip: router,
                    to: B,
                    to_ip: prefix,
                },
                1,
                2,
                b"x",
            ),
        ] {
            let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
            assert!(message.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
        }
    }

    #[test]
    fn what_was_put_into_a_frame_is_found_in_it() {
        let reply = arp_reply(
            B,
            Ipv4Addr::new(10, 0, 2, 21),
            A,
            Ipv4Addr::new(10, 0, 2, 2),
        );
        assert_eq!(arp_answer(&reply, Ipv4Addr::new(10, 0, 2, 21)), Some(B));
        assert_eq!(arp_answer(&reply, Ipv4Addr::new(10, 0, 2, 22)), None);
        assert_eq!(
            (destination(&reply), source(&reply), reply.len()),
            (Some(A), Some(B), 60)
        );
        let ping = ping4(&v4(), 1, 2, b"data");
        let (from, to, number, message) = ipv4_parts(&ping).unwrap();
        assert_eq!(
            (from, to, number),
            (v4().from_ip, v4().to_ip, protocol::ICMP)
        );
        assert_eq!((message[0], &message[8..]), (8, &b"data"[..]));
        assert_eq!(ipv4_parts(&ping[..20]), None);
        assert_eq!(kind(&[]), None);
    }
}
