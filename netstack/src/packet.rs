//! Received frames: copied once, summed on the way, and taken apart.
//!
//! A frame lies in memory that somebody else can take back in the middle of a look at it. So its
//! headers, and then its payload, are copied into a buffer of the stack's own, and only the copy is
//! ever judged. Copying and summing are one pass.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use crate::checksum::Sum;
use crate::counters::Drop;

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody's MAC address.
pub const BROADCAST: Mac = [0xff; 6];

/// Bytes of an ethernet header.
pub const ETHERNET: usize = 14;
/// Bytes of an IPv4 header without options.
pub const IPV4: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const IPV6: usize = 40;

/// EtherType of ARP.
pub const TYPE_ARP: [u8; 2] = [0x08, 0x06];
/// EtherType of IPv4.
pub const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// EtherType of IPv6.
pub const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// Protocol numbers (IANA).
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// Whom a frame was addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// This station.
    Us,
    /// A group.
    Multicast,
    /// Everybody.
    Broadcast,
}

/// What makes a packet a piece of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Tells the datagrams of one sender apart.
    pub id: u32,
    /// Where the piece belongs, in bytes.
    pub offset: usize,
    /// Whether pieces beyond it are to come.
    pub more: bool,
}

/// An IP packet whose headers agree with its length. Says nothing of what its payload holds, nor
/// whether its addresses make sense.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The station that sent it.
    pub source_mac: Mac,
    /// Whom its frame was addressed to.
    pub cast: Cast,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What the payload is. With IPv6, what follows the fixed header until
    /// [`crate::extension::skip`] has been by.
    pub protocol: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Where the payload begins in the packet.
    pub start: usize,
    /// The sum of the payload.
    pub sum: Sum,
    /// Whether it is a piece, and which.
    pub fragment: Option<Fragment>,
}

/// What a frame held, and where in the buffer the copy lies.
#[derive(Debug)]
pub enum Received {
    /// An ARP packet.
    Arp(Cast, Mac, Range<usize>),
    /// An IP packet, header included.
    Ip(Packet, Range<usize>),
}

/// Takes a frame apart. `into` gets the copy, at the same offsets.
pub fn receive(frame: &[u8], into: &mut [u8], us: Mac) -> Result<Received, Drop> {
    let head = frame.len().min(ETHERNET + IPV6);
    if frame.len() > into.len() {
        return Err(Drop::Giant);
    }
    let Some((ethernet, rest)) = into[..head].split_at_mut_checked(ETHERNET) else {
        return Err(Drop::Runt);
    };
    ethernet.copy_from_slice(&frame[..ETHERNET]);
    rest.copy_from_slice(&frame[ETHERNET..head]);
    let (destination, source, kind) = (field(ethernet, 0), field(ethernet, 6), field(ethernet, 12));
    let cast = match destination {
        _ if destination == us => Cast::Us,
        BROADCAST => Cast::Broadcast,
        [first, ..] if first & 1 != 0 => Cast::Multicast,
        _ => return Err(Drop::NotOurStation),
    };
    let source: Mac = source;
    if source[0] & 1 != 0 {
        return Err(Drop::BadSource);
    }
    match kind {
        TYPE_ARP => Ok(Received::Arp(cast, source, ETHERNET..head)),
        TYPE_IPV4 => ipv4(frame, into, head).map(|(packet, range)| {
            let packet = Packet {
                source_mac: source,
                cast,
                ..packet
            };
            Received::Ip(packet, range)
        }),
        TYPE_IPV6 => ipv6(frame, into, head).map(|(packet, range)| {
            let packet = Packet {
                source_mac: source,
                cast,
                ..packet
            };
            Received::Ip(packet, range)
        }),
        _ => Err(Drop::UnknownType),
    }
}

/// A field of a header whose length was checked.
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// A 16-bit field of a header whose length was checked.
pub fn field16(bytes: &[u8], at: usize) -> usize {
    u16::from_be_bytes(field(bytes, at)).into()
}

fn ipv4(frame: &[u8], into: &mut [u8], head: usize) -> Result<(Packet, Range<usize>), Drop> {
    let header = &into[ETHERNET..head];
    if header.len() < IPV4 {
        return Err(Drop::Runt);
    }
    let (first, total) = (header[0], field16(header, 2));
    let start = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || start < IPV4 || total < start || total > frame.len() - ETHERNET {
        return Err(Drop::Malformed);
    }
    let range = ETHERNET..ETHERNET + total;
    // Options lie beyond what was copied so far.
    if start > IPV4 {
        into[ETHERNET + IPV4..ETHERNET + start]
            .copy_from_slice(&frame[ETHERNET + IPV4..ETHERNET + start]);
    }
    let header = &into[ETHERNET..ETHERNET + start];
    if !Sum::of(header).is_intact() {
        return Err(Drop::Checksum);
    }
    let flags = field16(header, 6);
    let (offset, more) = ((flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let packet = Packet {
        source_mac: [0; 6],
        cast: Cast::Us,
        source: IpAddr::V4(Ipv4Addr::from(field::<4>(header, 12))),
        destination: IpAddr::V4(Ipv4Addr::from(field::<4>(header, 16))),
        protocol: header[9],
        hop_limit: header[8],
        start,
        sum: Sum::ZERO,
        fragment: (offset != 0 || more).then(|| Fragment {
            id: field16(header, 4) as u32,
            offset,
            more,
        }),
    };
    let payload = range.start + start..range.end;
    let sum = Sum::copy(&frame[payload.clone()], &mut into[payload]);
    Ok((Packet { sum, ..packet }, range))
}

fn ipv6(frame: &[u8], into: &mut [u8], head: usize) -> Result<(Packet, Range<usize>), Drop> {
    let header = &into[ETHERNET..head];
    if header.len() < IPV6 {
        return Err(Drop::Runt);
    }
    let total = IPV6 + field16(header, 4);
    if header[0] >> 4 != 6 || total > frame.len() - ETHERNET {
        return Err(Drop::Malformed);
    }
    let range = ETHERNET..ETHERNET + total;
    let packet = Packet {
        source_mac: [0; 6],
        cast: Cast::Us,
        source: IpAddr::V6(Ipv6Addr::from(field::<16>(header, 8))),
        destination: IpAddr::V6(Ipv6Addr::from(field::<16>(header, 24))),
        protocol: header[6],
        hop_limit: header[7],
        start: IPV6,
        sum: Sum::ZERO,
        fragment: None,
    };
    let payload = range.start + IPV6..range.end;
    let sum = Sum::copy(&frame[payload.clone()], &mut into[payload]);
    Ok((Packet { sum, ..packet }, range))
}

impl Packet {
    /// Whether the payload's checksum, over a pseudo-header too, is right.
    pub fn is_intact(&self, length: usize) -> bool {
        Sum::pseudo(self.source, self.destination, self.protocol, length)
            .and(self.sum)
            .is_intact()
    }
}
