//! A host on the wire, with a TCP/IP stack of its own.
//!
//! It runs only inside its calls: between them nobody answers the guest. [`Peer::run`] lets it
//! answer for a while.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, udp};
use smoltcp::time::Instant as StackInstant;
use smoltcp::wire::{
    EthernetAddress, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpCidr,
};

use crate::environment::limit;
use crate::frames::Mac;
use crate::guest::Guest;
use crate::idleness::Idleness;
use crate::wire::Wire;

mod http;
mod tcp;

pub use http::HttpResponse;
pub use tcp::TcpStream;

/// Bytes of an ethernet header.
const ETHERNET: usize = 14;
/// What a peer's link carries if nothing else is said: ethernet's MTU.
const MTU: usize = 1500;

/// A host on the wire.
pub struct Peer {
    device: WireDevice,
    interface: Interface,
    sockets: SocketSet<'static>,
    next_port: u16,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("addresses", &self.interface.ip_addrs())
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// A host with these addresses, such as `["10.0.2.2/24", "fe80::2/64"]`, and an MTU of 1,500.
    ///
    /// # Errors
    /// A text is no address, or there are too many.
    pub fn new(wire: Wire, mac: Mac, addresses: &[&str]) -> Result<Peer> {
        Peer::carrying(MTU, wire, mac, addresses)
    }

    /// The same with another MTU.
    ///
    /// # Errors
    /// As for [`Peer::new`].
    pub fn carrying(mtu: usize, wire: Wire, mac: Mac, addresses: &[&str]) -> Result<Peer> {
        let mut device = WireDevice {
            wire,
            longest: ETHERNET + mtu,
            heard: Heard::default(),
            arrivals: Arc::default(),
        };
        let mut config = Config::new(EthernetAddress(mac).into());
        // The same ports and sequence numbers each time.
        config.random_seed = 1;
        let mut interface = Interface::new(config, &mut device, StackInstant::now());
        for text in addresses {
            let cidr: IpCidr = text
                .parse()
                .map_err(|()| anyhow::anyhow!("{text:?} is no address"))?;
            let mut full = false;
            interface.update_ip_addrs(|list| full = list.push(cidr).is_err());
            if full {
                bail!("a peer can't have so many addresses");
            }
        }
        let sockets = SocketSet::new(Vec::new());
        Ok(Peer {
            device,
            interface,
            sockets,
            next_port: 49_152,
        })
    }

    /// The wire, for frames of one's own. Frames that it receives are lost to the peer.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.device.wire
    }

    /// Gives the wire back.
    pub fn into_wire(self) -> Wire {
        self.device.wire
    }

    /// What came from the guest since this was last asked.
    pub fn heard(&mut self) -> Heard {
        std::mem::take(&mut self.device.heard)
    }

    /// Watches for how long nothing comes though this thread and the guest had nothing to do.
    ///
    /// # Errors
    /// The system does not tell how long threads run.
    pub fn watch(&self, guest: &Guest) -> Result<Idleness> {
        Idleness::watch(guest.process(), Arc::clone(&self.device.arrivals))
    }

    /// Lets the peer answer for so long.
    ///
    /// # Errors
    /// The wire fails.
    pub fn run(&mut self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        self.poll_until(deadline, |_| Ok(None::<()>))?;
        Ok(())
    }

    /// Runs the stack until `done` has something, or the deadline.
    fn poll_until<T>(
        &mut self,
        deadline: Instant,
        mut done: impl FnMut(&mut Peer) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            let now = StackInstant::now();
            self.interface
                .poll(now, &mut self.device, &mut self.sockets);
            if let Some(value) = done(self)? {
                // What that consumed or added may have something to send.
                self.interface
                    .poll(now, &mut self.device, &mut self.sockets);
                return Ok(Some(value));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let delay = self
                .interface
                .poll_delay(StackInstant::now(), &self.sockets);
            let delay = delay.map_or(left, |delay| Duration::from(delay).min(left));
            if !delay.is_zero() {
                self.device.wire.wait(delay)?;
            }
        }
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port == u16::MAX { 49_152 } else { port + 1 };
        port
    }

    /// Sends an echo request and waits for its answer.
    ///
    /// # Errors
    /// No answer within the time.
    pub fn ping(&mut self, to: IpAddr, within: Duration) -> Result<Duration> {
        self.ping_with(to, b"whose page is this?", within)
    }

    /// The same with these data, which must come back.
    ///
    /// # Errors
    /// No such answer within the time.
    pub fn ping_with(&mut self, to: IpAddr, data: &[u8], within: Duration) -> Result<Duration> {
        let identifier = self.port();
        let bytes = 512 + 2 * data.len();
        let buffer =
            || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; bytes]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket
            .bind(icmp::Endpoint::Ident(identifier))
            .context("a fresh socket can be bound")?;
        let request = self.echo_request(to, identifier, data)?;
        socket
            .send_slice(&request, to.into())
            .context("an empty queue takes a packet")?;
        let handle = self.sockets.add(socket);
        let start = Instant::now();
        let answer = self.poll_until(start + limit(within), |peer| {
            let socket = peer.sockets.get_mut::<icmp::Socket>(handle);
            while socket.can_recv() {
                let (packet, from) = socket.recv().context("there is a packet")?;
                let is_reply = matches!(
                    (to, packet.first()),
                    (IpAddr::V4(_), Some(0)) | (IpAddr::V6(_), Some(129))
                );
                if is_reply && from == IpAddress::from(to) && packet.get(8..) == Some(data) {
                    return Ok(Some(start.elapsed()));
                }
            }
            Ok(None)
        });
        self.sockets.remove(handle);
        answer?.with_context(|| format!("{to} did not answer a ping"))
    }

    fn echo_request(&mut self, to: IpAddr, identifier: u16, data: &[u8]) -> Result<Vec<u8>> {
        let checksum = ChecksumCapabilities::default();
        let (ident, seq_no) = (identifier, 1);
        Ok(match to {
            IpAddr::V4(_) => {
                let repr = Icmpv4Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                let mut bytes = vec![0; repr.buffer_len()];
                repr.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &checksum);
                bytes
            }
            IpAddr::V6(to) => {
                let from = self.interface.get_source_address_ipv6(&to);
                let repr = Icmpv6Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                let mut bytes = vec![0; repr.buffer_len()];
                let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[..]);
                repr.emit(&from, &to, &mut packet, &checksum);
                bytes
            }
        })
    }

    /// Sends a datagram and waits for one back from the same address and port.
    ///
    /// # Errors
    /// None came within the time.
    pub fn udp_ask(&mut self, to: SocketAddr, data: &[u8], within: Duration) -> Result<Vec<u8>> {
        let handle = self.udp_socket()?;
        self.udp_send(handle, to, data)?;
        let answer = self.udp_receive(handle, to, within);
        self.sockets.remove(handle);
        answer?.with_context(|| format!("{to} did not answer a datagram"))
    }

    /// Sends datagrams of these contents, keeping `outstanding` of them unanswered, and returns how
    /// many answers came and how long it took.
    ///
    /// # Errors
    /// The wire fails.
    pub fn udp_echo_load(
        &mut self,
        to: SocketAddr,
        data: &[u8],
        count: u32,
        outstanding: u32,
        within: Duration,
    ) -> Result<(u32, Duration)> {
        let handle = self.udp_socket()?;
        let start = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        self.poll_until(start + limit(within), |peer| {
            let socket = peer.sockets.get_mut::<udp::Socket>(handle);
            while socket.can_recv() {
                let (answer, from) = socket.recv().context("there is a datagram")?;
                answered += u32::from(answer == data && SocketAddr::from(from.endpoint) == to);
            }
            while sent < count && sent - answered < outstanding && socket.can_send() {
                socket.send_slice(data, to).context("the socket can send")?;
                sent += 1;
            }
            Ok((answered == count).then_some(()))
        })?;
        self.sockets.remove(handle);
        Ok((answered, start.elapsed()))
    }

    fn udp_socket(&mut self) -> Result<SocketHandle> {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 256], vec![0; 256 << 10]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket
            .bind(self.port())
            .context("a fresh socket can be bound")?;
        Ok(self.sockets.add(socket))
    }

    fn udp_send(&mut self, handle: SocketHandle, to: SocketAddr, data: &[u8]) -> Result<()> {
        let socket = self.sockets.get_mut::<udp::Socket>(handle);
        socket
            .send_slice(data, to)
            .with_context(|| format!("a datagram to {to}"))
    }

    fn udp_receive(
        &mut self,
        handle: SocketHandle,
        from: SocketAddr,
        within: Duration,
    ) -> Result<Option<Vec<u8>>> {
        self.poll_until(Instant::now() + limit(within), |peer| {
            let socket = peer.sockets.get_mut::<udp::Socket>(handle);
            while socket.can_recv() {
                let (data, sender) = socket.recv().context("there is a datagram")?;
                if SocketAddr::from(sender.endpoint) == from {
                    return Ok(Some(data.to_vec()));
                }
            }
            Ok(None)
        })
    }
}

/// What came from the guest.
#[derive(Debug, Default, Clone, Copy)]
pub struct Heard {
    /// The longest frame, in bytes.
    pub longest: usize,
    /// Frames longer than a page.
    pub over_a_page: u32,
}

/// The wire as the stack's network card.
struct WireDevice {
    wire: Wire,
    /// Longest frame, in bytes without check sequence.
    longest: usize,
    heard: Heard,
    /// How many frames came, for whoever watches meanwhile.
    arrivals: Arc<AtomicU64>,
}

struct Received(Vec<u8>);
struct ToSend<'a>(&'a Wire);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        // A frame that the guest doesn't take is lost, as on any wire.
        let _ = self.0.send(&frame);
        result
    }
}

impl Device for WireDevice {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: StackInstant) -> Option<(Received, ToSend<'_>)> {
        // QEMU's switch hands out frames of up to 64 KiB; this card takes what its link carries.
        loop {
            let frame = self.wire.poll()?;
            self.arrivals.fetch_add(1, Ordering::Relaxed);
            self.heard.longest = self.heard.longest.max(frame.len());
            self.heard.over_a_page += u32::from(frame.len() > 4096);
            if frame.len() <= self.longest {
                return Some((Received(frame), ToSend(&self.wire)));
            }
        }
    }

    fn transmit(&mut self, _: StackInstant) -> Option<ToSend<'_>> {
        Some(ToSend(&self.wire))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.longest;
        capabilities
    }
}
