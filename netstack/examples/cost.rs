//! What the stack alone costs: handles so many frames of one kind, over a link that costs next to
//! nothing, so that a counter of instructions can be put to it.
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/cost echo 64 20000
//! ```
//!
//! Kinds: `echo LENGTH COUNT` (UDP datagrams, 32 at a time), `ping LENGTH COUNT`,
//! `bytes COUNT` (segments of `/bytes/N`, acknowledged two by two).

use std::net::IpAddr;

use netstack::checksum::Sum;
use netstack::config::{Config, Ipv4, Ipv6};
use netstack::facts::NoFacts;
use netstack::link::Need;
use netstack::{Instant, Link, Stack};

/// Frames that come again and again, and a place for those that go.
struct Loop {
    frame: Vec<u8>,
    left: usize,
    out: Vec<u8>,
    sent: u64,
    last: usize,
}

impl Link for Loop {
    fn mtu(&self) -> usize {
        1500
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        into[..self.frame.len()].copy_from_slice(&self.frame);
        Some(self.frame.len())
    }

    fn room(&mut self) -> usize {
        100
    }

    fn buffer(&mut self, length: usize) -> Option<&mut [u8]> {
        self.out.get_mut(..length)
    }

    fn send(&mut self, length: usize) {
        self.last = length;
        self.sent += 1;
    }

    fn flush(&mut self) {}

    fn subscribe(&mut self, _group: [u8; 6], _wanted: bool) {}

    fn arm(&mut self, _need: Need) -> bool {
        false
    }

    fn counters(&self, _visit: &mut dyn FnMut(&'static str, u64)) {}
}

const US: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn packet(protocol: u8, checksum_at: usize, mut payload: Vec<u8>) -> Vec<u8> {
    let (from, to) = ([10, 0, 0, 9], [10, 0, 0, 2]);
    let mut header = vec![0x45, 0];
    header.extend(((20 + payload.len()) as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(from);
    header.extend(to);
    let checksum = Sum::of(&header).checksum();
    header[10..12].copy_from_slice(&checksum);
    let mut sum = Sum::of(&payload);
    if protocol != 1 {
        let pseudo = Sum::pseudo(
            IpAddr::from(from),
            IpAddr::from(to),
            protocol,
            payload.len(),
        );
        sum = sum.and(pseudo);
    }
    payload[checksum_at..checksum_at + 2].copy_from_slice(&sum.checksum());
    [&US[..], &PEER, &[8, 0], &header, &payload].concat()
}

fn arp() -> Vec<u8> {
    let mut frame = [&[0xff; 6][..], &PEER, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    frame.extend(PEER);
    frame.extend([10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}

type Cost = Stack<Loop, NoFacts>;

fn tell(stack: &mut Cost, frame: Vec<u8>, times: usize, now: Instant) {
    let link = stack.link_mut();
    link.frame = frame;
    link.left = times;
    while stack.link_mut().left > 0 {
        stack.poll(now);
    }
}

fn tcp(flags: u8, number: u32, acknowledged: u32, data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x20, 0, 0, 80];
    segment.extend(number.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(data);
    packet(6, 16, segment)
}

fn bytes(stack: &mut Cost, count: usize, now: Instant) {
    tell(stack, tcp(2, 100, 0, b""), 1, now);
    let begin = {
        let out = &stack.link_mut().out;
        u32::from_be_bytes(out[38..42].try_into().unwrap()).wrapping_add(1)
    };
    let request = b"GET /bytes/1000000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    tell(stack, tcp(16, 101, begin, request), 1, now);
    let next = 101 + request.len() as u32;
    let mut sent = stack.link_mut().sent;
    let target = sent + count as u64;
    let mut acknowledged = begin;
    while sent < target {
        let link = stack.link_mut();
        let number = u32::from_be_bytes(link.out[38..42].try_into().unwrap());
        let end = number.wrapping_add(link.last as u32 - 54);
        let half = end.wrapping_sub(acknowledged).div_ceil(2920).max(1);
        for n in 1..=half {
            let upto = acknowledged.wrapping_add((n * 2920).min(end.wrapping_sub(acknowledged)));
            tell(stack, tcp(16, next, upto, b""), 1, now);
        }
        acknowledged = end;
        sent = stack.link_mut().sent;
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| words.get(n).and_then(|word| word.parse::<usize>().ok());
    let mut config = Config::new("cost", US);
    config.ipv4 = Ipv4::Static {
        address: [10, 0, 0, 2].into(),
        prefix_length: 24,
        gateway: None,
    };
    config.ipv6 = Ipv6::Off;
    let link = Loop {
        frame: Vec::new(),
        left: 0,
        out: vec![0; 1514],
        sent: 0,
        last: 0,
    };
    let now = Instant::from_secs(1);
    let mut stack = Stack::new(config, link, NoFacts, Box::new(|| 7), now).unwrap();
    tell(&mut stack, arp(), 1, now);
    match (words.first().map(String::as_str), number(1), number(2)) {
        (Some("echo"), Some(length), Some(count)) => {
            let mut payload = vec![0x13, 0x88, 0, 7];
            payload.extend(((8 + length) as u16).to_be_bytes());
            payload.extend([0, 0]);
            payload.resize(8 + length, b'x');
            let frame = packet(17, 6, payload);
            for _ in 0..count / 32 {
                tell(&mut stack, frame.clone(), 32, now);
            }
        }
        (Some("ping"), Some(length), Some(count)) => {
            let mut message = vec![8, 0, 0, 0, 1, 2, 3, 4];
            message.resize(8 + length, b'x');
            tell(&mut stack, packet(1, 2, message), count, now);
        }
        (Some("bytes"), Some(count), _) => bytes(&mut stack, count, now),
        _ => {
            eprintln!("cost echo LENGTH COUNT | ping LENGTH COUNT | bytes COUNT");
            std::process::exit(2);
        }
    }
    println!("{} frames sent", stack.link_mut().sent);
}
