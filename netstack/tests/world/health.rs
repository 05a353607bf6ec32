//! Whether a stack still serves a peer that means well.

use netstack::Duration;

use super::World;
use super::frames::*;

/// A peer by hand.
pub const PEER: &str = "10.0.0.9";
/// The stack.
pub const US: &str = "10.0.0.2";

/// A peer by hand asks for the page and gets it.
pub fn is_well(world: &mut World) {
    // Idle connections give way after a second.
    world.wait(Duration::from_secs(2));
    world.take();
    world.introduce();
    let from = (PEER, 61_234);
    let us = (US, 80);
    let sent = world.tell(tcp(from, us, SYN, (1000, 0), b""));
    let sent: Vec<Sent> = sent.iter().filter_map(|frame| Sent::parse(frame)).collect();
    let hello = sent
        .iter()
        .find(|sent| sent.protocol == 6 && sent.ports().1 == 61_234)
        .expect("a connection is accepted");
    assert_eq!(hello.flags(), SYN | ACK, "a connection is accepted");
    let begin = hello.number(4).wrapping_add(1);
    let request = b"GET /bytes/16 HTTP/1.1\r\nHost: a\r\n\r\n";
    world.tell(tcp(from, us, ACK, (1001, begin), b""));
    let sent = world.tell(tcp(from, us, ACK, (1001, begin), request));
    let answer: Vec<u8> = sent
        .iter()
        .filter_map(|frame| Sent::parse(frame))
        .filter(|sent| sent.protocol == 6 && sent.ports().1 == 61_234)
        .flat_map(|sent| sent.payload[20..].to_vec())
        .collect();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with("000000000000000\n"), "{text}");
    world.tell(tcp(
        from,
        us,
        RST,
        (1001 + request.len() as u32, begin),
        b"",
    ));
}
