//! TCP: smoltcp's sockets behind a table of our own.
//!
//! smoltcp looks through all sockets of a set for each segment and each poll. Here each connection has
//! a set of its own, found by its flow, and is looked at when a segment came for it or when its time
//! has come: what one connection costs doesn't depend on how many there are.
//!
//! Nothing listens in smoltcp's sense. A segment that opens a connection is given a socket made to
//! listen for it at that moment, within the service's limits and the memory set aside. Sockets and
//! their buffers are used again.

pub mod backlog;
pub mod flow;
pub mod port;
pub mod timers;

mod connection;
mod places;
mod window;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use log::{debug, trace};
use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

use crate::config::{Config, Limits};
use crate::counters::Drop;
use crate::facts::Facts;
use crate::hash::Seed;
use crate::link::{Link, RESERVE};
use crate::node::Node;
use crate::packet::{Cast, Packet, field, field16};
use crate::report::Report;
use crate::service::{Kind, Next, Visit};
use backlog::Backlog;
use connection::Connection;
use flow::{Flow, Flows};
use places::Refusal;
use port::{Port, interface};
use timers::Timers;

/// Segments that one connection may send before it is the next one's turn.
const QUANTUM: usize = 32;
/// Bytes that go from a receive buffer to a send buffer at once.
const SCRATCH: usize = 8 * 1024;

/// Bytes of a packet that are not data, over IPv4 and without options.
const HEADERS: usize = 40;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// All connections.
pub struct Tcp {
    interface: Interface,
    /// The state of the addresses that the interface knows.
    generation: u32,
    connections: Vec<Connection>,
    flows: Flows,
    timers: Timers,
    ready: VecDeque<u16>,
    /// Connections that nobody uses, with their buffers, by kind.
    free: [Vec<u16>; 4],
    /// Places of connections without buffers.
    hollow: Vec<u16>,
    /// Connections in use, by kind.
    live: [u16; 4],
    /// Most of them.
    most: [u16; 4],
    limits: Limits,
    /// Bytes of buffers.
    memory: usize,
    scratch: Vec<u8>,
    /// No search for a connection that gives way before this.
    search: Instant,
    backlog: Backlog,
    /// Whether a place may have come free for somebody in the backlog.
    admit: bool,
    /// Whether somebody would have sent, but there was no room.
    pub blocked: bool,
    /// A set with nothing in it, for segments that belong nowhere.
    nobody: SocketSet<'static>,
}

/// What the table needs besides the node.
pub struct Outside<'a> {
    /// What the stack was told.
    pub config: &'a Config,
    /// What others counted.
    pub facts: &'a dyn Facts,
    /// Name servers that DHCP told.
    pub dns: &'a [core::net::Ipv4Addr],
    /// When the stack started.
    pub started: Instant,
}

impl Tcp {
    /// No connections yet, and tables for all that may come.
    pub fn new<L: Link>(config: &Config, node: &mut Node<L>) -> Tcp {
        let most = Kind::ALL.map(|kind| kind.connections(config));
        let all = most.iter().sum();
        let seed = Seed::from(node.random());
        let mut limits = config.limits;
        // smoltcp sends no segment across the end of its buffer: whole ones end there.
        let segment = (node.mtu - HEADERS) as u32;
        limits.send_buffer = limits.send_buffer.next_multiple_of(segment);
        limits.receive_buffer = window::widest(&node.link, limits.receive_buffer);
        Tcp {
            interface: interface(node),
            generation: node.addresses.generation,
            connections: Vec::with_capacity(usize::from(all)),
            flows: Flows::new(all, seed),
            timers: Timers::new(all),
            ready: VecDeque::with_capacity(usize::from(all)),
            free: most.map(|most| Vec::with_capacity(most.into())),
            hollow: Vec::with_capacity(usize::from(all)),
            live: [0; 4],
            most,
            limits,
            memory: 0,
            scratch: alloc::vec![0; SCRATCH],
            search: node.now,
            backlog: Backlog::empty(),
            admit: false,
            blocked: false,
            nobody: SocketSet::new(Vec::new()),
        }
    }

    /// Connections in use, in the order of [`Kind::ALL`].
    pub fn live(&self) -> [u16; 4] {
        self.live
    }

    /// Bytes of all connections' buffers.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// When a connection wants to be looked at.
    pub fn due(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether connections want to be looked at now.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Handles a segment. `whole` is the packet from its IP header on, in one piece and without
    /// extension headers.
    pub fn segment<L: Link>(
        &mut self,
        node: &mut Node<L>,
        config: &Config,
        packet: &Packet,
        whole: &[u8],
    ) -> Result<(), Drop> {
        let segment = &whole[packet.start..];
        if segment.len() < 20 {
            return Err(Drop::Runt);
        }
        if !packet.is_intact(segment.len()) {
            return Err(Drop::Checksum);
        }
        // TCP is spoken between two stations only (RFC 1122 section 4.2.3.10).
        if packet.cast != Cast::Us
            || !node.addresses.is_ours(packet.destination)
            || !node.addresses.is_sender(packet.source)
        {
            return Err(Drop::BadSource);
        }
        let flow = Flow {
            local: packet.destination,
            local_port: field16(segment, 2) as u16,
            remote: packet.source,
            remote_port: field16(segment, 0) as u16,
        };
        let flags = segment[13] & (FIN | SYN | RST | ACK);
        if let Some(n) = self.flows.find(&flow) {
            let over = matches!(
                self.connections[usize::from(n)].socket().state(),
                State::TimeWait | State::Closed
            );
            if flags != SYN || !over {
                return self.feed(node, n, segment, whole);
            }
            // The peer uses its port again (RFC 9293 section 3.6.1).
            self.release(n);
        }
        let kind = Kind::at(flow.local_port, config.services);
        let Some(kind) = kind.filter(|_| flags == SYN && flow.remote_port != 0) else {
            return self.reset(node, flags, whole, Drop::NoService);
        };
        match self.open(node, kind, flow, segment, whole) {
            Ok(()) => Ok(()),
            Err(Refusal::Malformed) => Err(Drop::Malformed),
            Err(Refusal::Full) => {
                let now = node.now;
                if self.backlog.keep(kind, flow, packet, whole, now) {
                    return Ok(());
                }
                node.counters.refused += 1;
                Err(Drop::NoRoom)
            }
            Err(Refusal::NoMemory) => {
                node.counters.refused += 1;
                debug!("{}:{} refused: no memory", flow.remote, flow.remote_port);
                self.reset(node, flags, whole, Drop::NoRoom)
            }
        }
    }

    /// Opens a connection for the segment that asks for it.
    fn open<L: Link>(
        &mut self,
        node: &mut Node<L>,
        kind: Kind,
        flow: Flow,
        segment: &[u8],
        whole: &[u8],
    ) -> Result<(), Refusal> {
        let n = self.accept(node, kind, number(segment))?;
        self.flows.insert(n, flow);
        let fed = self.feed(node, n, segment, whole);
        if fed.is_err() || self.connections[usize::from(n)].socket().is_listening() {
            // smoltcp didn't like it.
            self.release(n);
            return Err(Refusal::Malformed);
        }
        node.counters.accepted += 1;
        Ok(())
    }

    /// Answers a segment that belongs nowhere.
    fn reset<L: Link>(
        &mut self,
        node: &mut Node<L>,
        flags: u8,
        whole: &[u8],
        why: Drop,
    ) -> Result<(), Drop> {
        if flags & RST != 0 {
            return Err(why);
        }
        if !node.may_answer() {
            return Err(Drop::RateLimited);
        }
        self.sync(node);
        let now = node.now;
        let mut port = Port {
            packet: Some(whole),
            node,
        };
        self.interface
            .poll_ingress_single(now, &mut port, &mut self.nobody);
        Err(why)
    }

    fn feed<L: Link>(
        &mut self,
        node: &mut Node<L>,
        n: u16,
        segment: &[u8],
        whole: &[u8],
    ) -> Result<(), Drop> {
        self.sync(node);
        let connection = &mut self.connections[usize::from(n)];
        if !connection.is_in_first_window(number(segment), segment.len()) {
            return Err(Drop::Malformed);
        }
        let (now, before) = (node.now, node.counters.frames_out);
        let mut port = Port {
            packet: Some(whole),
            node: &mut *node,
        };
        self.interface
            .poll_ingress_single(now, &mut port, &mut connection.sockets);
        if node.counters.frames_out != before {
            connection.note_sent();
        }
        connection.note_heard();
        self.wake(n);
        Ok(())
    }

    fn wake(&mut self, n: u16) {
        let connection = &mut self.connections[usize::from(n)];
        if !connection.queued {
            connection.queued = true;
            self.ready.push_back(n);
        }
    }

    /// Tells smoltcp of addresses that came or went.
    fn sync<L: Link>(&mut self, node: &mut Node<L>) {
        if self.generation == node.addresses.generation {
            return;
        }
        self.interface = interface(node);
        self.generation = node.addresses.generation;
        // Connections of addresses that went end when they are looked at.
        for n in 0..self.connections.len() as u16 {
            if self.connections[usize::from(n)].live {
                self.wake(n);
            }
        }
    }

    /// Lets connections work whose time has come or for which segments came, as long as there is room.
    /// Each of them at most once.
    pub fn run<L: Link>(&mut self, node: &mut Node<L>, outside: &Outside) {
        self.sync(node);
        while let Some(n) = self.timers.due(node.now) {
            self.wake(n);
        }
        self.blocked = false;
        for _ in 0..self.ready.len() {
            if node.link.room() <= RESERVE {
                self.blocked = true;
                break;
            }
            let Some(n) = self.ready.pop_front() else {
                break;
            };
            self.connections[usize::from(n)].queued = false;
            if self.connections[usize::from(n)].live {
                self.look(node, outside, n);
            }
        }
        if self.admit && !self.backlog.is_empty() {
            self.admit(node);
        }
    }

    fn look<L: Link>(&mut self, node: &mut Node<L>, outside: &Outside, n: u16) {
        let now = node.now;
        let connection = &mut self.connections[usize::from(n)];
        let link = &node.link;
        let mut visit = Visit {
            report: Report {
                config: outside.config,
                addresses: &node.addresses,
                counters: &node.counters,
                facts: outside.facts,
                session: &|visit| link.counters(visit),
                dns: outside.dns,
                connections: self.live,
                now,
                started: outside.started,
            },
            scratch: &mut self.scratch,
            requests: 0,
        };
        let next = connection.run(&mut visit);
        node.counters.requests += visit.requests;
        let patience = connection.patience(next, &self.limits);
        let expired = patience.is_some_and(|until| until <= now);
        if expired {
            node.counters.expired += 1;
            if let Some(flow) = self.flows.get(n) {
                debug!(
                    "{}:{} does not go on: {} connection dropped",
                    flow.remote,
                    flow.remote_port,
                    connection.kind.name()
                );
            }
        }
        if expired && connection.socket().state() == State::SynReceived {
            // Unsaid: a peer whose wire is bad may still be trying, and its next try may get through.
            self.release(n);
            self.admit = true;
            return;
        }
        if expired || next == Next::Abort {
            connection.socket_mut().abort();
        }
        let open = !connection.is_past();
        let more = self.egress(node, n);
        let connection = &mut self.connections[usize::from(n)];
        // smoltcp's own time for a peer that isn't heard.
        node.counters.expired += (open && connection.is_past()) as u64;
        self.admit |= connection.is_past();
        if connection.is_over() {
            trace!("connection {n} is over");
            self.release(n);
            return;
        }
        if more {
            self.wake(n);
            return;
        }
        let due = self.interface.poll_at(now, &connection.sockets);
        // smoltcp may say "now" of something that it can't do now; once it was asked, soon will do.
        let due = due.map(|at| at.max(now + Duration::from_millis(1)));
        self.timers.set(n, due.into_iter().chain(patience).min());
    }

    /// Sends what a connection has; whether there may be more.
    fn egress<L: Link>(&mut self, node: &mut Node<L>, n: u16) -> bool {
        let now = node.now;
        let connection = &mut self.connections[usize::from(n)];
        for _ in 0..QUANTUM {
            if node.link.room() <= RESERVE {
                self.blocked = true;
                return true;
            }
            let mut port = Port { packet: None, node };
            let sent = self
                .interface
                .poll_egress(now, &mut port, &mut connection.sockets);
            if sent == PollResult::None {
                return false;
            }
            connection.note_sent();
        }
        true
    }
}

/// A segment's sequence number. Its length was checked.
fn number(segment: &[u8]) -> u32 {
    u32::from_be_bytes(field(segment, 4))
}
