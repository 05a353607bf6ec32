//! Every frame reaches the one that it is for, and nobody else.

mod world;

use std::collections::BTreeMap;

use netstack::Duration;
use netstack::counters::Drop;
use proptest::prelude::*;
use world::frames::*;
use world::meeting::Meeting;
use world::{Numbers, World, config};

#[test]
fn conversations_do_not_mix() {
    let mut config = config(false);
    config.limits.service_connections = 100;
    config.limits.memory = 64 << 20;
    let mut meeting = Meeting::new(config);
    let handles: Vec<_> = (0..100).map(|_| meeting.connect(7)).collect();
    assert_eq!(meeting.world.stack.connections(), [0, 100, 0, 0]);
    let mut numbers = Numbers::new(3);
    let mut owed: Vec<Vec<u8>> = vec![Vec::new(); 100];
    for _ in 0..2000 {
        let who = numbers.below(100);
        let word = format!("{who}:{};", numbers.below(1_000_000));
        let socket = meeting.socket(handles[who]);
        assert_eq!(socket.send_slice(word.as_bytes()), Ok(word.len()));
        owed[who].extend(word.bytes());
        if numbers.chance(200) {
            meeting.step();
        }
    }
    for (handle, owed) in handles.into_iter().zip(owed) {
        assert_eq!(meeting.converse(handle, b"", owed.len()), owed);
    }
}

/// A peer's side of a connection, played by hand.
#[derive(Debug)]
struct Half {
    next: u32,
    acknowledged: u32,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Connections of hand-made peers that differ in address or port alone, and segments for
    /// connections that don't exist: data comes back where it was sent, and only there.
    #[test]
    fn segments_reach_their_connection_only(
        steps in prop::collection::vec((0u8..3, 0u16..3, 0u8..4), 1..120),
    ) {
        let mut config = config(false);
        config.limits.service_connections = 9;
        let mut world = World::settled(config);
        for host in 20..23 {
            let mac = [2, 0, 0, 0, 1, host];
            world.tell(arp(1, mac, &format!("10.0.0.{host}"), [0; 6], "10.0.0.2"));
        }
        let mut halves: BTreeMap<(u8, u16), Half> = BTreeMap::new();
        for (host, port, act) in steps {
            let address = format!("10.0.0.{}", 20 + host);
            let from = (address.as_str(), 5000 + port);
            let us = ("10.0.0.2", 7);
            let key = (host, port);
            let about = |frames: &[Vec<u8>]| -> Vec<Sent> {
                let sent: Vec<Sent> = frames.iter().filter_map(|f| Sent::parse(f)).collect();
                for sent in &sent {
                    assert_eq!((sent.to, sent.ports().1), (ip(from.0), from.1), "for another");
                    assert_eq!(sent.mac, [2, 0, 0, 0, 1, 20 + host]);
                }
                sent
            };
            match (act, halves.get_mut(&key)) {
                (0, None) => {
                    let start = u32::from(host) << 24 | u32::from(port) << 8;
                    let sent = about(&world.tell(tcp(from, us, SYN, (start, 0), b"")));
                    prop_assert_eq!(sent.len(), 1);
                    prop_assert_eq!((sent[0].flags(), sent[0].number(8)), (SYN | ACK, start + 1));
                    let half = Half { next: start + 1, acknowledged: sent[0].number(4) + 1 };
                    let numbers = (half.next, half.acknowledged);
                    prop_assert!(world.tell(tcp(from, us, ACK, numbers, b"")).is_empty());
                    halves.insert(key, half);
                }
                (1, Some(half)) => {
                    let data = format!("{host}/{port}/{}", half.next);
                    let numbers = (half.next, half.acknowledged);
                    let sent = about(&world.tell(tcp(from, us, ACK, numbers, data.as_bytes())));
                    let back: Vec<u8> = sent.iter().flat_map(|s| s.payload[20..].to_vec()).collect();
                    prop_assert_eq!(back, data.as_bytes());
                    half.next += data.len() as u32;
                    half.acknowledged += data.len() as u32;
                }
                (2, Some(half)) => {
                    let numbers = (half.next, half.acknowledged);
                    prop_assert!(world.tell(tcp(from, us, RST, numbers, b"")).is_empty());
                    halves.remove(&key);
                }
                (_, None) => {
                    // Not a connection: a reset, and nobody else is disturbed.
                    let sent = about(&world.tell(tcp(from, us, ACK, (1, 2), b"hello")));
                    prop_assert_eq!(sent.len(), 1);
                    prop_assert_eq!(sent[0].flags() & RST, RST);
                }
                (_, Some(_)) => {
                    // Another port of ours with the same peer.
                    let sent = about(&world.tell(tcp(from, ("10.0.0.2", 9), ACK, (1, 2), b"x")));
                    prop_assert_eq!(sent.len(), 1);
                    prop_assert_eq!(sent[0].flags() & RST, RST);
                }
            }
            prop_assert_eq!(world.stack.connections()[1] as usize, halves.len());
        }
    }
}

#[test]
fn frames_for_others_are_left_alone() {
    let mut world = World::settled(config(true));
    world.introduce();
    let mut other_station = udp(("10.0.0.9", 5000), ("10.0.0.2", 7), b"hello");
    other_station[5] = 77;
    assert!(world.tell(other_station).is_empty());
    assert_eq!(world.stack.counters().dropped(Drop::NotOurStation), 1);
    for to in [
        "10.0.0.3",
        "10.0.1.2",
        "fd00::3",
        "ff02::1:ff00:77",
        "239.1.2.3",
    ] {
        let from = if ip(to).is_ipv4() {
            "10.0.0.9"
        } else {
            "fd00::9"
        };
        assert!(
            world.tell(udp((from, 5000), (to, 7), b"hello")).is_empty(),
            "{to}"
        );
    }
    assert_eq!(world.stack.counters().dropped(Drop::NotOurAddress), 5);
    let mut odd_type = udp(("10.0.0.9", 5000), ("10.0.0.2", 7), b"hello");
    odd_type[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert!(world.tell(odd_type).is_empty());
    assert_eq!(world.stack.counters().dropped(Drop::UnknownType), 1);
}

#[test]
fn cost_does_not_grow_with_connections() {
    // Polls that do nothing look at nobody: with many idle connections there is one timer.
    let mut config = config(false);
    config.limits.service_connections = 400;
    config.limits.memory = 256 << 20;
    let mut meeting = Meeting::new(config);
    for _ in 0..400 {
        meeting.connect(7);
    }
    meeting.world.wait(Duration::from_secs(3));
    let polls = meeting.world.polls;
    meeting.world.wait(Duration::from_secs(10));
    let polls = meeting.world.polls - polls;
    assert!(polls < 10, "{polls} polls for 400 idle connections");
}
