//! Bad wires: what arrives is what was sent, and it arrives.
//!
//! The faults that the wire makes up are such as TCP detects: one bit of a frame changes, which no sum
//! of RFC 1071 leaves as it was. So a wrong byte is always a fault of the stack's.

mod world;

use netstack::Duration;
use netstack::service::http::bytes;
use proptest::prelude::*;
use world::config;
use world::meeting::{Faults, Meeting};

/// Times that somebody tries before a wire is too bad.
const TRIES: u32 = 4;

/// Moves something by one connection after the other, until it comes whole. Every one of them brings
/// what was sent, from the beginning; and one that ends before all of it has come was given up openly.
fn insist(meeting: &mut Meeting, expected: &[u8], mut bring: impl FnMut(&mut Meeting) -> Vec<u8>) {
    let (faults, mut given_up) = (meeting.faults, 0);
    for _ in 0..TRIES {
        let came = bring(meeting);
        assert!(expected.starts_with(&came), "{faults:?}: wrong bytes came");
        if came.len() == expected.len() {
            return;
        }
        let expired = meeting.world.stack.counters().expired;
        assert!(expired > given_up, "{faults:?}: {} bytes came", came.len());
        given_up = expired;
    }
    panic!("{faults:?}: given up {TRIES} times");
}

fn download(faults: Faults, seed: u64, amount: usize) {
    let mut meeting = Meeting::faulty(config(false), faults, seed);
    let mut expected = vec![0; amount];
    bytes::fill(0, &mut expected);
    insist(&mut meeting, &expected, |meeting| {
        let answer = meeting.get(&format!("/bytes/{amount}"));
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n");
        head.map_or(Vec::new(), |head| answer[head + 4..].to_vec())
    });
}

fn echo(faults: Faults, seed: u64, amount: usize) {
    let mut meeting = Meeting::faulty(config(false), faults, seed);
    let data: Vec<u8> = (0..amount)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect();
    insist(&mut meeting, &data, |meeting| {
        let handle = meeting.connect(7);
        let answer = meeting.converse(handle, &data, amount);
        meeting.close(handle);
        answer
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn everything_arrives_as_it_was_sent(
        seed: u64,
        loss in 0u32..80,
        doubling in 0u32..80,
        reordering in 0u32..80,
        corruption in 0u32..40,
    ) {
        let faults = Faults { loss, doubling, reordering, corruption };
        download(faults, seed, 200_000);
        echo(faults, seed, 100_000);
    }
}

#[test]
fn a_clean_wire_with_reordering_only() {
    let faults = Faults {
        reordering: 200,
        ..Faults::default()
    };
    download(faults, 7, 1_000_000);
    echo(faults, 7, 1_000_000);
}

/// A wire that carries nothing for so long, in the middle of a download; whether the rest came.
fn outlasts(port: u16, request: &[u8], amount: usize, silence: Duration) -> bool {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(port);
    meeting.socket(handle).send_slice(request).unwrap();
    meeting.until(Duration::from_secs(10), |m| {
        m.socket(handle).recv_queue() > 20_000
    });
    meeting.faults.loss = 1000;
    meeting.pass(silence);
    meeting.faults.loss = 0;
    meeting.converse(handle, b"", amount).len() >= amount
}

#[test]
fn a_wire_that_is_silent_for_a_hundred_seconds_ends_no_connection() {
    let request = b"GET /bytes/200000 HTTP/1.1\r\nHost: a\r\n\r\n";
    for silence in [30, 100] {
        let silence = Duration::from_secs(silence);
        assert!(outlasts(80, request, 200_000, silence), "http, {silence}");
        assert!(outlasts(19, b"", 200_000, silence), "chargen, {silence}");
    }
}

#[test]
fn a_peer_that_is_gone_is_given_up_in_the_end() {
    let mut meeting = Meeting::new(config(false));
    for (n, port) in [(1, 80), (2, 19)] {
        let handle = meeting.connect(port);
        let request = b"GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n";
        meeting.socket(handle).send_slice(request).unwrap();
        meeting.pass(Duration::from_millis(1));
        meeting.faults.loss = 1000;
        meeting.pass(Duration::from_secs(150));
        assert_eq!(meeting.world.stack.counters().expired, n - 1);
        meeting.pass(Duration::from_secs(60));
        assert_eq!(meeting.world.stack.counters().expired, n);
        assert_eq!(meeting.world.stack.connections(), [0; 4]);
        meeting.sockets.remove(handle);
        meeting.faults.loss = 0;
    }
}
