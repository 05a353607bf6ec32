//! The client's side of a session with the ethernet driver.
//!
//! A client buys a [`TransmitSegment`] and attaches with it. Receiving shows frames one after the
//! other where they lie in the receive segment (read them through [`Session::receive_memory`]: the
//! memory can vanish); each is given back when it was used. Sending fills the next buffer and says how
//! long the frame is. Nothing reaches the driver before [`Session::flush`].
//!
//! The driver is taken for reliable, as far as the client's own memory isn't concerned: what it says
//! is bounded before it is used, so that a broken one ends the session, not the client.

use alloc::collections::VecDeque;

use abi::PAGE_SIZE;
use abi::cap::{CapAddr, Rights};
use ring::{CAPACITY, Consumer, Descriptor, Producer};
use sys::bank::Bank;
use sys::object::Notify;
use sys::{Cap, Error, Fault, Mem};

use crate::layout::{
    FILLED, FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE, RETURNED, STATISTICS, TRANSMIT,
};
use crate::mac::Mac;
use crate::port::{AttachError, Into, Link, Offer, Port};
use crate::program::Program;
use crate::refusal::Refusal;
pub use crate::segment::TransmitSegment;
use crate::statistics::{Counter, Counters};

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

/// A received frame, until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    page: u32,
    offset: u32,
    length: u32,
}

impl Frame {
    /// Where it starts in the receive segment.
    #[inline]
    pub const fn offset(&self) -> usize {
        self.page as usize * PAGE_SIZE + self.offset as usize
    }

    /// Its bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it has no bytes; the driver delivers no such frame.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// An attached port.
pub struct Session<P: Program> {
    transmit_memory: P::Own,
    receive_memory: P::Shared,
    filled: Consumer,
    returned: Producer,
    transmit: Producer,
    /// Returns that aren't in the ring yet: page and count, merged by page where they meet.
    owed: VecDeque<(u32, u32)>,
    /// Next transmit buffer, and how many there are: used in a circle, as they come back in order.
    buffer: u32,
    buffers: u32,
    buffer_bytes: u32,
    receive_pages: u32,
    frame_limit: u32,
    mac: Mac,
    place: P::Place,
    caps: Into,
}

impl<P: Program> Session<P> {
    /// Attaches to a port. The session's receive pages are paid by `bank`; `notify` is signalled when
    /// the session was [asked](Session::ask).
    ///
    /// # Errors
    /// The driver's refusal; what slots and places say.
    pub fn attach(
        program: &P,
        port: Port,
        bank: Cap<Bank>,
        segment: &TransmitSegment<P>,
        receive_pages: u16,
        notify: Cap<Notify>,
    ) -> Result<Self, AttachError> {
        let local = |status| AttachError {
            status,
            refusal: Refusal::Unknown,
        };
        let mut slots = Slots::<P, 5> {
            program,
            taken: [0; 5],
        };
        slots.fill().map_err(local)?;
        let [receive, link, kick, session_bank, offered] = slots.taken;
        let caps = Into {
            segment: Cap::at(receive),
            link: Link::at(link),
            kick: Cap::at(kick),
            bank: Cap::at(session_bank),
        };
        let transmit_memory = program.own(segment.place());
        let rings = (
            Consumer::new(FILLED, 0),
            Producer::new(RETURNED, 0),
            Producer::new(TRANSMIT, 0),
        );
        let begun = rings
            .0
            .begin(&transmit_memory)
            .and_then(|()| rings.1.begin(&transmit_memory))
            .and_then(|()| rings.2.begin(&transmit_memory));
        begun.map_err(|_| local(Error::new(abi::error::EFAULT)))?;
        // The driver reads the segment and pins it; it need not write.
        let (into, index) = program.table_of(offered);
        let rights = Rights::READ | Rights::PIN;
        into.put(program.sys(), index, segment.table().address(), rights)
            .map_err(local)?;
        let offer = Offer {
            bank,
            segment: Cap::at(offered),
            notify,
            transmit_pages: segment.pages(),
            receive_pages,
        };
        let attached = port.attach(program.sys(), &offer, &caps)?;
        let place = program
            .map(caps.segment, Rights::READ)
            .inspect_err(|_| {
                // The session is of no use; if the driver is gone, so is the session.
                let _ = caps.link.detach(program.sys());
            })
            .map_err(local)?;
        program.give_slot(offered);
        slots.taken = [0; 5];
        let buffer_bytes = match attached.frame_limit as usize <= PAGE_SIZE / 2 {
            true => PAGE_SIZE as u32 / 2,
            false => PAGE_SIZE as u32,
        };
        let (filled, returned, transmit) = rings;
        Ok(Session {
            receive_memory: program.shared(&place),
            transmit_memory,
            filled,
            returned,
            transmit,
            owed: VecDeque::new(),
            buffer: 0,
            buffers: segment.pages() as u32 * (PAGE_SIZE as u32 / buffer_bytes),
            buffer_bytes,
            receive_pages: attached.receive_pages as u32,
            frame_limit: attached.frame_limit,
            mac: attached.mac,
            place,
            caps,
        })
    }

    /// The port's address.
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// Longest frame, header and payload.
    pub const fn frame_limit(&self) -> u32 {
        self.frame_limit
    }

    /// Receive pages there are.
    pub const fn receive_pages(&self) -> u32 {
        self.receive_pages
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
        if self.filled.available() == 0 && self.filled.refresh(&self.receive_memory)? == 0 {
            return Ok(None);
        }
        let Some(entry) = self.filled.pop(&self.receive_memory)? else {
            return Ok(None);
        };
        self.filled.release(1);
        let Descriptor {
            page,
            offset,
            length,
            ..
        } = entry;
        let fits = offset as usize <= PAGE_SIZE && length as usize <= PAGE_SIZE - offset as usize;
        if !fits || page.wrapping_sub(FIRST_RECEIVE_PAGE) >= self.receive_pages {
            return Err(Lost::Broken);
        }
        Ok(Some(Frame {
            page,
            offset,
            length,
        }))
    }

    /// Gives a frame's memory back.
    #[inline]
    pub fn give_back(&mut self, frame: Frame) {
        // Frames of one page come one after the other, and mostly go so.
        match self.owed.back_mut() {
            Some((page, count)) if *page == frame.page => *count += 1,
            _ => self.owed.push_back((frame.page, 1)),
        }
    }

    /// How many frames can be sent now.
    ///
    /// # Errors
    /// The session is lost.
    #[inline]
    pub fn room(&mut self) -> Result<u32, Lost> {
        match self.known_room() {
            0 => {
                self.transmit.refresh(&self.receive_memory)?;
                Ok(self.known_room())
            }
            room => Ok(room),
        }
    }

    #[inline]
    const fn known_room(&self) -> u32 {
        let room = self.transmit.room();
        let held = CAPACITY - room;
        let free = self.buffers.saturating_sub(held);
        if free < room { free } else { room }
    }

    /// Where the buffer of the next frame lies in the transmit segment. It can be written while there
    /// is [room](Session::room).
    #[inline]
    pub const fn buffer(&self) -> usize {
        FIRST_TRANSMIT_PAGE as usize * PAGE_SIZE + self.buffer as usize * self.buffer_bytes as usize
    }

    /// Sends the first `length` bytes of the buffer. `false`: there is no room, or the frame is too
    /// long; nothing was sent.
    ///
    /// # Errors
    /// The session is lost.
    #[inline]
    pub fn send(&mut self, length: u32) -> Result<bool, Lost> {
        if self.known_room() == 0 || length > self.frame_limit || length > self.buffer_bytes {
            return Ok(false);
        }
        let start = self.buffer();
        let descriptor = Descriptor {
            page: (start / PAGE_SIZE) as u32,
            offset: (start % PAGE_SIZE) as u32,
            length,
            flags: 0,
        };
        self.transmit.push(&self.transmit_memory, descriptor)?;
        self.buffer += 1;
        if self.buffer == self.buffers {
            self.buffer = 0;
        }
        Ok(true)
    }

    /// Shows the driver what was sent, read and given back, and wakes it if it wants to be.
    ///
    /// # Errors
    /// The session is lost.
    pub fn flush(&mut self, program: &P) -> Result<(), Lost> {
        if self.filled.unpublished() {
            self.filled.publish(&self.transmit_memory)?;
        }
        self.flush_returns()?;
        if self.transmit.unpublished() {
            self.transmit.publish(&self.transmit_memory)?;
            if self
                .transmit
                .must_notify(&self.transmit_memory, &self.receive_memory)?
            {
                self.kick(program);
            }
        }
        Ok(())
    }

    fn flush_returns(&mut self) -> Result<(), Lost> {
        while let Some((page, count)) = self.owed.front().copied() {
            if self.returned.room() == 0 && self.returned.refresh(&self.receive_memory)? == 0 {
                break;
            }
            let descriptor = Descriptor {
                page,
                length: count,
                ..Descriptor::default()
            };
            self.returned.push(&self.transmit_memory, descriptor)?;
            self.owed.pop_front();
        }
        if self.returned.unpublished() {
            self.returned.publish(&self.transmit_memory)?;
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
        let ready = self
            .filled
            .ask(&self.transmit_memory, &self.receive_memory)?;
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
        let held = CAPACITY - self.transmit.room();
        let ready = self
            .transmit
            .ask(&self.transmit_memory, &self.receive_memory, held / 2)?;
        if !ready {
            // The driver polls for what has left only while somebody wants to know.
            self.kick(program);
        }
        Ok(ready)
    }

    /// What the driver counted for this port.
    ///
    /// # Errors
    /// The session is lost.
    pub fn statistics(&self, program: &P) -> Result<Counters, Lost> {
        self.caps
            .link
            .statistics(program.sys())
            .map_err(|_| Lost::Revoked)?;
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

/// Slots that are given back unless taken over.
struct Slots<'a, P: Program, const N: usize> {
    program: &'a P,
    taken: [CapAddr; N],
}

impl<P: Program, const N: usize> Slots<'_, P, N> {
    fn fill(&mut self) -> Result<(), Error> {
        for slot in &mut self.taken {
            *slot = self.program.take_slot()?;
        }
        Ok(())
    }
}

impl<P: Program, const N: usize> Drop for Slots<'_, P, N> {
    fn drop(&mut self) {
        for slot in self.taken {
            if slot != abi::cap::NONE {
                self.program.give_slot(slot);
            }
        }
    }
}
