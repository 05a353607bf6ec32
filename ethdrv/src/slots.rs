//! The slots that receive pages are pinned in.
//!
//! The device may fill a page of a session's while that session's bank goes, and an exchange moves
//! frames between sessions while slots stay with frames: so after a while a session's page is reached
//! through whatever slot its present frame came with. Were slots a port's, its end would have to wait
//! for everybody whose frame sits in one of them, or take the frame along. Therefore the apertures for
//! receive pages belong to the driver as a whole: init gives them, bought from the driver's bank; all
//! slots are alike; and no session's, and no port's, end touches a slot in which another's frame lies.
//!
//! The driver keeps the map itself. A slot's *owner* is the place (port and page) at which its frame
//! is at home; each session keeps the slot of each page. Both are changed together, when an exchange
//! has succeeded. A slot is *away* while the device has its frame, or the driver works on a frame in
//! it. One whose owner ends while it is away stays pinned until it comes back: what arrives in it is
//! copied out, then it is unpinned. Some frames are at home in [pages of the driver's own](own).

mod own;

use alloc::vec::Vec;

use abi::APERTURE_SLOTS;
use abi::batch::LIMIT;
use abi::error::{EMFILE, ENOMEM};
use dev::Program;
use dev::window::{Limbo, Window, direction};
use sys::object::Table;
use sys::{Cap, Error};

use crate::demux::PortNumber;
use crate::port::MOST_PORTS;
use crate::port_set::PortSet;
use crate::reserve::Reserve;
use crate::strategy::flip::clear_but;
use own::Own;

/// Most apertures for receive pages.
pub const MOST_APERTURES: usize = 64;
/// Number of the first aperture's window in a [`Piece`](crate::transport::Piece)'s view; the windows of
/// ports come before it.
pub const FIRST_VIEW: u64 = 2048;

/// A slot of one of the apertures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotNumber(u32);

impl SlotNumber {
    const fn new(aperture: usize, slot: u16) -> SlotNumber {
        SlotNumber((aperture * APERTURE_SLOTS) as u32 + slot as u32)
    }

    const fn aperture(self) -> usize {
        self.0 as usize / APERTURE_SLOTS
    }

    const fn slot(self) -> u16 {
        (self.0 as usize % APERTURE_SLOTS) as u16
    }
}

/// A page of a session's: one that its client sees, or one of those behind a sealed session; or one of
/// the driver's own, which no client sees either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The client sees it: receive page of this number, counted from 0.
    Seen(u16),
    /// The client can't see it: hidden page of this number.
    Hidden(u16),
}

/// Where a frame is at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose session.
    pub port: PortNumber,
    /// Which page of it.
    pub page: Page,
}

/// In the place of a port: the driver itself.
const DRIVER: PortNumber = PortNumber::MAX;

const _: () = assert!(MOST_PORTS <= DRIVER as usize);

impl Owner {
    /// The driver, whose page of the reserve this is.
    pub const fn driver(page: u16) -> Owner {
        Owner {
            port: DRIVER,
            page: Page::Hidden(page),
        }
    }

    /// The page of the driver's reserve, if it is one.
    #[inline]
    pub const fn driver_page(self) -> Option<u16> {
        match self.page {
            Page::Hidden(page) if self.port == DRIVER => Some(page),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Where the device reaches the frame.
    address: u64,
    owner: Option<Owner>,
    away: bool,
    /// Whose session left it while it was away.
    left: Option<PortNumber>,
    /// It is the driver's, and what a sealed session had may be in it.
    private: bool,
}

/// All apertures for receive pages.
pub struct Slots<P: Program> {
    windows: Vec<Window<P>>,
    slots: Vec<Slot>,
    free: Vec<SlotNumber>,
    /// Without an owner and no longer away: to be unpinned.
    dead: Vec<SlotNumber>,
    /// Pages of the driver's own, and those of them that are pinned.
    reserve: Reserve,
    own: Own,
    /// Some became free since somebody lacked some.
    freed: bool,
    lacked: bool,
}

impl<P: Program> Default for Slots<P> {
    fn default() -> Slots<P> {
        Slots {
            windows: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dead: Vec::new(),
            reserve: Reserve::default(),
            own: Own::default(),
            freed: false,
            lacked: false,
        }
    }
}

impl<P: Program> Slots<P> {
    /// Adds an aperture. What is allocated for its slots is allocated here.
    ///
    /// # Errors
    /// There are enough apertures, or there is no memory; the window is handed back.
    pub fn add(&mut self, window: Window<P>) -> Result<(), (Error, Window<P>)> {
        if self.windows.len() >= MOST_APERTURES {
            return Err((Error::new(EMFILE), window));
        }
        let total = self.slots.len() + APERTURE_SLOTS;
        let reserved = self
            .windows
            .try_reserve(1)
            .and_then(|()| self.slots.try_reserve(APERTURE_SLOTS))
            .and_then(|()| self.free.try_reserve(total - self.free.len()))
            .and_then(|()| self.dead.try_reserve(total - self.dead.len()))
            .and_then(|()| self.own.make_room());
        if reserved.is_err() {
            return Err((Error::new(ENOMEM), window));
        }
        let aperture = self.windows.len();
        self.windows.push(window);
        self.slots.resize(total, Slot::default());
        let added = (0..APERTURE_SLOTS as u16).rev();
        self.free
            .extend(added.map(|slot| SlotNumber::new(aperture, slot)));
        self.freed = true;
        Ok(())
    }

    /// Slots that are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Slots that are not.
    pub fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Pages of the driver's own that have been bought, and segments for them.
    pub fn reserve(&self) -> (usize, usize) {
        self.reserve.bought()
    }

    /// Somebody lacks slots, and waits until some are free. The driver's own buffers give way.
    pub fn lack(&mut self) {
        self.lacked = true;
        self.give_way();
    }

    /// Whether somebody lacked slots, and some became free: told once.
    pub const fn take_freed(&mut self) -> bool {
        let told = self.lacked && self.freed;
        self.freed = false;
        self.lacked &= !told;
        told
    }

    /// The first aperture, through which exchanges are asked for.
    pub fn first(&self) -> Option<&Window<P>> {
        self.windows.first()
    }

    /// The window that a slot's frame is seen in.
    #[inline]
    pub fn memory(&self, number: SlotNumber) -> Option<&P::Own> {
        self.windows.get(number.aperture()).map(Window::memory)
    }

    /// Where in its window a slot's frame lies.
    #[inline]
    pub const fn offset(number: SlotNumber) -> usize {
        number.slot() as usize * abi::PAGE_SIZE
    }

    /// Where the device reaches a slot's frame, and its view.
    #[inline]
    pub fn piece(&self, number: SlotNumber) -> Option<(u64, u64)> {
        let slot = self.slots.get(number.0 as usize)?;
        let window = FIRST_VIEW + number.aperture() as u64;
        Some((slot.address, (window << 21) + Self::offset(number) as u64))
    }

    /// Whose frame a slot holds; `None`: its owner's session has ended.
    #[inline]
    pub fn owner(&self, number: SlotNumber) -> Option<Owner> {
        self.slots.get(number.0 as usize)?.owner
    }

    /// Whether nobody has a slot's frame any more: its owner's page was revoked while it was away, and
    /// no page of the reserve took its place.
    #[inline]
    pub fn is_revoked(&self, number: SlotNumber) -> bool {
        self.slots
            .get(number.0 as usize)
            .is_some_and(|slot| slot.owner.is_none())
    }

    /// A slot's frame is at home there now.
    #[inline]
    pub fn set_owner(&mut self, number: SlotNumber, owner: Owner) {
        if let Some(slot) = self.slots.get_mut(number.0 as usize) {
            slot.owner = Some(owner);
        }
    }

    /// A slot's frame goes to the device, or is worked on; or no longer.
    #[inline]
    pub fn set_away(&mut self, number: SlotNumber, away: bool) {
        if let Some(slot) = self.slots.get_mut(number.0 as usize) {
            slot.away = away;
        }
    }

    /// A slot's owner ends. `true`: it can be unpinned; otherwise it is when it comes back.
    pub fn leave(&mut self, number: SlotNumber) -> bool {
        match self.slots.get_mut(number.0 as usize) {
            Some(slot) => {
                let owner = slot.owner.take();
                slot.left = owner.map(|owner| owner.port);
                !slot.away
            }
            None => false,
        }
    }

    /// Whether a slot's frame is away.
    pub fn is_away(&self, number: SlotNumber) -> bool {
        let slot = self.slots.get(number.0 as usize);
        slot.is_some_and(|slot| slot.away)
    }

    /// A slot without an owner came back: it is unpinned by and by.
    pub fn bury(&mut self, number: SlotNumber) {
        self.set_away(number, false);
        self.dead.push(number);
    }

    /// Pins pages that follow each other, at most 64 and only as many as one aperture has slots for,
    /// to be filled by the device. `pinned` gets each page's number from `first` on and its slot;
    /// answers how many were pinned.
    ///
    /// # Errors
    /// No slot is free (`EMFILE`), or the first error; what was pinned before it is pinned.
    pub fn pin(
        &mut self,
        program: &P,
        segment: Cap<Table>,
        first: u16,
        count: u16,
        mut pinned: impl FnMut(u16, SlotNumber) -> Owner,
    ) -> Result<u16, Error> {
        let last = *self.free.last().ok_or(Error::new(EMFILE))?;
        let window = self
            .windows
            .get(last.aperture())
            .ok_or(Error::new(EMFILE))?;
        let mut orders = [(0, 0); LIMIT];
        let mut taken = 0;
        while taken < LIMIT.min(count as usize)
            && let Some(number) = self
                .free
                .pop_if(|number| number.aperture() == last.aperture())
        {
            orders[taken] = (number.slot(), first + taken as u16);
            taken += 1;
        }
        let orders = &orders[..taken];
        let mut results = [None; LIMIT];
        let result = window.pin_each(
            program,
            segment,
            direction::FROM_DEVICE,
            orders,
            |n, address| {
                results[n] = Some(address);
            },
        );
        let mut done = 0;
        for ((slot, index), address) in orders.iter().zip(results) {
            let number = SlotNumber::new(last.aperture(), *slot);
            match address {
                Some(address) => {
                    done += 1;
                    let owner = pinned(*index, number);
                    if let Some(slot) = self.slots.get_mut(number.0 as usize) {
                        *slot = Slot {
                            address,
                            owner: Some(owner),
                            ..Slot::default()
                        };
                    }
                }
                None => self.free.push(number),
            }
        }
        result.map(|()| done)
    }

    /// Unpins the last of some slots, at most 64.
    pub fn unpin(&mut self, program: &P, numbers: &mut Vec<SlotNumber>) {
        let Some(last) = numbers.last().copied() else {
            return;
        };
        let mut slots = [0; LIMIT];
        let mut taken = 0;
        while taken < LIMIT
            && let Some(number) = numbers.pop_if(|number| number.aperture() == last.aperture())
        {
            slots[taken] = number.slot();
            taken += 1;
        }
        let Some(window) = self.windows.get(last.aperture()) else {
            return;
        };
        self.freed = true;
        self.own.try_again();
        for slot in &slots[..taken] {
            let number = SlotNumber::new(last.aperture(), *slot);
            if let Some(slot) = self.slots.get_mut(number.0 as usize)
                && let Some(page) = slot.owner.take().and_then(Owner::driver_page)
            {
                clear_but(window.memory(), Self::offset(number), 0, 0);
                self.reserve.put_back(page);
            }
        }
        // An aperture that is gone holds no pins: init is taking the driver down.
        let _ = window.unpin_each(program, &slots[..taken]);
        for slot in &slots[..taken] {
            let number = SlotNumber::new(last.aperture(), *slot);
            if let Some(slot) = self.slots.get_mut(number.0 as usize) {
                *slot = Slot::default();
            }
            self.free.push(number);
        }
    }

    /// Whether there are slots to be unpinned.
    #[inline]
    pub const fn has_dead(&self) -> bool {
        !self.dead.is_empty()
    }

    /// Unpins some of the slots that came back without an owner. `true`: there are more.
    pub fn unpin_dead(&mut self, program: &P) -> bool {
        if self.dead.is_empty() {
            return false;
        }
        let mut dead = core::mem::take(&mut self.dead);
        self.unpin(program, &mut dead);
        self.dead = dead;
        !self.dead.is_empty()
    }

    /// Whose pages were taken back, as the kernel tells: each slot is told once. `gone` gets the ports.
    pub fn limbo(&self, program: &P, gone: &mut PortSet) {
        for (aperture, window) in self.windows.iter().enumerate() {
            // An aperture of the driver's own that is gone: init is taking the driver down.
            while let Ok(slots) = window.limbo(program) {
                let told = slots.len();
                for slot in slots {
                    // One without an owner is known to be gone.
                    let owner = self.owner(SlotNumber::new(aperture, slot));
                    if let Some(Owner { port, .. }) = owner
                        && port != DRIVER
                    {
                        gone.mark(port);
                    }
                }
                if told < Limbo::FULL {
                    break;
                }
            }
        }
    }
}
