//! HTTP/1.1 (RFC 9110, 9112), as much as a server of pages needs: GET and HEAD, connections that
//! stay, requests that come before the answer to the one before.
//!
//! Buffers are of fixed size and made with the session: a request's head that doesn't fit is refused,
//! an answer's text is cut. Bytes of `/bytes/N` are made in the socket's own buffer.

pub mod bytes;
pub mod page;
pub mod request;
pub mod response;

use alloc::vec::Vec;

use super::{Next, Socket, Visit, discard, peer_is_done};
use request::{Parsed, parse};
use response::{Body, respond};

/// Longest head of a request.
pub const MAX_HEAD: usize = 8 * 1024;
/// Longest first line of a request.
pub const MAX_LINE: usize = 4 * 1024;
/// Most header fields of a request.
pub const MAX_FIELDS: usize = 64;
/// Room for an answer's head and text.
const OUT: usize = 12 * 1024;

/// A connection that speaks HTTP.
pub struct Http {
    /// What was received and not yet understood begins at `taken`.
    input: Vec<u8>,
    taken: usize,
    /// Whether a line ended since a request was last looked for.
    fresh: bool,
    /// Head and text of the answer; sent as far as `sent`.
    out: Vec<u8>,
    sent: usize,
    /// The part of `/bytes/N` yet to be made.
    place: u64,
    end: u64,
    /// Close after this answer.
    last: bool,
    closed: bool,
}

impl Http {
    /// Bytes of its buffers.
    pub const SIZE: usize = MAX_HEAD + OUT;

    /// A session; `None` where there is no memory for it.
    pub fn new() -> Option<Http> {
        let (mut input, mut out) = (Vec::new(), Vec::new());
        input.try_reserve_exact(MAX_HEAD).ok()?;
        out.try_reserve_exact(OUT).ok()?;
        Some(Http {
            input,
            taken: 0,
            fresh: false,
            out,
            sent: 0,
            place: 0,
            end: 0,
            last: false,
            closed: false,
        })
    }

    /// Makes it as new, without giving its buffers up.
    pub fn reset(&mut self) {
        let (mut input, mut out) = (
            core::mem::take(&mut self.input),
            core::mem::take(&mut self.out),
        );
        input.clear();
        out.clear();
        *self = Http {
            input,
            taken: 0,
            fresh: false,
            out,
            sent: 0,
            place: 0,
            end: 0,
            last: false,
            closed: false,
        };
    }

    /// Answers what can be answered.
    pub fn run(&mut self, socket: &mut Socket, visit: &mut Visit) -> Next {
        loop {
            if self.closed {
                // Whatever still comes is of no interest, but it must not meet a reset before our
                // answer was read.
                discard(socket);
                return match socket.send_queue() {
                    0 => Next::Hurry,
                    _ => Next::Wait,
                };
            }
            if !self.flush(socket) {
                return Next::Wait;
            }
            if self.last {
                socket.close();
                self.closed = true;
                continue;
            }
            self.receive(socket);
            let parsed = if core::mem::take(&mut self.fresh) || self.is_full() {
                parse(&self.input[self.taken..])
            } else {
                Parsed::Partial
            };
            let (length, request) = match parsed {
                Parsed::Partial if peer_is_done(socket) => {
                    // Half a request, or none: there will be no other.
                    self.last = true;
                    continue;
                }
                Parsed::Partial if self.input.len() == self.taken => return Next::Wait,
                Parsed::Partial => return Next::Hurry,
                Parsed::Request(length, request) => (length, Ok(request)),
                Parsed::Refused(refusal) => (0, Err(refusal)),
            };
            let body = respond(request, &visit.report, OUT, &mut self.out);
            self.taken += length;
            // What follows may be a whole request already.
            self.fresh = true;
            self.sent = 0;
            self.last = body.last;
            (self.place, self.end) = match body.body {
                Body::Text => (0, 0),
                Body::Bytes(length) => (0, length),
            };
            visit.requests += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.input.len() - self.taken >= MAX_HEAD
    }

    /// Takes what was received, as far as there is room.
    fn receive(&mut self, socket: &mut Socket) {
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
        while socket.can_recv() {
            if self.input.len() == MAX_HEAD {
                if self.taken == 0 {
                    break;
                }
                self.input.drain(..self.taken);
                self.taken = 0;
            }
            let room = MAX_HEAD - self.input.len();
            let Http { input, fresh, .. } = self;
            let taken = socket.recv(|bytes| {
                let bytes = &bytes[..bytes.len().min(room)];
                *fresh |= bytes.contains(&b'\n');
                input.extend_from_slice(bytes);
                (bytes.len(), bytes.len())
            });
            if !matches!(taken, Ok(1..)) {
                break;
            }
        }
    }

    /// Puts the answer into the socket's buffer; whether all of it is there.
    fn flush(&mut self, socket: &mut Socket) -> bool {
        // Full segments while there is more to come, the rest without waiting for anything.
        let mut whole = true;
        while self.sent < self.out.len() {
            match socket.send_slice(&self.out[self.sent..]) {
                Ok(length @ 1..) => self.sent += length,
                _ => {
                    whole = false;
                    break;
                }
            }
        }
        while whole && self.place < self.end {
            let (place, left) = (self.place, self.end - self.place);
            let made = socket.send(|into| {
                let length = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes::fill(place, &mut into[..length]);
                (length, length)
            });
            match made {
                Ok(length @ 1..) => self.place += length as u64,
                _ => whole = false,
            }
        }
        socket.set_nagle_enabled(!whole);
        if whole {
            self.out.clear();
            self.sent = 0;
        }
        whole
    }
}
