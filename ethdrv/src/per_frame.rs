//! Transmit pages that are pinned while a frame in them is being sent, and not beyond.
//!
//! Frames are taken out of the ring some at a time, and the pages that they need and that aren't pinned
//! yet are pinned in one batch. The kernel gives a page two pins at most, and many frames may
//! lie in one: so a page is pinned once, in the slot of its own number, and counts the frames that need it.
//! Pages that nobody needs any more are unpinned in batches at the end of the round, before the client
//! is told that its frames have left.
//!
//! A page that the client replaces while frames in it are being sent stays what it was pinned as until
//! the last of them has left.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::error::{EBADF, ENOENT};
use dev::Program;
use dev::layout::FIRST_TRANSMIT_PAGE;
use dev::statistics::{Counter, Counters};
use dev::window::{Pinned, Window, direction};
use sys::object::Table;
use sys::{Cap, Error};

use crate::frame::MOST_PARTS;
use crate::misbehaviour::{End, Kind};
use crate::outgoing::{Outgoing, TransmitPage};
use crate::session::Session;

/// Frames taken at once: what they need is pinned in one batch.
const TAKEN: usize = LIMIT / MOST_PARTS;

#[derive(Default)]
struct Page {
    pin: Option<Pinned>,
    /// Frames that need it.
    frames: u16,
    /// It stands among those that nobody may need.
    listed: bool,
}

/// The pins of a session that pins per frame.
pub struct FramePins {
    segment: Cap<Table>,
    pages: Box<[Page]>,
    /// Frames out of the ring, whose pages are pinned if they could be.
    taken: VecDeque<Outgoing>,
    /// Pages that nobody may need, each once.
    unneeded: Vec<u16>,
}

impl FramePins {
    /// None yet, of so many pages of a segment. `None`: there is no memory.
    pub fn new(segment: Cap<Table>, pages: u16) -> Option<FramePins> {
        let mut all = Vec::new();
        let mut unneeded = Vec::new();
        let mut taken = VecDeque::new();
        all.try_reserve_exact(pages as usize).ok()?;
        unneeded.try_reserve_exact(pages as usize).ok()?;
        taken.try_reserve_exact(TAKEN).ok()?;
        all.resize_with(pages as usize, Page::default);
        Some(FramePins {
            segment,
            pages: all.into_boxed_slice(),
            taken,
            unneeded,
        })
    }

    /// A frame needs its pages.
    fn hold(&mut self, frame: Outgoing) {
        for (page, _) in frame.needed() {
            if let Some(page) = self.pages.get_mut(*page as usize) {
                page.frames += 1;
            }
        }
        self.taken.push_back(frame);
    }

    /// A frame no longer needs these pages.
    pub(crate) fn release(&mut self, pages: &[(u16, u16)]) {
        for (number, _) in pages {
            let Some(page) = self.pages.get_mut(*number as usize) else {
                continue;
            };
            page.frames -= 1;
            if page.frames == 0 && !page.listed {
                page.listed = true;
                self.unneeded.push(*number);
            }
        }
    }

    /// Pins what the frames taken need.
    fn pin<P: Program>(
        &mut self,
        program: &P,
        window: &Window<P>,
        addresses: &mut [TransmitPage],
    ) -> Result<(), End> {
        let mut wanted = [(0, 0); LIMIT];
        let mut count = 0;
        for (number, _) in self.taken.iter().flat_map(Outgoing::needed) {
            let place = *number + FIRST_TRANSMIT_PAGE as u16;
            let pinned = self.pages.get(*number as usize).map(|page| &page.pin);
            if matches!(pinned, Some(None)) && !wanted[..count].contains(&(place, place)) {
                wanted[count] = (place, place);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(());
        }
        let orders = &wanted[..count];
        let mut pins = [const { None }; LIMIT];
        let result = window.pin_each(
            program,
            self.segment,
            direction::TO_DEVICE,
            orders,
            |n, address| pins[n] = Some(Pinned::new(orders[n].0, address)),
        );
        for ((place, _), pin) in orders.iter().zip(pins) {
            let number = *place as usize - FIRST_TRANSMIT_PAGE as usize;
            if let (Some(page), Some(address)) =
                (self.pages.get_mut(number), addresses.get_mut(number))
            {
                address.address = pin.as_ref().map_or(0, Pinned::address);
                page.pin = pin;
            }
        }
        match result {
            // The page was revoked, or the segment: as if it had been pinned all the time.
            Err(error) if is_gone(error) => Err(End::Revoked),
            // Whatever else keeps a page from being pinned is its frames' loss.
            _ => Ok(()),
        }
    }

    fn is_pinned(&self, frame: &Outgoing) -> bool {
        frame.needed().iter().all(|(page, _)| {
            let page = self.pages.get(*page as usize);
            page.is_some_and(|page| page.pin.is_some())
        })
    }

    /// Unpins what nobody needs.
    pub(crate) fn unpin_unneeded<P: Program>(&mut self, program: &P, window: &Window<P>) {
        while !self.unneeded.is_empty() {
            let mut slots = [0; LIMIT];
            let mut count = 0;
            while count < LIMIT
                && let Some(number) = self.unneeded.pop()
            {
                let Some(page) = self.pages.get_mut(number as usize) else {
                    continue;
                };
                page.listed = false;
                if page.frames == 0
                    && let Some(pin) = page.pin.take()
                {
                    slots[count] = pin.slot();
                    count += 1;
                }
            }
            // An aperture that is gone holds no pins: init is taking the driver down.
            let _ = window.unpin_each(program, &slots[..count]);
        }
    }

    /// The session ends: what is pinned is unpinned when the last frame has left. There is room in
    /// `into` for all pages.
    pub(crate) fn hand_over(&mut self, into: &mut Vec<Pinned>) {
        into.extend(self.pages.iter_mut().filter_map(|page| page.pin.take()));
    }
}

/// Takes the next frame that a session wants to send, with its pages pinned. `false`: there is none,
/// and it wakes the driver when there is.
///
/// # Errors
/// The client misbehaves, or a page is gone.
pub(crate) fn next_pinned<P: Program>(
    program: &P,
    window: &Window<P>,
    session: &mut Session<P>,
    counters: &mut Counters,
    next: impl Fn(&mut Session<P>) -> Result<bool, End>,
) -> Result<bool, End> {
    if core::mem::take(&mut session.pending) {
        return Ok(true);
    }
    loop {
        let Some(pins) = &mut session.frame_pins else {
            return next(session);
        };
        if let Some(frame) = pins.taken.pop_front() {
            session.outgoing = frame;
            if !pins.is_pinned(&frame) {
                counters.count(Counter::NotPinned);
                session.finish_frame();
                continue;
            }
            // It may have been taken together with one that has the same memory.
            if let Some(part) = session.overlap() {
                let offset = part.offset as u32;
                return Err(End::Misbehaved(Kind::TransmitTwice {
                    page: offset / abi::PAGE_SIZE as u32,
                    offset: offset % abi::PAGE_SIZE as u32,
                }));
            }
            return Ok(true);
        }
        let mut there = next(session)?;
        while there {
            let Some(pins) = &mut session.frame_pins else {
                return Ok(false);
            };
            pins.hold(session.outgoing);
            let full = pins.taken.len() == TAKEN;
            there = !full && session.next_outgoing()?;
        }
        let Some(pins) = &mut session.frame_pins else {
            return Ok(false);
        };
        if pins.taken.is_empty() {
            return Ok(false);
        }
        pins.pin(program, window, &mut session.transmit_pages)?;
    }
}

fn is_gone(error: Error) -> bool {
    error == Error::VOID || error.is(ENOENT) || error.is(EBADF)
}
