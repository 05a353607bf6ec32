//! Going over from copying to flipping and back, a piece at a time while frames come.
//!
//! To flip, a session's pages are pinned; a sealed one has pages behind it that its client can't see,
//! bought from its bank. To stop, or to be sealed or no longer, none of its pages may be away any more;
//! then what the client could see in them of others is zeroed, and they are unpinned. No frame is lost
//! by it: meanwhile each is copied. What can't be had (slots, pages that the client's bank can't pay)
//! leaves the session copying, which shows a client nothing that isn't its own either.

use abi::batch::LIMIT;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EBADF, EMFILE};
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::program::BANK;
use dev::settings::Strategy;
use dev::{Activity, Program};
use sys::bank::Bank;
use sys::object::Table;
use sys::{Cap, Error};

use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::pages::ReceivePages;
use crate::port::State;
use crate::receiving::{Phase, Receiving};
use crate::session::{Assets, Session};
use crate::slots::{Owner, Page, SlotNumber, Slots};
use crate::strategy::flip::clear_but;
use crate::transport::Transport;

/// Pages scrubbed in a step.
const SCRUBBED: u16 = 16;

/// How many pages a sealed session has behind those that its client sees.
pub const fn hidden_pages(receive_pages: u16) -> u16 {
    receive_pages.div_ceil(2)
}

/// What a step comes to.
enum Step {
    /// There is another.
    More,
    /// There is none until something happens.
    Done,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// A session may have to go over to another strategy.
    pub(crate) fn go_over(&mut self, number: PortNumber) {
        let Some(port) = self.port(number) else {
            return;
        };
        let wanted = port.settings.receive;
        if let State::Open(session) = &mut port.state
            && session.receiving.must_work(&wanted)
            && !session.receiving.working
        {
            session.receiving.working = true;
            self.jobs.push(number);
        }
    }

    /// Slots may have become free: whoever lacked no more than there are now tries again.
    pub(crate) fn use_freed_slots(&mut self) {
        if !self.slots.take_freed() {
            return;
        }
        for number in 0..self.ports.len() as PortNumber {
            let Some(Session { receiving, .. }) = session(&mut self.ports, number) else {
                continue;
            };
            if receiving.refused.is_none() || receiving.lacks == 0 {
                continue;
            }
            if receiving.lacks > self.slots.free() {
                self.slots.lack();
                continue;
            }
            receiving.refused = None;
            self.go_over(number);
        }
    }

    /// Takes one step of going over. `true`: there is another to take.
    pub(crate) fn switch_step(&mut self, number: PortNumber) -> bool {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return false;
        };
        let settings = port.settings;
        let State::Open(session) = &mut port.state else {
            return false;
        };
        if !session.receiving.must_work(&settings.receive) {
            session.receiving.working = false;
            return false;
        }
        let wanted = settings.receive;
        let flips = wanted.strategy != Strategy::Copy;
        self.program.doing(activity(session.receiving.phase));
        match session.receiving.phase {
            Phase::Copying => {
                session.receiving.phase = Phase::Pinning;
                session.receiving.sealed = wanted.sealed;
            }
            Phase::Pinning if !flips || session.receiving.sealed != wanted.sealed => {
                session.receiving.phase = Phase::Unpinning;
            }
            Phase::Pinning => match prepare(&self.program, &mut self.slots, number, session) {
                Ok(Step::More) => {}
                Ok(Step::Done) => {
                    let receiving = &mut session.receiving;
                    receiving.phase = Phase::Flipping;
                    receiving.refused = None;
                    receiving.share = settings.rate.share;
                    self.posting.enter(receiving.share);
                    self.posting.want(number, session);
                }
                Err(error) => {
                    log::warn!(
                        "port {}: copies, for it can't have what {wanted} takes: {error}",
                        settings.mac
                    );
                    session.receiving.refused = Some(wanted);
                    session.receiving.phase = Phase::Unpinning;
                }
            },
            Phase::Flipping => {
                session.receiving.phase = Phase::Draining;
                session.receiving.waits = false;
                self.posting.leave(session.receiving.share);
                self.post_more();
            }
            Phase::Draining if session.receiving.away > 0 => {
                let most = self.information.receive_capacity;
                let away = session.receiving.away as usize;
                if self.slots.must_wait(most, away.min(LIMIT)) {
                    return true;
                }
                let left = drain(&self.program, &mut self.slots, most, number, session);
                session.receiving.waits = left;
            }
            Phase::Draining => session.receiving.phase = Phase::Scrubbing(0),
            Phase::Scrubbing(first) => {
                session.receiving.phase = scrub(&self.slots, session, first);
            }
            Phase::Unpinning => {
                if let Step::Done = unpin(&self.program, &mut self.slots, session) {
                    session.receiving.phase = Phase::Copying;
                }
            }
        }
        true
    }
}

/// What a step from a phase on is.
const fn activity(phase: Phase) -> Activity {
    match phase {
        Phase::Copying | Phase::Pinning => Activity::PinningReceive,
        Phase::Flipping | Phase::Draining => Activity::DrainingReceive,
        Phase::Scrubbing(_) => Activity::Scrubbing,
        Phase::Unpinning => Activity::UnpinningReceive,
    }
}

/// Buys and pins some of what flipping takes.
fn prepare<P: Program>(
    program: &P,
    slots: &mut Slots<P>,
    number: PortNumber,
    session: &mut Session<P>,
) -> Result<Step, Error> {
    let Session {
        pages,
        receiving,
        assets,
        ..
    } = session;
    receiving.lacks = 0;
    let all = pages.total() as u16;
    let hidden = hidden_pages(all) * receiving.sealed as u16;
    if receiving.hidden.bought < hidden {
        let count = (hidden - receiving.hidden.bought).min(LIMIT as u16);
        let segment = hidden_segment(program, assets)?;
        let purse: Cap<Bank> = Cap::at(assets.purse.ok_or(Error::new(EBADF))?);
        let rights = Rights::READ | Rights::WRITE;
        purse.buy_places(
            program.sys(),
            Kind::Page,
            count as u64,
            segment,
            receiving.hidden.bought as u64,
            rights,
        )?;
        receiving.hidden.bought += count;
        return Ok(Step::More);
    }
    let missing =
        (all - receiving.pinned) as usize + hidden as usize - receiving.hidden.slots.len();
    if missing > slots.free() {
        // By then what it has pinned is unpinned.
        receiving.lacks = all as usize + hidden as usize;
        slots.lack();
        return Err(Error::new(EMFILE));
    }
    if receiving.pinned < all {
        let segment = Cap::at(assets.segment.ok_or(Error::new(EBADF))?);
        let first = ReceivePages::place(receiving.pinned) as u16;
        let count = all - receiving.pinned;
        let pinned = slots.pin(program, segment, first, count, |place, slot| {
            let page = place - FIRST_RECEIVE_PAGE as u16;
            pages.set_slot(page, Some(slot));
            receiving.pinned = page + 1;
            Owner {
                port: number,
                page: Page::Seen(page),
            }
        });
        return pinned.map(|_| Step::More);
    }
    if receiving.hidden.slots.len() < hidden as usize {
        return pin_hidden(program, slots, number, receiving, assets, hidden);
    }
    Ok(Step::Done)
}

fn pin_hidden<P: Program>(
    program: &P,
    slots: &mut Slots<P>,
    number: PortNumber,
    receiving: &mut Receiving,
    assets: &Assets<P>,
    count: u16,
) -> Result<Step, Error> {
    let segment = Cap::at(assets.hidden.ok_or(Error::new(EBADF))?);
    let hidden = &mut receiving.hidden;
    let reserved = hidden
        .slots
        .try_reserve(count as usize)
        .and_then(|()| hidden.spare.try_reserve(count as usize));
    reserved.map_err(|_| Error::new(abi::error::ENOMEM))?;
    let first = hidden.slots.len() as u16;
    let pinned = slots.pin(program, segment, first, count - first, |page, slot| {
        hidden.slots.push(Some(slot));
        hidden.spare.push(page);
        Owner {
            port: number,
            page: Page::Hidden(page),
        }
    });
    pinned.map(|_| Step::More)
}

/// The segment of the hidden pages, bought from the driver's own bank when it is needed first.
fn hidden_segment<P: Program>(program: &P, assets: &mut Assets<P>) -> Result<Cap<Table>, Error> {
    if let Some(slot) = assets.hidden {
        return Ok(Cap::at(slot));
    }
    let slot: CapAddr = program.take_segment_slot()?;
    let (table, index) = program.table_of(slot);
    BANK.buy_caps(program.sys(), Kind::Table1, 1, table, index)
        .inspect_err(|_| program.give_slot(slot))?;
    assets.hidden = Some(slot);
    Ok(Cap::at(slot))
}

/// Exchanges some of a session's pages that are away for pages of the driver's own. `true`: none could
/// be, and what is away has to come back by itself.
fn drain<P: Program>(
    program: &P,
    slots: &mut Slots<P>,
    most: u16,
    number: PortNumber,
    session: &mut Session<P>,
) -> bool {
    let mut away = [(SlotNumber::default(), (0, 0), Page::Seen(0)); LIMIT];
    let mut count = 0;
    let hidden = session.receiving.hidden.slots.len() as u16;
    let seen = (0..session.pages.total() as u16).map(Page::Seen);
    for page in seen.chain((0..hidden).map(Page::Hidden)) {
        if let Some(slot) = session.slot(page)
            && slots.is_away(slot)
            && let Some(place) = session.place(page)
            && count < LIMIT
        {
            away[count] = (slot, place, page);
            count += 1;
        }
    }
    let before = session.receiving.away;
    slots.substitute(program, number, most, &away[..count], |page| {
        session.replaced(*page);
    });
    session.receiving.away == before
}

/// Zeroes some of what a client sees that isn't its own.
fn scrub<P: Program>(slots: &Slots<P>, session: &mut Session<P>, first: u16) -> Phase {
    let all = session.pages.total() as u16;
    let end = all.min(first + SCRUBBED);
    for page in first..end {
        if let Some(slot) = session.pages.slot(page)
            && let Some(memory) = slots.memory(slot)
            && let Some((start, end)) = session.pages.cleanse(page)
        {
            clear_but(memory, Slots::<P>::offset(slot), start, end);
        }
    }
    match end < all {
        true => Phase::Scrubbing(end),
        false => Phase::Unpinning,
    }
}

/// Unpins some of a session's pages, none of which is away.
fn unpin<P: Program>(program: &P, slots: &mut Slots<P>, session: &mut Session<P>) -> Step {
    let Session {
        pages,
        receiving,
        assets,
        ..
    } = session;
    if assets.slots.is_empty() {
        let hidden = &mut receiving.hidden;
        hidden.spare.clear();
        for slot in hidden.slots.drain(..).flatten() {
            slots.leave(slot);
            assets.slots.push(slot);
        }
        for page in 0..core::mem::take(&mut receiving.pinned) {
            if let Some(slot) = pages.slot(page) {
                pages.set_slot(page, None);
                slots.leave(slot);
                assets.slots.push(slot);
            }
        }
    }
    slots.unpin(program, &mut assets.slots);
    match assets.slots.is_empty() {
        true => Step::Done,
        false => Step::More,
    }
}
