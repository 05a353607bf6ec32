//! TCP on the peer's side.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

use super::Peer;
use crate::environment::limit;

/// Buffer of each direction, in bytes.
const BUFFER: usize = 256 << 10;

/// A connection of a [`Peer`]'s. It is the peer's to use and to close.
#[derive(Debug)]
pub struct TcpStream {
    handle: SocketHandle,
    to: SocketAddr,
}

impl Peer {
    fn stream(&mut self, stream: &TcpStream) -> &mut Socket<'static> {
        self.sockets.get_mut::<Socket>(stream.handle)
    }

    /// Starts to connect; does not wait. [`Peer::tcp_connect`] does.
    ///
    /// # Errors
    /// There is no way to there.
    pub fn tcp_start(&mut self, to: SocketAddr) -> Result<TcpStream> {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        // A peer must not be what makes the guest look slow.
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        let port = self.port();
        socket
            .connect(self.interface.context(), to, port)
            .with_context(|| format!("there is no way to {to}"))?;
        Ok(TcpStream {
            handle: self.sockets.add(socket),
            to,
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// Refused, or not accepted within the time.
    pub fn tcp_connect(&mut self, to: SocketAddr, within: Duration) -> Result<TcpStream> {
        let stream = self.tcp_start(to)?;
        let connected = self.poll_until(Instant::now() + limit(within), |peer| {
            match peer.stream(&stream).state() {
                State::SynSent | State::SynReceived => Ok(None),
                State::Closed => bail!("{to} refused the connection"),
                _ => Ok(Some(())),
            }
        });
        match connected {
            Ok(Some(())) => Ok(stream),
            Ok(None) => {
                self.tcp_abort(stream);
                bail!("{to} did not accept a connection in time")
            }
            Err(error) => {
                self.sockets.remove(stream.handle);
                Err(error)
            }
        }
    }

    /// Sends everything; waits until the other side has acknowledged it all.
    ///
    /// # Errors
    /// The connection ends, or the time does.
    pub fn tcp_send(&mut self, stream: &TcpStream, data: &[u8], within: Duration) -> Result<()> {
        let mut sent = 0;
        let done = self.poll_until(Instant::now() + limit(within), |peer| {
            let socket = peer.stream(stream);
            if !socket.may_send() {
                bail!("{} ended the connection", stream.to);
            }
            sent += socket
                .send_slice(&data[sent..])
                .context("the socket may send")?;
            Ok((sent == data.len() && socket.send_queue() == 0).then_some(()))
        })?;
        done.with_context(|| {
            format!(
                "{}: took only {sent} of {} bytes in time",
                stream.to,
                data.len()
            )
        })
    }

    /// Receives exactly so many bytes.
    ///
    /// # Errors
    /// The connection ends before, or the time does.
    pub fn tcp_receive(
        &mut self,
        stream: &TcpStream,
        count: usize,
        within: Duration,
    ) -> Result<Vec<u8>> {
        let (data, ended) = self.gather(stream, within, |data| data.len() >= count, count)?;
        match (data.len() == count, ended) {
            (true, _) => Ok(data),
            (false, true) => {
                bail!(
                    "{} ended the connection after {} of {count} bytes",
                    stream.to,
                    data.len()
                )
            }
            (false, false) => {
                bail!(
                    "{}: only {} of {count} bytes in time",
                    stream.to,
                    data.len()
                )
            }
        }
    }

    /// Receives until what came ends in `end`.
    ///
    /// # Errors
    /// The connection ends before, or the time does.
    pub fn tcp_receive_until(
        &mut self,
        stream: &TcpStream,
        end: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>> {
        // Byte by byte, so as not to take what comes after.
        let (data, _) = self.gather(stream, within, |data| data.ends_with(end), 1)?;
        if !data.ends_with(end) {
            bail!(
                "{}: {end:?} did not come, but {} bytes",
                stream.to,
                data.len()
            );
        }
        Ok(data)
    }

    /// Receives until the other side closes.
    ///
    /// # Errors
    /// It does not in time.
    pub fn tcp_receive_to_end(&mut self, stream: &TcpStream, within: Duration) -> Result<Vec<u8>> {
        let (data, ended) = self.gather(stream, within, |_| false, BUFFER)?;
        if !ended {
            bail!(
                "{} did not close in time ({} bytes came)",
                stream.to,
                data.len()
            );
        }
        Ok(data)
    }

    fn gather(
        &mut self,
        stream: &TcpStream,
        within: Duration,
        enough: impl Fn(&[u8]) -> bool,
        at_once: usize,
    ) -> Result<(Vec<u8>, bool)> {
        let mut data = Vec::new();
        let mut piece = vec![0; at_once.clamp(1, BUFFER)];
        let ended = self.poll_until(Instant::now() + limit(within), |peer| {
            let socket = peer.stream(stream);
            loop {
                if enough(&data) {
                    return Ok(Some(false));
                }
                let room = match at_once {
                    1 => 1,
                    count => count.saturating_sub(data.len()).clamp(1, piece.len()),
                };
                if !socket.can_recv() {
                    break;
                }
                let count = socket
                    .recv_slice(&mut piece[..room])
                    .context("there is data")?;
                data.extend_from_slice(&piece[..count]);
            }
            Ok((!socket.may_recv()).then_some(true))
        })?;
        Ok((data, ended.unwrap_or(false)))
    }

    /// Closes in good order, and waits until the other side has closed too.
    ///
    /// # Errors
    /// It does not in time.
    pub fn tcp_close(&mut self, stream: TcpStream, within: Duration) -> Result<()> {
        self.stream(&stream).close();
        let closed = self.poll_until(Instant::now() + limit(within), |peer| {
            let state = peer.stream(&stream).state();
            Ok(matches!(state, State::Closed | State::TimeWait).then_some(()))
        });
        self.sockets.remove(stream.handle);
        closed?.with_context(|| format!("{} did not close in time", stream.to))
    }

    /// Resets the connection.
    pub fn tcp_abort(&mut self, stream: TcpStream) {
        self.stream(&stream).abort();
        // Sends the reset.
        let _ = self.poll_until(Instant::now(), |_| Ok(None::<()>));
        self.sockets.remove(stream.handle);
    }

    /// Forgets the connection without a word, as a host that crashed.
    pub fn tcp_forget(&mut self, stream: TcpStream) {
        self.sockets.remove(stream.handle);
    }

    /// Whether the connection is still up.
    pub fn tcp_is_up(&mut self, stream: &TcpStream) -> bool {
        matches!(self.stream(stream).state(), State::Established)
    }
}
