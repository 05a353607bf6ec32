//! A stack and another host, smoltcp's, with a wire between them that does what wires do.

use std::collections::VecDeque;

use netstack::config::Config;
use netstack::{Duration, Instant};
use smoltcp::iface::{Config as PeerConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::{Numbers, PEER_MAC, World};

/// What the wire does to frames, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss: u32,
    pub doubling: u32,
    pub reordering: u32,
    pub corruption: u32,
}

impl Faults {
    fn apply(&self, numbers: &mut Numbers, frames: Vec<Vec<u8>>, queue: &mut VecDeque<Vec<u8>>) {
        for mut frame in frames {
            if numbers.chance(self.loss) {
                continue;
            }
            // ARP has no checksum but the wire's own: a spoilt one would be believed.
            let arp = frame[12..14] == [0x08, 0x06];
            if numbers.chance(self.corruption) && !arp {
                let at = numbers.below(frame.len());
                frame[at] ^= 1 << numbers.below(8);
            }
            if numbers.chance(self.doubling) {
                queue.push_back(frame.clone());
            }
            if numbers.chance(self.reordering) && !queue.is_empty() {
                let at = numbers.below(queue.len());
                queue.insert(at, frame);
            } else {
                queue.push_back(frame);
            }
        }
    }
}

/// The other host's end of the wire.
#[derive(Default)]
pub struct PeerEnd {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    mtu: usize,
}

pub struct Take(Vec<u8>);
pub struct Give<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Take {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, consume: F) -> R {
        consume(&self.0)
    }
}

impl TxToken for Give<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for PeerEnd {
    type RxToken<'a> = Take;
    type TxToken<'a> = Give<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Take, Give<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Take(frame), Give(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Give<'_>> {
        Some(Give(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 14 + self.mtu;
        capabilities
    }
}

/// How long the other host waits for the stack.
const PATIENCE: Duration = Duration::from_secs(400);

/// Both of them.
pub struct Meeting {
    pub world: World,
    pub interface: Interface,
    pub end: PeerEnd,
    pub sockets: SocketSet<'static>,
    pub faults: Faults,
    numbers: Numbers,
    next_port: u16,
    /// Time that a frame takes.
    pub latency: Duration,
    /// The longest frame that the stack sent, and that it was sent.
    pub longest: (usize, usize),
}

impl Meeting {
    pub fn new(config: Config) -> Meeting {
        Meeting::faulty(config, Faults::default(), 1)
    }

    pub fn faulty(config: Config, faults: Faults, seed: u64) -> Meeting {
        Meeting::on(World::seeded(config, seed), faults, seed)
    }

    /// Both on a wire that carries packets of up to so many bytes.
    pub fn carrying(mtu: usize, config: Config) -> Meeting {
        Meeting::on(World::carrying(mtu, config, 1), Faults::default(), 1)
    }

    /// The same, where no more than `held` frames wait for the stack.
    pub fn holding(held: usize, mtu: usize, config: Config) -> Meeting {
        let world = World::holding(Some(held), mtu, config, 1);
        Meeting::on(world, Faults::default(), 1)
    }

    fn on(mut world: World, faults: Faults, seed: u64) -> Meeting {
        world.wait(Duration::from_secs(3));
        world.take();
        let mut end = PeerEnd {
            mtu: world.wire.borrow().mtu,
            ..PeerEnd::default()
        };
        let mac = HardwareAddress::Ethernet(EthernetAddress(PEER_MAC));
        let mut peer = PeerConfig::new(mac);
        peer.random_seed = seed;
        let mut interface = Interface::new(peer, &mut end, world.now);
        interface.update_ip_addrs(|addresses| {
            addresses
                .push(IpCidr::new(IpAddress::v4(10, 0, 0, 9), 24))
                .unwrap();
            addresses
                .push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9), 64))
                .unwrap();
        });
        Meeting {
            world,
            interface,
            end,
            sockets: SocketSet::new(Vec::new()),
            faults,
            numbers: Numbers::new(seed ^ 0x5555),
            next_port: 20_000,
            latency: Duration::from_micros(200),
            longest: (0, 0),
        }
    }

    /// Lets frames cross the wire once, and time pass if nothing moved. Whether something moved.
    pub fn step(&mut self) -> bool {
        self.step_until(self.world.now + Duration::from_secs(1))
    }

    fn step_until(&mut self, end: Instant) -> bool {
        let due = self.world.poll();
        let from_stack = self.world.take();
        let moved_out = !from_stack.is_empty();
        let longest = from_stack.iter().map(Vec::len).max().unwrap_or(0);
        self.longest.0 = self.longest.0.max(longest);
        self.faults
            .apply(&mut self.numbers, from_stack, &mut self.end.received);
        let now = self.world.now;
        self.interface.poll(now, &mut self.end, &mut self.sockets);
        let from_peer = std::mem::take(&mut self.end.sent);
        let moved = moved_out || !from_peer.is_empty();
        let longest = from_peer.iter().map(Vec::len).max().unwrap_or(0);
        self.longest.1 = self.longest.1.max(longest);
        {
            let mut wire = self.world.wire.borrow_mut();
            self.faults
                .apply(&mut self.numbers, from_peer, &mut wire.to_stack);
            wire.overrun();
        }
        if moved {
            self.world.now += self.latency;
            return true;
        }
        let peer_due = self.interface.poll_at(now, &self.sockets);
        let next = due.into_iter().chain(peer_due).min();
        let next = next.map_or(end, |at| at.min(end));
        self.world.now = next.max(now + Duration::from_micros(1));
        false
    }

    /// Goes on until something is so; whether it became so within the time.
    pub fn until(&mut self, time: Duration, mut so: impl FnMut(&mut Meeting) -> bool) -> bool {
        let end = self.world.now + time;
        while !so(self) {
            if self.world.now >= end {
                return false;
            }
            self.step_until(end);
        }
        true
    }

    pub fn pass(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Begins a connection to a port of the stack.
    pub fn dial(&mut self, to: IpAddress, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65_536]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // Whoever waits for what doesn't come gives up some day: a reset may be lost.
        socket.set_timeout(Some(PATIENCE));
        self.next_port = if self.next_port > 60_000 {
            20_000
        } else {
            self.next_port + 1
        };
        socket
            .connect(self.interface.context(), (to, port), self.next_port)
            .unwrap();
        self.sockets.add(socket)
    }

    /// A connection to a port of the stack.
    pub fn connect(&mut self, port: u16) -> SocketHandle {
        let handle = self.dial(IpAddress::v4(10, 0, 0, 2), port);
        assert!(
            self.until(PATIENCE, |m| m.socket(handle).may_send()),
            "no connection to port {port}"
        );
        handle
    }

    pub fn close(&mut self, handle: SocketHandle) {
        self.socket(handle).abort();
        self.step();
        self.step();
        self.sockets.remove(handle);
    }

    /// Sends all of it, while receiving; stops when so much was received or the stack closed.
    pub fn converse(&mut self, handle: SocketHandle, data: &[u8], expect: usize) -> Vec<u8> {
        let (mut sent, mut received) = (0, Vec::new());
        let time = Duration::from_secs(3600);
        let done = self.until(time, |meeting| {
            let socket = meeting.socket(handle);
            if sent < data.len() && socket.can_send() {
                sent += socket.send_slice(&data[sent..]).unwrap();
            }
            while socket.can_recv() {
                let taken = socket.recv(|bytes| {
                    received.extend_from_slice(bytes);
                    (bytes.len(), bytes.len())
                });
                if taken.unwrap() == 0 {
                    break;
                }
            }
            let over = !socket.may_recv();
            over || (sent == data.len() && received.len() >= expect)
        });
        assert!(
            done,
            "stuck: sent {sent} of {}, received {} of {expect}",
            data.len(),
            received.len()
        );
        received
    }

    /// One HTTP request on a connection of its own, which the stack is asked to close.
    pub fn get(&mut self, path: &str) -> Vec<u8> {
        let handle = self.connect(80);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = self.converse(handle, request.as_bytes(), usize::MAX);
        self.close(handle);
        answer
    }
}
