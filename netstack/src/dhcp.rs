//! The IPv4 address from a DHCP server: smoltcp's client on an interface of its own, which sees
//! nothing but DHCP and the ARP answers that it needs.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use log::{info, warn};
use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4::{Event, RetryConfig, Socket};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Cidr};

use crate::address::Ipv4;
use crate::config::check_ipv4;
use crate::link::Link;
use crate::node::Node;
use crate::packet::ETHERNET;

/// The client.
pub struct Dhcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// Name servers that the server told.
    pub dns: Vec<Ipv4Addr>,
}

impl Dhcp {
    /// A client that has not begun.
    pub fn new<L: Link>(node: &mut Node<L>) -> Dhcp {
        let mac = HardwareAddress::Ethernet(EthernetAddress(node.mac));
        let mut config = smoltcp::iface::Config::new(mac);
        config.random_seed = node.random();
        let now = node.now;
        let interface = Interface::new(config, &mut Wire { frame: None, node }, now);
        let mut socket = Socket::new();
        // A lost first question shouldn't cost ten seconds.
        let mut retry = RetryConfig::default();
        retry.discover_timeout = Duration::from_secs(3);
        retry.initial_request_timeout = Duration::from_secs(2);
        socket.set_retry_config(retry);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Dhcp {
            interface,
            sockets,
            handle,
            dns: Vec::new(),
        }
    }

    /// Handles a frame that is for the client: DHCP from a station, or an ARP answer.
    pub fn feed<L: Link>(&mut self, node: &mut Node<L>, frame: &[u8]) {
        let now = node.now;
        let mut wire = Wire {
            frame: Some(frame),
            node,
        };
        self.interface
            .poll_ingress_single(now, &mut wire, &mut self.sockets);
    }

    /// Sends what is due, takes over what was learnt, and answers when something will be due.
    pub fn tend<L: Link>(&mut self, node: &mut Node<L>) -> Option<Instant> {
        let now = node.now;
        loop {
            while let Some(event) = self.sockets.get_mut::<Socket>(self.handle).poll() {
                let lease = match event {
                    Event::Configured(config) => {
                        let own = Ipv4 {
                            address: config.address.address(),
                            length: config.address.prefix_len(),
                            gateway: config.router,
                        };
                        self.dns = config.dns_servers.iter().copied().collect();
                        Some((own, config.server.identifier))
                    }
                    Event::Deconfigured => None,
                };
                self.configure(node, lease);
            }
            let mut wire = Wire { frame: None, node };
            let sent = self
                .interface
                .poll_egress(now, &mut wire, &mut self.sockets);
            if sent == PollResult::None {
                break;
            }
        }
        let due = self.interface.poll_at(now, &self.sockets);
        due.map(|at| at.max(now + Duration::from_millis(10)))
    }

    fn configure<L: Link>(&mut self, node: &mut Node<L>, lease: Option<(Ipv4, Ipv4Addr)>) {
        let checked = lease.and_then(|(own, server)| match check(own) {
            Some(own) => {
                info!("address {}/{} from {server}", own.address, own.length);
                Some(own)
            }
            None => {
                warn!(
                    "DHCP server {server} offers {}/{}: refused",
                    own.address, own.length
                );
                None
            }
        });
        if checked.is_none() {
            self.dns.clear();
            if let Some(old) = node.addresses.ipv4 {
                warn!("address {} is lost: its lease ended", old.address);
            }
        }
        node.addresses.ipv4 = checked;
        node.addresses.changed();
        // So that the client can ask its server, alone, for more time.
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(own) = checked {
                let cidr = Ipv4Cidr::new(own.address, own.length);
                // There is room for eight.
                let _ = addresses.push(IpCidr::Ipv4(cidr));
            }
        });
        self.interface.routes_mut().update(|routes| routes.clear());
        if let Some(gateway) = checked.and_then(|own| own.gateway) {
            // There is room: the table is empty.
            let _ = self.interface.routes_mut().add_default_ipv4_route(gateway);
        }
        debug_assert!(
            checked.is_none_or(|own| { self.interface.has_ip_addr(IpAddress::Ipv4(own.address)) })
        );
        node.announce();
    }
}

/// A lease as far as it makes sense.
fn check(own: Ipv4) -> Option<Ipv4> {
    check_ipv4(own.address, own.length, None).ok()?;
    let gateway = own.gateway.filter(|gateway| {
        let sensible = check_ipv4(own.address, own.length, Some(*gateway)).is_ok();
        if !sensible {
            warn!("DHCP names {gateway} as router, which is not of the subnet: ignored");
        }
        sensible
    });
    Some(Ipv4 { gateway, ..own })
}

/// The device that the client sees: ethernet frames, checksums and all.
struct Wire<'a, L> {
    frame: Option<&'a [u8]>,
    node: &'a mut Node<L>,
}

struct Receive<'a>(&'a [u8]);
struct Transmit<'a, L>(&'a mut Node<L>);

impl<L: Link> Device for Wire<'_, L> {
    type RxToken<'b>
        = Receive<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Transmit<'b, L>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Receive<'_>, Transmit<'_, L>)> {
        let frame = self.frame.take()?;
        Some((Receive(frame), Transmit(self.node)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_, L>> {
        (self.node.link.room() > 0).then_some(Transmit(self.node))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET + self.node.link.mtu();
        capabilities
    }
}

impl RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, consume: F) -> R {
        consume(self.0)
    }
}

impl<L: Link> TxToken for Transmit<'_, L> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.0.send_raw(length, fill)
    }
}
