//! A host on the guest's wire that does nothing but send UDP echoes, and so costs little itself.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::frames::{self, Ends, ether_type, protocol};
use crate::network::Network;

/// The echo service's port (RFC 862).
const ECHO: u16 = 7;

/// The host's own port.
const PORT: u16 = 49_152;

/// Longest frame that is read, in bytes: more than this host ever asks for.
const LONGEST: usize = 2048;

/// How long a frame may wait for the guest's card to take it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A host that sends echoes to one user.
#[derive(Debug)]
pub struct EchoLoad {
    socket: UnixDatagram,
    guest: PathBuf,
    ends: Ends<Ipv4Addr>,
    /// The frame that is sent.
    request: Vec<u8>,
    /// The data in it.
    data: Vec<u8>,
}

impl EchoLoad {
    /// Takes the host's end of a wire ([`Network::wire`]). Made before QEMU starts.
    ///
    /// # Errors
    /// The network is no wire, or its socket can't be made.
    pub fn open(network: &Network, ends: Ends<Ipv4Addr>, data: &[u8]) -> Result<EchoLoad> {
        let Network::Dgram(guest, host) = network else {
            bail!("echoes are sent over a wire of datagrams only");
        };
        let socket = bind(host)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(EchoLoad {
            socket,
            guest: guest.clone(),
            ends,
            request: frames::udp4(&ends, PORT, ECHO, data),
            data: data.to_vec(),
        })
    }

    /// Sends an echo now and then until one is answered: the user is up. `runs` says whether the
    /// guest still runs.
    ///
    /// # Errors
    /// None is within the time, or the guest has ended.
    pub fn wait_up(&self, within: Duration, mut runs: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if !runs()? {
                bail!("the guest has ended");
            }
            // While nobody listens, or nobody takes frames, there is nothing to do but wait.
            let _ = self.socket.send_to(&self.request, &self.guest);
            if self.answered(Instant::now() + Duration::from_millis(100))? {
                // Answers to earlier ones would count for later ones.
                while self.answered(Instant::now() + Duration::from_millis(100))? {}
                return Ok(());
            }
        }
        bail!(
            "{} answered no echo within {} s",
            self.ends.to_ip,
            within.as_secs()
        )
    }

    /// Sends `count` echoes, `outstanding` of them unanswered at a time.
    ///
    /// # Errors
    /// Not all are answered within the time.
    pub fn run(&self, count: u32, outstanding: u32, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < outstanding {
                self.socket
                    .send_to(&self.request, &self.guest)
                    .context("the guest's network card takes no frames")?;
                sent += 1;
            }
            if !self.answered(deadline)? {
                bail!("{answered} of {sent} echoes came back");
            }
            answered += 1;
        }
        Ok(())
    }

    /// Waits for an answer, and says where this host is when it is asked meanwhile.
    fn answered(&self, deadline: Instant) -> Result<bool> {
        let mut frame = [0; LONGEST];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of nothing would mean for ever.
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            let length = match self.socket.recv(&mut frame) {
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the wire is cut"),
            };
            let frame = &frame[..length];
            if is_answer(frame, &self.ends, &self.data) {
                return Ok(true);
            }
            if asks_for(frame, self.ends.from_ip) {
                let Ends {
                    from,
                    from_ip,
                    to,
                    to_ip,
                } = self.ends;
                let reply = frames::arp_reply(from, from_ip, to, to_ip);
                let _ = self.socket.send_to(&reply, &self.guest);
            }
        }
    }
}

fn bind(path: &Path) -> Result<UnixDatagram> {
    UnixDatagram::bind(path).with_context(|| format!("can't bind {}", path.display()))
}

/// Whether a frame brings an echo of `data` back.
fn is_answer(frame: &[u8], ends: &Ends<Ipv4Addr>, data: &[u8]) -> bool {
    let Some((from, to, protocol::UDP, datagram)) = frames::ipv4_parts(frame) else {
        return false;
    };
    let ports = [ECHO.to_be_bytes(), PORT.to_be_bytes()].concat();
    (from, to) == (ends.to_ip, ends.from_ip)
        && datagram.get(..4) == Some(&ports[..])
        && datagram.get(8..) == Some(data)
}

/// Whether a frame asks by ARP who has this address.
fn asks_for(frame: &[u8], ip: Ipv4Addr) -> bool {
    let message = frames::payload(frame);
    frames::kind(frame) == Some(ether_type::ARP)
        && message.get(6..8) == Some(&[0, 1])
        && message.get(24..28) == Some(&ip.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends<Ipv4Addr> {
        Ends {
            from: [2, 0, 0, 0, 0, 1],
            from_ip: Ipv4Addr::new(10, 0, 2, 2),
            to: [2, 0, 0, 0, 0, 2],
            to_ip: Ipv4Addr::new(10, 0, 2, 21),
        }
    }

    fn back() -> Ends<Ipv4Addr> {
        let Ends {
            from,
            from_ip,
            to,
            to_ip,
        } = ends();
        Ends {
            from: to,
            from_ip: to_ip,
            to: from,
            to_ip: from_ip,
        }
    }

    /// Answers echoes, after having asked where the sender is; `swallow` of them not at all.
    fn echo(wire: &Network, count: u32, swallow: u32) -> std::thread::JoinHandle<bool> {
        let Network::Dgram(guest, host) = wire.clone() else {
            unreachable!("a wire");
        };
        let socket = bind(&guest).unwrap();
        std::thread::spawn(move || {
            let mut frame = [0; LONGEST];
            let asked = frames::arp_request(back().from, back().from_ip, ends().from_ip);
            socket.send_to(&asked, &host).unwrap();
            let (mut seen, mut told) = (0, false);
            while seen < count || !told {
                let length = socket.recv(&mut frame).unwrap();
                if frames::arp_answer(&frame[..length], ends().from_ip).is_some() {
                    told = true;
                    continue;
                }
                seen += 1;
                if seen > swallow {
                    let answer = frames::udp4(&back(), ECHO, PORT, b"data");
                    socket.send_to(&answer, &host).unwrap();
                }
            }
            told
        })
    }

    #[test]
    fn all_echoes_are_sent_and_the_guest_is_told_where_the_host_is() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Network::wire(folder.path());
        let load = EchoLoad::open(&wire, ends(), b"data").unwrap();
        let guest = echo(&wire, 100, 0);
        load.run(100, 7, Duration::from_secs(20)).unwrap();
        // The question came before the first answer, so it has been answered.
        assert!(guest.join().unwrap());
    }

    #[test]
    fn an_echo_that_is_lost_is_an_error_and_not_a_cheaper_round() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Network::wire(folder.path());
        let load = EchoLoad::open(&wire, ends(), b"data").unwrap();
        let guest = echo(&wire, 10, 1);
        let error = load.run(10, 10, Duration::from_millis(500)).unwrap_err();
        assert_eq!(error.to_string(), "9 of 10 echoes came back");
        guest.join().unwrap();
    }

    #[test]
    fn a_guest_that_has_ended_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let load = EchoLoad::open(&Network::wire(folder.path()), ends(), b"data").unwrap();
        let start = Instant::now();
        let patience = Duration::from_secs(60);
        load.wait_up(patience, || Ok(false)).unwrap_err();
        assert!(start.elapsed() < patience / 2);
    }

    #[test]
    fn only_the_answer_counts() {
        let answer = frames::udp4(&back(), ECHO, PORT, b"data");
        assert!(is_answer(&answer, &ends(), b"data"));
        for other in [
            frames::udp4(&back(), ECHO, PORT, b"dat0"),
            frames::udp4(&back(), ECHO + 1, PORT, b"data"),
            frames::udp4(&ends(), ECHO, PORT, b"data"),
            answer[..40].to_vec(),
            Vec::new(),
        ] {
            assert!(!is_answer(&other, &ends(), b"data"), "{other:?}");
        }
    }
}
