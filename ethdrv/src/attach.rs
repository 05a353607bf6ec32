//! Attaching: making a session, a piece at a time between frames.
//!
//! The client's bank pays for the receive pages; all that the driver needs in order to survive the
//! loss of that bank (the receive segment itself, aperture, window, its own records) is the driver's.
//! A step that fails undoes what was made, and the client is told which of its offers was at fault.

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EBADF, EDQUOT, EMFILE, ENOMEM, OK};
use dev::Program;
use dev::layout::{FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE};
use dev::program::{BANK, PROCESS, describe, weaken};
use dev::refusal::Refusal;
use dev::statistics::Counter;
use dev::window::{Wanted, direction};
use sys::bank::{Bank, BankRights, Verifier};
use sys::object::Table;
use sys::{Cap, Error, Message};

use crate::close::Closing;
use crate::demux::PortNumber;
use crate::driver::Driver;
use crate::outgoing::TransmitPage;
use crate::pages::ReceivePages;
use crate::port::{State, kick_bit, session_badge};
use crate::session::{Assets, Session};
use crate::switch::hidden_pages;
use crate::transport::Transport;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Verify,
    Bank,
    Segment,
    Pages,
    Map,
    Pins,
    Open,
}

/// What an attempt came to.
pub struct Made<P: Program> {
    /// Who waits for the answer.
    pub resume: CapAddr,
    /// Where the client is notified.
    pub notify: CapAddr,
    /// Receive pages.
    pub receive_pages: u16,
    /// What was made.
    pub assets: Assets<P>,
}

/// An attempt to attach.
pub struct Attaching<P: Program> {
    step: Step,
    /// Who waits for the answer.
    resume: CapAddr,
    /// What the client offers.
    bank: CapAddr,
    segment: CapAddr,
    notify: CapAddr,
    transmit_pages: u16,
    receive_pages: u16,
    /// Pages bought so far.
    bought: u32,
    /// The session's bank, with all rights: until the pages are bought.
    session_bank: Option<CapAddr>,
    assets: Assets<P>,
}

impl<P: Program> Attaching<P> {
    /// An attempt that has not begun: who waits for it, what was offered (bank, segment, notification),
    /// and pages.
    pub const fn new(
        resume: CapAddr,
        [bank, segment, notify]: [CapAddr; 3],
        transmit_pages: u16,
        receive_pages: u16,
    ) -> Attaching<P> {
        Attaching {
            step: Step::Verify,
            resume,
            bank,
            segment,
            notify,
            transmit_pages,
            receive_pages,
            bought: 0,
            session_bank: None,
            assets: Assets::new(),
        }
    }

    /// Takes a step of what is the same for whoever serves a port: all up to the mapped receive segment.
    /// `false`: that is done.
    ///
    /// # Errors
    /// The offer is refused; what was made is to be [undone](Attaching::into_ruins).
    pub fn step(&mut self, program: &P, verifier: Cap<Verifier>) -> Result<bool, Refusal> {
        self.step = match self.step {
            Step::Verify => match verifier.verify(program.sys(), self.bank) {
                Ok(verdict) if verdict.genuine => {
                    check_offer(program, self)?;
                    Step::Bank
                }
                _ => return Err(Refusal::NotABank),
            },
            Step::Bank => {
                make_bank(program, verifier, self)?;
                Step::Segment
            }
            Step::Segment => {
                make_segment(program, self)?;
                Step::Pages
            }
            Step::Pages => buy_pages(program, self)?,
            Step::Map => {
                map(program, self)?;
                Step::Pins
            }
            Step::Pins | Step::Open => return Ok(false),
        };
        Ok(true)
    }

    /// The transmit segment offered.
    pub const fn segment(&self) -> Cap<Table> {
        Cap::at(self.segment)
    }

    /// All is made: what a session is made of. What was only needed to make it is given back.
    pub fn finish(self, program: &P) -> Made<P> {
        for slot in [Some(self.bank), Some(self.segment), self.session_bank]
            .into_iter()
            .flatten()
        {
            program.give_slot(slot);
        }
        Made {
            resume: self.resume,
            notify: self.notify,
            receive_pages: self.receive_pages,
            assets: self.assets,
        }
    }

    /// It failed: what is to be undone, and the slots that are to be emptied then.
    pub fn into_ruins(self) -> (Assets<P>, Vec<CapAddr>) {
        let slots = self.slots();
        (self.assets, slots)
    }

    /// What is to be emptied when it fails, beside the assets.
    fn slots(&self) -> Vec<CapAddr> {
        [Some(self.bank), Some(self.segment), Some(self.notify)]
            .into_iter()
            .chain([self.session_bank])
            .flatten()
            .collect()
    }
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Takes one step of attaching. `true`: there is another to take.
    pub(crate) fn attach_step(&mut self, number: PortNumber) -> bool {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return false;
        };
        let State::Attaching(attaching) = &mut port.state else {
            return false;
        };
        let program = &self.program;
        let done = match attaching.step {
            Step::Pins => {
                let (next, wanted) = next_pins(attaching);
                let segment = attaching.segment();
                let pins = &mut attaching.assets.pins;
                let all = FIRST_TRANSMIT_PAGE as usize + attaching.transmit_pages as usize;
                match pins.try_reserve_exact(all - pins.len()) {
                    Ok(()) => {
                        let pinned = port.window.pin(program, segment, wanted, pins);
                        pinned.map(|()| attaching.step = next).map_err(refuse_pin)
                    }
                    Err(_) => Err(Refusal::DriverFull),
                }
            }
            Step::Open => {
                self.open(number);
                return false;
            }
            _ => attaching.step(program, self.verifier).map(|_| ()),
        };
        if let Err(refusal) = done {
            self.fail(number, refusal);
        }
        true
    }

    /// An attempt, if there is one, failed: undo it, then say why.
    pub(crate) fn fail(&mut self, number: PortNumber, refusal: Refusal) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(attaching) = port.take_attaching() else {
            return;
        };
        log::info!("port {}: not attached: {refusal}", port.settings.mac);
        port.refusal = Some(refusal);
        let resume = attaching.resume;
        let (assets, slots) = attaching.into_ruins();
        let closing = Closing::refused(assets, slots, resume, refusal);
        port.state = State::Closing(closing);
    }

    /// Refuses an attempt of which nothing was made yet.
    pub(crate) fn reject(&mut self, attaching: Attaching<P>, refusal: Refusal) {
        for slot in attaching.slots() {
            self.program.give_slot(slot);
        }
        let answer = Message::new(&[refusal as u64]);
        self.answer(attaching.resume, refusal.error().0, &answer);
    }

    /// Everything is there: the session begins.
    fn open(&mut self, number: PortNumber) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(attaching) = port.take_attaching() else {
            return;
        };
        let Made {
            resume,
            notify,
            receive_pages,
            assets,
        } = attaching.finish(&self.program);
        self.serial += 1;
        let serial = self.serial;
        let answered = make_caps(&self.program, number, serial, &assets);
        let receive = assets
            .place
            .as_ref()
            .map(|place| self.program.shared(place));
        let mut assets = assets;
        let pages = ReceivePages::new(receive_pages);
        let slots = receive_pages + hidden_pages(receive_pages);
        // The transmit pages are noted when the session begins: what is free now is free then.
        let transmit = Vec::<TransmitPage>::new().try_reserve_exact(assets.pins.len());
        let room = transmit.is_ok() && assets.slots.try_reserve(slots as usize).is_ok();
        let (Ok(caps), Some(receive), Some(pages), true) = (answered, receive, pages, room) else {
            answered
                .iter()
                .flat_map(|caps| &caps[..3])
                .for_each(|slot| self.program.give_slot(*slot));
            let closing = Closing::refused(assets, [notify].into(), resume, Refusal::DriverFull);
            port.state = State::Closing(closing);
            self.jobs.push_back(number);
            return;
        };
        let memory = port.window.memory().clone();
        let begun = Session::begin(serial, receive, memory, pages, notify, assets);
        let (status, answer) = match begun {
            Ok(session) => {
                let pages = session.pages.total() as u64;
                port.state = State::Open(session);
                port.refusal = None;
                port.counters.count(Counter::Sessions);
                let mac = port.settings.mac;
                log::debug!("port {mac}: session {serial} with {pages} receive pages");
                let words = [pages, mac.word(), self.information.frame_limit as u64];
                self.demux.open(number);
                self.posting.open();
                self.activate(number);
                self.go_over(number);
                (OK, Message::new(&words).with_caps(&caps))
            }
            Err((_, assets)) => {
                // Its bank went while it attached: to be undone, and refused when that is done.
                let closing = Closing::refused(assets, [notify].into(), resume, Refusal::NotABank);
                port.state = State::Closing(closing);
                self.jobs.push_back(number);
                caps[..3]
                    .iter()
                    .for_each(|slot| self.program.give_slot(*slot));
                return;
            }
        };
        self.answer(resume, status, &answer);
        // The bank's capability stays: it is how the driver gives everything back.
        caps[..3]
            .iter()
            .for_each(|slot| self.program.give_slot(*slot));
        self.tell_observer();
    }
}

/// The capabilities that attaching answers, of the process that serves the port; the fourth is the
/// assets' own.
///
/// # Errors
/// There is no slot left.
pub fn make_caps<P: Program>(
    program: &P,
    number: PortNumber,
    serial: u64,
    assets: &Assets<P>,
) -> Result<[CapAddr; 4], Error> {
    let (Some(segment), Some(bank)) = (assets.segment, assets.bank) else {
        return Err(Error::new(EBADF));
    };
    let sys = program.sys();
    let mut made: [CapAddr; 2] = [0; 2];
    let mut make = || -> Result<CapAddr, Error> {
        for slot in &mut made {
            *slot = program.take_slot()?;
        }
        PROCESS.make_start(sys, session_badge(number, serial), made[0])?;
        PROCESS.make_notify(sys, kick_bit(number), made[1])?;
        weaken(program, segment, Rights::READ)
    };
    match make() {
        Ok(receive) => Ok([receive, made[0], made[1], bank]),
        Err(error) => {
            made.into_iter()
                .filter(|slot| *slot != 0)
                .for_each(|slot| program.give_slot(slot));
            Err(error)
        }
    }
}

/// The transmit segment must be one, readable and to be pinned; the notification must be one.
fn check_offer<P: Program>(program: &P, attaching: &Attaching<P>) -> Result<(), Refusal> {
    let (kind, rights) = describe(program, attaching.segment).map_err(|_| Refusal::NotASegment)?;
    if kind != Kind::Table1 as u8 {
        return Err(Refusal::NotASegment);
    }
    // Nobody but the driver has the pin right on a receive segment: offered here, one is refused.
    if !rights.contains(Rights::READ | Rights::PIN) {
        return Err(Refusal::SegmentNotPinnable);
    }
    let (kind, _) = describe(program, attaching.notify).map_err(|_| Refusal::NotANotify)?;
    // A `Start` is refused: to signal it would be to send a message to whom the client names.
    if kind != Kind::Notify as u8 {
        return Err(Refusal::NotANotify);
    }
    Ok(())
}

/// Makes an opaque bank under the client's, for the control page, the ring and the receive pages.
fn make_bank<P: Program>(
    program: &P,
    verifier: Cap<Verifier>,
    attaching: &mut Attaching<P>,
) -> Result<(), Refusal> {
    let sys = program.sys();
    let client: Cap<Bank> = Cap::at(attaching.bank);
    let slot = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    let session: Cap<Bank> = Cap::at(slot);
    // If it is to be sealed, some pages more.
    let pages = attaching.receive_pages + hidden_pages(attaching.receive_pages);
    let limit = FIRST_RECEIVE_PAGE as u64 + pages as u64;
    if let Err(error) = client.sub_bank(sys, limit, true, session) {
        program.give_slot(slot);
        return Err(refuse_bank(error));
    }
    // Until there is a weaker capability, this one is how it is destroyed.
    attaching.assets.bank = Some(slot);
    let weak = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    if let Err(error) = session.restrict(sys, BankRights::DESTROY, Cap::at(weak)) {
        program.give_slot(weak);
        return Err(refuse_bank(error));
    }
    attaching.session_bank = Some(slot);
    attaching.assets.bank = Some(weak);
    let purse = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    attaching.assets.purse = Some(purse);
    session
        .restrict(sys, BankRights::BUY, Cap::at(purse))
        .map_err(refuse_bank)?;
    match verifier.verify(sys, slot) {
        Ok(verdict) if verdict.genuine && verdict.opaque => Ok(()),
        _ => Err(Refusal::NotABank),
    }
}

/// Buys the receive segment from the driver's own bank: it is the driver's, whoever owns the pages.
fn make_segment<P: Program>(program: &P, attaching: &mut Attaching<P>) -> Result<(), Refusal> {
    let slot = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    let (table, index) = program.table_of(slot);
    if BANK
        .buy_caps(program.sys(), Kind::Table1, 1, table, index)
        .is_err()
    {
        program.give_slot(slot);
        return Err(Refusal::DriverFull);
    }
    attaching.assets.segment = Some(slot);
    Ok(())
}

/// Buys some of the pages from the session's bank.
fn buy_pages<P: Program>(program: &P, attaching: &mut Attaching<P>) -> Result<Step, Refusal> {
    let (Some(bank), Some(segment)) = (attaching.session_bank, attaching.assets.segment) else {
        return Err(Refusal::Unknown);
    };
    let (bank, segment): (Cap<Bank>, Cap<Table>) = (Cap::at(bank), Cap::at(segment));
    let wanted = FIRST_RECEIVE_PAGE + attaching.receive_pages as u32;
    let count = (wanted - attaching.bought).min(LIMIT as u32);
    let rights = Rights::READ | Rights::WRITE;
    bank.buy_places(
        program.sys(),
        Kind::Page,
        count as u64,
        segment,
        attaching.bought as u64,
        rights,
    )
    .map_err(refuse_bank)?;
    attaching.bought += count;
    Ok(match attaching.bought < wanted {
        true => Step::Pages,
        false => Step::Map,
    })
}

fn map<P: Program>(program: &P, attaching: &mut Attaching<P>) -> Result<(), Refusal> {
    let segment = attaching.assets.segment.ok_or(Refusal::Unknown)?;
    let rights = Rights::READ | Rights::WRITE;
    let place = program
        .map(Cap::at(segment), rights)
        .map_err(|_| Refusal::DriverFull)?;
    attaching.assets.place = Some(place);
    Ok(())
}

/// What to pin next, into slots with the numbers of the places: first the rings, which the device
/// doesn't see, then the transmit pages.
fn next_pins<P: Program>(attaching: &Attaching<P>) -> (Step, Wanted) {
    let rings = FIRST_TRANSMIT_PAGE as u16;
    let all = rings + attaching.transmit_pages;
    let next = attaching.assets.pins.len() as u16;
    let (end, direction) = match next < rings {
        true => (rings, direction::NONE),
        false => (all, direction::TO_DEVICE),
    };
    let count = (end - next).min(LIMIT as u16);
    let step = match next + count < all {
        true => Step::Pins,
        false => Step::Open,
    };
    let wanted = Wanted {
        slot: next,
        index: next,
        count,
        direction,
    };
    (step, wanted)
}

fn refuse_bank(error: Error) -> Refusal {
    match error {
        _ if error.is(EDQUOT) || error.is(ENOMEM) => Refusal::BankTooSmall,
        _ => Refusal::NotABank,
    }
}

fn refuse_pin(error: Error) -> Refusal {
    match error {
        Error::VOID => Refusal::NotASegment,
        _ if error.is(EBADF) => Refusal::NotASegment,
        _ if error.is(EACCES) => Refusal::SegmentNotPinnable,
        _ if error.is(EMFILE) => Refusal::DriverFull,
        _ => Refusal::PageNotPinnable,
    }
}
