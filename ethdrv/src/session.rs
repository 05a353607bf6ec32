//! A session: an attached port's rings, pages and memory.

use alloc::vec::Vec;

use abi::cap::CapAddr;
use dev::layout::{FILLED, RETURNED, TRANSMIT};
use dev::program::BANK;
use dev::window::Pinned;
use dev::{Mac, Program};
use ring::{CAPACITY, Consumer, Producer};
use sys::{Mem, Message, Sys};

use crate::flood::Budget;
use crate::misbehaviour::{End, Kind};
use crate::outgoing::{Outgoing, TransmitPage};
use crate::pages::ReceivePages;
use crate::per_frame::FramePins;
use crate::receiving::Receiving;
use crate::reserve::Place;
use crate::slots::{Page, SlotNumber};

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
    /// What it may receive while more comes than the driver can take.
    pub budget: Budget,
    /// The transmit pages.
    pub transmit_pages: Vec<TransmitPage>,
    /// Frames that the device or other sessions still need.
    pub in_flight: u32,
    /// Multicast frames on their way to other sessions.
    pub fanouts: u32,
    /// The frame that is being sent, or was last.
    pub outgoing: Outgoing,
    /// It could not be sent yet.
    pub pending: bool,
    /// What it may send in this turn, in bytes.
    pub deficit: i64,
    /// It is in the scheduler's queue, or waits for its rate.
    pub scheduled: bool,
    /// It told the driver to look too often when there was nothing, and is looked at later.
    pub held_back: bool,
    /// There is something to publish.
    pub dirty: bool,
    /// It waits for frames to leave.
    pub awaits_room: bool,
    /// Groups that it subscribed to.
    pub groups: Vec<Mac>,
    /// What it is notified by.
    pub notify: CapAddr,
    /// Frames sent whose ring entries can't be released yet, because an older one is in flight.
    pub(crate) done: [u64; CAPACITY as usize / 64],
    /// Its transmit pages' pins, if they are pinned per frame.
    pub frame_pins: Option<FramePins>,
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
    /// The transmit segment, if its pages are pinned per frame.
    pub transmit: Option<CapAddr>,
    /// What is pinned of the transmit segment.
    pub pins: Vec<Pinned>,
    /// The session's bank, with the right to buy from it.
    pub purse: Option<CapAddr>,
    /// The segment of the hidden pages, bought from the driver's bank.
    pub hidden: Option<CapAddr>,
    /// Slots that receive pages were pinned in, to be unpinned.
    pub slots: Vec<SlotNumber>,
    /// Pages that are away, to be exchanged for pages of the driver's own.
    pub away: Vec<(SlotNumber, Place, ())>,
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
            transmit: None,
            pins: Vec::new(),
            purse: None,
            hidden: None,
            slots: Vec::new(),
            away: Vec::new(),
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
        if let Some(transmit) = self.transmit.take() {
            program.give_slot(transmit);
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
        transmit_pages: Vec<TransmitPage>,
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
        Ok(Session {
            serial,
            receive,
            transmit_memory,
            filled,
            returned,
            transmit,
            pages,
            receiving: Receiving::new(),
            budget: Budget::default(),
            transmit_pages,
            in_flight: 0,
            fanouts: 0,
            outgoing: Outgoing::default(),
            pending: false,
            deficit: 0,
            scheduled: false,
            held_back: false,
            dirty: false,
            awaits_room: false,
            groups: Vec::new(),
            notify,
            done: [0; CAPACITY as usize / 64],
            frame_pins: None,
            assets,
        })
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
    /// beyond what it needs for a burst. Answers the slot.
    #[inline]
    pub fn lend_page(&mut self) -> Option<SlotNumber> {
        let slot = match self.receiving.sealed {
            true => {
                let number = self.receiving.hidden.spare.pop()?;
                *self.receiving.hidden.slots.get(number as usize)?
            }
            false if self.pages.spare() <= self.pages.scarce() => None,
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

    /// The slot that a page's frame is pinned in.
    #[inline]
    pub fn slot(&self, page: Page) -> Option<SlotNumber> {
        match page {
            Page::Seen(number) => self.pages.slot(number),
            Page::Hidden(number) => *self.receiving.hidden.slots.get(number as usize)?,
        }
    }

    /// A page that was away has a frame now that nobody has pinned, all zero.
    pub fn replaced(&mut self, page: Page) {
        self.receiving.away -= 1;
        match page {
            Page::Seen(number) => {
                self.pages.renew(number);
                self.pages.set_slot(number, None);
                self.pages.put_back(number);
            }
            Page::Hidden(number) => {
                if let Some(slot) = self.receiving.hidden.slots.get_mut(number as usize) {
                    *slot = None;
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
