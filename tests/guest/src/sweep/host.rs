//! The host beyond the wire, where clients are TCP/IP stacks: answers their questions for its address, and
//! holds a conversation with each, whose every byte must come back, in order.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use guest::sweeping::{HOST, LONGEST};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{self, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::Failure;
use crate::datagram::ECHO;

/// Its address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Bits of its subnet's prefix.
const PREFIX: u8 = 24;
/// Bytes of a conversation's buffers: more than is said at once.
const BUFFER: usize = 8192;
/// The first port that it calls from.
const FIRST_PORT: u16 = 49_152;
/// Its sequence numbers come of this: whatever it is, they are the same in each boot.
const SEED: u64 = 0x7573_7566_7275_6374;

/// The host.
pub struct Host {
    interface: Interface,
    wire: Queues,
    sockets: SocketSet<'static>,
    conversations: [Conversation; 2],
    port: u16,
}

/// A connection to the echo service of a stack.
struct Conversation {
    socket: SocketHandle,
    with: Ipv4Addr,
    /// Bytes that are to be said, that were, and that came back.
    text: usize,
    said: usize,
    heard: usize,
    /// It ends when all was said.
    ends: bool,
}

impl Conversation {
    fn new(with: Ipv4Addr, socket: SocketHandle) -> Conversation {
        Conversation {
            socket,
            with,
            text: 0,
            said: 0,
            heard: 0,
            ends: false,
        }
    }

    /// Says what there is room for, and ends when that was all.
    fn talk(&mut self, socket: &mut tcp::Socket<'static>) {
        while self.said < self.text && socket.can_send() {
            let (at, left) = (self.said, self.text - self.said);
            let put = socket.send(|room| {
                let length = room.len().min(left);
                for (n, to) in room[..length].iter_mut().enumerate() {
                    *to = byte(at + n);
                }
                (length, length)
            });
            match put {
                Ok(length @ 1..) => self.said += length,
                _ => break,
            }
        }
        if self.ends && self.said == self.text && socket.state() == State::Established {
            socket.close();
        }
    }

    /// Compares what came back.
    fn listen(&mut self, socket: &mut tcp::Socket<'static>) -> Result<(), Failure> {
        while socket.can_recv() {
            let at = self.heard;
            let compared = socket.recv(|bytes| {
                let mut numbered = bytes.iter().enumerate();
                let same = numbered.all(|(n, value)| *value == byte(at + n));
                (bytes.len(), same.then_some(bytes.len()))
            });
            match compared {
                Ok(Some(length)) => self.heard += length,
                Ok(None) => {
                    return Err(Failure::Wrong("what a stack echoes isn't what was said"));
                }
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// The byte at a place of what is said.
fn byte(at: usize) -> u8 {
    (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8)
}

fn socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    // Each thing is said at once.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

impl Host {
    /// A host that has said nothing yet, and knows these stacks.
    pub fn new(with: [Ipv4Addr; 2]) -> Host {
        let mut wire = Queues::default();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(HOST)));
        config.random_seed = SEED;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|into| {
            // There is room for one.
            let _ = into.push(IpCidr::new(ADDRESS.into(), PREFIX));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let conversations = with.map(|with| Conversation::new(with, sockets.add(socket())));
        Host {
            interface,
            wire,
            sockets,
            conversations,
            port: FIRST_PORT,
        }
    }

    /// A frame came that is for it, or for everybody.
    pub fn hear(&mut self, frame: &[u8]) {
        self.wire.came.push_back(frame.to_vec());
    }

    /// The next frame that it sends.
    pub fn frame(&mut self) -> Option<Vec<u8>> {
        self.wire.goes.pop_front()
    }

    /// Does what there is to do at this time, in nanoseconds.
    pub fn run(&mut self, now: u64) -> Result<(), Failure> {
        let now = Instant::from_micros((now / 1000) as i64);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        for one in &mut self.conversations {
            let socket = self.sockets.get_mut::<tcp::Socket>(one.socket);
            one.listen(socket)?;
            one.talk(socket);
        }
        // What was taken in has opened windows, and something was said.
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        Ok(())
    }

    /// Calls a stack. Whatever was with it before is forgotten, and it isn't told.
    pub fn call(&mut self, who: usize) -> Result<(), Failure> {
        self.forget(who);
        let one = &self.conversations[who];
        let socket = self.sockets.get_mut::<tcp::Socket>(one.socket);
        self.port = self.port.checked_add(1).unwrap_or(FIRST_PORT);
        socket
            .connect(self.interface.context(), (one.with, ECHO), self.port)
            .map_err(|_| Failure::Wrong("the host can't call"))
    }

    /// Forgets a conversation.
    pub fn forget(&mut self, who: usize) {
        let one = &mut self.conversations[who];
        self.sockets.remove(one.socket);
        *one = Conversation::new(one.with, self.sockets.add(socket()));
    }

    /// So many bytes more are said, as soon as there is a connection.
    pub fn say(&mut self, who: usize, bytes: usize) {
        self.conversations[who].text += bytes;
    }

    /// Ends a conversation when everything was said.
    pub fn end(&mut self, who: usize) {
        self.conversations[who].ends = true;
    }

    fn state(&self, who: usize) -> State {
        let socket = self.conversations[who].socket;
        self.sockets.get::<tcp::Socket>(socket).state()
    }

    /// Whether there is a connection.
    pub fn is_open(&self, who: usize) -> bool {
        self.state(who) == State::Established
    }

    /// Whether both sides have closed it, in peace.
    pub fn is_closed(&self, who: usize) -> bool {
        self.state(who) == State::TimeWait
    }

    /// Bytes that were or are to be said, and have not come back.
    pub fn missing(&self, who: usize) -> u64 {
        let one = &self.conversations[who];
        (one.text - one.heard) as u64
    }
}

/// Frames that came and that go.
#[derive(Default)]
struct Queues {
    came: VecDeque<Vec<u8>>,
    goes: VecDeque<Vec<u8>>,
}

/// A frame to take in.
struct Came(Vec<u8>);

/// Where a frame goes.
struct Goes<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Queues {
    type RxToken<'a> = Came;
    type TxToken<'a> = Goes<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Came, Goes<'_>)> {
        let frame = self.came.pop_front()?;
        Some((Came(frame), Goes(&mut self.goes)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Goes<'_>> {
        Some(Goes(&mut self.goes))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST;
        capabilities
    }
}

impl RxToken for Came {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Goes<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        /// The shortest frame.
        const SHORTEST: usize = 60;
        let mut frame = vec![0; length.max(SHORTEST)];
        let result = fill(&mut frame[..length]);
        self.0.push_back(frame);
        result
    }
}
