//! The host on its link: sending packets to where they belong.
//!
//! Everything that is sent passes here: routes, neighbours, ethernet headers, checksums and the
//! cutting of datagrams that are longer than the link carries. What waits for a neighbour waits
//! here, too.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::time::{Duration, Instant};

use crate::address::{Addresses, group_mac};
use crate::bucket::Bucket;
use crate::counters::Counters;
use crate::hash::Seed;
use crate::header::{Check, Header, finish_payload, seal, start, write_header};
use crate::link::Link;
use crate::mld::Reports;
use crate::neighbor::{Answer, Neighbors, Question};
use crate::packet::{BROADCAST, ETHERNET, Mac, TYPE_IPV4, TYPE_IPV6};
use crate::slaac::Discovery;

/// Hop limit of what we send to beyond the link.
pub const HOP_LIMIT: u8 = 64;
/// Least MTU of a link for IPv4 (RFC 791), and so at all.
const LEAST_MTU: usize = 68;
/// Least MTU of a link for IPv6 (RFC 8200 section 5).
pub const LEAST_IPV6_MTU: usize = 1280;

/// The host's state that all protocols share.
pub struct Node<L> {
    /// The port.
    pub link: L,
    /// Our station.
    pub mac: Mac,
    /// The time of this poll.
    pub now: Instant,
    /// Our addresses and routes.
    pub addresses: Addresses,
    /// Our neighbours.
    pub neighbors: Neighbors,
    /// What was counted.
    pub counters: Counters,
    /// Largest IP packet: what the link carries, or what a router said if that is less.
    pub mtu: usize,
    /// When our IPv4 address was last defended.
    pub(crate) defended: Instant,
    /// Whether IPv6 is spoken at all.
    pub(crate) ipv6_spoken: bool,
    /// Whether the default router was given, not found.
    pub(crate) fixed_router: bool,
    /// Router discovery.
    pub(crate) discovery: Discovery,
    /// Multicast listener reports.
    pub(crate) reports: Reports,
    random: Box<dyn FnMut() -> u64>,
    answers: Bucket,
    /// Tells the datagrams apart that we cut into pieces.
    identification: u32,
    /// Where packets are written for which there is no room.
    nowhere: Vec<u8>,
}

/// Where a packet goes.
enum Path {
    Station(Mac),
    /// It waits; ask everybody, unless somebody was asked.
    Waits(IpAddr, bool),
    Nowhere,
}

impl<L: Link> Node<L> {
    /// A host without addresses.
    pub fn new(link: L, mac: Mac, mut random: Box<dyn FnMut() -> u64>, now: Instant) -> Node<L> {
        let mtu = link.mtu().clamp(LEAST_MTU, 65_535);
        Node {
            mac,
            now,
            addresses: Addresses::new(),
            neighbors: Neighbors::new(Seed::from(random())),
            counters: Counters::default(),
            mtu,
            defended: now - crate::arp::DEFEND_INTERVAL,
            ipv6_spoken: false,
            fixed_router: false,
            discovery: Discovery::default(),
            reports: Reports::default(),
            answers: Bucket::new(now),
            identification: random() as u32,
            nowhere: alloc::vec![0; mtu + ETHERNET],
            random,
            link,
        }
    }

    /// A number that nobody can guess.
    pub fn random(&mut self) -> u64 {
        (self.random)()
    }

    /// A time that nobody can guess, up to a bound.
    pub fn random_delay(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.random() % most.total_micros().max(1))
    }

    /// Whether one more unprovoked answer may be sent now.
    pub fn may_answer(&mut self) -> bool {
        self.answers.take(self.now)
    }

    /// Sends a packet of `length` bytes that `fill` writes whole but for its checksums: smoltcp's
    /// TCP segments.
    pub fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(frame) = self.link.buffer(ETHERNET + length) else {
            self.counters.unsent += 1;
            // Never longer than the MTU that smoltcp was told.
            self.nowhere.resize(length.max(self.nowhere.len()), 0);
            return fill(&mut self.nowhere[..length]);
        };
        let packet = &mut frame[ETHERNET..];
        let result = fill(packet);
        let destination = seal(packet);
        self.dispatch(destination, length, &[]);
        result
    }

    /// Sends a packet whose payload of `length` bytes `fill` writes; in pieces if it is too long for
    /// one.
    pub fn send(
        &mut self,
        header: Header,
        length: usize,
        check: Check,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let start = start(&header);
        if start + length > self.mtu {
            return self.send_pieces(header, length, check, fill);
        }
        let Some(frame) = self.link.buffer(ETHERNET + start + length) else {
            self.counters.unsent += 1;
            return;
        };
        let packet = &mut frame[ETHERNET..];
        write_header(packet, &header, length, [0, 0, 0x40, 0]);
        let payload = &mut packet[start..];
        fill(payload);
        finish_payload(payload, &header, check);
        self.dispatch(Some(header.destination), start + length, &[]);
    }

    /// Sends a packet whose payload is `head`, its checksum included, and `rest` behind it: that is
    /// copied straight to where the link sends from.
    pub fn send_with(&mut self, header: Header, head: &[u8], rest: &[u8]) {
        let start = start(&header);
        let length = head.len() + rest.len();
        if start + length > self.mtu {
            return self.send_pieces(header, length, Check::Done, |payload| {
                let (first, behind) = payload.split_at_mut(head.len());
                first.copy_from_slice(head);
                behind.copy_from_slice(rest);
            });
        }
        let own = start + head.len();
        let Some(frame) = self.link.buffer(ETHERNET + own) else {
            self.counters.unsent += 1;
            return;
        };
        let packet = &mut frame[ETHERNET..];
        write_header(packet, &header, length, [0, 0, 0x40, 0]);
        packet[start..].copy_from_slice(head);
        self.dispatch(Some(header.destination), own, rest);
    }

    fn send_pieces(
        &mut self,
        header: Header,
        length: usize,
        check: Check,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let extension = if header.destination.is_ipv6() { 8 } else { 0 };
        let start = start(&header) + extension;
        // Each piece but the last is a multiple of eight long.
        let most = (self.mtu - start) & !7;
        let mut payload = Vec::new();
        let pieces = length.div_ceil(most);
        if length + start > 65_535
            || self.link.room() < pieces
            || payload.try_reserve_exact(length).is_err()
        {
            self.counters.unsent += 1;
            return;
        }
        payload.resize(length, 0);
        fill(&mut payload);
        finish_payload(&mut payload, &header, check);
        self.identification = self.identification.wrapping_add(1);
        let id = self.identification.to_be_bytes();
        for (n, piece) in payload.chunks(most).enumerate() {
            let (offset, more) = (n * most, (n + 1) * most < length);
            let Some(frame) = self.link.buffer(ETHERNET + start + piece.len()) else {
                self.counters.unsent += 1;
                return;
            };
            let packet = &mut frame[ETHERNET..];
            if extension == 0 {
                let place = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
                let [high, low] = place.to_be_bytes();
                write_header(packet, &header, piece.len(), [id[2], id[3], high, low]);
            } else {
                let whole = Header {
                    protocol: 44,
                    ..header
                };
                write_header(packet, &whole, piece.len() + extension, [0; 4]);
                let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
                let fragment = [header.protocol, 0, high, low, id[0], id[1], id[2], id[3]];
                packet[start - extension..start].copy_from_slice(&fragment);
            }
            packet[start..].copy_from_slice(piece);
            self.dispatch(Some(header.destination), start + piece.len(), &[]);
        }
    }

    /// Sends the packet whose first `length` bytes lie in the link's buffer, with `rest` behind them.
    fn dispatch(&mut self, destination: Option<IpAddr>, length: usize, rest: &[u8]) {
        let path = destination.map_or(Path::Nowhere, |to| self.path(to));
        let kind = match destination {
            Some(IpAddr::V6(_)) => TYPE_IPV6,
            _ => TYPE_IPV4,
        };
        match path {
            Path::Station(mac) => self.send_frame_with(mac, kind, length, rest),
            Path::Waits(hop, ask) => {
                let first = ETHERNET + length;
                let waits = self.link.buffer(first + rest.len()).is_some_and(|frame| {
                    frame[first..].copy_from_slice(rest);
                    self.neighbors.wait(hop, frame)
                });
                if !waits {
                    self.counters.unsent += 1;
                }
                if ask {
                    self.ask(Question {
                        address: hop,
                        station: None,
                    });
                }
            }
            Path::Nowhere => self.counters.unsent += 1,
        }
    }

    #[inline]
    fn path(&mut self, destination: IpAddr) -> Path {
        if destination.is_multicast() {
            return Path::Station(group_mac(destination));
        }
        if let IpAddr::V4(address) = destination
            && (address.is_broadcast()
                || self
                    .addresses
                    .ipv4
                    .is_some_and(|own| own.is_broadcast(address)))
        {
            return Path::Station(BROADCAST);
        }
        let neighbors = &self.neighbors;
        let hop = self
            .addresses
            .next_hop(destination, |router| neighbors.is_known(router.into()));
        let Some(hop) = hop else {
            return Path::Nowhere;
        };
        match self.neighbors.resolve(hop, self.now) {
            Answer::Known(mac) => Path::Station(mac),
            Answer::Unknown => Path::Waits(hop, true),
            Answer::Asked => Path::Waits(hop, false),
        }
    }

    /// Sends the payload of `length` bytes that lies in the link's buffer behind the place of its
    /// ethernet header.
    pub fn send_frame(&mut self, to: Mac, kind: [u8; 2], length: usize) {
        self.send_frame_with(to, kind, length, &[]);
    }

    /// The same, with `rest` behind the payload.
    fn send_frame_with(&mut self, to: Mac, kind: [u8; 2], length: usize, rest: &[u8]) {
        let Some(frame) = self.link.buffer(ETHERNET + length) else {
            self.counters.unsent += 1;
            return;
        };
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&self.mac);
        frame[12..ETHERNET].copy_from_slice(&kind);
        self.link.send_with(ETHERNET + length, rest);
        self.counters.frames_out += 1;
        self.counters.bytes_out += (ETHERNET + length + rest.len()) as u64;
    }

    /// Sends a whole frame as it is but for its source.
    pub fn send_raw<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(frame) = self.link.buffer(length) else {
            self.counters.unsent += 1;
            self.nowhere.resize(length.max(self.nowhere.len()), 0);
            return fill(&mut self.nowhere[..length]);
        };
        let result = fill(frame);
        frame[6..12].copy_from_slice(&self.mac);
        self.link.send(length);
        self.counters.frames_out += 1;
        self.counters.bytes_out += length as u64;
        result
    }

    /// Asks who has an address.
    pub fn ask(&mut self, question: Question) {
        match question.address {
            IpAddr::V4(address) => self.ask_arp(address, question.station),
            IpAddr::V6(address) => self.ask_ndp(address, question.station),
        }
    }

    /// A neighbour answered: what waited for it goes out.
    pub fn release(&mut self, waiting: Vec<Vec<u8>>, mac: Mac) {
        for packet in waiting {
            let kind = match packet.get(ETHERNET).map(|byte| byte >> 4) {
                Some(6) => TYPE_IPV6,
                _ => TYPE_IPV4,
            };
            let length = packet.len() - ETHERNET;
            match self.link.buffer(packet.len()) {
                Some(frame) => frame.copy_from_slice(&packet),
                None => {
                    self.counters.unsent += 1;
                    continue;
                }
            }
            self.send_frame(mac, kind, length);
        }
    }

    /// Asks again about neighbours that have not answered.
    pub fn tend_neighbors(&mut self) {
        while self.link.room() > 0 {
            let (question, lost) = self.neighbors.question(self.now);
            self.counters.unsent += lost;
            match question {
                Some(question) => self.ask(question),
                None => break,
            }
        }
    }
}
