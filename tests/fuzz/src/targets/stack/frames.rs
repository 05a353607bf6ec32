//! Frames that mean something: from a peer to the stack, and the other way round.

#[path = "../../../../../netstack/tests/world/frames.rs"]
#[allow(dead_code, missing_docs)]
mod made;

use made::{
    ACK, FIN, RST, SYN, advertisement, announcement, arp, framed, ping, prefix, solicitation, tcp,
    udp,
};

/// The stack's station.
pub const STACK_MAC: [u8; 6] = [0x02, 0x75, 0x73, 0, 0, 1];
/// The peer's.
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 9];

const PEER: &str = "10.0.0.9";
const US: &str = "10.0.0.2";
const PEER6: &str = "fd00::9";
const US6: &str = "fd00::2";

/// Of every kind that the stack takes.
pub fn to_the_stack() -> Vec<Vec<u8>> {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (from, web) = ((PEER, 61_000), (US, 80));
    let fragment = |offset: u8, more: u8| {
        let mut payload = vec![17, 0, 0, offset | more, 1, 2, 3, 4];
        payload.extend([7; 64]);
        framed(PEER6, US6, 44, 64, &payload)
    };
    vec![
        arp(1, PEER_MAC, PEER, [0; 6], US),
        arp(2, PEER_MAC, PEER, STACK_MAC, US),
        ping(PEER, US, b"data"),
        ping(PEER6, US6, b"data"),
        udp((PEER, 1000), (US, 7), b"echo"),
        udp((PEER6, 1000), (US6, 7), b"echo"),
        udp((PEER, 67), (US, 68), &[2; 300]),
        tcp(from, web, SYN, (1, 0), b""),
        tcp(from, web, ACK, (2, 1), request),
        tcp(from, web, FIN | ACK, (2, 1), b""),
        tcp(from, web, RST, (2, 0), b""),
        tcp((PEER6, 61_000), (US6, 9), SYN, (1, 0), b""),
        solicitation(PEER6, US6, Some(PEER_MAC)),
        advertisement(PEER6, US6, PEER6, 0x60, PEER_MAC),
        announcement("fe80::1", 1800, &prefix("2001:db8::", 64, 0xc0, 600, 300)),
        fragment(0, 1),
        fragment(64, 0),
        framed(PEER6, US6, 60, 64, &[59, 0, 1, 4, 0, 0, 0, 0]),
        framed(PEER6, US6, 43, 64, &[59, 0, 0, 0, 0, 0, 0, 0]),
    ]
}

/// The same, as if the stack had sent them.
pub fn from_the_stack() -> Vec<Vec<u8>> {
    let mut sent = vec![
        arp(1, STACK_MAC, US, [0; 6], PEER),
        ping(US, PEER, b"data"),
        ping(US6, PEER6, b"data"),
        udp((US, 7), (PEER, 1000), b"echo"),
        udp((US6, 7), (PEER6, 1000), b"echo"),
        tcp((US, 80), (PEER, 61_000), SYN | ACK, (1, 2), b""),
        solicitation(US6, PEER6, Some(STACK_MAC)),
        advertisement(US6, PEER6, US6, 0x60, STACK_MAC),
    ];
    for frame in &mut sent {
        frame[..6].copy_from_slice(&PEER_MAC);
        frame[6..12].copy_from_slice(&STACK_MAC);
    }
    sent
}
