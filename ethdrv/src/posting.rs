//! Which buffers the device gets: pages of sessions that flip, in turn and in proportion to their
//! shares, and the driver's own.
//!
//! The driver's own buffers are a floor: they are posted where pages are too few for a burst. A frame
//! that lands in a page of its recipient's needs no exchange, and one that lands in a buffer which is no
//! whole page must be copied. So the more of the sessions flip, the lower the floor, from the whole queue,
//! where nobody does, to a quarter of it; and where anybody does, the driver's own buffers are [whole
//! pages](crate::slots), as far as it has slots for them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use dev::Program;
use dev::statistics::Counter;

use crate::buffers::Buffer;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::port::{Port, State};
use crate::receiving::{Phase, Receiving};
use crate::session::Session;
use crate::slots::{Page, SlotNumber, Slots};
use crate::switch::hidden_pages;
use crate::transport::{Piece, Transport};

/// Who wants pages posted, and how much there is to share.
#[derive(Debug, Default)]
pub struct Posting {
    /// Buffers that the device takes.
    capacity: usize,
    /// Each port once at most, for which there is room.
    wanting: VecDeque<PortNumber>,
    ports: usize,
    /// Shares of all sessions that flip, together.
    shares: u64,
    /// Sessions that there are.
    sessions: usize,
    /// Sessions that flip.
    flipping: usize,
    /// How many buffers are to be posted, with the driver's own where there are too few pages.
    floor: usize,
    /// There are other sessions, ports or slots, or others flip, than when it was last asked how many
    /// buffers of its own the driver wants.
    changed: bool,
}

impl Posting {
    /// For a device that takes so many buffers.
    pub fn new(capacity: u16) -> Posting {
        Posting {
            capacity: capacity as usize,
            floor: capacity as usize,
            ..Posting::default()
        }
    }

    /// Makes room for one more port. `false`: there is no memory.
    pub fn reserve(&mut self, ports: usize) -> bool {
        self.ports = self.ports.max(ports);
        self.wanting
            .try_reserve(ports.saturating_sub(self.wanting.len()))
            .is_ok()
    }

    /// There are other ports, or other slots for pages.
    pub const fn change(&mut self) {
        self.changed = true;
    }

    /// A session begins.
    pub fn open(&mut self) {
        self.sessions += 1;
        self.set_floor();
    }

    /// A session ends.
    pub fn close<P: Program>(&mut self, number: PortNumber, session: &Session<P>) {
        self.sessions -= 1;
        self.set_floor();
        if session.receiving.wants {
            // The next session at its port must not find itself in the queue.
            self.wanting.retain(|other| *other != number);
        }
    }

    /// A session of this share flips from now on.
    pub fn enter(&mut self, share: u16) {
        self.shares += share as u64;
        self.flipping += 1;
        self.set_floor();
    }

    /// A session of this share flips no longer.
    pub fn leave(&mut self, share: u16) {
        self.shares -= share as u64;
        self.flipping -= 1;
        self.set_floor();
    }

    /// A session that flips has another share from now on.
    pub fn share(&mut self, receiving: &mut Receiving, share: u16) {
        if receiving.phase == Phase::Flipping {
            self.leave(receiving.share);
            self.enter(share);
            receiving.share = share;
        }
    }

    /// There are other sessions, or others of them flip.
    fn set_floor(&mut self) {
        self.changed = true;
        self.floor = match self.flipping {
            0 => self.capacity,
            flipping => {
                let quarter = self.capacity / 4;
                let copying = self.sessions - flipping;
                quarter + (self.capacity - quarter) * copying / self.sessions
            }
        };
    }

    /// How many whole pages of its own the driver wants.
    const fn own(&self) -> usize {
        if self.flipping > 0 { self.floor } else { 0 }
    }

    /// How many pages of a session may be away: a quarter of the queue is nobody's, and its own client
    /// needs some for what comes in other buffers.
    fn quota<P: Program>(&self, session: &Session<P>) -> u16 {
        let receiving = &session.receiving;
        let all = (self.capacity - self.capacity / 4) as u64;
        let share = all * receiving.share as u64 / self.shares.max(1);
        let most = match receiving.sealed {
            true => receiving.hidden.slots.len(),
            false => session.pages.most_lent(),
        };
        (share.max(1)).min(most as u64) as u16
    }

    /// A session may have pages to post.
    #[inline]
    pub fn want<P: Program>(&mut self, number: PortNumber, session: &mut Session<P>) {
        let receiving = &mut session.receiving;
        if receiving.phase == Phase::Flipping && !receiving.wants {
            receiving.wants = true;
            debug_assert!(self.wanting.len() < self.ports, "a port stands here twice");
            self.wanting.push_back(number);
        }
    }

    /// The next page of a session's to post, away from now on.
    #[inline]
    fn next<P: Program>(
        &mut self,
        ports: &mut [Option<Box<Port<P>>>],
        slots: &mut Slots<P>,
    ) -> Option<SlotNumber> {
        while let Some(number) = self.wanting.pop_front() {
            let Some(session) = session(ports, number) else {
                continue;
            };
            session.receiving.wants = false;
            if session.receiving.phase != Phase::Flipping
                || session.receiving.away >= self.quota(session)
            {
                continue;
            }
            let Some(slot) = session.lend_page() else {
                continue;
            };
            slots.set_away(slot, true);
            self.want(number, session);
            return Some(slot);
        }
        None
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Lends the device what it has too little of. Mostly that is nothing, and costs no call.
    #[inline]
    pub(crate) fn refill(&mut self) {
        if !self.posting.wanting.is_empty() {
            self.post_pages();
        }
        if self.buffers.posted() < self.posting.floor || self.posting.changed {
            self.fill_up();
        }
    }

    /// Lends the device buffers of the driver's own.
    #[inline(never)]
    fn fill_up(&mut self) {
        if core::mem::take(&mut self.posting.changed) {
            self.want_own();
        }
        if self.posting.flipping > 0 {
            let lacking = self.posting.floor.saturating_sub(self.buffers.posted());
            let most = self.information.receive_capacity;
            self.slots.have_own(&self.program, most, lacking);
            self.post_pages();
        }
        let floor = self.posting.floor;
        while self.buffers.posted() < floor
            && let Some(token) = self.buffers.idle()
        {
            let piece = self.buffers.pool_piece(token);
            self.post(token, Buffer::Pool, piece);
        }
    }

    /// Says how many whole pages of the driver's own there are to be: none, where nobody flips.
    #[cold]
    fn want_own(&mut self) {
        let pages = self.ports.iter().flatten();
        let pages = pages.map(|port| port.settings.receive_pages);
        let promised = pages.map(|seen| usize::from(seen + hidden_pages(seen)));
        self.slots.want_own(self.posting.own(), promised.sum());
    }

    /// Lends the device pages of those who want it, then the driver's own.
    #[inline(never)]
    fn post_pages(&mut self) {
        while let Some(token) = self.buffers.idle()
            && let Some(slot) = self.next_page()
        {
            let (address, view) = self.slots.piece(slot).unwrap_or_default();
            let piece = self.buffers.page_piece(address, view);
            self.post(token, Buffer::Page(slot), piece);
        }
    }

    /// The next page to post, away from now on.
    #[inline]
    fn next_page(&mut self) -> Option<SlotNumber> {
        let lent = self.posting.next(&mut self.ports, &mut self.slots);
        if lent.is_none() && self.buffers.posted() < self.posting.floor {
            return self.slots.take_idle();
        }
        lent
    }

    /// Posts a buffer with an idle token.
    #[inline]
    fn post(&mut self, token: u16, buffer: Buffer, piece: Piece) {
        self.buffers.lend(token, buffer);
        if self.transport.post(piece, token).is_err() {
            self.not_posted(token, buffer);
        }
    }

    /// The device takes no more than it said; the token is lost to it until the driver starts anew.
    #[cold]
    fn not_posted(&mut self, token: u16, buffer: Buffer) {
        self.counters.count(Counter::DeviceFault);
        if self.buffers.take(token).is_some()
            && let Buffer::Page(slot) = buffer
        {
            self.bring_back(slot);
        }
    }

    /// A buffer has been used: its token is free, and its page its owner's.
    #[inline]
    pub(crate) fn release(&mut self, token: u16, buffer: Buffer) {
        self.buffers.release(token);
        if let Buffer::Page(slot) = buffer {
            self.bring_back(slot);
        }
    }

    /// A page that was away is at home again.
    #[inline]
    pub(crate) fn bring_back(&mut self, slot: SlotNumber) {
        let Some(owner) = self.slots.owner(slot) else {
            self.slots.bury(slot);
            return;
        };
        if owner.driver_page().is_some() {
            self.slots.came_home(slot);
            return;
        }
        self.slots.set_away(slot, false);
        self.came_back(owner.port, owner.page);
    }

    /// The same, for a session's page with whatever slot it has now.
    #[inline]
    pub(crate) fn came_back(&mut self, number: PortNumber, page: Page) {
        let Some(session) = session(&mut self.ports, number) else {
            return;
        };
        session.came_back(page);
        self.posting.want(number, session);
        let receiving = &mut session.receiving;
        if receiving.phase == Phase::Draining && receiving.away == 0 && !receiving.working {
            receiving.working = true;
            self.jobs.push(number);
        }
    }

    /// A port's share is another one.
    pub(crate) fn share_anew(&mut self, number: PortNumber) {
        if let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut)
            && let State::Open(session) = &mut port.state
        {
            let share = port.settings.rate.share;
            self.posting.share(&mut session.receiving, share);
            self.post_more();
        }
    }

    /// Sessions that may post more than before do.
    pub(crate) fn post_more(&mut self) {
        for number in 0..self.ports.len() as PortNumber {
            if let Some(session) = session(&mut self.ports, number) {
                self.posting.want(number, session);
            }
        }
    }
}
