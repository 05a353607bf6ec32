//! Ports with IP addresses bound to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dev::Mac;
use dev::statistics::Counter;

use crate::send::send_raw;
use crate::support::{OUTSIDE, World, mac, settings};

const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 21);
const IP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x21);
const OTHER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x22);

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(OUTSIDE.bytes());
    frame.extend(mac(1).bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ipv4(source: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend([10, 0, 2, 2]);
    packet.extend([0; 8]);
    ethernet(0x0800, &packet)
}

fn arp(sender_mac: Mac, sender: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(sender_mac.bytes());
    packet.extend(sender.octets());
    packet.extend([0; 6]);
    packet.extend([10, 0, 2, 2]);
    ethernet(0x0806, &packet)
}

fn ipv6(source: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 255]);
    packet.extend(source.octets());
    packet.extend([0xff; 16]);
    packet.extend(payload);
    ethernet(0x86dd, &packet)
}

fn discovery(kind: u8, target: Option<Ipv6Addr>, options: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    if let Some(target) = target {
        message.extend(target.octets());
    }
    message.extend(options);
    message
}

fn option(kind: u8, address: Mac) -> Vec<u8> {
    let mut option = vec![kind, 1];
    option.extend(address.bytes());
    option
}

/// Behind an extension header of 8 bytes.
fn extended(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0, 1, 4, 0, 0, 0, 0];
    bytes.extend(payload);
    bytes
}

fn fragment(next: u8, offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend((offset << 3 | 1).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[test]
fn pitfall_24_a_bound_port_sends_as_itself_only() {
    let world = World::new();
    let port = world.port(settings(1));
    for address in [IpAddr::V4(IP), IpAddr::V6(IP6)] {
        world
            .admin
            .bind_address(&world.init.sys, port.number, address)
            .unwrap();
    }
    let mut alice = world.client(port, 1000);
    alice.attach().unwrap();
    let nowhere = Ipv6Addr::UNSPECIFIED;
    let other4 = Ipv4Addr::new(10, 0, 2, 22);
    let own = mac(1);
    let udp = [0u8; 8];
    let advert = discovery(136, Some(IP6), &option(2, own));
    let long_extensions = {
        let mut payload = discovery(128, None, &[]);
        for _ in 0..9 {
            payload = extended(60, &payload);
        }
        payload
    };
    let mut padded = ipv6(IP6, 58, &advert);
    padded.extend([0; 30]);
    let good = [
        ipv4(IP),
        arp(own, IP),
        arp(own, Ipv4Addr::UNSPECIFIED),
        ipv6(IP6, 17, &udp),
        ipv6(IP6, 58, &discovery(128, None, &[1, 2, 3])),
        ipv6(IP6, 58, &advert),
        padded,
        ipv6(IP6, 58, &discovery(135, Some(OTHER6), &option(1, own))),
        ipv6(nowhere, 58, &discovery(135, Some(IP6), &[])),
        ipv6(nowhere, 58, &discovery(133, None, &[])),
        ipv6(IP6, 58, &discovery(133, None, &option(1, own))),
        ipv6(nowhere, 0, &extended(58, &discovery(143, None, &[0; 20]))),
        ipv6(IP6, 44, &fragment(17, 0, &udp)),
        ipv6(IP6, 44, &fragment(17, 100, &udp)),
    ];
    for bytes in good {
        assert_eq!(
            send_raw(&world, &mut alice, &bytes),
            std::slice::from_ref(&bytes),
            "{:?}",
            world.counters(port)
        );
    }
    let mut short_header = ipv4(IP);
    short_header[14] = 0x44;
    let mut version = ipv4(IP);
    version[14] = 0x65;
    let mut version6 = ipv6(IP6, 17, &udp);
    version6[14] = 0x40;
    let mut longer = ipv6(IP6, 17, &udp);
    longer[19] = 9;
    let mut token_ring = arp(own, IP);
    token_ring[15] = 6;
    let neighbour = Counter::SpoofedNeighbour;
    let bad = [
        (ipv4(other4), Counter::SpoofedIpv4),
        (ipv4(Ipv4Addr::UNSPECIFIED), Counter::SpoofedIpv4),
        (short_header, Counter::Malformed),
        (version, Counter::Malformed),
        (ipv4(IP)[..33].to_vec(), Counter::Malformed),
        (arp(own, other4), Counter::SpoofedArp),
        (arp(OUTSIDE, IP), Counter::SpoofedArp),
        (token_ring, Counter::Malformed),
        (arp(own, IP)[..41].to_vec(), Counter::Malformed),
        (ipv6(OTHER6, 17, &udp), Counter::SpoofedIpv6),
        (ipv6(nowhere, 17, &udp), Counter::SpoofedIpv6),
        (
            ipv6(nowhere, 58, &discovery(128, None, &[])),
            Counter::SpoofedIpv6,
        ),
        (version6, Counter::Malformed),
        (longer, Counter::Malformed),
        (ipv6(IP6, 17, &udp)[..53].to_vec(), Counter::Malformed),
        (
            ipv6(IP6, 58, &discovery(136, Some(OTHER6), &option(2, own))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(136, Some(IP6), &option(2, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(135, Some(OTHER6), &option(1, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(133, None, &option(1, OUTSIDE))),
            neighbour,
        ),
        (
            ipv6(IP6, 0, &extended(58, &discovery(136, Some(OTHER6), &[]))),
            neighbour,
        ),
        (
            ipv6(IP6, 60, &extended(58, &discovery(136, Some(OTHER6), &[]))),
            neighbour,
        ),
        (
            ipv6(
                IP6,
                58,
                &discovery(
                    136,
                    Some(IP6),
                    &[[7, 1, 0, 0, 0, 0, 0, 0].to_vec(), option(2, OUTSIDE)].concat(),
                ),
            ),
            neighbour,
        ),
        (
            ipv6(IP6, 58, &discovery(136, Some(IP6), &[2, 0])),
            Counter::Malformed,
        ),
        (
            ipv6(
                IP6,
                58,
                &discovery(136, Some(IP6), &[2, 2, 0, 0, 0, 0, 0, 0]),
            ),
            Counter::Malformed,
        ),
        (ipv6(IP6, 58, &[136, 0, 0, 0]), Counter::Malformed),
        (
            ipv6(IP6, 58, &discovery(134, None, &[0; 8])),
            Counter::RouterMessage,
        ),
        (
            ipv6(IP6, 58, &discovery(137, Some(IP6), &[0; 16])),
            Counter::RouterMessage,
        ),
        (
            ipv6(IP6, 58, &discovery(135, Some(OTHER6), &[7; 200])),
            Counter::UncheckedHeader,
        ),
        (ipv6(IP6, 58, &[]), Counter::UncheckedHeader),
        (ipv6(IP6, 60, &long_extensions), Counter::UncheckedHeader),
        (
            ipv6(IP6, 44, &fragment(58, 0, &advert)),
            Counter::UncheckedHeader,
        ),
        (
            ipv6(IP6, 44, &fragment(58, 10, &advert)),
            Counter::UncheckedHeader,
        ),
        (
            ipv6(IP6, 44, &fragment(60, 10, &advert)),
            Counter::UncheckedHeader,
        ),
        (ipv6(IP6, 44, &[17, 0]), Counter::UncheckedHeader),
        (ethernet(0x8100, &[0; 40]), Counter::UncheckedType),
        (ethernet(0x0026, &[0; 40]), Counter::UncheckedType),
    ];
    for (bytes, counter) in bad {
        let before = world.counter(port, counter);
        assert!(
            send_raw(&world, &mut alice, &bytes).is_empty(),
            "{bytes:x?}"
        );
        assert_eq!(world.counter(port, counter), before + 1, "{bytes:x?}");
    }
    assert!(
        (0..7).all(|n| {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 3, n));
            let bound = world
                .admin
                .bind_address(&world.init.sys, port.number, address);
            bound.is_ok() == (n < 6)
        }),
        "eight addresses at most"
    );
}
