//! The other end of the guest's network cable: raw ethernet frames, one a datagram.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::environment::limit;

/// Longest frame that is read, in bytes: more than any guest should send.
const LONGEST: usize = 128 << 10;

/// How long a frame may wait for the guest's card to take it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The other end of a guest's network cable.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
    guest: PathBuf,
    /// Read, but not asked for yet.
    waiting: VecDeque<Vec<u8>>,
}

impl Wire {
    /// Takes the end that belongs to [`mk::network::Network::wire`] of the same folder.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn open(folder: &Path) -> Result<Wire> {
        Wire::between(&folder.join("to-host"), &folder.join("to-guest"))
    }

    /// An end that receives at `own` and sends to `other`.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn between(own: &Path, other: &Path) -> Result<Wire> {
        let socket =
            UnixDatagram::bind(own).with_context(|| format!("can't bind {}", own.display()))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire {
            socket,
            guest: other.to_path_buf(),
            waiting: VecDeque::new(),
        })
    }

    /// Sends a frame: as it stands, without a check sequence, of any length.
    ///
    /// # Errors
    /// The guest's card takes no frames, or QEMU is gone.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        match self.socket.send_to(frame, &self.guest) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!(
                    "the guest's network card took no frame for {} s",
                    PATIENCE.as_secs()
                )
            }
            Err(error) => Err(error).context("the wire is cut"),
        }
    }

    /// The next frame from the guest, or none within the time.
    ///
    /// # Errors
    /// The socket fails.
    pub fn receive(&mut self, within: Duration) -> Result<Option<Vec<u8>>> {
        match self.waiting.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.read(limit(within)),
        }
    }

    /// The next frame that `wanted` accepts; others are thrown away.
    ///
    /// # Errors
    /// None came within the time.
    pub fn receive_where(
        &mut self,
        within: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>> {
        let deadline = Instant::now() + limit(within);
        let mut others = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self
                .waiting
                .pop_front()
                .map_or_else(|| self.read(left), |frame| Ok(Some(frame)))?
            {
                Some(frame) if wanted(&frame) => return Ok(frame),
                Some(_) => others += 1,
                None => {
                    bail!(
                        "no such frame within {:.1} s ({others} others)",
                        limit(within).as_secs_f64()
                    )
                }
            }
        }
    }

    /// Listens for the whole time and returns every frame: to see that something does *not* come.
    ///
    /// # Errors
    /// The socket fails.
    pub fn listen(&mut self, time: Duration) -> Result<Vec<Vec<u8>>> {
        let deadline = Instant::now() + time;
        let mut frames: Vec<Vec<u8>> = self.waiting.drain(..).collect();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.read(left)? {
                Some(frame) => frames.push(frame),
                None => return Ok(frames),
            }
        }
    }

    /// Waits until there is a frame to receive; says whether there is.
    pub(crate) fn wait(&mut self, within: Duration) -> Result<bool> {
        if self.waiting.is_empty()
            && let Some(frame) = self.read(within)?
        {
            self.waiting.push_back(frame);
        }
        Ok(!self.waiting.is_empty())
    }

    /// A frame that is there already.
    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        self.waiting
            .pop_front()
            .or_else(|| self.read(Duration::ZERO).ok().flatten())
    }

    fn read(&self, within: Duration) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST];
        // A timeout of nothing would mean for ever.
        self.socket.set_nonblocking(within.is_zero())?;
        if !within.is_zero() {
            self.socket
                .set_read_timeout(Some(within.max(Duration::from_micros(1))))?;
        }
        let received = self.socket.recv(&mut frame);
        self.socket.set_nonblocking(false)?;
        match received {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).context("the wire is cut"),
        }
    }
}
