//! A session: an attached port's rings, pages and memory.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use abi::cap::CapAddr;
use dev::layout::{FILLED, FIRST_TRANSMIT_PAGE, RETURNED, TRANSMIT};
use dev::program::BANK;
use dev::window::Pinned;
use dev::{Mac, Program};
use ring::{CAPACITY, Consumer, Descriptor, Producer};
use sys::{Mem, Message, Sys};

use crate::flight::Borrowed;
use crate::misbehaviour::{End, Kind};
use crate::pages::ReceivePages;
use crate::receiving::Receiving;
use crate::slots::{Page, SlotNumber};

/// Pieces of this many bytes are what a frame in transmission occupies of its page.
const PIECE_BITS: u32 = 8;

/// A transmit page, pinned for the session.
#[derive(Clone, Copy, Debug)]
pub struct TransmitPage {
    /// Where the device reaches it.
    pub address: u64,
    /// Pieces of it in transmission, one bit each.
    pub busy: u16,
}

/// A frame that a client wants to send, checked: it lies in a transmit page, within it, in memory that
/// is not in transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Index in the `transmit` ring.
    pub sequence: u32,
    /// Transmit page, counted from 0.
    pub page: u16,
    /// Pieces of it, one bit each.
    pub pieces: u16,
    /// First byte in the window.
    pub offset: usize,
    /// Bytes.
    pub length: u32,
}

/// A session. `M` is the transmit memory as whoever serves the session sees it: pinned, so that it can't
/// vanish, or only mapped.
pub struct Session<P: Program, M = <P as Program>::Own> {
    /// Its serial number.
    pub serial: u64,
    /// The receive segment, which may be taken back.
    pub receive: P::Shared,
    /// The transmit segment: the driver's window over it may not.
    pub transmit_memory: M,
    /// Received frames.
    pub filled: Producer,
    /// Pages given back.
    pub returned: Consumer,
    /// Frames to send.
    pub transmit: Consumer,
    /// States of the receive pages.
    pub pages: ReceivePages,
    /// How it receives.
    pub receiving: Receiving,
    /// The transmit pages.
    pub transmit_pages: Vec<TransmitPage>,
    /// Frames that the device or other sessions still need.
    pub in_flight: u32,
    /// Multicast frames on their way to other sessions.
    pub fanouts: u32,
    /// A frame that was read out of the ring, and could not be sent yet.
    pub pending: Option<Outgoing>,
    /// What it may send in this turn, in bytes.
    pub deficit: i64,
    /// It is in the scheduler's queue, or waits for its rate.
    pub scheduled: bool,
    /// There is something to publish.
    pub dirty: bool,
    /// It waits for frames to leave.
    pub awaits_room: bool,
    /// Groups that it subscribed to.
    pub groups: Vec<Mac>,
    /// What it is notified by.
    pub notify: CapAddr,
    /// Frames sent whose ring entries can't be released yet, because an older one is in flight.
    done: [u64; CAPACITY as usize / 64],
    /// What has to be undone when it ends.
    pub assets: Assets<P>,
}

/// What a session is made of, and what has to be undone when it ends.
pub struct Assets<P: Program> {
    /// The session's bank, with the right to destroy it.
    pub bank: Option<CapAddr>,
    /// The receive segment, bought from the driver's bank.
    pub segment: Option<CapAddr>,
    /// Where it is mapped.
    pub place: Option<P::Place>,
    /// What is pinned of the transmit segment.
    pub pins: Vec<Pinned>,
    /// The session's bank, with the right to buy from it.
    pub purse: Option<CapAddr>,
    /// The segment of the hidden pages, bought from the driver's bank.
    pub hidden: Option<CapAddr>,
    /// Slots that receive pages were pinned in, to be unpinned.
    pub slots: Vec<SlotNumber>,
}

impl<P: Program> Default for Assets<P> {
    fn default() -> Assets<P> {
        Assets::new()
    }
}

impl<P: Program> Assets<P> {
    /// Nothing yet.
    pub const fn new() -> Assets<P> {
        Assets {
            bank: None,
            segment: None,
            place: None,
            pins: Vec::new(),
            purse: None,
            hidden: None,
            slots: Vec::new(),
        }
    }

    /// Undoes one thing of all but what is pinned; the order matters. `false`: there was nothing left.
    pub fn undo(&mut self, program: &P) -> bool {
        if let Some(place) = self.place.take() {
            program.unmap(place);
            return true;
        }
        if let Some(bank) = self.bank {
            let destroy = Message::new(&[sys::bank::method::DESTROY]);
            let more = program.sys().call(bank, &destroy).more();
            // Any error means that there is nothing left to destroy: the client was first.
            if !matches!(more, Ok((true, _))) {
                program.give_slot(bank);
                self.bank = None;
            }
            return true;
        }
        if let Some(purse) = self.purse.take() {
            program.give_slot(purse);
        }
        let segments = [self.segment.take(), self.hidden.take()];
        for segment in segments.iter().flatten() {
            // The program's own bank sold it; if that is gone, so is the segment.
            let _ = BANK.sell(program.sys(), *segment);
            program.give_slot(*segment);
        }
        segments != [None; 2]
    }
}

impl<P: Program, M: Mem> Session<P, M> {
    /// A session on fresh memory. The driver's lines are written here.
    ///
    /// # Errors
    /// The memory is gone already.
    pub fn begin(
        serial: u64,
        receive: P::Shared,
        transmit_memory: M,
        pages: ReceivePages,
        notify: CapAddr,
        assets: Assets<P>,
    ) -> Result<Session<P, M>, (End, Assets<P>)> {
        let filled = Producer::new(FILLED, 0);
        let returned = Consumer::new(RETURNED, 0);
        let mut transmit = Consumer::new(TRANSMIT, 0);
        let begun = filled
            .begin(&receive)
            .and_then(|()| returned.begin(&receive))
            .and_then(|()| transmit.begin(&receive))
            // From the first frame on the client wakes the driver.
            .and_then(|()| transmit.ask(&receive, &transmit_memory));
        if let Err(error) = begun {
            return Err((error.into(), assets));
        }
        let transmit_pages = assets
            .pins
            .iter()
            .skip(FIRST_TRANSMIT_PAGE as usize)
            .map(|pin| TransmitPage {
                address: pin.address(),
                busy: 0,
            })
            .collect();
        Ok(Session {
            serial,
            receive,
            transmit_memory,
            filled,
            returned,
            transmit,
            pages,
            receiving: Receiving::new(),
            transmit_pages,
            in_flight: 0,
            fanouts: 0,
            pending: None,
            deficit: 0,
            scheduled: false,
            dirty: false,
            awaits_room: false,
            groups: Vec::new(),
            notify,
            done: [0; CAPACITY as usize / 64],
            assets,
        })
    }

    /// Takes the next frame to send out of the ring, checked. `None`: there is none, as far as is known.
    ///
    /// # Errors
    /// The client misbehaves.
    #[inline]
    pub fn next_outgoing(&mut self) -> Result<Option<Outgoing>, End> {
        let sequence = self.transmit.head();
        match self.transmit.pop(&self.transmit_memory)? {
            None => Ok(None),
            Some(entry) => self
                .check(sequence, entry)
                .map(Some)
                .map_err(End::Misbehaved),
        }
    }

    #[inline]
    fn check(&self, sequence: u32, entry: Descriptor) -> Result<Outgoing, Kind> {
        let page = transmit_page(&entry, self.transmit_pages.len())?;
        let Descriptor {
            page: place,
            offset,
            length,
            flags,
        } = entry;
        if flags != 0 {
            return Err(Kind::TransmitFlags(flags));
        }
        let pieces = pieces(offset, length);
        let busy = self.transmit_pages.get(page as usize).map(|page| page.busy);
        if busy.is_none_or(|busy| busy & pieces != 0) {
            return Err(Kind::TransmitTwice {
                page: place,
                offset,
            });
        }
        Ok(Outgoing {
            sequence,
            page,
            pieces,
            offset: place as usize * PAGE_SIZE + offset as usize,
            length,
        })
    }

    /// Lends a frame's memory to the device, or to a frame on its way to other sessions.
    #[inline]
    pub fn lend(&mut self, port: u16, frame: &Outgoing) -> Borrowed {
        if let Some(page) = self.transmit_pages.get_mut(frame.page as usize) {
            page.busy |= frame.pieces;
        }
        self.in_flight += 1;
        Borrowed {
            port,
            sequence: frame.sequence,
            page: frame.page,
            pieces: frame.pieces,
        }
    }

    /// Gets a frame's memory back.
    #[inline]
    pub fn restore(&mut self, borrowed: &Borrowed) {
        if let Some(page) = self.transmit_pages.get_mut(borrowed.page as usize) {
            page.busy &= !borrowed.pieces;
        }
        self.in_flight -= 1;
        self.finish(borrowed.sequence);
    }

    /// The memory of a frame is no longer needed: its entry is released when all before it are.
    #[inline]
    pub fn finish(&mut self, sequence: u32) {
        let oldest = self.transmit.head().wrapping_sub(self.transmit.held());
        let bit = |index: u32| ((index % CAPACITY / 64) as usize, 1u64 << (index % 64));
        if sequence != oldest {
            let (word, bit) = bit(sequence);
            self.done[word] |= bit;
            return;
        }
        self.transmit.release(1);
        let mut next = oldest.wrapping_add(1);
        while self.transmit.held() > 0 {
            let (word, bit) = bit(next);
            if self.done[word] & bit == 0 {
                break;
            }
            self.done[word] &= !bit;
            self.transmit.release(1);
            next = next.wrapping_add(1);
        }
    }

    /// Whether the `filled` ring has room for so many entries more.
    ///
    /// # Errors
    /// The client misbehaves.
    #[inline]
    pub fn has_room(&mut self, entries: u32) -> Result<bool, End> {
        let wanted = entries + self.receiving.deferred;
        Ok(self.filled.room() >= wanted || self.filled.refresh(&self.transmit_memory)? >= wanted)
    }

    /// Takes a page to be lent to the device: a hidden one of a sealed session, otherwise one to spare
    /// beyond what it needs for exchanges. Answers the slot.
    #[inline]
    pub fn lend_page(&mut self) -> Option<SlotNumber> {
        let slot = match self.receiving.sealed {
            true => {
                let number = self.receiving.hidden.spare.pop()?;
                *self.receiving.hidden.slots.get(number as usize)?
            }
            false if self.pages.spare() * 4 <= self.pages.total() => None,
            false => self.pages.take().and_then(|number| self.pages.slot(number)),
        }?;
        self.receiving.away += 1;
        Some(slot)
    }

    /// A page that was away is at home again.
    #[inline]
    pub fn came_back(&mut self, page: Page) {
        self.receiving.away -= 1;
        match page {
            Page::Seen(number) => {
                self.pages.soil(number);
                self.pages.put_back(number);
            }
            Page::Hidden(number) => self.receiving.hidden.spare.push(number),
        }
    }

    /// A page's frame is pinned in that slot now.
    #[inline]
    pub fn set_slot(&mut self, page: Page, slot: SlotNumber) {
        match page {
            Page::Seen(number) => self.pages.set_slot(number, Some(slot)),
            Page::Hidden(number) => {
                if let Some(entry) = self.receiving.hidden.slots.get_mut(number as usize) {
                    *entry = Some(slot);
                }
            }
        }
    }

    /// Where a page lies: segment and place.
    #[inline]
    pub fn place(&self, page: Page) -> Option<(CapAddr, u16)> {
        Some(match page {
            Page::Seen(number) => (self.assets.segment?, ReceivePages::place(number) as u16),
            Page::Hidden(number) => (self.assets.hidden?, number),
        })
    }

    /// Takes in what the client gave back.
    ///
    /// # Errors
    /// The client misbehaves, or its memory is gone.
    pub fn collect_returns(&mut self) -> Result<(), End> {
        if self.returned.refresh(&self.transmit_memory)? == 0 {
            return Ok(());
        }
        while let Some(entry) = self.returned.pop(&self.transmit_memory)? {
            if entry.offset != 0 || entry.flags != 0 {
                return Err(End::Misbehaved(Kind::ReturnFields));
            }
            self.pages
                .give_back(entry.page, entry.length)
                .map_err(|what| End::Misbehaved(Kind::Return(what)))?;
        }
        self.returned.release(CAPACITY);
        self.returned.publish(&self.receive)?;
        Ok(())
    }

    /// Shows the client what was received and sent. `true`: it wants to be notified.
    ///
    /// # Errors
    /// The memory is gone.
    #[inline]
    pub fn publish(&mut self) -> Result<bool, End> {
        let mut notify = false;
        if self.filled.unpublished() {
            self.filled.publish(&self.receive)?;
            notify |= self
                .filled
                .must_notify(&self.receive, &self.transmit_memory)?;
        }
        if self.transmit.unpublished() {
            self.transmit.publish(&self.receive)?;
            notify |= self
                .transmit
                .must_notify(&self.receive, &self.transmit_memory)?;
        }
        Ok(notify)
    }
}

/// The transmit page that an entry names, counted from 0: of so many, and the bytes lie within it.
///
/// # Errors
/// The client misbehaves.
#[inline]
pub fn transmit_page(entry: &Descriptor, pages: usize) -> Result<u16, Kind> {
    let page = entry.page.wrapping_sub(FIRST_TRANSMIT_PAGE);
    if page as usize >= pages {
        return Err(Kind::TransmitPage(entry.page));
    }
    match entry.offset.checked_add(entry.length) {
        // No segment has more pages than a `u16` counts.
        Some(end) if end <= PAGE_SIZE as u32 => Ok(page as u16),
        _ => Err(Kind::TransmitRange {
            offset: entry.offset,
            length: entry.length,
        }),
    }
}

/// The pieces of a page that some bytes of it touch.
#[inline]
const fn pieces(offset: u32, length: u32) -> u16 {
    if length == 0 {
        return 0;
    }
    let first = offset >> PIECE_BITS;
    let last = (offset + length - 1) >> PIECE_BITS;
    ((1u32 << (last + 1)) - (1u32 << first)) as u16
}

const _: () = assert!(PAGE_SIZE >> PIECE_BITS == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_is_touched() {
        assert_eq!(pieces(0, 0), 0);
        assert_eq!(pieces(0, 1), 1);
        assert_eq!(pieces(255, 1), 1);
        assert_eq!(pieces(255, 2), 3);
        assert_eq!(pieces(0, 4096), 0xffff);
        assert_eq!(pieces(4095, 1), 0x8000);
        assert_eq!(pieces(2048, 1514), 0x3f00);
    }
}
