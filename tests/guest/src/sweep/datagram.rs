//! Numbered datagrams, which a stack's echo service sends back.

use core::net::Ipv4Addr;

use guest::sweeping::{HEADER, HOST, fill, number_of};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet,
    Ipv4Repr, UdpPacket, UdpRepr,
};

use crate::host::ADDRESS;

/// The port that they come from.
const PORT: u16 = 49_151;
/// The echo service's (RFC 862).
pub const ECHO: u16 = 7;
/// Bytes of the IPv4 header and the UDP header.
const IPV4: usize = 20;
const UDP: usize = 8;

/// A frame of a stack's.
pub enum Heard {
    /// The echo of the datagram with this number.
    Echo(u64),
    /// An echo of nothing that was sent.
    Wrong,
    /// Something else: for the host.
    Other,
}

/// Writes the datagram with a number into a frame as long as `into`: from the host to a stack.
pub fn write(into: &mut [u8], mac: [u8; 6], address: Ipv4Addr, number: u64) {
    let sums = ChecksumCapabilities::default();
    let payload = into.len() - HEADER - IPV4 - UDP;
    EthernetRepr {
        src_addr: EthernetAddress(HOST),
        dst_addr: EthernetAddress(mac),
        ethertype: EthernetProtocol::Ipv4,
    }
    .emit(&mut EthernetFrame::new_unchecked(&mut *into));
    let packet = &mut into[HEADER..];
    Ipv4Repr {
        src_addr: ADDRESS,
        dst_addr: address,
        next_header: IpProtocol::Udp,
        payload_len: UDP + payload,
        hop_limit: 64,
    }
    .emit(&mut Ipv4Packet::new_unchecked(&mut *packet), &sums);
    UdpRepr {
        src_port: PORT,
        dst_port: ECHO,
    }
    .emit(
        &mut UdpPacket::new_unchecked(&mut packet[IPV4..]),
        &ADDRESS.into(),
        &address.into(),
        payload,
        |bytes| fill(bytes, number),
        &sums,
    );
}

/// What a frame is that came from the stack with this address.
pub fn read(frame: &[u8], address: Ipv4Addr) -> Heard {
    let Some(datagram) = datagram(frame) else {
        return Heard::Other;
    };
    match checked(datagram, address) {
        Some(number) => Heard::Echo(number),
        None => Heard::Wrong,
    }
}

/// The IPv4 packet, if the frame holds one for the host with a UDP datagram.
fn datagram(frame: &[u8]) -> Option<&[u8]> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ours = ethernet.dst_addr() == EthernetAddress(HOST);
    if !ours || ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.get(HEADER..)?).ok()?;
    (packet.next_header() == IpProtocol::Udp).then_some(frame.get(HEADER..)?)
}

/// Its number, if addresses, ports, checksums and each byte are right.
fn checked(packet: &[u8], address: Ipv4Addr) -> Option<u64> {
    let sums = ChecksumCapabilities::default();
    let packet = Ipv4Packet::new_checked(packet).ok()?;
    let ip = Ipv4Repr::parse(&packet, &sums).ok()?;
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
    let udp = UdpRepr::parse(&datagram, &from, &to, &sums).ok()?;
    let right = (ip.src_addr, ip.dst_addr, udp.src_port, udp.dst_port);
    number_of(datagram.payload()).filter(|_| right == (address, ADDRESS, ECHO, PORT))
}
