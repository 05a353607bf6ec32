//! Links that carry more than usual, and less.

mod world;

use netstack::Duration;
use netstack::checksum::Sum;
use smoltcp::wire::IpAddress;
use world::frames::*;
use world::meeting::Meeting;
use world::{PEER_MAC, STACK_MAC, World, config};

const PEER: &str = "10.0.0.9";
const US: &str = "10.0.0.2";

fn world(mtu: usize) -> World {
    let mut world = World::carrying(mtu, config(true), 1);
    world.wait(Duration::from_secs(3));
    world.take();
    world.introduce();
    world
}

/// Bytes of a pattern that repeats nowhere near.
fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// A piece of a UDP datagram from the peer, this far into it.
fn piece(begin: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = packet(ip(PEER), ip(US), 17, 64, payload);
    let place = (begin / 8) as u16 | u16::from(more) << 13;
    packet[6..8].copy_from_slice(&place.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = Sum::of(&packet[..20]).checksum();
    packet[10..12].copy_from_slice(&checksum);
    ethernet(STACK_MAC, PEER_MAC, 0x0800, &packet)
}

#[test]
fn long_datagrams_cross_a_wide_link_in_one_piece() {
    let mut world = world(9000);
    for (peer, us, most) in [(PEER, US, 8972), ("fd00::9", "fd00::2", 8952)] {
        for length in [1472, 4054, 4055, 8000, most] {
            let answer = world.tell(udp((peer, 5000), (us, 7), &data(length)));
            assert_eq!(Sent::only(&answer).data(), data(length));
        }
        let answer = world.tell(udp((peer, 5000), (us, 7), &data(most)));
        assert_eq!(answer[0].len(), 9014);
    }
    let answer = world.tell(ping(PEER, US, &data(8900)));
    assert!(answer[0].ends_with(&data(8900)));
}

#[test]
fn what_a_link_does_not_carry_goes_in_pieces_of_its_own_length() {
    for mtu in [576, 1500, 4082, 9000] {
        let mut wide = world(mtu);
        let length = 20_000;
        let whole = udp_payload((PEER, 5000), (US, 7), &data(length));
        let most = (mtu - 20) & !7;
        let mut answer = Vec::new();
        for (n, bytes) in whole.chunks(most).enumerate() {
            let more = (n + 1) * most < whole.len();
            answer.extend(wide.tell(piece(n * most, more, bytes)));
        }
        assert_eq!(answer.len(), whole.len().div_ceil(most), "{mtu}");
        assert!(answer.iter().all(|frame| frame.len() <= 14 + mtu));
        assert_eq!(answer[0].len(), 14 + 20 + most);
        let bytes: Vec<u8> = answer
            .iter()
            .flat_map(|frame| &frame[34..])
            .copied()
            .collect();
        assert_eq!(bytes[8..], data(length)[..]);
    }
}

#[test]
fn connections_use_all_that_the_link_carries() {
    for (mtu, family) in [(1500, 4), (9000, 4), (9000, 6), (4082, 4)] {
        let mut meeting = Meeting::carrying(mtu, config(true));
        let us = match family {
            4 => IpAddress::v4(10, 0, 0, 2),
            _ => IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2),
        };
        let handle = meeting.dial(us, 7);
        let connected = meeting.until(Duration::from_secs(9), |m| m.socket(handle).may_send());
        assert!(connected, "IPv{family} at {mtu}");
        let sent = data(300_000);
        let received = meeting.converse(handle, &sent, sent.len());
        assert!(received == sent, "came back altered at {mtu}");
        assert_eq!(meeting.longest, (14 + mtu, 14 + mtu), "IPv{family}");
    }
}

#[test]
fn a_narrow_link_carries_connections_over_ipv4_and_no_ipv6_is_spoken() {
    let mut meeting = Meeting::carrying(576, config(true));
    assert!(meeting.world.stack.addresses().ipv6.is_empty());
    let handle = meeting.connect(7);
    let sent = data(50_000);
    assert!(meeting.converse(handle, &sent, sent.len()) == sent);
    assert_eq!(meeting.longest, (590, 590));
}

#[test]
fn a_page_is_served_over_the_narrowest_link() {
    let mut meeting = Meeting::carrying(68, config(false));
    let page = String::from_utf8(meeting.get("/")).unwrap();
    assert!(page.contains("alice"), "{page}");
    assert_eq!(meeting.longest.0, 82);
}

#[test]
fn a_window_that_comes_at_once_overruns_no_link() {
    // The peer's own buffer is 65,536 bytes: 45 segments.
    for (mtu, held) in [(1500, 40), (1500, 10), (9000, 6)] {
        let mut meeting = Meeting::holding(held, mtu, config(false));
        let handle = meeting.connect(7);
        let sent = data(500_000);
        let began = meeting.world.now;
        assert!(meeting.converse(handle, &sent, sent.len()) == sent);
        assert_eq!(meeting.world.wire.borrow().overrun, 0, "{held} at {mtu}");
        // Nobody waited for a timer.
        assert!(meeting.world.now - began < Duration::from_millis(500));
    }
}
