//! Echo, discard, character source and ping, over both families.

mod world;

use netstack::Duration;
use netstack::config::Services;
use netstack::counters::Drop;
use world::frames::*;
use world::meeting::Meeting;
use world::{PEER_MAC, World, config};

const PEER4: &str = "10.0.0.9";
const US4: &str = "10.0.0.2";
const PEER6: &str = "fd00::9";
const US6: &str = "fd00::2";

fn world() -> World {
    let mut world = World::settled(config(true));
    world.introduce();
    world
}

#[test]
fn datagrams_come_back() {
    let mut world = world();
    for (peer, us) in [(PEER4, US4), (PEER6, US6)] {
        for length in [0, 1, 2, 63, 64, 511, 1400, 1452] {
            let data: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let sent = Sent::only(&world.tell(udp((peer, 5000), (us, 7), &data)));
            assert_eq!((sent.from, sent.to), (ip(us), ip(peer)));
            assert_eq!((sent.mac, sent.protocol), (PEER_MAC, 17));
            assert_eq!(sent.ports(), (7, 5000));
            assert_eq!(sent.data(), data);
        }
    }
    assert_eq!(world.stack.counters().datagrams, 16);
}

#[test]
fn a_datagram_without_checksum_comes_back_without() {
    let mut world = world();
    let mut payload = udp_payload((PEER4, 5000), (US4, 7), b"hello");
    payload[6..8].fill(0);
    let answer = world.tell(framed(PEER4, US4, 17, 64, &payload));
    assert_eq!(answer[0][14 + 26..14 + 28], [0, 0]);
    assert_eq!(&answer[0][14 + 28..], b"hello");
    // IPv6 doesn't know datagrams without.
    let mut payload = udp_payload((PEER6, 5000), (US6, 7), b"hello");
    payload[6..8].fill(0);
    assert!(world.tell(framed(PEER6, US6, 17, 64, &payload)).is_empty());
    assert_eq!(world.stack.counters().dropped(Drop::Checksum), 1);
}

#[test]
fn bytes_behind_a_datagram_are_not_part_of_it() {
    let mut world = world();
    let mut payload = udp_payload((PEER4, 5000), (US4, 7), b"hello");
    payload.extend(b"more than the UDP header says");
    let sent = Sent::only(&world.tell(framed(PEER4, US4, 17, 64, &payload)));
    assert_eq!(sent.data(), b"hello");
}

#[test]
fn characters_come_one_datagram_a_datagram_and_never_many() {
    let mut world = world();
    for (asked, given) in [
        (0, 74),
        (1, 74),
        (74, 74),
        (100, 100),
        (512, 512),
        (1400, 512),
    ] {
        let answer = world.tell(udp((PEER4, 5000), (US4, 19), &vec![0; asked]));
        let sent = Sent::only(&answer);
        assert_eq!(sent.data().len(), given);
        assert!(sent.data().starts_with(b" !\"#$%&'()*+"));
        assert!(
            answer[0].len() <= 2 * (42 + asked).max(60),
            "no use as an amplifier"
        );
    }
}

#[test]
fn discarded_datagrams_have_no_answer() {
    let mut world = world();
    assert!(
        world
            .tell(udp((PEER4, 5000), (US4, 9), b"hello"))
            .is_empty()
    );
    assert_eq!(world.stack.counters().dropped(Drop::NoService), 0);
}

#[test]
fn services_do_not_talk_to_each_other_or_to_groups() {
    let mut world = world();
    let silent = [
        udp((PEER4, 7), (US4, 7), b"echo to echo"),
        udp((PEER4, 19), (US4, 7), b"chargen to echo"),
        udp((PEER4, 7), (US4, 19), b"echo to chargen"),
        udp((PEER4, 0), (US4, 7), b"from port zero"),
        udp((PEER4, 1023), (US4, 7), b"from a well-known port"),
        udp((PEER4, 5000), ("10.0.0.255", 7), b"to all"),
        udp((PEER4, 5000), ("255.255.255.255", 19), b"to all"),
        udp((PEER4, 5000), ("224.0.0.1", 7), b"to the group"),
        udp((PEER6, 5000), ("ff02::1", 7), b"to the group"),
        udp((US4, 5000), (US4, 7), b"from ourselves"),
        udp(("10.0.0.255", 5000), (US4, 7), b"from all"),
        udp(("127.0.0.1", 5000), (US4, 7), b"from nowhere"),
        udp(("224.0.0.1", 5000), (US4, 7), b"from a group"),
        udp(("ff02::1", 5000), (US6, 7), b"from a group"),
        udp(("::1", 5000), (US6, 7), b"from nowhere"),
        udp(("::", 5000), (US6, 7), b"from nobody"),
    ];
    for frame in silent {
        let answer = world.tell(frame.clone());
        assert!(
            answer.is_empty(),
            "{frame:02x?} had an answer: {answer:02x?}"
        );
    }
}

#[test]
fn pings_come_back() {
    let mut world = world();
    for (peer, us, kind) in [(PEER4, US4, 0), (PEER6, US6, 129)] {
        for length in [0, 1, 56, 1450] {
            let data: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let sent = Sent::only(&world.tell(ping(peer, us, &data)));
            assert_eq!((sent.from, sent.to), (ip(us), ip(peer)));
            assert_eq!(sent.payload[0], kind);
            assert_eq!(sent.payload[4..8], [0x12, 0x34, 0, 1]);
            assert_eq!(sent.data(), data);
        }
    }
    assert_eq!(world.stack.counters().pings, 8);
    assert!(world.tell(ping(PEER4, "10.0.0.255", b"all?")).is_empty());
    let sent = Sent::only(&world.tell(ping(PEER6, "ff02::1", b"all?")));
    assert!(
        sent.from == ip(US6) || sent.from == ip("fe80::75:73ff:fe00:1"),
        "{}",
        sent.from
    );
}

/// Cuts an IPv4 packet's payload into pieces.
fn pieces(payload: &[u8], size: usize, protocol: u8) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let cut = payload.chunks(size).enumerate().map(|(n, part)| {
        let mut packet = packet(ip(PEER4), ip(US4), protocol, 64, part);
        let more = if n + 1 < count { 0x2000 } else { 0 };
        let place = (n * size / 8) as u16 | more;
        packet[6..8].copy_from_slice(&place.to_be_bytes());
        packet[10..12].fill(0);
        let checksum = netstack::checksum::Sum::of(&packet[..20]).checksum();
        packet[10..12].copy_from_slice(&checksum);
        ethernet(world::STACK_MAC, PEER_MAC, 0x0800, &packet)
    });
    cut.collect()
}

/// Puts pieces that the stack sent together.
fn together(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let sent = Sent::parse(frame).unwrap();
        let flags = u16::from_be_bytes([frame[20], frame[21]]);
        assert_eq!(usize::from(flags & 0x1fff) * 8, whole.len());
        assert_eq!(flags & 0x2000 != 0, n + 1 < frames.len());
        assert_eq!(frame[18..20], frames[0][18..20], "one identification");
        whole.extend(sent.payload);
    }
    whole
}

#[test]
fn long_datagrams_and_pings_come_and_go_in_pieces() {
    let mut world = world();
    let data: Vec<u8> = (0..20_000).map(|n| (n / 7) as u8).collect();
    let payload = udp_payload((PEER4, 5000), (US4, 7), &data);
    let mut answers = Vec::new();
    // The last piece first.
    for piece in pieces(&payload, 1480, 17).into_iter().rev() {
        answers.extend(world.tell(piece));
    }
    let whole = together(&answers);
    assert_eq!(&whole[8..], data);
    let sum = netstack::checksum::Sum::pseudo(ip(US4), ip(PEER4), 17, whole.len());
    assert!(sum.and(netstack::checksum::Sum::of(&whole)).is_intact());

    let mut message = vec![8, 0, 0, 0, 1, 2, 3, 4];
    message.extend(&data[..4000]);
    let checksum = netstack::checksum::Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&checksum);
    let mut answers = Vec::new();
    for piece in pieces(&message, 1000, 1) {
        answers.extend(world.tell(piece));
    }
    let whole = together(&answers);
    assert_eq!((whole[0], &whole[4..8]), (0, &[1, 2, 3, 4][..]));
    assert_eq!(&whole[8..], &data[..4000]);
}

#[test]
fn ipv6_datagrams_come_and_go_in_pieces() {
    let mut world = world();
    let data: Vec<u8> = (0..5000).map(|n| (n / 3) as u8).collect();
    let payload = udp_payload((PEER6, 5000), (US6, 7), &data);
    let count = payload.len().div_ceil(1400);
    let mut answers = Vec::new();
    for (n, part) in payload.chunks(1400).enumerate() {
        let place = (n * 1400) as u16 | u16::from(n + 1 < count);
        let mut piece = vec![17, 0];
        piece.extend(place.to_be_bytes());
        piece.extend([9, 9, 9, 9]);
        piece.extend(part);
        answers.extend(world.tell(framed(PEER6, US6, 44, 64, &piece)));
    }
    let mut whole: Vec<u8> = Vec::new();
    for frame in &answers {
        let sent = Sent::parse(frame).unwrap();
        assert_eq!((sent.protocol, sent.payload[0]), (44, 17));
        assert!(frame.len() <= 1514);
        let place = usize::from(u16::from_be_bytes([sent.payload[2], sent.payload[3]]));
        assert_eq!(place & !7, whole.len());
        whole.extend(&sent.payload[8..]);
    }
    assert_eq!(&whole[8..], data);
}

#[test]
fn extension_headers_lead_to_what_is_behind_them() {
    let mut world = world();
    let mut payload = vec![60, 0, 1, 4, 0, 0, 0, 0];
    payload.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    payload.extend(udp_payload((PEER6, 5000), (US6, 7), b"hello"));
    let sent = Sent::only(&world.tell(framed(PEER6, US6, 0, 64, &payload)));
    assert_eq!(sent.data(), b"hello");
    // An option that must be understood.
    payload[10] = 0xc1;
    let sent = Sent::only(&world.tell(framed(PEER6, US6, 0, 64, &payload)));
    assert_eq!(
        (sent.protocol, sent.payload[0], sent.payload[1]),
        (58, 4, 2)
    );
    assert_eq!(sent.number(4), 40 + 8 + 2);
}

#[test]
fn closed_ports_say_so_but_not_too_often() {
    let mut world = world();
    let sent = Sent::only(&world.tell(udp((PEER4, 5000), (US4, 4242), b"hello")));
    assert_eq!((sent.protocol, sent.payload[0], sent.payload[1]), (1, 3, 3));
    assert_eq!(&sent.payload[8 + 28..], b"hello");
    let sent = Sent::only(&world.tell(udp((PEER6, 5000), (US6, 4242), b"hello")));
    assert_eq!(
        (sent.protocol, sent.payload[0], sent.payload[1]),
        (58, 1, 4)
    );
    let sent = Sent::only(&world.tell(framed(PEER4, US4, 99, 64, b"what is this")));
    assert_eq!((sent.protocol, sent.payload[0], sent.payload[1]), (1, 3, 2));

    let mut answers = 0;
    for _ in 0..1000 {
        answers += world.tell(udp((PEER4, 5000), (US4, 4242), b"hello")).len();
    }
    assert!((50..150).contains(&answers), "{answers} answers");
    assert!(
        world
            .tell(udp((PEER4, 5000), ("10.0.0.255", 4242), b"all"))
            .is_empty()
    );
}

#[test]
fn tcp_echo_returns_everything_in_order() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(7);
    let data: Vec<u8> = (0..500_000u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let answer = meeting.converse(handle, &data, data.len());
    assert!(answer == data);
    meeting.socket(handle).close();
    assert!(
        meeting.until(Duration::from_secs(2), |m| m.world.stack.connections()
            == [0; 4])
    );
}

#[test]
fn tcp_works_over_ipv6() {
    let mut meeting = Meeting::new(config(true));
    let address = smoltcp::wire::IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2);
    let handle = meeting.dial(address, 7);
    assert!(meeting.until(Duration::from_secs(5), |m| m.socket(handle).may_send()));
    let answer = meeting.converse(handle, &[7; 100_000], 100_000);
    assert_eq!(answer, [7; 100_000]);
}

#[test]
fn tcp_discard_takes_everything() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(9);
    let answer = meeting.converse(handle, &vec![1; 3_000_000], 0);
    assert!(answer.is_empty());
    assert!(
        meeting.until(Duration::from_secs(5), |m| m.socket(handle).send_queue()
            == 0)
    );
    meeting.socket(handle).close();
    assert!(
        meeting.until(Duration::from_secs(2), |m| m.world.stack.connections()
            == [0; 4])
    );
}

#[test]
fn tcp_characters_come_until_the_peer_goes() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(19);
    let answer = meeting.converse(handle, b"ignored", 500_000);
    let mut expected = vec![0; answer.len()];
    netstack::service::chargen::fill(0, &mut expected);
    assert!(answer == expected);
    // The peer's half is closed; ours isn't.
    meeting.socket(handle).close();
    let more = meeting.converse(handle, b"", 200_000);
    assert!(more.len() >= 200_000);
    meeting.close(handle);
    assert!(
        meeting.until(Duration::from_secs(2), |m| m.world.stack.connections()
            == [0; 4])
    );
}

#[test]
fn bulk_keeps_the_wire_full() {
    // Ten megabytes over a wire of 0.2 ms: a stall of a delayed acknowledgement would show.
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let begin = meeting.world.now;
    let request = b"GET /bytes/10000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = meeting.converse(handle, request, usize::MAX);
    assert!(answer.len() > 10_000_000);
    let download = (meeting.world.now - begin).total_millis();
    assert!(download < 400, "{download} ms to send 10 MB");

    let handle = meeting.connect(9);
    let begin = meeting.world.now;
    meeting.converse(handle, &vec![1; 10_000_000], 0);
    meeting.until(Duration::from_secs(5), |m| {
        m.socket(handle).send_queue() == 0
    });
    let upload = (meeting.world.now - begin).total_millis();
    assert!(upload < 400, "{upload} ms to receive 10 MB");
}

#[test]
fn small_exchanges_do_not_wait_for_company() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let begin = meeting.world.now;
    for _ in 0..50 {
        meeting.converse(handle, b"GET /bytes/3000 HTTP/1.1\r\nHost: a\r\n\r\n", 3000);
        // The rest of the answer's bytes.
        meeting.pass(Duration::from_micros(1));
    }
    let time = (meeting.world.now - begin).total_millis();
    assert!(time < 500, "{time} ms for 50 requests");
}

#[test]
fn nothing_is_served_that_is_off() {
    let mut config = config(true);
    config.services = Services::NONE;
    let mut world = World::settled(config);
    world.introduce();
    for port in [7, 9, 19, 80] {
        let sent = Sent::only(&world.tell(udp((PEER4, 5000), (US4, port), b"hello")));
        assert_eq!((sent.protocol, sent.payload[0]), (1, 3));
        let sent = Sent::only(&world.tell(tcp((PEER4, 5000), (US4, port), SYN, (77, 0), b"")));
        assert_eq!((sent.flags(), sent.number(8)), (RST | ACK, 78));
    }
}
