//! The host at the other end of the wire: asks by ARP, sends datagrams, compares what comes back.

use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use guest::wired::Failure;

use crate::{ECHO, IDLE, PER_FRAME, Station};

/// Longest frame.
pub const FRAME: usize = 1514;

const MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PORT: u16 = 49_152;
/// The echo service's (RFC 862).
const ECHO_PORT: u16 = 7;
/// Bytes before a datagram's payload.
const HEADERS: usize = 14 + 20 + 8;

/// What was heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Right echoes.
    pub echoes: u64,
    /// The stack said its address.
    pub resolved: bool,
    /// The stack asked for the host's address.
    pub asked: bool,
}

/// The host.
pub struct Peer {
    frame: [u8; FRAME],
    /// To whom it talks.
    station: Station,
    /// Length of the payload, and the sequence numbers of the next datagram and the next echo.
    payload: usize,
    next: u64,
    expected: u64,
}

/// The bytes of a datagram: its number, and a pattern that depends on it.
fn byte(number: u64, at: usize) -> u8 {
    match at {
        0..8 => number.to_le_bytes()[at],
        _ => (number as u8).wrapping_mul(31).wrapping_add(at as u8),
    }
}

impl Peer {
    /// A host that talks to this station.
    pub fn new(station: Station) -> Peer {
        Peer {
            station,
            frame: [0; FRAME],
            payload: 0,
            next: 0,
            expected: 0,
        }
    }

    /// It talks to another one.
    pub fn turn_to(&mut self, station: Station) {
        self.station = station;
    }

    fn ethernet(&mut self, to: EthernetAddress, kind: EthernetProtocol) -> &mut [u8] {
        let repr = EthernetRepr {
            src_addr: EthernetAddress(MAC),
            dst_addr: to,
            ethertype: kind,
        };
        repr.emit(&mut EthernetFrame::new_unchecked(&mut self.frame[..]));
        &mut self.frame[14..]
    }

    fn arp(&mut self, operation: ArpOperation, to: EthernetAddress) -> &[u8] {
        let target = match operation {
            ArpOperation::Reply => EthernetAddress(self.station.mac),
            _ => EthernetAddress([0; 6]),
        };
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: EthernetAddress(MAC),
            source_protocol_addr: ADDRESS,
            target_hardware_addr: target,
            target_protocol_addr: self.station.address,
        };
        let packet = self.ethernet(to, EthernetProtocol::Arp);
        packet[..46].fill(0);
        repr.emit(&mut ArpPacket::new_unchecked(packet));
        // A frame is at least 60 bytes long.
        &self.frame[..60]
    }

    /// Asks for the stack's address.
    pub fn request(&mut self) -> &[u8] {
        self.arp(ArpOperation::Request, EthernetAddress::BROADCAST)
    }

    /// Tells the host's.
    pub fn answer(&mut self) -> &[u8] {
        self.arp(ArpOperation::Reply, EthernetAddress(self.station.mac))
    }

    /// The next datagram, with so many bytes of payload.
    pub fn datagram(&mut self, payload: usize) -> &[u8] {
        let number = self.next;
        self.next += 1;
        self.payload = payload;
        let (from, to) = (ADDRESS, self.station.address);
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Udp,
            payload_len: 8 + payload,
            hop_limit: 64,
        };
        let sums = ChecksumCapabilities::default();
        let packet = self.ethernet(EthernetAddress(self.station.mac), EthernetProtocol::Ipv4);
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut *packet), &sums);
        UdpRepr {
            src_port: PORT,
            dst_port: ECHO_PORT,
        }
        .emit(
            &mut UdpPacket::new_unchecked(&mut packet[20..]),
            &from.into(),
            &to.into(),
            payload,
            |bytes| {
                for (at, to) in bytes.iter_mut().enumerate() {
                    *to = byte(number, at);
                }
            },
            &sums,
        );
        &self.frame[..HEADERS + payload]
    }

    /// A frame came.
    pub fn hear(&mut self, frame: &[u8], heard: &mut Heard) -> Result<(), Failure> {
        let wrong = |_| Failure::Wrong("the stack sends what is no packet");
        let ethernet = EthernetFrame::new_checked(frame).map_err(wrong)?;
        let source = ethernet.src_addr().0;
        if source != self.station.mac {
            // Each says who it is when it starts.
            return match [ECHO, IDLE, PER_FRAME].iter().any(|one| one.mac == source) {
                true => Ok(()),
                false => Err(Failure::Wrong("a frame from somebody else")),
            };
        }
        match ethernet.ethertype() {
            EthernetProtocol::Arp => {
                let packet = ArpPacket::new_checked(ethernet.payload()).map_err(wrong)?;
                let ArpRepr::EthernetIpv4 {
                    operation,
                    source_protocol_addr,
                    target_protocol_addr,
                    ..
                } = ArpRepr::parse(&packet).map_err(wrong)?
                else {
                    return Ok(());
                };
                if source_protocol_addr == self.station.address && target_protocol_addr == ADDRESS {
                    heard.resolved |= operation == ArpOperation::Reply;
                    heard.asked |= operation == ArpOperation::Request;
                }
                Ok(())
            }
            EthernetProtocol::Ipv4 if ethernet.dst_addr() == EthernetAddress(MAC) => {
                self.echoed(ethernet.payload()).map_err(Failure::Wrong)?;
                heard.echoes += 1;
                Ok(())
            }
            // What it tells groups is of no interest.
            _ => Ok(()),
        }
    }

    /// Compares an echo with what was sent: addresses, ports, checksums, each byte, and the order.
    fn echoed(&mut self, packet: &[u8]) -> Result<(), &'static str> {
        let sums = ChecksumCapabilities::default();
        let packet = Ipv4Packet::new_checked(packet).map_err(|_| "an echo is no IPv4 packet")?;
        let ip = Ipv4Repr::parse(&packet, &sums).map_err(|_| "an echo's IPv4 header is wrong")?;
        if (ip.src_addr, ip.dst_addr, ip.next_header)
            != (self.station.address, ADDRESS, IpProtocol::Udp)
        {
            return Err("an echo has wrong addresses");
        }
        let datagram =
            UdpPacket::new_checked(packet.payload()).map_err(|_| "an echo is no UDP datagram")?;
        let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
        let udp = UdpRepr::parse(&datagram, &from, &to, &sums)
            .map_err(|_| "an echo's checksum is wrong")?;
        if (udp.src_port, udp.dst_port) != (ECHO_PORT, PORT) {
            return Err("an echo has wrong ports");
        }
        let number = self.expected;
        self.expected += 1;
        let bytes = datagram.payload();
        let same = bytes
            .iter()
            .enumerate()
            .all(|(at, value)| *value == byte(number, at));
        if bytes.len() != self.payload || !same {
            return Err("an echo is not what was sent");
        }
        Ok(())
    }
}
