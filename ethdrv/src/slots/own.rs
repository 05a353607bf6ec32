//! Pages of the driver's own in the slots for receive pages.
//!
//! A frame that lies in a page can be exchanged; one that lies in the driver's pool, where two share a
//! page, can only be copied. Sessions lend the device what they can spare, and where some of them flip,
//! the driver fills the queue up with whole pages of its [reserve](crate::reserve): a frame that lands in
//! one is exchanged for a page of its recipient's, like one that lands in another session's page. The
//! driver has as many pages as before, and the frame of memory that it got in return serves as the next
//! buffer, in whatever slot it is pinned.
//!
//! The reserve also takes the place of pages that the device still has of who leaves. That comes first:
//! buffers that the device doesn't have give way. Of both together there are never more than the device
//! takes buffers, for each that can't give way stands for one that the device has.
//!
//! What a sealed session gave in exchange, or had lent, is *private*, and so is a page into which a frame came
//! that may be for a sealed port: before it becomes anybody else's, all of it but the frame is zeroed.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::CapAddr;
use dev::Program;
use dev::window::direction;

use super::{Owner, Slot, SlotNumber, Slots};
use crate::demux::PortNumber;
use crate::reserve::{MOST, Place};

/// Buffers that are pinned at a time, where some are lacking.
const AT_ONCE: usize = 16;

/// Pages of the driver's own that are pinned.
#[derive(Debug, Default)]
pub struct Own {
    /// Those that the device doesn't have.
    idle: Vec<SlotNumber>,
    /// All of them, but for those that are to be unpinned.
    kept: usize,
    /// As many are wanted.
    wanted: usize,
    /// No more could be had; so it isn't tried again before something changes, or slots become free.
    refused: bool,
}

impl Own {
    /// Makes room for all that there can be.
    pub(super) fn make_room(&mut self) -> Result<(), TryReserveError> {
        self.idle.try_reserve(MOST as usize - self.idle.len())
    }

    /// Slots became free: perhaps there are some for buffers again.
    pub(super) const fn try_again(&mut self) {
        self.refused = false;
    }
}

impl<P: Program> Slots<P> {
    /// A buffer of the driver's own, away from now on.
    #[inline]
    pub fn take_idle(&mut self) -> Option<SlotNumber> {
        let number = self.own.idle.pop()?;
        self.set_away(number, true);
        Some(number)
    }

    /// A page of the driver's own that was away is in its hands again.
    #[inline(never)]
    pub fn came_home(&mut self, number: SlotNumber) {
        self.set_away(number, false);
        self.put_by(number);
    }

    /// A page of the driver's own has another frame, which a recipient gave in exchange: what that had, if
    /// it is sealed, may be in it.
    #[inline(never)]
    pub fn got_in_return(&mut self, number: SlotNumber, sealed: bool) {
        if let Some(slot) = self.slots.get_mut(number.0 as usize) {
            slot.private = sealed;
        }
        self.put_by(number);
    }

    /// The device doesn't have a buffer of the driver's own: it is kept, unless there are more than are
    /// wanted, or somebody lacks its slot.
    fn put_by(&mut self, number: SlotNumber) {
        if self.own.kept > self.own.wanted || self.lacked {
            self.own.kept -= 1;
            self.dead.push(number);
        } else {
            self.own.idle.push(number);
        }
    }

    /// A frame that may be for a sealed port came into a page.
    #[inline]
    pub fn mark_private(&mut self, number: SlotNumber) {
        if let Some(slot) = self.slots.get_mut(number.0 as usize) {
            slot.private = true;
        }
    }

    /// Whether something private may be in a hidden page around a frame.
    #[inline]
    pub fn is_private(&self, number: SlotNumber) -> bool {
        self.slots.get(number.0 as usize).is_some_and(|slot| {
            slot.private || slot.owner.is_none_or(|owner| owner.driver_page().is_none())
        })
    }

    /// Where a page of the driver's own lies.
    pub fn own_place(&self, page: u16) -> Option<(CapAddr, u16)> {
        self.reserve.place(page)
    }

    /// From now on the driver wants so many buffers of its own at most; less, if they would take slots
    /// that ports may want: of these, so many are promised. Those that are too many are unpinned by and by.
    pub fn want_own(&mut self, wanted: usize, promised: usize) {
        self.own.wanted = wanted.min(self.slots.len().saturating_sub(promised));
        self.own.refused = false;
        self.retire(self.own.kept.saturating_sub(self.own.wanted));
    }

    /// The driver could lend the device so many buffers of its own now: some that are lacking are pinned, out
    /// of the reserve, which has `most`.
    pub fn have_own(&mut self, program: &P, most: u16, lacking: usize) {
        let more = self.own.wanted.saturating_sub(self.own.kept);
        let others_first = self.own.refused || self.lacked;
        if lacking <= self.own.idle.len() || more == 0 || others_first {
            return;
        }
        self.own.refused = self.pin_own(program, most, more.min(AT_ONCE)) == 0;
    }

    /// Pins pages of the reserve, which has `most`, as buffers, at most 16. Answers how many.
    fn pin_own(&mut self, program: &P, most: u16, count: usize) -> usize {
        let Some(window) = self
            .free
            .last()
            .and_then(|last| self.windows.get(last.aperture()))
        else {
            return 0;
        };
        let mut pages = [0; AT_ONCE];
        let Some(segment) = self.reserve.prepare(program, most, count as u16) else {
            return 0;
        };
        let mut orders = [(0, 0); AT_ONCE];
        let mut numbers = [SlotNumber::default(); AT_ONCE];
        let mut taken = 0;
        while taken < count.min(AT_ONCE)
            && let Some(last) = self.free.last().copied()
            && (taken == 0 || last.aperture() == numbers[0].aperture())
            && let Some(page) = self.reserve.take()
        {
            self.free.pop();
            (numbers[taken], pages[taken]) = (last, page);
            orders[taken] = (last.slot(), page);
            taken += 1;
        }
        if taken == 0 {
            return 0;
        }
        let mut addresses = [None; AT_ONCE];
        let orders = &orders[..taken];
        // An aperture of the driver's own that is gone: init is taking the driver down.
        let _ = window.pin_each(
            program,
            segment,
            direction::FROM_DEVICE,
            orders,
            |n, address| addresses[n] = Some(address),
        );
        let before = self.own.kept;
        for n in 0..taken {
            let (number, page) = (numbers[n], pages[n]);
            match (addresses[n], self.slots.get_mut(number.0 as usize)) {
                (Some(address), Some(slot)) => {
                    *slot = Slot {
                        address,
                        owner: Some(Owner::driver(page)),
                        ..Slot::default()
                    };
                    self.own.kept += 1;
                    self.own.idle.push(number);
                }
                _ => {
                    self.free.push(number);
                    self.reserve.put_back(page);
                }
            }
        }
        self.own.kept - before
    }

    /// Buffers that the device doesn't have are given up, for somebody lacks their slots; no more are pinned
    /// meanwhile.
    pub(super) fn give_way(&mut self) {
        self.retire(self.own.idle.len());
    }

    /// So many buffers that the device doesn't have are given up, or all of them: they are unpinned by
    /// and by.
    fn retire(&mut self, count: usize) {
        let left = self.own.idle.len().saturating_sub(count);
        self.own.kept -= self.own.idle.len() - left;
        self.dead.extend(self.own.idle.drain(left..));
    }

    /// Whether the reserve, which has `most` pages, lacks some of those that are to take the place of so
    /// many, and will have them when buffers have given way. They do by and by.
    pub fn must_wait(&mut self, most: u16, count: usize) -> bool {
        let short = count.saturating_sub(self.reserve.left(most));
        self.retire(short.saturating_sub(self.dead.len()));
        short > 0 && !self.dead.is_empty()
    }

    /// Exchanges pages that are away, at most 64, for pages of the driver's own, of which there are
    /// `most`: those at these places, in these slots, of the port's. `done` gets each place that has an
    /// unpinned frame now, all zero; its slot's frame is the driver's.
    pub fn substitute<N>(
        &mut self,
        program: &P,
        port: PortNumber,
        most: u16,
        pages: &[(SlotNumber, Place, N)],
        mut done: impl FnMut(&N),
    ) {
        let mut places = [(0, 0); LIMIT];
        let mut of = [0; LIMIT];
        let mut count = 0;
        for (n, (number, place, _)) in pages.iter().enumerate().take(LIMIT) {
            // One that came back meanwhile may be anybody's.
            let still = self.slots.get(number.0 as usize).is_some_and(|slot| {
                slot.away
                    && match slot.owner {
                        Some(owner) => owner.port == port,
                        None => slot.left == Some(port),
                    }
            });
            if still {
                (places[count], of[count]) = (*place, n);
                count += 1;
            }
        }
        let Some(window) = self.windows.first() else {
            return;
        };
        let (slots, own) = (&mut self.slots, &mut self.own);
        self.reserve
            .exchange(program, window, most, &places[..count], |n, reserve| {
                let (number, _, page) = &pages[of[n]];
                if let Some(slot) = slots.get_mut(number.0 as usize) {
                    slot.owner = Some(Owner::driver(reserve));
                    slot.private = true;
                    own.kept += 1;
                }
                done(page);
            });
    }
}
