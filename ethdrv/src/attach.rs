//! Attaching: making a session, a piece at a time between frames.
//!
//! The client's bank pays for the receive pages; all that the driver needs in order to survive the
//! loss of that bank (the receive segment itself, aperture, window, its own records) is the driver's.
//! A step that fails undoes what was made, and the client is told which of its offers was at fault.

mod make;

use alloc::vec::Vec;

use abi::batch::LIMIT;
use abi::cap::{CapAddr, NONE, Rights};
use abi::error::{EACCES, EBADF, EMFILE, ENOMEM, OK};
use dev::layout::FIRST_TRANSMIT_PAGE;
use dev::program::{PROCESS, weaken};
use dev::refusal::Refusal;
use dev::settings::Pinning;
use dev::statistics::Counter;
use dev::window::{Wanted, direction};
use dev::{Activity, Program};
use sys::bank::Verifier;
use sys::object::Table;
use sys::{Cap, Error, Message};

use self::make::{buy_pages, check_offer, make_bank, make_segment, map};
use crate::close::Closing;
use crate::demux::PortNumber;
use crate::driver::Driver;
use crate::outgoing::TransmitPage;
use crate::pages::ReceivePages;
use crate::per_frame::FramePins;
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
    /// Transmit pages.
    pub transmit_pages: u16,
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

impl Step {
    /// What taking it is.
    const fn activity(self) -> Activity {
        match self {
            Step::Verify => Activity::Verifying,
            Step::Bank => Activity::MakingBank,
            Step::Segment => Activity::MakingSegment,
            Step::Pages => Activity::BuyingPages,
            Step::Map => Activity::Mapping,
            Step::Pins => Activity::PinningTransmit,
            Step::Open => Activity::Opening,
        }
    }
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
        let segment = Some(self.segment).filter(|_| self.assets.transmit.is_none());
        for slot in [Some(self.bank), segment, self.session_bank]
            .into_iter()
            .flatten()
        {
            program.give_slot(slot);
        }
        Made {
            resume: self.resume,
            notify: self.notify,
            receive_pages: self.receive_pages,
            transmit_pages: self.transmit_pages,
            assets: self.assets,
        }
    }

    /// It failed: what is to be undone, and the slots that are to be emptied then.
    pub fn into_ruins(self) -> (Assets<P>, [CapAddr; 4]) {
        let slots = self.slots();
        (self.assets, slots)
    }

    /// What is to be emptied when it fails, beside the assets.
    fn slots(&self) -> [CapAddr; 4] {
        let bank = self.session_bank.unwrap_or(NONE);
        [self.bank, self.segment, self.notify, bank]
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
        program.doing(attaching.step.activity());
        let done = match attaching.step {
            Step::Pins => {
                let (next, wanted) = next_pins(attaching, port.settings.pinning);
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
        give_slots(&self.program, attaching.slots());
        let answer = Message::new(&[refusal as u64]);
        self.answer(attaching.resume, refusal.error().0, &answer);
    }

    /// Everything is there: the session begins.
    fn open(&mut self, number: PortNumber) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(mut attaching) = port.take_attaching() else {
            return;
        };
        if port.settings.pinning == Pinning::Frame {
            attaching.assets.transmit = Some(attaching.segment);
        }
        let Made {
            resume,
            notify,
            receive_pages,
            transmit_pages,
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
        let room = assets.slots.try_reserve(slots as usize).is_ok()
            && assets.away.try_reserve(slots as usize).is_ok();
        let transmit = note_pages(&assets, transmit_pages);
        let per_frame = prepare_frame_pins(&mut assets, transmit_pages);
        let (Ok(caps), Some(receive), Some(pages), true, Some(transmit), Ok(per_frame)) =
            (answered, receive, pages, room, transmit, per_frame)
        else {
            answered
                .iter()
                .flat_map(|caps| &caps[..3])
                .for_each(|slot| self.program.give_slot(*slot));
            let slots = [notify, NONE, NONE, NONE];
            let closing = Closing::refused(assets, slots, resume, Refusal::DriverFull);
            port.state = State::Closing(closing);
            self.jobs.push(number);
            return;
        };
        let memory = port.window.memory().clone();
        let begun = Session::begin(serial, receive, memory, pages, transmit, notify, assets);
        let (status, answer) = match begun {
            Ok(mut session) => {
                self.pinning_per_frame += per_frame.is_some() as u32;
                session.frame_pins = per_frame;
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
                let slots = [notify, NONE, NONE, NONE];
                let closing = Closing::refused(assets, slots, resume, Refusal::NotABank);
                port.state = State::Closing(closing);
                self.jobs.push(number);
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
        self.tell_observer(number);
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

/// What to pin next, into slots with the numbers of the places: first the rings, which the device
/// doesn't see, then the transmit pages, unless these are pinned per frame.
fn next_pins<P: Program>(attaching: &Attaching<P>, pinning: Pinning) -> (Step, Wanted) {
    let rings = FIRST_TRANSMIT_PAGE as u16;
    let all = match pinning {
        Pinning::Session => rings + attaching.transmit_pages,
        Pinning::Frame => rings,
    };
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

/// What is noted of transmit pages: where those that are pinned lie for the device. `None`: there is no
/// memory.
pub fn note_pages<P: Program>(assets: &Assets<P>, pages: u16) -> Option<Vec<TransmitPage>> {
    let mut noted = Vec::new();
    noted.try_reserve_exact(pages as usize).ok()?;
    let pins = assets.pins.iter().skip(FIRST_TRANSMIT_PAGE as usize);
    noted.extend(pins.map(|pin| TransmitPage {
        address: pin.address(),
        busy: 0,
    }));
    let unpinned = TransmitPage {
        address: 0,
        busy: 0,
    };
    noted.resize(pages as usize, unpinned);
    Some(noted)
}

/// What it takes to pin per frame, if the transmit segment was kept for that.
///
/// # Errors
/// There is no memory.
fn prepare_frame_pins<P: Program>(
    assets: &mut Assets<P>,
    pages: u16,
) -> Result<Option<FramePins>, Error> {
    let Some(segment) = assets.transmit else {
        return Ok(None);
    };
    let full = Error::new(ENOMEM);
    let room = assets.pins.try_reserve(pages as usize);
    room.map_err(|_| full)?;
    let pins = FramePins::new(Cap::at(segment), pages).ok_or(full)?;
    Ok(Some(pins))
}

/// Empties slots, as far as there are any.
pub fn give_slots<P: Program>(program: &P, slots: [CapAddr; 4]) {
    let taken = slots.into_iter().filter(|slot| *slot != NONE);
    taken.for_each(|slot| program.give_slot(slot));
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
