//! Runs a stack on a Linux tap, so that real clients can be tried on it.
//!
//! ```text
//! ip tuntap add dev us0 mode tap && ip addr add 10.9.0.1/24 dev us0 && ip link set us0 up
//! cargo run --release -p netstack --example tap -- us0 10.9.0.2/24
//! curl http://10.9.0.2/
//! ```
//!
//! Without an address it asks for one by DHCP. `--trace` logs everything.

use std::os::fd::AsRawFd;
use std::sync::LazyLock;
use std::time::Instant as Clock;

use netstack::config::{self, Config, Limits};
use netstack::facts::NoFacts;
use netstack::link::Need;
use netstack::{Instant, Link, Stack, Wake};
use smoltcp::phy::{Device, Medium, RxToken, TunTapInterface, TxToken, wait};

/// A tap as a link.
struct Tap {
    tap: TunTapInterface,
    sending: Vec<u8>,
}

impl Link for Tap {
    fn mtu(&self) -> usize {
        self.tap.capabilities().max_transmission_unit - 14
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        let (token, _) = self.tap.receive(Instant::ZERO)?;
        Some(token.consume(|frame| {
            let length = frame.len().min(into.len());
            into[..length].copy_from_slice(&frame[..length]);
            frame.len()
        }))
    }

    fn room(&mut self) -> usize {
        64
    }

    fn buffer(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.sending.len() < length {
            self.sending.resize(length, 0);
        }
        self.sending.get_mut(..length)
    }

    fn send(&mut self, length: usize) {
        let frame = &self.sending[..length];
        if let Some(token) = self.tap.transmit(Instant::ZERO) {
            token.consume(length, |into| into.copy_from_slice(frame));
        }
    }

    fn flush(&mut self) {}

    fn subscribe(&mut self, _group: [u8; 6], _wanted: bool) {}

    fn arm(&mut self, _need: Need) -> bool {
        false
    }

    fn counters(&self, _visit: &mut dyn FnMut(&'static str, u64)) {}
}

static START: LazyLock<Clock> = LazyLock::new(Clock::now);

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let seconds = START.elapsed().as_secs_f64();
        eprintln!("{seconds:10.6} {:5} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let trace = arguments.iter().position(|word| word == "--trace");
    let level = match trace.map(|n| arguments.remove(n)) {
        Some(_) => log::LevelFilter::Trace,
        None => log::LevelFilter::Info,
    };
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
    let Some(name) = arguments.first() else {
        eprintln!("which tap? tap NAME [ADDRESS/LENGTH [ROUTER]] [--trace]");
        std::process::exit(2);
    };
    let tap = match TunTapInterface::new(name, Medium::Ethernet) {
        Ok(tap) => tap,
        Err(error) => {
            eprintln!("{name}: {error}");
            std::process::exit(1);
        }
    };
    let descriptor = tap.as_raw_fd();
    let link = Tap {
        tap,
        sending: Vec::new(),
    };
    let mut config = Config::new("alice", [0x02, 0x75, 0x73, 0, 0, 1]);
    config.limits = Limits {
        memory: 64 << 20,
        ..Limits::default()
    };
    if let Some((address, length)) = arguments.get(1).and_then(|text| text.split_once('/')) {
        let wrong = "an address such as 10.9.0.2/24";
        config.ipv4 = config::Ipv4::Static {
            address: address.parse().expect(wrong),
            prefix_length: length.parse().expect(wrong),
            gateway: arguments.get(2).map(|text| text.parse().expect(wrong)),
        };
    }
    let random = Box::new(|| {
        use std::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    });
    let now = || Instant::from_micros(START.elapsed().as_micros() as i64);
    let stack = Stack::new(config, link, NoFacts, random, now());
    let mut stack = match stack {
        Ok(stack) => stack,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    loop {
        let timeout = match stack.poll(now()) {
            Wake::Now => continue,
            Wake::At(at) => Some(at - now().min(at)),
            Wake::Never => None,
        };
        if stack.arm() {
            continue;
        }
        if let Err(error) = wait(descriptor, timeout) {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
