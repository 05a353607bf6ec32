//! Frames made by hand.

use std::net::IpAddr;

use netstack::checksum::Sum;

use super::{PEER_MAC, STACK_MAC};

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The MAC address that an IP address is sent to: a group's, everybody's, or the stack's.
fn station(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(a) if a.is_broadcast() || a.octets()[3] == 255 => [0xff; 6],
        _ if address.is_multicast() => netstack::address::group_mac(address),
        _ => STACK_MAC,
    }
}

pub fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, from].concat();
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    // Shorter frames are padded on the wire.
    if frame.len() < 60 {
        frame.resize(60, 0xee);
    }
    frame
}

/// An IP packet, without its frame.
pub fn packet(from: IpAddr, to: IpAddr, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = match from {
        IpAddr::V4(_) => {
            let total = (20 + payload.len()) as u16;
            let mut header = vec![0x45, 0];
            header.extend(total.to_be_bytes());
            header.extend([0x12, 0x34, 0, 0, hops, protocol, 0, 0]);
            header.extend(octets(from));
            header.extend(octets(to));
            let checksum = Sum::of(&header).checksum();
            header[10..12].copy_from_slice(&checksum);
            header
        }
        IpAddr::V6(_) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((payload.len() as u16).to_be_bytes());
            header.extend([protocol, hops]);
            header.extend(octets(from));
            header.extend(octets(to));
            header
        }
    };
    packet.extend(payload);
    packet
}

/// An IP packet in a frame from the peer.
pub fn framed(from: &str, to: &str, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = (ip(from), ip(to));
    let kind = if from.is_ipv4() { 0x0800 } else { 0x86dd };
    let packet = packet(from, to, protocol, hops, payload);
    ethernet(station(to), PEER_MAC, kind, &packet)
}

/// Fills a checksum that covers a pseudo-header.
pub fn fill(from: &str, to: &str, protocol: u8, at: usize, payload: &mut [u8]) {
    payload[at..at + 2].fill(0);
    let sum = Sum::pseudo(ip(from), ip(to), protocol, payload.len());
    let checksum = sum.and(Sum::of(payload)).checksum();
    payload[at..at + 2].copy_from_slice(&checksum);
}

pub fn udp(from: (&str, u16), to: (&str, u16), data: &[u8]) -> Vec<u8> {
    framed(from.0, to.0, 17, 64, &udp_payload(from, to, data))
}

pub fn udp_payload(from: (&str, u16), to: (&str, u16), data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(from.1.to_be_bytes());
    payload.extend(to.1.to_be_bytes());
    payload.extend(((8 + data.len()) as u16).to_be_bytes());
    payload.extend([0, 0]);
    payload.extend(data);
    fill(from.0, to.0, 17, 6, &mut payload);
    payload
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// A TCP segment; `numbers` are sequence and acknowledgement.
pub fn tcp(
    from: (&str, u16),
    to: (&str, u16),
    flags: u8,
    numbers: (u32, u32),
    data: &[u8],
) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(from.1.to_be_bytes());
    payload.extend(to.1.to_be_bytes());
    payload.extend(numbers.0.to_be_bytes());
    payload.extend(numbers.1.to_be_bytes());
    payload.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    payload.extend(data);
    fill(from.0, to.0, 6, 16, &mut payload);
    framed(from.0, to.0, 6, 64, &payload)
}

pub fn ping(from: &str, to: &str, data: &[u8]) -> Vec<u8> {
    let v6 = ip(from).is_ipv6();
    let mut message = vec![if v6 { 128 } else { 8 }, 0, 0, 0, 0x12, 0x34, 0, 1];
    message.extend(data);
    if v6 {
        fill(from, to, 58, 2, &mut message);
        framed(from, to, 58, 64, &message)
    } else {
        let checksum = Sum::of(&message).checksum();
        message[2..4].copy_from_slice(&checksum);
        framed(from, to, 1, 64, &message)
    }
}

pub fn arp(
    operation: u8,
    sender_mac: [u8; 6],
    sender: &str,
    target_mac: [u8; 6],
    target: &str,
) -> Vec<u8> {
    let mut payload = vec![0, 1, 8, 0, 6, 4, 0, operation];
    payload.extend(sender_mac);
    payload.extend(octets(ip(sender)));
    payload.extend(target_mac);
    payload.extend(octets(ip(target)));
    let to = if operation == 1 { [0xff; 6] } else { STACK_MAC };
    ethernet(to, sender_mac, 0x0806, &payload)
}

/// An ICMPv6 message of neighbour discovery, in its frame.
pub fn discovery(from: &str, to: &str, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    fill(from, to, 58, 2, &mut message);
    framed(from, to, 58, 255, &message)
}

pub fn solicitation(from: &str, target: &str, station: Option<[u8; 6]>) -> Vec<u8> {
    let IpAddr::V6(address) = ip(target) else {
        panic!("IPv6 only");
    };
    let group = netstack::address::solicited_node(address).to_string();
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(address.octets());
    if let Some(mac) = station {
        message.extend([1, 1]);
        message.extend(mac);
    }
    discovery(from, &group, &message)
}

pub fn advertisement(from: &str, to: &str, target: &str, flags: u8, mac: [u8; 6]) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, flags, 0, 0, 0];
    message.extend(octets(ip(target)));
    message.extend([2, 1]);
    message.extend(mac);
    discovery(from, to, &message)
}

/// A router's announcement: lifetime in seconds, and its options.
pub fn announcement(router: &str, lifetime: u16, options: &[u8]) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(lifetime.to_be_bytes());
    message.extend([0; 8]);
    message.extend(options);
    discovery(router, "ff02::1", &message)
}

/// A prefix option: flags 0x80 on link, 0x40 for addresses.
pub fn prefix(prefix: &str, length: u8, flags: u8, valid: u32, preferred: u32) -> Vec<u8> {
    let mut option = vec![3, 4, length, flags];
    option.extend(valid.to_be_bytes());
    option.extend(preferred.to_be_bytes());
    option.extend([0; 4]);
    option.extend(octets(ip(prefix)));
    option
}

/// What a frame that the stack sent holds: addresses, protocol, payload. Its checksums are right.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub mac: [u8; 6],
    pub from: IpAddr,
    pub to: IpAddr,
    pub protocol: u8,
    pub hops: u8,
    pub payload: Vec<u8>,
}

impl Sent {
    /// An IP packet; `None` for anything else.
    pub fn parse(frame: &[u8]) -> Option<Sent> {
        let kind = u16::from_be_bytes([frame[12], frame[13]]);
        let packet = &frame[14..];
        let (from, to, protocol, hops, payload) = match kind {
            0x0800 => {
                assert!(Sum::of(&packet[..20]).is_intact(), "IPv4 header checksum");
                let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
                assert_eq!(total, packet.len(), "IPv4 length");
                let address = |at: usize| {
                    let octets: [u8; 4] = packet[at..at + 4].try_into().unwrap();
                    IpAddr::from(octets)
                };
                (
                    address(12),
                    address(16),
                    packet[9],
                    packet[8],
                    &packet[20..],
                )
            }
            0x86dd => {
                let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
                assert_eq!(40 + length, packet.len(), "IPv6 length");
                let address = |at: usize| {
                    let octets: [u8; 16] = packet[at..at + 16].try_into().unwrap();
                    IpAddr::from(octets)
                };
                (address(8), address(24), packet[6], packet[7], &packet[40..])
            }
            _ => return None,
        };
        let fragment = kind == 0x0800 && u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
        if !fragment && matches!(protocol, 6 | 17 | 58) {
            let sum = Sum::pseudo(from, to, protocol, payload.len()).and(Sum::of(payload));
            assert!(sum.is_intact(), "checksum of protocol {protocol}");
        }
        if !fragment && protocol == 1 {
            assert!(Sum::of(payload).is_intact(), "ICMP checksum");
        }
        Some(Sent {
            mac: frame[..6].try_into().unwrap(),
            from,
            to,
            protocol,
            hops,
            payload: payload.to_vec(),
        })
    }

    /// The only frame sent.
    pub fn only(frames: &[Vec<u8>]) -> Sent {
        assert_eq!(frames.len(), 1, "one frame: {frames:02x?}");
        Sent::parse(&frames[0]).expect("an IP packet")
    }

    pub fn data(&self) -> &[u8] {
        &self.payload[8..]
    }

    pub fn ports(&self) -> (u16, u16) {
        let port = |at: usize| u16::from_be_bytes([self.payload[at], self.payload[at + 1]]);
        (port(0), port(2))
    }

    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub fn flags(&self) -> u8 {
        self.payload[13]
    }
}
