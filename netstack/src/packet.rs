//! Received frames, taken apart.
//!
//! A frame that came lies in memory that somebody else can take back in the middle of a look at it. So
//! the link copies it into a buffer of the stack's own first, and only the copy is ever judged.

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

/// What a frame holds.
#[derive(Debug)]
pub enum Received {
    /// An ARP packet: to whom, and from which station.
    Arp(Cast, Mac),
    /// An IP packet, and where in the frame it lies, header included.
    Ip(Packet, Range<usize>),
}

/// Takes a frame apart.
pub fn parse(frame: &[u8], us: Mac) -> Result<Received, Drop> {
    let Some((ethernet, rest)) = frame.split_at_checked(ETHERNET) else {
        return Err(Drop::Runt);
    };
    let (destination, source): (Mac, Mac) = (field(ethernet, 0), field(ethernet, 6));
    let cast = match destination {
        _ if destination == us => Cast::Us,
        BROADCAST => Cast::Broadcast,
        [first, ..] if first & 1 != 0 => Cast::Multicast,
        _ => return Err(Drop::NotOurStation),
    };
    if source[0] & 1 != 0 {
        return Err(Drop::BadSource);
    }
    let (packet, length) = match field(ethernet, 12) {
        TYPE_ARP => return Ok(Received::Arp(cast, source)),
        TYPE_IPV4 => ipv4(rest)?,
        TYPE_IPV6 => ipv6(rest)?,
        _ => return Err(Drop::UnknownType),
    };
    let packet = Packet {
        source_mac: source,
        cast,
        sum: Sum::of(&rest[packet.start..length]),
        ..packet
    };
    Ok(Received::Ip(packet, ETHERNET..ETHERNET + length))
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

/// Checks an IPv4 header; returns the packet's length, too: padding may follow.
fn ipv4(bytes: &[u8]) -> Result<(Packet, usize), Drop> {
    if bytes.len() < IPV4 {
        return Err(Drop::Runt);
    }
    let (first, length) = (bytes[0], field16(bytes, 2));
    let start = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || start < IPV4 || length < start || length > bytes.len() {
        return Err(Drop::Malformed);
    }
    let header = &bytes[..start];
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
    Ok((packet, length))
}

/// Checks an IPv6 header; returns the packet's length, too: padding may follow.
fn ipv6(bytes: &[u8]) -> Result<(Packet, usize), Drop> {
    if bytes.len() < IPV6 {
        return Err(Drop::Runt);
    }
    let length = IPV6 + field16(bytes, 4);
    if bytes[0] >> 4 != 6 || length > bytes.len() {
        return Err(Drop::Malformed);
    }
    let packet = Packet {
        source_mac: [0; 6],
        cast: Cast::Us,
        source: IpAddr::V6(Ipv6Addr::from(field::<16>(bytes, 8))),
        destination: IpAddr::V6(Ipv6Addr::from(field::<16>(bytes, 24))),
        protocol: bytes[6],
        hop_limit: bytes[7],
        start: IPV6,
        sum: Sum::ZERO,
        fragment: None,
    };
    Ok((packet, length))
}

impl Packet {
    /// Whether the payload's checksum, over a pseudo-header too, is right.
    pub fn is_intact(&self, length: usize) -> bool {
        Sum::pseudo(self.source, self.destination, self.protocol, length)
            .and(self.sum)
            .is_intact()
    }
}
