//! A stack, a wire in memory, and a clock that stands still unless nothing else is to be done.
//!
//! The other end is a test that makes frames by hand ([`World`]), or smoltcp as another host
//! ([`Meeting`]), over a wire that loses, doubles, reorders and spoils frames as a seed says.
#![allow(dead_code)]

pub mod frames;
pub mod health;
pub mod meeting;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use netstack::config::{Config, Ipv4, Ipv6, Services};
use netstack::link::{Need, RESERVE};
use netstack::{BankTotals, Duration, Facts, Instant, Link, Stack, Wake};

pub const STACK_MAC: [u8; 6] = [0x02, 0x75, 0x73, 0, 0, 1];
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 9];

/// What lies on the wire.
#[derive(Default)]
pub struct Wire {
    pub to_stack: VecDeque<Vec<u8>>,
    pub from_stack: VecDeque<Vec<u8>>,
    pub groups: Vec<[u8; 6]>,
    /// Frames that fit in before somebody takes them out.
    pub room: usize,
    pub mtu: usize,
    /// Frames that wait for the stack at most; more are lost. `None`: as many as come.
    pub held: Option<usize>,
    /// Frames that were lost so.
    pub overrun: usize,
}

impl Wire {
    /// Loses what there is no room for before the stack takes some.
    pub fn overrun(&mut self) {
        let excess = self
            .held
            .map_or(0, |held| self.to_stack.len().saturating_sub(held));
        self.to_stack.truncate(self.to_stack.len() - excess);
        self.overrun += excess;
    }
}

/// The stack's end of it.
pub struct End {
    pub wire: Rc<RefCell<Wire>>,
    frame: Vec<u8>,
}

impl Link for End {
    fn mtu(&self) -> usize {
        self.wire.borrow().mtu
    }

    fn burst(&self, _length: usize) -> usize {
        self.wire.borrow().held.unwrap_or(usize::MAX)
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        let frame = self.wire.borrow_mut().to_stack.pop_front()?;
        let length = frame.len().min(into.len());
        into[..length].copy_from_slice(&frame[..length]);
        Some(frame.len())
    }

    fn room(&mut self) -> usize {
        let wire = self.wire.borrow();
        wire.room.saturating_sub(wire.from_stack.len())
    }

    fn buffer(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.room() == 0 || length > self.mtu() + 14 {
            return None;
        }
        if self.frame.is_empty() {
            // What was there before must not matter.
            self.frame.resize(self.mtu() + 14, 0xa5);
        }
        Some(&mut self.frame[..length])
    }

    fn send(&mut self, length: usize) {
        let mut frame = std::mem::take(&mut self.frame);
        frame.truncate(length);
        assert_eq!(frame[6..12], STACK_MAC, "sent from its own station");
        self.wire.borrow_mut().from_stack.push_back(frame);
    }

    fn flush(&mut self) {}

    fn subscribe(&mut self, group: [u8; 6], wanted: bool) {
        let groups = &mut self.wire.borrow_mut().groups;
        groups.retain(|known| *known != group);
        if wanted {
            groups.push(group);
        }
    }

    fn arm(&mut self, need: Need) -> bool {
        match need {
            Need::Frame => !self.wire.borrow().to_stack.is_empty(),
            Need::Room => self.room() > RESERVE,
        }
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("frames received", 12);
        visit("no spare page", 3);
    }
}

/// Figures that can be recognised.
pub struct Figures;

impl Facts for Figures {
    fn bank(&self) -> Option<BankTotals> {
        Some(BankTotals {
            limit: 2048,
            bought: 777,
            limbo: 5,
            high_water: 888,
            children: 1,
        })
    }
}

/// Numbers from a seed (xorshift64*).
#[derive(Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() >> 16) as usize % most.max(1)
    }

    pub fn chance(&mut self, in_thousand: u32) -> bool {
        self.below(1000) < in_thousand as usize
    }
}

/// A configuration with fixed addresses: 10.0.0.2/24, and fd00::2/64 if IPv6 is wanted.
pub fn config(ipv6: bool) -> Config {
    let mut config = Config::new("alice", STACK_MAC);
    config.ipv4 = Ipv4::Static {
        address: [10, 0, 0, 2].into(),
        prefix_length: 24,
        gateway: Some([10, 0, 0, 254].into()),
    };
    config.ipv6 = match ipv6 {
        true => Ipv6::Static {
            address: "fd00::2".parse().unwrap(),
            prefix_length: 64,
            gateway: None,
        },
        false => Ipv6::Off,
    };
    config.services = Services::ALL;
    config
}

/// A stack and its wire.
pub struct World {
    pub stack: Stack<End, Figures>,
    pub wire: Rc<RefCell<Wire>>,
    pub now: Instant,
    pub polls: u64,
}

impl World {
    pub fn new(config: Config) -> World {
        World::seeded(config, 1)
    }

    pub fn seeded(config: Config, seed: u64) -> World {
        World::carrying(1500, config, seed)
    }

    /// A stack on a wire that carries packets of up to so many bytes.
    pub fn carrying(mtu: usize, config: Config, seed: u64) -> World {
        World::holding(None, mtu, config, seed)
    }

    /// The same, where no more than `held` frames wait for the stack.
    pub fn holding(held: Option<usize>, mtu: usize, config: Config, seed: u64) -> World {
        let wire = Rc::new(RefCell::new(Wire {
            room: 64,
            mtu,
            held,
            ..Wire::default()
        }));
        let end = End {
            wire: wire.clone(),
            frame: Vec::new(),
        };
        let mut numbers = Numbers::new(seed);
        let random = Box::new(move || numbers.next());
        let now = Instant::from_millis(1000);
        let stack = Stack::new(config, end, Figures, random, now).unwrap();
        World {
            stack,
            wire,
            now,
            polls: 0,
        }
    }

    /// A stack whose addresses are all in use: duplicate address detection is over.
    pub fn settled(config: Config) -> World {
        let mut world = World::new(config);
        world.wait(Duration::from_secs(3));
        world.take();
        world
    }

    /// Polls until the stack has nothing more to do now; when it wants to be polled again.
    pub fn poll(&mut self) -> Option<Instant> {
        for _ in 0..10_000 {
            self.polls += 1;
            match self.stack.poll(self.now) {
                Wake::Now => continue,
                _ if self.stack.arm() => continue,
                Wake::At(at) => {
                    assert!(
                        at > self.now,
                        "a time that has passed is not a time to wait for"
                    );
                    return Some(at);
                }
                Wake::Never => return None,
            }
        }
        panic!("the stack never rests");
    }

    /// Lets time pass, and the stack do what is due.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            match self.poll() {
                Some(at) if at <= end => self.now = at,
                _ => {
                    self.now = end;
                    self.poll();
                    return;
                }
            }
            // Nobody takes them: the wire must not fill up.
            let mut wire = self.wire.borrow_mut();
            let wire = &mut *wire;
            let room = wire.room;
            while wire.from_stack.len() > room / 2 {
                wire.from_stack.pop_front();
            }
        }
        panic!("the stack wants to be polled too often");
    }

    /// Frames that the stack sent.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.wire.borrow_mut().from_stack.drain(..).collect()
    }

    /// Gives the stack a frame and returns what it sends then.
    pub fn tell(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.wire.borrow_mut().to_stack.push_back(frame);
        self.poll();
        self.take()
    }

    /// The stack learns who has 10.0.0.9 and fd00::9: the peer.
    pub fn introduce(&mut self) {
        use frames::*;
        let answer = self.tell(arp(1, PEER_MAC, "10.0.0.9", [0; 6], "10.0.0.2"));
        assert_eq!(answer.len(), 1);
        if self.stack.addresses().ipv6.is_empty() {
            return;
        }
        let answer = self.tell(solicitation("fd00::9", "fd00::2", Some(PEER_MAC)));
        assert_eq!(answer.len(), 1);
    }
}
