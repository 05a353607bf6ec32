//! Load on a guest over this host's own sockets: what a client that people use would see.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The services' ports (RFC 862, RFC 863).
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Echo, over UDP.
    pub echo: u16,
    /// Discard, over TCP.
    pub discard: u16,
    /// HTTP with `/bytes/N`.
    pub http: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports {
            echo: 7,
            discard: 9,
            http: 80,
        }
    }
}

/// A guest to be kept busy.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its services.
    pub ports: Ports,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that are written or read at once.
const CHUNK: usize = 128 * 1024;

/// Longest datagram that comes back.
const LONGEST: usize = 65_535;

impl Guest {
    fn echo(&self) -> Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((self.address, self.ports.echo))?;
        Ok(socket)
    }

    fn stream(&self, port: u16) -> Result<TcpStream> {
        let address = SocketAddr::from((self.address, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends an echo now and then until one is answered. `runs` says whether the guest still runs.
    ///
    /// # Errors
    /// None is within the time, or the guest has ended.
    pub fn wait_up(&self, within: Duration, mut runs: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + within;
        let socket = self.echo()?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        while Instant::now() < deadline {
            if !runs()? {
                bail!("the guest has ended");
            }
            // Until somebody is there, the network is unreachable, or nobody answers.
            if socket.send(b"up?").is_ok() && socket.recv(&mut [0; 8]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "{} answered no echo within {} s",
            self.address,
            within.as_secs()
        )
    }

    /// Echoes a second of datagrams with so many bytes, `outstanding` of them unanswered at a time.
    ///
    /// # Errors
    /// An echo is lost, or comes back as another.
    pub fn echoes(&self, bytes: usize, outstanding: u32, time: Duration) -> Result<f64> {
        let socket = self.echo()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let data = vec![0x75; bytes];
        let mut answer = vec![0; LONGEST];
        let start = Instant::now();
        let (mut sent, mut answered) = (0u64, 0u64);
        while sent < outstanding.into() {
            socket.send(&data)?;
            sent += 1;
        }
        while answered < sent {
            let length = match socket.recv(&mut answer) {
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    bail!("{answered} of {sent} echoes came back")
                }
                Err(error) => return Err(error).context("waiting for an echo"),
            };
            ensure!(answer[..length] == data, "another echo than was sent");
            answered += 1;
            if start.elapsed() < time {
                socket.send(&data)?;
                sent += 1;
            }
        }
        Ok(answered as f64 / start.elapsed().as_secs_f64())
    }

    /// Megabits a second that the guest takes over one connection. What counts is what it has taken
    /// when it closes the connection after the end.
    ///
    /// # Errors
    /// The connection ends early, or stalls.
    pub fn send(&self, time: Duration) -> Result<f64> {
        let mut stream = self.stream(self.ports.discard)?;
        let chunk = vec![0x75; CHUNK];
        let start = Instant::now();
        let mut bytes = 0;
        while start.elapsed() < time {
            stream.write_all(&chunk).context("sending")?;
            bytes += chunk.len();
        }
        stream.shutdown(Shutdown::Write)?;
        let left = stream.read(&mut [0; 16]).context("waiting for its end")?;
        ensure!(left == 0, "data from a service that sends none");
        Ok(megabits(bytes, start.elapsed()))
    }

    /// Megabits a second that the guest sends over one connection: the rate of a download that takes
    /// about as long as `time`.
    ///
    /// # Errors
    /// The connection ends early, or stalls; the answer isn't what was asked for.
    pub fn fetch(&self, time: Duration) -> Result<f64> {
        let mut stream = self.stream(self.ports.http)?;
        // More than there is time for.
        let wanted = 1u64 << 40;
        write!(
            stream,
            "GET /bytes/{wanted} HTTP/1.1\r\nHost: guest\r\n\r\n"
        )?;
        let mut chunk = vec![0; CHUNK];
        let first = stream.read(&mut chunk).context("waiting for the answer")?;
        ensure!(
            chunk[..first].starts_with(b"HTTP/1.1 200 "),
            "no download from {}",
            self.address
        );
        let start = Instant::now();
        let mut bytes = 0;
        while start.elapsed() < time {
            let length = stream.read(&mut chunk).context("receiving")?;
            ensure!(length > 0, "the download ended early");
            bytes += length;
        }
        Ok(megabits(bytes, start.elapsed()))
    }
}

fn megabits(bytes: usize, time: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const TIME: Duration = Duration::from_millis(50);

    fn guest(ports: Ports) -> Guest {
        Guest {
            address: Ipv4Addr::LOCALHOST,
            ports,
        }
    }

    /// Answers echoes until one says stop; spoils them if asked to.
    fn echo_server(spoil: bool) -> (Guest, thread::JoinHandle<()>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let echo = socket.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let mut data = [0; 2048];
            loop {
                let (length, from) = socket.recv_from(&mut data).unwrap();
                if &data[..length] == b"stop" {
                    return;
                }
                data[0] ^= u8::from(spoil);
                socket.send_to(&data[..length], from).unwrap();
            }
        });
        let ports = Ports {
            echo,
            ..Ports::default()
        };
        (guest(ports), server)
    }

    fn stop(guest: Guest, server: thread::JoinHandle<()>) {
        guest.echo().unwrap().send(b"stop").unwrap();
        server.join().unwrap();
    }

    #[test]
    fn echoes_are_counted_and_a_spoilt_one_is_an_error() {
        let (guest, server) = echo_server(false);
        guest.wait_up(PATIENCE, || Ok(true)).unwrap();
        assert!(guest.echoes(64, 1, TIME).unwrap() > 1.0);
        assert!(guest.echoes(1400, 8, TIME).unwrap() > 1.0);
        stop(guest, server);
        let (guest, server) = echo_server(true);
        guest.echoes(64, 1, TIME).unwrap_err();
        stop(guest, server);
    }

    #[test]
    fn a_guest_that_has_ended_is_not_waited_for() {
        guest(Ports::default())
            .wait_up(Duration::from_secs(60), || Ok(false))
            .unwrap_err();
    }

    /// A server of one connection.
    fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (u16, thread::JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        (port, server)
    }

    #[test]
    fn what_is_sent_counts_when_all_of_it_was_taken() {
        let (discard, server) = server(|mut stream| {
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        });
        let guest = guest(Ports {
            discard,
            ..Ports::default()
        });
        assert!(guest.send(TIME).unwrap() > 0.0);
        server.join().unwrap();
    }

    #[test]
    fn a_download_that_is_refused_or_breaks_off_is_no_figure() {
        for answer in [
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nbytes",
        ] {
            let (http, server) = server(move |mut stream| {
                let _ = stream.read(&mut [0; 512]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let guest = guest(Ports {
                http,
                ..Ports::default()
            });
            guest.fetch(Duration::from_secs(5)).unwrap_err();
            server.join().unwrap();
        }
    }
}
