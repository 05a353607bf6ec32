//! What comes off the wire: a whole stack, with every address and service, on a wire in memory.
//!
//! The input is a byte of settings and pieces, each a frame, or a wait where it is short. Checksums are
//! made right (as a hostile peer would), or hardly anything would get past them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use netstack::config::{Config, Ipv4, Ipv6};
use netstack::link::Need;
use netstack::{BankTotals, Duration, Facts, Instant, Link, Stack, Wake};

use crate::input::pieces;
use crate::{Input, Target};

mod captured;
pub mod frames;
mod mend;

/// The target.
pub const TARGET: Target = Target {
    name: "stack",
    about: "frames off the wire",
    run,
    seeds,
};

const MTU: usize = 1500;
/// Frames that the wire takes.
const ROOM: usize = 16;

/// A wire in memory.
struct End {
    coming: Rc<RefCell<VecDeque<Vec<u8>>>>,
    frame: Vec<u8>,
    room: usize,
}

impl Link for End {
    fn mtu(&self) -> usize {
        MTU
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        let frame = self.coming.borrow_mut().pop_front()?;
        let length = frame.len().min(into.len());
        into[..length].copy_from_slice(&frame[..length]);
        Some(frame.len())
    }

    fn room(&mut self) -> usize {
        self.room
    }

    fn buffer(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.room == 0 {
            return None;
        }
        self.frame.get_mut(..length)
    }

    fn send(&mut self, length: usize) {
        assert!(length <= MTU + 14, "a frame that is too long");
        assert_eq!(self.frame[6..12], frames::STACK_MAC);
        self.room -= 1;
    }

    fn flush(&mut self) {
        self.room = ROOM;
    }

    fn subscribe(&mut self, _: [u8; 6], _: bool) {}

    fn arm(&mut self, need: Need) -> bool {
        need == Need::Room || !self.coming.borrow().is_empty()
    }

    fn counters(&self, _: &mut dyn FnMut(&'static str, u64)) {}
}

struct Nothing;

impl Facts for Nothing {
    fn bank(&self) -> Option<BankTotals> {
        None
    }
}

fn config(settings: u8) -> Config {
    let mut config = Config::new("fuzz", frames::STACK_MAC);
    if settings & 1 == 0 {
        let captured = settings & 8 != 0;
        let (address, gateway) = match captured {
            // Alice's, when it was recorded.
            true => ([10, 0, 2, 21], [10, 0, 2, 2]),
            false => ([10, 0, 0, 2], [10, 0, 0, 254]),
        };
        config.ipv4 = Ipv4::Static {
            address: address.into(),
            prefix_length: 24,
            gateway: Some(gateway.into()),
        };
    }
    if settings & 2 == 0 {
        config.ipv6 = Ipv6::Static {
            address: "fd00::2".parse().expect("an address"),
            prefix_length: 64,
            gateway: None,
        };
    }
    config
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = input.u8();
    let coming = Rc::new(RefCell::new(VecDeque::new()));
    let end = End {
        coming: coming.clone(),
        frame: vec![0xa5; MTU + 14],
        room: ROOM,
    };
    let mut number = 0x5eed_u64;
    let random = Box::new(move || {
        number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        number >> 8
    });
    let mut now = Instant::from_millis(1000);
    let stack = Stack::new(config(settings), end, Nothing, random, now);
    let mut stack = stack.unwrap_or_else(|error| panic!("{error}"));
    // Duplicate address detection is over.
    rest(&mut stack, &mut now, Duration::from_secs(3));
    while !input.is_empty() {
        let piece = input.piece();
        if piece.len() < 14 {
            let time = piece.first().map_or(0, |byte| u64::from(*byte));
            rest(&mut stack, &mut now, Duration::from_millis(time * time));
            continue;
        }
        let mut frame = piece.to_vec();
        if settings & 4 == 0 {
            mend::mend(&mut frame);
        }
        coming.borrow_mut().push_back(frame);
        rest(&mut stack, &mut now, Duration::from_millis(0));
    }
    let limit = 16 << 20;
    assert!(stack.memory() < limit, "{} bytes", stack.memory());
}

/// Lets time pass, and the stack do what is due.
fn rest(stack: &mut Stack<End, Nothing>, now: &mut Instant, time: Duration) {
    let end = *now + time;
    for _ in 0..20_000 {
        match stack.poll(*now) {
            Wake::Now => {}
            Wake::At(at) if at <= end => *now = (*now).max(at),
            _ if !stack.link_mut().coming.borrow().is_empty() => {}
            _ => {
                *now = end;
                return;
            }
        }
    }
    panic!("the stack never rests");
}

fn seeds() -> Vec<Vec<u8>> {
    let frames = frames::to_the_stack();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for settings in [0, 3] {
        for frame in &frames {
            seeds.push([vec![settings], pieces([&frame[..]])].concat());
        }
        let all = frames.iter().map(Vec::as_slice);
        seeds.push([vec![settings], pieces(all)].concat());
    }
    // What somebody really sent her, each by itself and as one conversation.
    let captured = captured::frames();
    let settings = 2 | 8;
    let came = captured
        .iter()
        .filter(|frame| frame.get(6..12) != Some(&frames::STACK_MAC));
    for frame in came.clone() {
        seeds.push([vec![settings], pieces([&frame[..]])].concat());
    }
    seeds.push([vec![settings], pieces(came.map(Vec::as_slice))].concat());
    seeds
}
