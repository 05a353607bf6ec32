//! Messages of the stack's, and how its sessions begin.
//!
//! The stack waits while it attaches, and it is the only one whom the copier serves: so a session is made
//! and undone in one go. It takes as many calls as it has pieces of 64 pages.

use abi::cap::{NONE, Rights};
use abi::error::{EMFILE, ENOENT, ENOSYS, OK};
use dev::Program;
use dev::badge::Badge;
use dev::port::{AttachError, on_port, on_session};
use dev::refusal::Refusal;
use dev::session::Session;
use dev::statistics::{Counter, Counters};
use ethdrv::attach::{Attaching, Made, give_slots, make_caps, note_pages};
use ethdrv::demux::MOST_GROUPS;
use ethdrv::misbehaviour::End;
use ethdrv::pages::ReceivePages;
use ethdrv::reception::{
    Outcome, Refused, Served, check_offered, group, page_count, words, write_counters,
};
use ethdrv::session::{self, Assets};
use sys::{Error, Message, Request};

use crate::copier::Copier;
use crate::grant::{NUMBER, SERIAL};
use crate::pair::{Pair, Told, look_at_pages};

impl<P: Program> Copier<P> {
    /// Serves a message.
    pub(crate) fn serve(&mut self, request: &Request) {
        // Nothing makes sense without an answer.
        if request.call && self.reception.hold_caller(&self.program) {
            let served = match Badge::from_word(request.badge) {
                Some(Badge::Port(NUMBER, SERIAL)) => self.on_port(request),
                Some(Badge::Session(NUMBER, serial)) => match &self.pair {
                    Some(pair) if pair.stack.serial == serial => self.on_session(request),
                    _ => Err(Error::VOID.into()),
                },
                _ => Err(Error::VOID.into()),
            };
            self.reception.conclude(&self.program, served);
        }
        self.reception.empty(&self.program, request);
    }

    fn on_port(&mut self, request: &Request) -> Served {
        match request.words[0] {
            on_port::ATTACH => self.attach(request),
            on_port::DESCRIBE => {
                let port = self.port.describe(self.program.sys())?;
                words(&[
                    port.mac.word(),
                    port.frame_limit as u64,
                    port.transmit_pages as u64,
                    port.receive_pages as u64,
                    port.link as u64,
                ])
            }
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    fn attach(&mut self, request: &Request) -> Served {
        let port = self.port.describe(self.program.sys())?;
        let transmit_pages = page_count(request.words[1], port.transmit_pages)?;
        let receive_pages = page_count(request.words[2], port.receive_pages)?;
        check_offered(request)?;
        let offered = self
            .reception
            .keep(&self.program)
            .map_err(|_| Refusal::DriverFull)?;
        self.end(End::Replaced);
        let mut attaching = Attaching::new(NONE, offered, transmit_pages, receive_pages);
        match self.make(&mut attaching, transmit_pages, receive_pages) {
            Ok((place, driver)) => {
                let made = attaching.finish(&self.program);
                self.open(made, place, driver, transmit_pages)
            }
            Err(refused) => {
                let (assets, slots) = attaching.into_ruins();
                self.undo(assets);
                give_slots(&self.program, slots);
                Err(refused)
            }
        }
    }

    /// Makes what a session takes; last of all the one with the driver.
    fn make(
        &self,
        attaching: &mut Attaching<P>,
        transmit_pages: u16,
        receive_pages: u16,
    ) -> Result<(P::Place, Session<P>), Refused> {
        let program = &self.program;
        while attaching.step(program, self.verifier)? {}
        let place = program
            .map(attaching.segment(), Rights::READ)
            .map_err(|_| Refusal::NotASegment)?;
        let driver = match look_at_pages(&program.shared(&place), transmit_pages) {
            Ok(()) => self.attach_to_driver(receive_pages).map_err(refuse),
            Err(_) => Err(Refusal::PageNotPinnable.into()),
        };
        match driver {
            Ok(driver) => Ok((place, driver)),
            Err(refused) => {
                program.unmap(place);
                Err(refused)
            }
        }
    }

    /// Everything is there: the session begins.
    fn open(
        &mut self,
        made: Made<P>,
        place: P::Place,
        driver: Session<P>,
        transmit_pages: u16,
    ) -> Served {
        let Made {
            notify,
            receive_pages,
            assets,
            ..
        } = made;
        self.serial += 1;
        let program = &self.program;
        let caps = make_caps(program, NUMBER, self.serial, &assets);
        let receive = assets.place.as_ref().map(|place| program.shared(place));
        let pages = ReceivePages::new(receive_pages);
        // Nothing of them is pinned: they are nowhere for a device.
        let transmit = note_pages(&assets, transmit_pages);
        let begun = match (caps, receive, pages, transmit) {
            (Ok(caps), Some(receive), Some(pages), Some(transmit)) => {
                let (serial, memory) = (self.serial, program.shared(&place));
                session::Session::begin(serial, receive, memory, pages, transmit, notify, assets)
                    .map(|stack| (stack, caps))
                    .map_err(|(_, assets)| (assets, Some(caps), Refusal::NotABank))
            }
            (caps, ..) => Err((assets, caps.ok(), Refusal::DriverFull)),
        };
        let (stack, caps) = match begun {
            Ok(begun) => begun,
            Err((assets, caps, refusal)) => {
                driver.detach(program);
                program.unmap(place);
                self.undo(assets);
                program.give_slot(notify);
                caps.iter()
                    .flat_map(|caps| &caps[..3])
                    .for_each(|slot| program.give_slot(*slot));
                return Err(refusal.into());
            }
        };
        let told = Told::by(&driver);
        let pages = stack.pages.total() as u64;
        log::debug!("session {} with {pages} receive pages", self.serial);
        self.counters.count(Counter::Sessions);
        let answer = Message::new(&[pages, told.mac.word(), told.frame_limit as u64]);
        self.pair = Some(Pair {
            stack,
            place,
            driver: Some(driver),
            told,
            receive_pages,
            blocked: false,
        });
        let caller = self.reception.caller;
        self.reception
            .answer(&self.program, caller, OK, &answer.with_caps(&caps));
        // The bank's capability stays: it is how everything is given back.
        caps[..3]
            .iter()
            .for_each(|slot| self.program.give_slot(*slot));
        Ok(Outcome::Later)
    }

    fn undo(&self, mut assets: Assets<P>) {
        while assets.undo(&self.program) {}
    }

    fn on_session(&mut self, request: &Request) -> Served {
        match request.words[0] {
            on_session::DETACH => {
                self.end(End::Detached);
                words(&[])
            }
            on_session::STATISTICS => self.show_statistics(),
            on_session::SUBSCRIBE => {
                let group = group(request.words[1])?;
                let pair = self.pair.as_mut().ok_or(Error::VOID)?;
                if !pair.stack.groups.contains(&group) {
                    if pair.stack.groups.len() >= MOST_GROUPS {
                        return Err(Error::new(EMFILE).into());
                    }
                    if let Some(driver) = &pair.driver {
                        subscribe(driver, &self.program, group, true)?;
                    }
                    pair.stack.groups.push(group);
                }
                words(&[])
            }
            on_session::UNSUBSCRIBE => {
                let group = group(request.words[1])?;
                let pair = self.pair.as_mut().ok_or(Error::VOID)?;
                let index = pair.stack.groups.iter().position(|other| *other == group);
                let index = index.ok_or(Error::new(ENOENT))?;
                if let Some(driver) = &pair.driver {
                    subscribe(driver, &self.program, group, false)?;
                }
                pair.stack.groups.swap_remove(index);
                words(&[])
            }
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    /// Shows the stack what the driver counted for the port, with what the copier did.
    fn show_statistics(&mut self) -> Served {
        let pair = self.pair.as_mut().ok_or(Error::VOID)?;
        let mut counters = Counters::new();
        match pair
            .driver
            .as_ref()
            .map(|driver| driver.statistics(&self.program))
        {
            Some(Ok(counted)) => counters = counted,
            Some(Err(lost)) => self.lose_driver(lost),
            None => {}
        }
        for counter in [
            Counter::NoPage,
            Counter::RingFull,
            Counter::TooLong,
            Counter::Misbehaved,
            Counter::Revoked,
        ] {
            counters.add(counter, self.counters.get(counter));
        }
        let pair = self.pair.as_mut().ok_or(Error::VOID)?;
        if let Err(fault) = write_counters(&pair.stack.receive, &counters) {
            self.end(fault.into());
            return Err(Error::VOID.into());
        }
        words(&[])
    }
}

/// Forwards a subscription. A driver that is gone is no reason to refuse: it is told when it is back.
fn subscribe<P: Program>(
    driver: &Session<P>,
    program: &P,
    group: dev::Mac,
    wanted: bool,
) -> Result<(), Error> {
    match driver.subscribe(program, group, wanted) {
        Err(Error::VOID) => Ok(()),
        outcome => outcome,
    }
}

/// The driver's refusal, handed on.
fn refuse(error: AttachError) -> Refused {
    Refused(error.status.0, Message::new(&[error.refusal as u64]))
}
