//! ARP (RFC 826), and what to do if somebody else has our address (RFC 5227).

use core::net::{IpAddr, Ipv4Addr};

use log::warn;
use smoltcp::time::Duration;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

use crate::counters::Drop;
use crate::link::Link;
use crate::node::Node;
use crate::packet::{BROADCAST, Cast, ETHERNET, Mac, TYPE_ARP};
use crate::text::ShowMac;

/// Bytes of an ARP packet for ethernet and IPv4.
const LENGTH: usize = 28;
/// How often our address is defended (RFC 5227 section 2.4).
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

impl<L: Link> Node<L> {
    /// Handles a received ARP packet. Returns whether it was an answer to somebody's question.
    pub fn arp(&mut self, cast: Cast, source: Mac, bytes: &[u8]) -> Result<bool, Drop> {
        let packet = ArpPacket::new_checked(bytes).map_err(|_| Drop::Runt)?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: EthernetAddress(mac),
            source_protocol_addr: sender,
            target_protocol_addr: target,
            ..
        } = ArpRepr::parse(&packet).map_err(|_| Drop::UnknownType)?
        else {
            return Err(Drop::UnknownType);
        };
        let request = match operation {
            ArpOperation::Request => true,
            ArpOperation::Reply => false,
            ArpOperation::Unknown(_) => return Err(Drop::UnknownType),
        };
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Err(Drop::BadSource);
        }
        let Some(own) = self.addresses.ipv4 else {
            return Ok(!request);
        };
        if sender == own.address && mac != self.mac && source != self.mac {
            warn!("{} claims our address {}", ShowMac(mac), own.address);
            self.defend();
            return Ok(false);
        }
        let neighbour = IpAddr::V4(sender);
        let plausible = own.contains(sender) && self.addresses.is_sender(neighbour);
        if plausible {
            let for_us = target == own.address;
            // An answer to us confirms; a question to us creates; anything else only corrects what
            // is known.
            let solicited = for_us && !request && cast == Cast::Us;
            let waiting = self.neighbors.learn(
                neighbour,
                mac,
                self.now,
                (solicited, for_us && request, true),
            );
            self.release(waiting, mac);
        }
        // A question from 0.0.0.0 only wants to know whether the address is taken (RFC 5227).
        if request && target == own.address && (plausible || sender.is_unspecified()) {
            self.send_arp(mac, ArpOperation::Reply, own.address, (mac, sender));
        }
        Ok(!request)
    }

    /// Asks who has an IPv4 address: the station that had it, or all.
    pub fn ask_arp(&mut self, address: Ipv4Addr, station: Option<Mac>) {
        if let Some(own) = self.addresses.ipv4 {
            let to = station.unwrap_or(BROADCAST);
            self.send_arp(to, ArpOperation::Request, own.address, ([0; 6], address));
        }
    }

    /// Tells everybody our IPv4 address.
    pub fn announce(&mut self) {
        if let Some(own) = self.addresses.ipv4 {
            self.send_arp(
                BROADCAST,
                ArpOperation::Request,
                own.address,
                ([0; 6], own.address),
            );
        }
    }

    fn defend(&mut self) {
        if self.now >= self.defended + DEFEND_INTERVAL {
            self.defended = self.now;
            self.announce();
        }
    }

    fn send_arp(
        &mut self,
        to: Mac,
        operation: ArpOperation,
        sender: Ipv4Addr,
        (target_mac, target): (Mac, Ipv4Addr),
    ) {
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: EthernetAddress(self.mac),
            source_protocol_addr: sender,
            target_hardware_addr: EthernetAddress(target_mac),
            target_protocol_addr: target,
        };
        let Some(frame) = self.link.buffer(ETHERNET + LENGTH) else {
            self.counters.unsent += 1;
            return;
        };
        repr.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
        self.send_frame(to, TYPE_ARP, LENGTH);
    }
}
