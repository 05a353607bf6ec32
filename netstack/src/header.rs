//! Headers and checksums of what is sent.

use core::net::IpAddr;

use crate::checksum::Sum;
use crate::packet::{IPV4, IPV6, field, protocol};

/// Whose work it is to sum what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The checksum is there already.
    Done,
    /// It goes to this place of the payload, and covers a pseudo-header.
    Pseudo(usize),
    /// It goes to this place of the payload, and covers only that.
    Plain(usize),
}

/// What the caller of [`Node::send`] says of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// What the payload is.
    pub protocol: u8,
    /// Hops it may take.
    pub hop_limit: u8,
}

/// Bytes of the IP header, without extensions.
pub fn start(header: &Header) -> usize {
    match header.destination {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    }
}

/// Writes an IP header; `fragment` are IPv4's identification, flags and offset.
pub fn write_header(packet: &mut [u8], header: &Header, length: usize, fragment: [u8; 4]) {
    match (header.source, header.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let [high, low] = ((IPV4 + length) as u16).to_be_bytes();
            let [a, b, c, d] = fragment;
            let into = &mut packet[..IPV4];
            into[..10].copy_from_slice(&[
                0x45,
                0,
                high,
                low,
                a,
                b,
                c,
                d,
                header.hop_limit,
                header.protocol,
            ]);
            into[10..12].copy_from_slice(&[0, 0]);
            into[12..16].copy_from_slice(&source.octets());
            into[16..20].copy_from_slice(&destination.octets());
            let checksum = Sum::of(into).checksum();
            into[10..12].copy_from_slice(&checksum);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [high, low] = (length as u16).to_be_bytes();
            let into = &mut packet[..IPV6];
            into[..8].copy_from_slice(&[
                0x60,
                0,
                0,
                0,
                high,
                low,
                header.protocol,
                header.hop_limit,
            ]);
            into[8..24].copy_from_slice(&source.octets());
            into[24..40].copy_from_slice(&destination.octets());
        }
        // Callers answer a packet or choose a source by the destination; a packet without version
        // would be dropped by any receiver.
        _ => packet[..IPV4].fill(0),
    }
}

/// Fills the checksum of a payload.
pub fn finish_payload(payload: &mut [u8], header: &Header, check: Check) {
    let (at, pseudo) = match check {
        Check::Done => return,
        Check::Plain(at) => (at, Sum::ZERO),
        Check::Pseudo(at) => (
            at,
            Sum::pseudo(
                header.source,
                header.destination,
                header.protocol,
                payload.len(),
            ),
        ),
    };
    payload[at..at + 2].copy_from_slice(&[0, 0]);
    let checksum = pseudo.and(Sum::of(payload)).checksum_never_zero();
    payload[at..at + 2].copy_from_slice(&checksum);
}

/// Fills the checksums of a TCP segment in its packet; answers where it goes.
pub fn seal(packet: &mut [u8]) -> Option<IpAddr> {
    let (source, destination, start) = match packet.first()? >> 4 {
        4 if packet.len() >= IPV4 => {
            let start = usize::from(packet[0] & 0xf) * 4;
            packet[10..12].copy_from_slice(&[0, 0]);
            let checksum = Sum::of(packet.get(..start)?).checksum();
            packet[10..12].copy_from_slice(&checksum);
            let addresses = (field::<4>(packet, 12), field::<4>(packet, 16));
            (IpAddr::from(addresses.0), IpAddr::from(addresses.1), start)
        }
        6 if packet.len() >= IPV6 => {
            let addresses = (field::<16>(packet, 8), field::<16>(packet, 24));
            (IpAddr::from(addresses.0), IpAddr::from(addresses.1), IPV6)
        }
        _ => return None,
    };
    let segment = packet.get_mut(start..).filter(|s| s.len() >= 20)?;
    segment[16..18].copy_from_slice(&[0, 0]);
    let checksum = Sum::pseudo(source, destination, protocol::TCP, segment.len())
        .and(Sum::of(segment))
        .checksum();
    segment[16..18].copy_from_slice(&checksum);
    Some(destination)
}
