//! The services over TCP: what a connection does with its socket.

pub mod chargen;
pub mod http;

use smoltcp::socket::tcp;

use crate::config::{Config, Limits, Services};
use crate::report::Report;
use crate::udp::port;
use http::Http;

/// A TCP socket that owns its buffers.
pub type Socket = tcp::Socket<'static>;

/// The services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.1.
    Http,
    /// Everything comes back.
    Echo,
    /// Nothing comes back.
    Discard,
    /// Endless text.
    Chargen,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Http, Kind::Echo, Kind::Discard, Kind::Chargen];

    /// The service behind a port, if it is served.
    pub fn at(port: u16, services: Services) -> Option<Kind> {
        let (kind, served) = match port {
            port::HTTP => (Kind::Http, services.http),
            port::ECHO => (Kind::Echo, services.echo),
            port::DISCARD => (Kind::Discard, services.discard),
            port::CHARGEN => (Kind::Chargen, services.chargen),
            _ => return None,
        };
        served.then_some(kind)
    }

    /// Its port.
    pub fn port(self) -> u16 {
        match self {
            Kind::Http => port::HTTP,
            Kind::Echo => port::ECHO,
            Kind::Discard => port::DISCARD,
            Kind::Chargen => port::CHARGEN,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Echo => "echo",
            Kind::Discard => "discard",
            Kind::Chargen => "chargen",
        }
    }

    /// Most connections at once.
    pub fn connections(self, config: &Config) -> u16 {
        let served = Kind::at(self.port(), config.services).is_some();
        match self {
            _ if !served => 0,
            Kind::Http => config.limits.http_connections,
            _ => config.limits.service_connections,
        }
    }

    /// Bytes of a connection's receive and send buffers: as large as the limits say where data
    /// flows, small where only a little does.
    pub fn buffers(self, limits: &Limits) -> (usize, usize) {
        let receive = limits.receive_buffer as usize;
        let send = limits.send_buffer as usize;
        const REQUESTS: usize = 16 * 1024;
        const LITTLE: usize = Limits::MIN_BUFFER as usize;
        match self {
            Kind::Http => (receive.min(REQUESTS), send),
            Kind::Echo => (receive, send),
            Kind::Discard => (receive, LITTLE),
            Kind::Chargen => (LITTLE, send),
        }
    }
}

/// What a session wants after it looked at its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To be looked at when something moved; without any progress it may be dropped after the
    /// connection's idle time.
    Wait,
    /// The same, but the peer owes the rest of a request (or its end) by a stricter measure.
    Hurry,
    /// To end at once, with a reset.
    Abort,
}

/// What a connection does.
pub enum Session {
    /// HTTP/1.1.
    Http(Http),
    /// Everything comes back.
    Echo,
    /// Nothing comes back.
    Discard,
    /// Endless text: how far it went.
    Chargen(u64),
}

/// What sessions need of the stack.
pub struct Visit<'a> {
    /// Where the page's content comes from.
    pub report: Report<'a>,
    /// Room for bytes on their way from one buffer to another.
    pub scratch: &'a mut [u8],
    /// Requests answered in this visit.
    pub requests: u64,
}

impl Session {
    /// A session that has not begun. `None` where there is no memory for it.
    pub fn new(kind: Kind) -> Option<Session> {
        Some(match kind {
            Kind::Http => Session::Http(Http::new()?),
            Kind::Echo => Session::Echo,
            Kind::Discard => Session::Discard,
            Kind::Chargen => Session::Chargen(0),
        })
    }

    /// Bytes that a session of a kind holds, besides its socket's buffers.
    pub fn size(kind: Kind) -> usize {
        match kind {
            Kind::Http => Http::SIZE,
            _ => 0,
        }
    }

    /// Makes it as new.
    pub fn reset(&mut self) {
        match self {
            Session::Http(http) => http.reset(),
            Session::Chargen(place) => *place = 0,
            Session::Echo | Session::Discard => {}
        }
    }

    /// Moves what can be moved.
    pub fn run(&mut self, socket: &mut Socket, visit: &mut Visit) -> Next {
        match self {
            Session::Http(http) => return http.run(socket, visit),
            Session::Echo => echo(socket, visit.scratch),
            Session::Discard => discard(socket),
            Session::Chargen(place) => {
                discard(socket);
                chargen(socket, place);
                // The peer is done sending, not receiving: it ends when the peer is gone.
                return Next::Wait;
            }
        }
        if peer_is_done(socket) && socket.send_queue() == 0 {
            socket.close();
        }
        Next::Wait
    }
}

/// Whether the peer has closed its half and all it sent was taken.
pub fn peer_is_done(socket: &Socket) -> bool {
    use tcp::State;
    let closed = matches!(
        socket.state(),
        State::CloseWait | State::LastAck | State::Closed
    );
    closed && socket.recv_queue() == 0
}

/// Drops what was received.
pub fn discard(socket: &mut Socket) {
    while socket.can_recv() {
        if !matches!(socket.recv(|bytes| (bytes.len(), bytes.len())), Ok(1..)) {
            break;
        }
    }
}

fn echo(socket: &mut Socket, scratch: &mut [u8]) {
    while socket.can_recv() && socket.can_send() {
        let free = socket.send_capacity() - socket.send_queue();
        let most = free.min(scratch.len());
        let Ok(length @ 1..) = socket.recv_slice(&mut scratch[..most]) else {
            break;
        };
        // There is room: nothing was put in since it was measured.
        if !matches!(socket.send_slice(&scratch[..length]), Ok(sent) if sent == length) {
            socket.abort();
            break;
        }
    }
}

fn chargen(socket: &mut Socket, place: &mut u64) {
    while socket.can_send() {
        let filled = socket.send(|into| {
            chargen::fill(*place, into);
            (into.len(), into.len())
        });
        match filled {
            Ok(length @ 1..) => *place += length as u64,
            _ => break,
        }
    }
}
