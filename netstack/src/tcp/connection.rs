//! One connection: a socket in a set of its own, and what is done with it.

use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{CongestionControl, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};

use crate::config::Limits;
use crate::service::{Kind, Next, Session, Socket, Visit};

/// How long an acknowledgement waits for company. A second full segment doesn't let it wait.
const ACK_DELAY: Duration = Duration::from_millis(10);
/// How often a silent peer is asked whether it is there, where silence is no offence.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a peer that doesn't answer is spoken to, at least: RFC 9293 section 3.8.3 asks for 100 s, and
/// smoltcp pauses for up to 60 s between two tries. Whoever gives up sooner takes two lost frames in a
/// row, after some before, for a peer that is gone.
const UNHEARD: Duration = Duration::from_secs(180);
/// Connections that may be silent may be so this many times longer.
const PATIENT: u32 = 10;
/// The most that a window can be that is told without a scale.
const FIRST_WINDOW: u32 = 65_535;
/// Bytes that count as progress while there are more to send.
const STEP: u64 = 1024;

/// A connection, or the place of one.
pub struct Connection {
    /// The set with the one socket.
    pub sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// The service.
    pub kind: Kind,
    session: Session,
    /// Whether it is in use.
    pub live: bool,
    /// Whether it waits to be looked at.
    pub queued: bool,
    /// When it began.
    opened: Instant,
    /// When it last made progress, and how far it was then.
    moved: Instant,
    mark: u64,
    /// Since when its peer owes something. Bytes that dribble in are no progress then.
    hurried: Instant,
    /// Whether it sent something and the peer has said nothing since.
    unheard: bool,
    /// What it received and sent so far.
    received: u64,
    sent: u64,
    next: Next,
    /// How far the peer may send before it was told of a window beyond the first one.
    first_window: Option<u32>,
}

impl Connection {
    /// Bytes that one of a kind takes.
    pub fn size(kind: Kind, limits: &Limits) -> usize {
        let (receive, send) = kind.buffers(limits);
        receive + send + Session::size(kind)
    }

    /// A connection that nobody uses; `None` where there is no memory for it.
    pub fn new(kind: Kind, limits: &Limits) -> Option<Connection> {
        let (receive, send) = kind.buffers(limits);
        let socket = Socket::new(buffer(receive)?, buffer(send)?);
        let mut storage = Vec::new();
        storage.try_reserve_exact(1).ok()?;
        storage.push(SocketStorage::EMPTY);
        let mut sockets = SocketSet::new(storage);
        let handle = sockets.add(socket);
        Some(Connection {
            sockets,
            handle,
            kind,
            session: Session::new(kind)?,
            live: false,
            queued: false,
            opened: Instant::ZERO,
            moved: Instant::ZERO,
            mark: 0,
            hurried: Instant::ZERO,
            unheard: false,
            received: 0,
            sent: 0,
            next: Next::Wait,
            first_window: None,
        })
    }

    /// Gives the buffers up.
    pub fn hollow(&mut self) {
        let empty = || SocketBuffer::new(Vec::new());
        let mut sockets = SocketSet::new(Vec::new());
        self.handle = sockets.add(Socket::new(empty(), empty()));
        self.sockets = sockets;
        self.session = Session::Discard;
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        self.sockets.get(self.handle)
    }

    /// The socket.
    pub fn socket_mut(&mut self) -> &mut Socket {
        self.sockets.get_mut(self.handle)
    }

    /// Listens for the one segment that opens it; `number` is that segment's sequence number.
    pub fn begin(&mut self, now: Instant, limits: &Limits, number: u32) {
        self.live = true;
        self.first_window = Some(number.wrapping_add(1).wrapping_add(FIRST_WINDOW));
        (self.opened, self.moved, self.hurried) = (now, now, now);
        (self.mark, self.received, self.sent) = (0, 0, 0);
        self.unheard = false;
        self.next = Next::Hurry;
        self.session.reset();
        let idle = Duration::from_secs(limits.idle_seconds.into());
        let kind = self.kind;
        let socket = self.socket_mut();
        socket.abort();
        // The port isn't zero, and a closed socket may listen.
        let listening = socket.listen(kind.port());
        debug_assert!(listening.is_ok());
        // What `listen` leaves of the connection before.
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_nagle_enabled(true);
        socket.set_ack_delay(Some(ACK_DELAY));
        let may_be_silent = kind != Kind::Http;
        socket.set_timeout(Some(idle.max(UNHEARD)));
        socket.set_keep_alive(may_be_silent.then_some(KEEP_ALIVE));
    }

    /// Whether a segment lies in the window that the peer knows of, at its beginning.
    ///
    /// The answer to the opening segment tells of a window without a scale, but smoltcp 0.14 takes it
    /// for one with: until it sends again, it accepts data beyond the end of its buffer, and then
    /// panics when the gap before is filled. A peer that keeps to what it was told doesn't notice.
    pub fn is_in_first_window(&self, number: u32, length: usize) -> bool {
        let Some(end) = self.first_window else {
            return true;
        };
        // What is before the window smoltcp knows how to refuse.
        let beyond = number.wrapping_add(length as u32).wrapping_sub(end) as i32;
        beyond <= 0
    }

    /// The peer said something.
    pub fn note_heard(&mut self) {
        self.unheard = false;
    }

    /// Something was sent. From the second time on the peer knows the true window.
    pub fn note_sent(&mut self) {
        self.unheard = true;
        if !matches!(
            self.socket().state(),
            State::Listen | State::SynReceived | State::Closed
        ) {
            self.first_window = None;
        }
    }

    /// Forgets the connection.
    pub fn end(&mut self) {
        self.live = false;
        self.socket_mut().abort();
    }

    /// Whether nothing is left of it but the memory of it.
    pub fn is_over(&self) -> bool {
        let socket = self.socket();
        match socket.state() {
            // The reset has been sent, or none was owed.
            State::Closed => socket.remote_endpoint().is_none(),
            // A reset sent it back here; but it listened for one peer only.
            State::Listen => true,
            _ => false,
        }
    }

    /// Whether both sides are through with it.
    pub fn is_past(&self) -> bool {
        matches!(
            self.socket().state(),
            State::TimeWait | State::Closed | State::Listen
        )
    }

    /// Lets the service do what it can.
    pub fn run(&mut self, visit: &mut Visit) -> Next {
        let Connection {
            sockets,
            handle,
            session,
            ..
        } = self;
        let socket: &mut Socket = sockets.get_mut(*handle);
        let now = visit.report.now;
        let (in_before, out_before) = (socket.recv_queue(), socket.send_queue());
        let next = match socket.state() {
            State::SynReceived => Next::Hurry,
            State::TimeWait | State::Closed => Next::Wait,
            _ => session.run(socket, visit),
        };
        // Nothing was received or acknowledged meanwhile: the differences are what the session did.
        self.received += in_before.saturating_sub(socket.recv_queue()) as u64;
        self.sent += socket.send_queue().saturating_sub(out_before) as u64;
        let waiting = socket.send_queue() as u64;
        let progress = self.received + self.sent.saturating_sub(waiting);
        if progress >= self.mark + STEP || (progress > self.mark && waiting == 0) {
            (self.mark, self.moved) = (progress, now);
        }
        if next != self.next || visit.requests > 0 {
            // A new request or state of things has all its time.
            (self.next, self.moved, self.hurried) = (next, now, now);
        }
        next
    }

    /// Whether the peer has yet to acknowledge something.
    fn owes(&self) -> bool {
        self.socket().send_queue() > 0
    }

    /// Until when it may go on like this without progress.
    pub fn patience(&self, next: Next, limits: &Limits) -> Option<Instant> {
        let idle = Duration::from_secs(limits.idle_seconds.into());
        let head = Duration::from_secs(limits.head_seconds.into());
        if self.socket().state() == State::TimeWait {
            // smoltcp ends it.
            return None;
        }
        match next {
            Next::Abort => None,
            Next::Hurry => Some(self.hurried + head),
            // A peer that answers and doesn't go on has had its time. One that isn't heard may be no
            // worse off than the wire.
            Next::Wait if self.kind == Kind::Http && self.unheard && self.owes() => {
                Some(self.moved + idle.max(UNHEARD))
            }
            Next::Wait if self.kind == Kind::Http => Some(self.moved + idle),
            Next::Wait => Some(self.moved + idle * PATIENT),
        }
    }

    /// How expendable it is: the class, and for how long it has been in it.
    pub fn expendable(&self, now: Instant, grace: Duration) -> Option<(u8, Duration)> {
        let since = |then: Instant| {
            let micros = (now.total_micros() - then.total_micros()).max(0);
            Duration::from_micros(micros as u64)
        };
        let class = match self.socket().state() {
            _ if self.is_past() => (3, since(self.moved)),
            State::SynReceived => (2, since(self.opened)),
            _ => {
                let socket = self.socket();
                let idle = socket.send_queue() == 0 && socket.recv_queue() == 0;
                if !idle || self.next != Next::Wait {
                    return None;
                }
                (1, since(self.moved))
            }
        };
        (class.0 == 3 || class.1 >= grace).then_some(class)
    }
}

fn buffer(length: usize) -> Option<SocketBuffer<'static>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    bytes.resize(length, 0);
    Some(SocketBuffer::new(bytes))
}
