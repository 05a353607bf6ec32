//! Closing: undoing what a session, or an attempt at one, was made of, a piece at a time.
//!
//! What was pinned stays pinned until the device is done with it. The order matters: first the client
//! stops being served, then those of its pages that the device has are exchanged for the driver's own,
//! then they all go back to its bank, then the pins go, then it is told.

use abi::batch::LIMIT;
use abi::cap::{CapAddr, NONE};
use abi::error::OK;
use dev::refusal::Refusal;
use dev::{Activity, Program};
use sys::Message;

use crate::attach::{Attaching, give_slots};
use crate::demux::PortNumber;
use crate::driver::Driver;
use crate::planted::Fault;
use crate::port::State;
use crate::receiving::Phase;
use crate::session::{Assets, Session};
use crate::slots::Page;
use crate::transport::Transport;

/// What is left of a session.
pub struct Closing<P: Program> {
    /// Frames that the device or other sessions still need.
    in_flight: u32,
    /// Nothing is left to do but to wait for these.
    idle: bool,
    assets: Assets<P>,
    /// Slots to be emptied, as far as there are any.
    slots: [CapAddr; 4],
    /// Who waits for the end, and how many.
    waiters: [CapAddr; MOST_WAITERS],
    waiting: usize,
    /// Who attached in vain, and why.
    refused: Option<(CapAddr, Refusal)>,
    /// Who attaches next.
    pub(crate) next: Option<Attaching<P>>,
    /// The port goes, too.
    removed: bool,
}

/// What a frame was to a closing that is no longer in transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// One of several.
    One,
    /// The last.
    Last,
    /// The last, and all that the closing waited for.
    Resume,
}

/// Most that may wait for one closing: who asks beyond that is answered at once.
const MOST_WAITERS: usize = 4;

impl<P: Program> Closing<P> {
    /// What is left of an attempt to attach.
    pub(crate) fn refused(
        assets: Assets<P>,
        slots: [CapAddr; 4],
        resume: CapAddr,
        refusal: Refusal,
    ) -> Closing<P> {
        Closing {
            assets,
            slots,
            refused: Some((resume, refusal)),
            ..Closing::nothing()
        }
    }

    /// Nothing is left, and yet somebody waits for it to be over.
    pub(crate) const fn nothing() -> Closing<P> {
        Closing {
            in_flight: 0,
            idle: false,
            assets: Assets::new(),
            slots: [NONE; 4],
            waiters: [NONE; MOST_WAITERS],
            waiting: 0,
            refused: None,
            next: None,
            removed: false,
        }
    }

    fn of(mut session: Session<P>) -> Closing<P> {
        if let Some(pins) = &mut session.frame_pins {
            pins.hand_over(&mut session.assets.pins);
        }
        Closing {
            in_flight: session.in_flight,
            assets: session.assets,
            slots: [session.notify, NONE, NONE, NONE],
            ..Closing::nothing()
        }
    }

    /// A frame is no longer in transmission.
    pub(crate) fn landed(&mut self) -> Landed {
        self.in_flight -= 1;
        match self.in_flight {
            0 if core::mem::take(&mut self.idle) => Landed::Resume,
            0 => Landed::Last,
            _ => Landed::One,
        }
    }

    /// Frames that are still needed.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether enough wait for the end.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.waiting >= MOST_WAITERS
    }

    /// Somebody wants to know when it is over. To be asked [first](Closing::is_crowded).
    pub(crate) fn wait(&mut self, resume: CapAddr) {
        if let Some(free) = self.waiters.get_mut(self.waiting) {
            *free = resume;
            self.waiting += 1;
        }
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Stops serving a port's session, and begins to undo it.
    pub(crate) fn close(&mut self, number: PortNumber) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(mut session) = port.take_session() else {
            return;
        };
        self.demux.close(number, &session.groups);
        self.schedule.remove(number);
        self.awaiting_room -= session.awaits_room as u32;
        self.awaiting_flights += (session.in_flight > 0) as u32;
        self.pinning_per_frame -= session.frame_pins.is_some() as u32;
        self.flood.leave(&session.budget);
        self.leave_pages(number, &mut session);
        if let Some(port) = self.port(number) {
            port.state = State::Closing(Closing::of(session));
        }
        self.jobs.push(number);
        self.tell_observer(number);
    }

    /// A session leaves its receive pages: those that are away are unpinned when they come back, the
    /// others by and by.
    fn leave_pages(&mut self, number: PortNumber, session: &mut Session<P>) {
        let hidden = session.receiving.hidden.slots.len() as u16;
        let seen = (0..session.pages.total() as u16).map(Page::Seen);
        for page in seen.chain((0..hidden).map(Page::Hidden)) {
            let Some(slot) = session.slot(page) else {
                continue;
            };
            if self.slots.leave(slot) {
                session.assets.slots.push(slot);
            } else if let Some(place) = session.place(page) {
                session.assets.away.push((slot, place, ()));
            }
        }
        let receiving = &session.receiving;
        if receiving.phase == Phase::Flipping {
            self.posting.leave(receiving.share);
        }
        self.posting.close(number, session);
        self.post_more();
    }

    /// The port is to go when its session has. `false`: it is so already.
    pub(crate) fn close_for_good(&mut self, number: PortNumber) -> bool {
        match self.ports.get_mut(number as usize).and_then(Option::as_mut) {
            Some(port) => match &mut port.state {
                State::Closing(closing) => !core::mem::replace(&mut closing.removed, true),
                _ => false,
            },
            None => false,
        }
    }

    /// Takes one step of closing. `true`: there is another to take.
    pub(crate) fn close_step(&mut self, number: PortNumber) -> bool {
        let keeps_segment = self.has(Fault::KeepSegment);
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return false;
        };
        let State::Closing(closing) = &mut port.state else {
            return false;
        };
        let program = &self.program;
        let assets = &mut closing.assets;
        program.doing(Activity::Undoing);
        if !assets.away.is_empty() {
            let first = assets.away.len().saturating_sub(LIMIT);
            let most = self.information.receive_capacity;
            if self.slots.must_wait(most, assets.away.len() - first) {
                return true;
            }
            self.slots
                .substitute(program, number, most, &assets.away[first..], |()| ());
            assets.away.truncate(first);
            return true;
        }
        if keeps_segment && let Some(segment) = assets.segment.take() {
            program.give_slot(segment);
        }
        if assets.undo(program) {
            return true;
        }
        if !assets.slots.is_empty() {
            program.doing(Activity::ClosingReceive);
            self.slots.unpin(program, &mut assets.slots);
            return true;
        }
        if closing.in_flight > 0 {
            program.doing(Activity::AwaitingFlights);
            closing.idle = true;
            return false;
        }
        if !assets.pins.is_empty() {
            program.doing(Activity::ClosingTransmit);
            // An aperture that is gone holds no pins.
            let _ = port.window.unpin(program, &mut assets.pins);
            return true;
        }
        program.doing(Activity::Closing);
        self.closed(number);
        false
    }

    /// All is undone: tells who waits, and goes on to what comes next.
    fn closed(&mut self, number: PortNumber) {
        let keeps_slots = self.has(Fault::KeepSlots);
        let Some(entry) = self.ports.get_mut(number as usize) else {
            return;
        };
        let Some(port) = entry.as_mut() else {
            return;
        };
        let Some(closing) = port.take_closing() else {
            return;
        };
        let gone = if closing.removed { entry.take() } else { None };
        if !keeps_slots {
            give_slots(&self.program, closing.slots);
        }
        if let Some((resume, refusal)) = closing.refused {
            let answer = Message::new(&[refusal as u64]);
            self.answer(resume, refusal.error().0, &answer);
        }
        let mut next = closing.next;
        if let Some(port) = gone {
            self.posting.change();
            let [aperture, window] = [port.window.aperture().address(), port.window_cap];
            port.window.close(&self.program);
            self.program.give_slot(aperture);
            self.program.give_slot(window);
            if let Some(attaching) = next.take() {
                self.reject(attaching, Refusal::PortRemoved);
            }
        }
        for resume in closing.waiters.into_iter().take(closing.waiting) {
            self.answer(resume, OK, &Message::default());
        }
        if let Some(attaching) = next
            && let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut)
        {
            port.state = State::Attaching(attaching);
            self.jobs.push(number);
        }
    }
}
