//! The client's side of a session with the ethernet driver.
//!
//! A client buys a [`TransmitSegment`] and attaches with it. Receiving shows frames one after the
//! other where they lie in the receive segment (read them through [`Session::receive_memory`]: the
//! memory can vanish), each in one piece or, where frames are longer than a page, in several; each is
//! given back when it was used. Sending fills the next buffer and says how
//! long the frame is. Nothing reaches the driver before [`Session::flush`].
//!
//! The driver is taken for reliable, as far as the client's own memory isn't concerned: what it says
//! is bounded before it is used, so that a broken one ends the session, not the client.

mod attach;
mod receive;
mod send;

use abi::error::EAGAIN;
use sys::{Error, Fault, Mem};

use crate::layout::STATISTICS;
use crate::mac::Mac;
use crate::port::Into;
use crate::program::Program;
pub use crate::segment::TransmitSegment;
use crate::statistics::{Counter, Counters};
pub use receive::Frame;
use receive::Receiver;
use send::Sender;

/// Why a session can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its memory is gone: the session's bank was destroyed, or the driver died.
    Revoked,
    /// The driver said what it can't honestly say.
    Broken,
}

impl core::fmt::Display for Lost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Lost::Revoked => "the session's memory was taken back",
            Lost::Broken => "the driver breaks the protocol",
        })
    }
}

impl core::error::Error for Lost {}

impl From<ring::Error> for Lost {
    fn from(error: ring::Error) -> Lost {
        match error {
            ring::Error::Fault(Fault::Revoked) => Lost::Revoked,
            _ => Lost::Broken,
        }
    }
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Lost {
        match fault {
            Fault::Revoked => Lost::Revoked,
            Fault::OutOfRange => Lost::Broken,
        }
    }
}

/// An attached port.
pub struct Session<P: Program> {
    transmit_memory: P::Own,
    receive_memory: P::Shared,
    receiver: Receiver,
    sender: Sender,
    frame_limit: u32,
    mac: Mac,
    place: P::Place,
    caps: Into,
}

impl<P: Program> Session<P> {
    /// The port's address.
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// Longest frame that comes, header and payload.
    pub const fn frame_limit(&self) -> u32 {
        self.frame_limit
    }

    /// Longest frame that can be sent: as long as those that come, or less where the transmit segment
    /// has few pages.
    pub const fn send_limit(&self) -> u32 {
        self.sender.frame_limit()
    }

    /// Receive pages there are.
    pub const fn receive_pages(&self) -> u32 {
        self.receiver.pages()
    }

    /// The receive segment. It can vanish.
    pub const fn receive_memory(&self) -> &P::Shared {
        &self.receive_memory
    }

    /// The transmit segment.
    pub const fn transmit_memory(&self) -> &P::Own {
        &self.transmit_memory
    }

    /// The session's capabilities.
    pub const fn caps(&self) -> &Into {
        &self.caps
    }

    /// The next received frame.
    ///
    /// # Errors
    /// The session is lost.
    #[inline]
    pub fn receive(&mut self) -> Result<Option<Frame>, Lost> {
        self.receiver.receive(&self.receive_memory)
    }

    /// Gives a frame's memory back.
    #[inline]
    pub fn give_back(&mut self, frame: Frame) {
        self.receiver.give_back(&frame);
    }

    /// How many frames can be sent now.
    ///
    /// # Errors
    /// The session is lost.
    #[inline]
    pub fn room(&mut self) -> Result<u32, Lost> {
        self.sender.room(&self.receive_memory)
    }

    /// Where the buffer of the next frame lies in the transmit segment: as many bytes as the
    /// [longest](Session::send_limit) has. It can be written while there is [room](Session::room).
    #[inline]
    pub const fn buffer(&self) -> usize {
        self.sender.buffer()
    }

    /// Sends the first `length` bytes of the buffer. `false`: there is no room, or the frame is too
    /// long; nothing was sent.
    ///
    /// # Errors
    /// The session is lost.
    #[inline]
    pub fn send(&mut self, length: u32) -> Result<bool, Lost> {
        self.sender.send(&self.transmit_memory, length)
    }

    /// Shows the driver what was sent, read and given back, and wakes it if it wants to be.
    ///
    /// # Errors
    /// The session is lost.
    pub fn flush(&mut self, program: &P) -> Result<(), Lost> {
        let (own, peer) = (&self.transmit_memory, &self.receive_memory);
        self.receiver.publish(own, peer)?;
        if self.sender.publish(own, peer)? {
            self.kick(program);
        }
        Ok(())
    }

    fn kick(&self, program: &P) {
        // A driver that is gone shows itself by the memory that it took along.
        let _ = self.caps.kick.signal(program.sys());
    }

    /// Asks to be notified when a frame comes and, if `room`, when half of what is under way has left.
    /// `true`: that is so already, so don't wait. To be called after [`Session::flush`].
    ///
    /// # Errors
    /// The session is lost.
    pub fn ask(&mut self, program: &P, room: bool) -> Result<bool, Lost> {
        let (own, peer) = (&self.transmit_memory, &self.receive_memory);
        let ready = self.receiver.ask(own, peer)?;
        match room && !ready {
            true => self.ask_room(program),
            false => Ok(ready),
        }
    }

    /// Asks to be notified when half of what is under way has left, whatever may have come: for who
    /// can't take frames before. Otherwise as [`Session::ask`].
    ///
    /// # Errors
    /// The session is lost.
    pub fn ask_room(&mut self, program: &P) -> Result<bool, Lost> {
        let (own, peer) = (&self.transmit_memory, &self.receive_memory);
        let ready = self.sender.ask(own, peer)?;
        if !ready {
            // The driver polls for what has left only while somebody wants to know.
            self.kick(program);
        }
        Ok(ready)
    }

    /// What the driver counted for this port. If it was asked too often, it is what was told last.
    ///
    /// # Errors
    /// The session is lost.
    pub fn statistics(&self, program: &P) -> Result<Counters, Lost> {
        match self.caps.link.statistics(program.sys()) {
            Ok(()) => {}
            Err(error) if error == Error::new(EAGAIN) => {}
            Err(_) => return Err(Lost::Revoked),
        }
        let mut counters = Counters::new();
        for (n, counter) in Counter::ALL.iter().enumerate() {
            let value = self
                .receive_memory
                .load_u64(STATISTICS + 8 * n)
                .map_err(ring::Error::from)?;
            counters.set(*counter, value);
        }
        Ok(counters)
    }

    /// Receives frames to a group, or no longer.
    ///
    /// # Errors
    /// As for [`Link::subscribe`].
    pub fn subscribe(&self, program: &P, group: Mac, wanted: bool) -> Result<(), Error> {
        let link = self.caps.link;
        match wanted {
            true => link.subscribe(program.sys(), group),
            false => link.unsubscribe(program.sys(), group),
        }
    }

    /// Ends the session. When it returns, the bank has its pages back, or the driver is gone.
    pub fn detach(self, program: &P) {
        let _ = self.caps.link.detach(program.sys());
        program.unmap(self.place);
        for slot in [
            self.caps.segment.address(),
            self.caps.link.address(),
            self.caps.kick.address(),
            self.caps.bank.address(),
        ] {
            program.give_slot(slot);
        }
    }
}
