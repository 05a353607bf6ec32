//! The device that smoltcp sees: one packet in, packets out through the node.

use smoltcp::iface::Interface;
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::link::Link;
use crate::node::Node;

/// One look at the device: what is to be received, and the way out. IP packets, without ethernet.
pub struct Port<'a, L> {
    /// The packet to receive, once.
    pub packet: Option<&'a [u8]>,
    /// The way out.
    pub node: &'a mut Node<L>,
}

/// A packet to receive.
pub struct Receive<'a>(&'a [u8]);

/// Leave to send a packet.
pub struct Transmit<'a, L>(&'a mut Node<L>);

/// What smoltcp is told of the device: it carries IP, and the checksums are not smoltcp's work.
pub fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    capabilities.checksum = ChecksumCapabilities::ignored();
    capabilities
}

impl<L: Link> Device for Port<'_, L> {
    type RxToken<'b>
        = Receive<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Transmit<'b, L>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Receive<'_>, Transmit<'_, L>)> {
        let packet = self.packet.take()?;
        Some((Receive(packet), Transmit(self.node)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_, L>> {
        (self.node.link.room() > 0).then_some(Transmit(self.node))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.node.mtu)
    }
}

impl RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, consume: F) -> R {
        consume(self.0)
    }
}

impl<L: Link> TxToken for Transmit<'_, L> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.0.transmit(length, fill)
    }
}

/// smoltcp's side of the node: its addresses, and randomness of its own.
pub(super) fn interface<L: Link>(node: &mut Node<L>) -> Interface {
    let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
    config.random_seed = node.random();
    let now = node.now;
    let mut port = Port {
        packet: None,
        node: &mut *node,
    };
    let mut interface = Interface::new(config, &mut port, now);
    interface.update_ip_addrs(|into| {
        if let Some(own) = node.addresses.ipv4 {
            let cidr = IpCidr::new(IpAddress::Ipv4(own.address), own.length);
            // There is room for eight.
            let _ = into.push(cidr);
        }
        for own in node.addresses.assigned() {
            let cidr = IpCidr::new(IpAddress::Ipv6(own.address), 64);
            let _ = into.push(cidr);
        }
    });
    interface
}
