//! Frames on the wire: numbered ones to both clients, and what comes back.

use core::net::Ipv4Addr;

use guest::sweeping::{HEADER, HOST, LONGEST, read, write};
use sys::Mem;

use crate::Failure;
use crate::datagram::{self, Heard};
use crate::rig::Rig;

/// Lengths of frames: from short ones, which are packed into a page, to the longest, which fill buffers.
const LENGTHS: [usize; 4] = [64, 1200, 300, LONGEST];

/// The frames of one client's.
pub struct Stream {
    mac: [u8; 6],
    /// The address of its stack: frames are datagrams then.
    pub address: Option<Ipv4Addr>,
    /// The number of the next frame to it, and of the next one that should come back.
    sent: u64,
    expected: u64,
    /// Frames of lower numbers may be lost.
    excused: u64,
    /// Frames that came from it of its own accord.
    pub own: u64,
    /// Frames that did not come back, though later ones did.
    pub lost: u64,
}

impl Stream {
    /// None yet. Numbers of frames that it sends of its own accord are below the others.
    pub fn new(mac: [u8; 6]) -> Stream {
        Stream {
            mac,
            address: None,
            sent: FIRST,
            expected: FIRST,
            excused: FIRST,
            own: 0,
            lost: 0,
        }
    }

    /// Frames that are still to come back.
    pub fn missing(&self) -> u64 {
        self.sent - self.expected.max(self.excused)
    }

    /// Whatever is under way is gone with a client.
    pub fn forget(&mut self) {
        self.expected = self.sent;
    }

    /// Whatever is under way may be lost with the driver. A stack may yet send some of it, which waited for
    /// an address to be resolved.
    pub fn excuse(&mut self) {
        match self.address {
            None => self.forget(),
            Some(_) => self.excused = self.sent,
        }
    }
}

/// The number of the first frame that is sent to a client.
const FIRST: u64 = 1 << 32;

/// What became of a frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It lies in a buffer.
    Filled,
    /// The buffer was gone.
    Lost,
    /// The driver has posted none, or is gone.
    NoBuffer,
}

impl Rig {
    /// A frame to the witness, or to the victim, arrives: what DMA would do. `false`: the driver has posted
    /// no buffer, or is gone.
    pub fn arrive(&mut self, to_witness: bool) -> Result<bool, Failure> {
        let length = LENGTHS[self.streams[0].sent as usize % LENGTHS.len()];
        self.arrive_with(to_witness, length)
    }

    /// As `arrive`, with a frame of this length.
    pub fn arrive_with(&mut self, to_witness: bool, length: usize) -> Result<bool, Failure> {
        let which = usize::from(!to_witness);
        let stream = &self.streams[which];
        let mut frame = [0; LONGEST];
        let frame = &mut frame[..length];
        match stream.address {
            None => write(frame, stream.mac, HOST, stream.sent),
            Some(address) => datagram::write(frame, stream.mac, address, stream.sent),
        }
        let arrival = self.arrive_frame(frame)?;
        if arrival != Arrival::NoBuffer {
            self.streams[which].sent += 1;
        }
        Ok(arrival == Arrival::Filled)
    }

    /// Any frame arrives.
    pub fn arrive_frame(&mut self, frame: &[u8]) -> Result<Arrival, Failure> {
        let Some(buffer) = self.driver.end.buffer()? else {
            return Ok(Arrival::NoBuffer);
        };
        if buffer.span.length < frame.len() {
            return Err(Failure::Wrong("a posted buffer is too short"));
        }
        let window = self.window(buffer.span.window);
        let written = window.map(|window| window.write(buffer.span.offset, frame));
        if written != Some(Ok(())) {
            return Ok(Arrival::Lost);
        }
        self.driver.end.filled(buffer.token, frame.len())?;
        Ok(Arrival::Filled)
    }

    /// Lets the driver see what was done. When this returns, everybody has done all there was to do.
    pub fn tell(&mut self) -> Result<(), Failure> {
        if self.driver.end.publish()? {
            self.driver.interrupt();
        }
        Ok(())
    }

    /// Takes in what was sent, until nothing more comes.
    pub fn listen(&mut self) -> Result<(), Failure> {
        if self.speak()? {
            self.tell()?;
        }
        while self.driver.end.ask()? {
            let mut frame = [0; LONGEST];
            while let Some(pieces) = self.driver.end.sent()? {
                let mut length = 0;
                for piece in pieces.iter().filter(|piece| piece.length > 0) {
                    let end = length + piece.length;
                    let Some(into) = frame.get_mut(length..end) else {
                        return Err(Failure::Wrong("a frame is too long"));
                    };
                    let Some(window) = self.window(piece.window) else {
                        return Err(Failure::Wrong("the driver names a window that isn't there"));
                    };
                    if window.read(piece.offset, into).is_err() {
                        // The driver died, and its windows with it.
                        return Ok(());
                    }
                    length = end;
                }
                self.hear(&frame[..length])?;
            }
            self.driver.end.carried();
            self.speak()?;
            self.tell()?;
        }
        Ok(())
    }

    /// A frame came. What is wrong with it is wrong even if the driver died meanwhile.
    fn hear(&mut self, frame: &[u8]) -> Result<(), Failure> {
        let heard = self.understand(frame);
        if let Err(Failure::Wrong(what) | Failure::Count(what, ..)) = heard {
            self.misheard = Some(what);
        }
        heard
    }

    /// A frame came: one of those that are expected, the next one of its sender's.
    fn understand(&mut self, frame: &[u8]) -> Result<(), Failure> {
        let from = |stream: &&mut Stream| frame.get(6..HEADER - 2) == Some(&stream.mac);
        let Some(stream) = self.streams.iter_mut().find(from) else {
            return Err(Failure::Wrong("a frame from nobody"));
        };
        let number = match stream.address {
            None => read(frame, HOST, stream.mac),
            Some(address) => match datagram::read(frame, address) {
                Heard::Echo(number) => Some(number),
                Heard::Wrong => None,
                Heard::Other => {
                    self.host.hear(frame);
                    return Ok(());
                }
            },
        };
        let Some(number) = number else {
            return Err(Failure::Wrong("a frame that came back isn't what was sent"));
        };
        if number < FIRST {
            stream.own += 1;
            return Ok(());
        }
        let is_witness = stream.mac == self.witness.mac;
        if number >= stream.sent || number < stream.expected {
            return Err(Failure::Wrong("a frame came back twice, or out of order"));
        }
        let lost = number.saturating_sub(stream.expected.max(stream.excused));
        if is_witness && lost > 0 {
            return Err(Failure::Count("frames of the witness's are lost", lost, 0));
        }
        stream.lost += lost;
        stream.expected = number + 1;
        Ok(())
    }

    /// So many frames to each, in turn, and what comes back: every other pair at once, the others one frame
    /// after the other.
    pub fn traffic(&mut self, frames: u64, to_victim: bool) -> Result<(), Failure> {
        for n in 0..frames {
            self.arrive(true)?;
            if n % 2 == 0 {
                self.tell()?;
            }
            if to_victim {
                self.arrive(false)?;
            }
            self.tell()?;
            self.listen()?;
        }
        Ok(())
    }

    /// So many frames to the witness, each of which finds a buffer.
    pub fn serve_witness(&mut self, frames: u64) -> Result<(), Failure> {
        let before = self.streams[0].sent;
        self.traffic(frames, false)?;
        self.all_arrived(before + frames)
    }

    /// The driver posted a buffer for each frame to the witness.
    fn all_arrived(&self, expected: u64) -> Result<(), Failure> {
        match expected - self.streams[0].sent {
            0 => self.nothing_is_missing(),
            lacking => Err(Failure::Count(
                "frames for which the driver posted no buffer",
                lacking,
                0,
            )),
        }
    }

    /// So many short frames to the witness, as quickly as they can come: each takes a buffer that the driver
    /// posted.
    pub fn drain(&mut self, frames: u64) -> Result<(), Failure> {
        /// Frames that arrive together: no more than the witness has pages for.
        const TOGETHER: u64 = 4;
        let before = self.streams[0].sent;
        for n in 0..frames {
            self.arrive_with(true, LENGTHS[0])?;
            if n % TOGETHER == TOGETHER - 1 {
                self.tell()?;
                self.listen()?;
            }
        }
        self.all_arrived(before + frames)
    }

    /// All of the witness's frames must have come back.
    pub fn nothing_is_missing(&self) -> Result<(), Failure> {
        match self.streams[0].missing() {
            0 => Ok(()),
            missing => Err(Failure::Count(
                "frames of the witness's are missing",
                missing,
                0,
            )),
        }
    }
}
