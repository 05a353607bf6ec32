//! Frames on their way to sessions within a round: exchanges are asked for in batches.
//!
//! A frame that needs an exchange waits until its batch is full, or the round has taken in what there
//! was; whatever follows it to the same session waits behind it, so that each recipient gets its frames
//! in order. Nothing is told to a client before the exchange has succeeded. An exchange that is refused,
//! because one of the two sides was taken back meanwhile, leaves everything as it was: then the frame is
//! copied out of the window, which shows it whoever owns it. So no frame is lost by a revocation but its
//! own recipient's.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use abi::batch::LIMIT;
use abi::cap::CapAddr;
use abi::error::{EBUSY, ENOENT};
use dev::layout::{FIRST_RECEIVE_PAGE, MORE};
use dev::statistics::{Counter, Counters};
use dev::{Activity, Program};
use ring::Descriptor;
use sys::{Fault, Mem};

use crate::assembly;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::flood::TURN;
use crate::misbehaviour::End;
use crate::planted;
use crate::session::Session;
use crate::slots::{Owner, Page, SlotNumber, Slots};
use crate::strategy::Way;
use crate::transport::Transport;

/// Most pieces that wait at a time: no frame has more than the buffers that it came in, and those of a
/// round are told at its end. The frame that is put together may have come in some before.
const MOST_WAITING: usize = TURN as usize + assembly::MOST;

/// A page that is to be exchanged.
#[derive(Clone, Copy, Debug)]
pub struct Swap {
    token: u16,
    /// Where the frame lies.
    slot: SlotNumber,
    /// The recipient's page.
    page: u16,
    /// All but the frame was zeroed.
    clean: bool,
    done: bool,
}

impl Swap {
    /// A swap that has not been done.
    #[inline]
    pub const fn new(token: u16, slot: SlotNumber, page: u16, clean: bool) -> Swap {
        Swap {
            token,
            slot,
            page,
            clean,
            done: false,
        }
    }
}

/// A piece of a frame that is to be told to its recipient.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The recipient's port.
    pub port: PortNumber,
    /// The recipient's session.
    pub serial: u64,
    /// What is told.
    pub descriptor: Descriptor,
    /// How it came.
    pub way: Way,
    /// It was copied out of a page that nobody owns any more.
    pub recovered: bool,
    /// What is to be done before.
    pub swap: Option<Swap>,
}

/// All that waits in this round.
#[derive(Debug, Default)]
pub struct Deliveries {
    waiting: Vec<Delivery>,
    exchanges: usize,
    /// Buffers that the device gave back in this turn and that came to nothing.
    pub(crate) dropped: u32,
}

impl Deliveries {
    /// Makes room for a round. `false`: there is no memory.
    pub fn reserve(&mut self) -> bool {
        self.waiting.try_reserve(MOST_WAITING).is_ok()
    }

    /// Exchanges that wait.
    #[inline]
    pub const fn exchanges(&self) -> usize {
        self.exchanges
    }

    /// One more.
    #[inline]
    pub fn add(&mut self, delivery: Delivery) {
        debug_assert!(
            self.waiting.len() < MOST_WAITING,
            "more than a round brings"
        );
        self.exchanges += delivery.swap.is_some() as usize;
        self.waiting.push(delivery);
    }
}

/// What is known of a frame of which some pieces were told.
#[derive(Clone, Copy)]
struct Tally {
    way: Way,
    recovered: bool,
    /// Some of it was to be exchanged, and was not.
    refused: bool,
    length: u32,
}

impl Tally {
    const NOTHING: Tally = Tally {
        way: Way::InPlace,
        recovered: false,
        refused: false,
        length: 0,
    };
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Exchanges what waits for it, and tells all that waits.
    pub(crate) fn commit(&mut self) {
        if self.deliveries.waiting.is_empty() {
            return;
        }
        let mut waiting = core::mem::take(&mut self.deliveries.waiting);
        let early = self.has(planted::Fault::PublishEarly);
        let exchanges = core::mem::take(&mut self.deliveries.exchanges) > 0;
        if exchanges && !early {
            self.program.doing(Activity::Exchanging);
            self.exchange(&mut waiting);
        }
        if early {
            let swaps = waiting.iter_mut().filter_map(|one| one.swap.as_mut());
            swaps.for_each(|swap| swap.done = true);
        }
        self.program.doing(Activity::Settling);
        let mut tally = Tally::NOTHING;
        for delivery in &waiting {
            if let Err(end) = self.settle(delivery, &mut tally) {
                self.end(delivery.port, end);
            }
        }
        if exchanges && early {
            self.publish();
            self.exchange(&mut waiting);
        }
        waiting.clear();
        self.deliveries.waiting = waiting;
        self.program.doing(Activity::Receiving);
    }

    /// Exchanges the pages of a batch, as far as they can be.
    fn exchange(&mut self, waiting: &mut [Delivery]) {
        let mut pairs = [[(0, 0); 2]; LIMIT];
        let mut of = [0; LIMIT];
        let mut count = 0;
        for (n, delivery) in waiting.iter().enumerate() {
            if let Some(swap) = &delivery.swap
                && let Some(pair) = self.pair(delivery, swap)
                && count < LIMIT
            {
                (pairs[count], of[count]) = (pair, n);
                count += 1;
            }
        }
        let mut refused = false;
        if count > 0
            && let Some(window) = self.slots.first()
        {
            let mut done = |n: usize, result: Result<(), sys::Error>| {
                refused |= result.is_err_and(tells_of_revocation);
                if let Some(swap) = waiting.get_mut(of[n]).and_then(|one| one.swap.as_mut()) {
                    swap.done = result.is_ok();
                }
            };
            // An aperture of the driver's own that is gone: init is taking the driver down. Until then
            // frames are copied.
            let _ = window.exchange(&self.program, &pairs[..count], &mut done);
        }
        // First the map says what is, then anybody may end.
        for delivery in waiting.iter() {
            if let Some(swap) = delivery.swap.filter(|swap| swap.done) {
                self.exchanged(delivery, &swap);
            }
        }
        if refused {
            self.notice_limbo();
        }
    }

    /// The two places of an exchange: the owner's and the recipient's. `None`: one of them has ended.
    fn pair(&mut self, delivery: &Delivery, swap: &Swap) -> Option<[(CapAddr, u16); 2]> {
        let to = receiver(&mut self.ports, delivery)?.place(Page::Seen(swap.page))?;
        let owner = self.slots.owner(swap.slot)?;
        let from = match session(&mut self.ports, owner.port) {
            Some(session) => session.place(owner.page)?,
            None => self.slots.own_place(owner.driver_page()?)?,
        };
        Some([from, to])
    }

    /// A pair of frames has changed places: so do their slots.
    fn exchanged(&mut self, delivery: &Delivery, swap: &Swap) {
        let Some(owner) = self.slots.owner(swap.slot) else {
            return;
        };
        let Some(recipient) = receiver(&mut self.ports, delivery) else {
            return;
        };
        let page = Page::Seen(swap.page);
        let old = recipient.pages.slot(swap.page);
        let Descriptor { offset, length, .. } = delivery.descriptor;
        recipient
            .pages
            .hold_whole(swap.page, offset, length, swap.clean);
        recipient.set_slot(page, swap.slot);
        let sealed = recipient.receiving.sealed;
        let to = Owner {
            port: delivery.port,
            page,
        };
        self.slots.set_owner(swap.slot, to);
        self.slots.set_away(swap.slot, false);
        if let Some(old) = old {
            if !self.has(planted::Fault::ForgetOwner) {
                self.slots.set_owner(old, owner);
            }
            match session(&mut self.ports, owner.port) {
                Some(from) => from.set_slot(owner.page, old),
                None => self.slots.got_in_return(old, sealed),
            }
        }
        self.buffers.release(swap.token);
        self.came_back(owner.port, owner.page);
    }

    /// Tells a piece to its recipient, copied if it could not be exchanged.
    ///
    /// # Errors
    /// The recipient's session must end.
    fn settle(&mut self, delivery: &Delivery, tally: &mut Tally) -> Result<(), End> {
        let mut way = delivery.way;
        let mut recovered = delivery.recovered;
        let mut copied = Ok(());
        let mut refused = false;
        if let Some(swap) = delivery.swap.filter(|swap| !swap.done) {
            way = Way::Copied;
            refused = true;
            recovered = self.slots.is_revoked(swap.slot);
            copied = self.copy_out(delivery, &swap);
            self.release(swap.token, crate::buffers::Buffer::Page(swap.slot));
        }
        let Some(recipient) = receiver(&mut self.ports, delivery) else {
            *tally = Tally::NOTHING;
            return Ok(());
        };
        recipient.receiving.deferred -= 1;
        copied?;
        recipient
            .filled
            .push(&recipient.receive, delivery.descriptor)?;
        tally.way = tally.way.and(way);
        tally.recovered |= recovered;
        tally.refused |= refused;
        tally.length += delivery.descriptor.length;
        if delivery.descriptor.flags & MORE == 0 {
            let told = core::mem::replace(tally, Tally::NOTHING);
            Self::touch(&mut self.dirty, delivery.port, recipient);
            if let Some(port) = self
                .ports
                .get_mut(delivery.port as usize)
                .and_then(Option::as_mut)
            {
                count(&mut port.counters, told.length, told.way, told.recovered);
                if told.refused {
                    port.counters.count(Counter::ChoseRefused);
                }
            }
        }
        Ok(())
    }

    /// Copies a piece that could not be exchanged to where it would be now.
    fn copy_out(&mut self, delivery: &Delivery, swap: &Swap) -> Result<(), Fault> {
        let (Some(recipient), Some(memory)) = (
            receiver(&mut self.ports, delivery),
            self.slots.memory(swap.slot),
        ) else {
            return Ok(());
        };
        let Descriptor {
            page,
            offset,
            length,
            ..
        } = delivery.descriptor;
        debug_assert_eq!(page, FIRST_RECEIVE_PAGE + swap.page as u32);
        memory.copy_to(
            Slots::<P>::offset(swap.slot) + offset as usize,
            &recipient.receive,
            page as usize * PAGE_SIZE + offset as usize,
            length as usize,
        )?;
        recipient.pages.hold_copied(swap.page, offset, length);
        Ok(())
    }

    /// Ends the sessions whose pages were taken back, as far as the kernel has told.
    pub(crate) fn notice_limbo(&mut self) {
        self.slots.limbo(&self.program, &mut self.gone);
        while let Some(number) = self.gone.take() {
            self.end(number, End::Revoked);
        }
    }
}

/// Whether the kernel refused an exchange because somebody took a page back: then it has more to tell.
fn tells_of_revocation(error: sys::Error) -> bool {
    error == sys::Error::VOID || error.is(ENOENT) || error.is(EBUSY)
}

/// The session that a piece is for, if it is still the same.
#[inline]
fn receiver<'a, P: Program>(
    ports: &'a mut [Option<alloc::boxed::Box<crate::port::Port<P>>>],
    delivery: &Delivery,
) -> Option<&'a mut Session<P>> {
    session(ports, delivery.port).filter(|session| session.serial == delivery.serial)
}

/// Counts a frame that was delivered.
#[inline]
pub(crate) fn count(counters: &mut Counters, length: u32, way: Way, recovered: bool) {
    counters.count(Counter::ReceivedFrames);
    counters.add(Counter::ReceivedBytes, length as u64);
    counters.count(way.counter());
    if recovered {
        counters.count(Counter::Recovered);
    }
}
