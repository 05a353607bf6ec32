//! Multicast listener reports (RFC 3810), so that switches that listen in let our groups through.

use core::net::{IpAddr, Ipv6Addr};

use alloc::vec::Vec;
use smoltcp::time::{Duration, Instant};

use crate::address::{MAX_IPV6, solicited_node};
use crate::header::{Check, Header};
use crate::link::Link;
use crate::node::Node;
use crate::packet::{Packet, field16, protocol};

/// ICMPv6 type of a question which groups are listened to.
pub const QUERY: u8 = 130;
const REPORT: u8 = 143;
/// All routers that take reports of version 2.
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// Record type: listens to all sources.
const IS_EXCLUDE: u8 = 2;
/// Record type: listens to all sources from now on.
const TO_EXCLUDE: u8 = 4;
/// How often a change is told (the robustness variable), and how long after the first time.
const REPEATS: u8 = 2;
const REPEAT_DELAY: Duration = Duration::from_secs(1);

/// Reports that are due.
#[derive(Debug, Default)]
pub struct Reports {
    /// Changes to tell: when, and how often yet.
    change: Option<(Instant, u8)>,
    /// An answer to a question.
    answer: Option<Instant>,
}

impl<L: Link> Node<L> {
    /// Our groups changed.
    pub fn report_groups(&mut self) {
        self.reports.change = Some((self.now, REPEATS));
    }

    /// A router asks which groups are listened to.
    pub fn listener_query(&mut self, packet: &Packet, message: &[u8]) {
        let from_link = matches!(packet.source, IpAddr::V6(a) if a.is_unicast_link_local());
        if message.len() < 24 || !from_link || packet.hop_limit != 1 {
            return;
        }
        let most = Duration::from_millis((field16(message, 4) as u64).min(10_000));
        let due = self.now + self.random_delay(most);
        let answer = self.reports.answer;
        self.reports.answer = Some(answer.map_or(due, |answer| answer.min(due)));
    }

    /// Sends what is due, and answers when something will be.
    pub fn tend_reports(&mut self) -> Option<Instant> {
        if let Some((due, left)) = self.reports.change
            && due <= self.now
        {
            self.reports.change = (left > 1).then(|| {
                let wait = REPEAT_DELAY;
                (self.now + wait, left - 1)
            });
            self.send_report(TO_EXCLUDE);
        }
        if self.reports.answer.is_some_and(|due| due <= self.now) {
            self.reports.answer = None;
            self.send_report(IS_EXCLUDE);
        }
        let change = self.reports.change.map(|(due, _)| due);
        change.into_iter().chain(self.reports.answer).min()
    }

    fn send_report(&mut self, record: u8) {
        let mut groups = Vec::with_capacity(MAX_IPV6);
        for own in &self.addresses.ipv6 {
            let group = solicited_node(own.address);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        if groups.is_empty() {
            return;
        }
        let source = self.addresses.link_local();
        let header = Header {
            source: source.unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
            destination: ROUTERS.into(),
            // A hop-by-hop header with a router alert comes first (RFC 3810 section 5).
            protocol: 0,
            hop_limit: 1,
        };
        let message = 8 + groups.len() * 20;
        self.send(header, 8 + message, Check::Done, |payload| {
            let (alert, report) = payload.split_at_mut(8);
            alert.copy_from_slice(&[protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
            report[..8].copy_from_slice(&[REPORT, 0, 0, 0, 0, 0, 0, groups.len() as u8]);
            for (into, group) in report[8..].chunks_exact_mut(20).zip(&groups) {
                into[..4].copy_from_slice(&[record, 0, 0, 0]);
                into[4..].copy_from_slice(&group.octets());
            }
            let sum = crate::checksum::Sum::pseudo(
                header.source,
                header.destination,
                protocol::ICMPV6,
                report.len(),
            );
            let checksum = sum.and(crate::checksum::Sum::of(report)).checksum();
            report[2..4].copy_from_slice(&checksum);
        });
    }
}
