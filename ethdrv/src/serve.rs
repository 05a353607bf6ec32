//! Messages: from clients through their ports and sessions; init's are [administered](crate::administer).
//!
//! Whoever calls is answered through a `Resume`, at once or when what was asked for is done: the driver
//! never waits for anybody.

use abi::cap::CapAddr;
use abi::error::{EAGAIN, EBUSY, EMFILE, ENOENT, ENOMEM, ENOSYS, Status};
use dev::badge::Badge;
use dev::port::{on_port, on_session};
use dev::refusal::Refusal;
use dev::statistics::Counter;
use dev::{Program, admin};
use sys::{Error, Message, Request};

use crate::attach::Attaching;
use crate::demux::{MOST_GROUPS, PortNumber};
use crate::driver::{Driver, session};
use crate::misbehaviour::End;
use crate::port::{Port, State};
use crate::reception::{Outcome, Served, check_offered, group, page_count, words, write_counters};
use crate::transport::Transport;

impl<P: Program, T: Transport> Driver<P, T> {
    /// Serves a message.
    pub(crate) fn serve(&mut self, request: &Request) {
        if !request.call {
            self.serve_sent(request);
        } else if self.reception.hold_caller(&self.program) {
            self.serve_caller(request);
        }
        self.reception.empty(&self.program, request);
    }

    /// Serves a message that wants no answer. Removing a port is all that makes sense so: a supervisor
    /// need not wait for a device that hangs.
    fn serve_sent(&mut self, request: &Request) {
        let [method, port, ..] = request.words;
        if Badge::from_word(request.badge) == Some(Badge::Admin)
            && method == admin::method::REMOVE_PORT
            && let Ok(number) = PortNumber::try_from(port)
        {
            // What isn't there is removed already.
            let _ = self.begin_removal(number);
        }
    }

    fn serve_caller(&mut self, request: &Request) {
        let served = match Badge::from_word(request.badge) {
            Some(Badge::Admin) => self.administrate(request),
            Some(Badge::Port(number, serial)) => match self.port(number) {
                Some(port) if port.serial == serial => self.on_port(request, number),
                _ => Err(Error::VOID.into()),
            },
            Some(Badge::Session(number, serial)) => match session(&mut self.ports, number) {
                Some(session) if session.serial == serial => self.on_session(request, number),
                _ => Err(Error::VOID.into()),
            },
            None => Err(Error::VOID.into()),
        };
        self.reception.conclude(&self.program, served);
    }

    /// Keeps the caller, to be answered later.
    fn defer(&mut self) -> Result<CapAddr, Error> {
        self.reception.defer(&self.program)
    }

    /// Answers a caller.
    pub(crate) fn answer(&self, resume: CapAddr, status: Status, message: &Message) {
        self.reception
            .answer(&self.program, resume, status, message);
    }

    pub(crate) fn port(&mut self, number: PortNumber) -> Option<&mut Port<P>> {
        self.ports.get_mut(number as usize)?.as_deref_mut()
    }

    /// Whether a port and its session may ask for one more thing now.
    fn may_ask(&mut self, number: PortNumber) -> Result<(), Error> {
        let now = self.program.now();
        let port = self.port(number).ok_or(Error::VOID)?;
        port.requests.take(1, now).map_err(|_| {
            port.counters.count(Counter::TooManyRequests);
            Error::new(EAGAIN)
        })
    }

    fn on_port(&mut self, request: &Request, number: PortNumber) -> Served {
        if request.words[0] != on_port::ATTACH {
            // Attaching has a measure of its own.
            self.may_ask(number)?;
        }
        match request.words[0] {
            on_port::ATTACH => self.attach(request, number),
            on_port::DESCRIBE => {
                let link = self.transport.link() as u64;
                let limit = self.information.frame_limit as u64;
                let port = self.port(number).ok_or(Error::VOID)?;
                let settings = port.settings;
                words(&[
                    settings.mac.word(),
                    limit,
                    settings.transmit_pages as u64,
                    settings.receive_pages as u64,
                    link,
                ])
            }
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    fn attach(&mut self, request: &Request, number: PortNumber) -> Served {
        let now = self.program.now();
        let port = self.port(number).ok_or(Error::VOID)?;
        // Before anything that may be wrong with it: to be refused is work as well.
        port.attaches.take(1, now).map_err(|_| Refusal::TooOften)?;
        let transmit_pages = page_count(request.words[1], port.settings.transmit_pages)?;
        let receive_pages = page_count(request.words[2], port.settings.receive_pages)?;
        let busy = match &port.state {
            State::Idle | State::Open(_) => false,
            State::Attaching(_) => true,
            State::Closing(closing) => closing.next.is_some(),
        };
        if busy {
            return Err(Refusal::Busy.into());
        }
        check_offered(request)?;
        let offered = self.keep().map_err(|_| Refusal::DriverFull)?;
        let Ok(resume) = self.defer() else {
            offered
                .iter()
                .for_each(|slot| self.program.give_slot(*slot));
            return Err(Refusal::DriverFull.into());
        };
        let attaching = Attaching::new(resume, offered, transmit_pages, receive_pages);
        self.end(number, End::Replaced);
        let port = self.port(number).ok_or(Error::VOID)?;
        match &mut port.state {
            State::Closing(closing) => closing.next = Some(attaching),
            _ => {
                port.state = State::Attaching(attaching);
                self.jobs.push(number);
            }
        }
        Ok(Outcome::Later)
    }

    fn on_session(&mut self, request: &Request, number: PortNumber) -> Served {
        if request.words[0] != on_session::DETACH {
            // Who detaches asks for nothing more.
            self.may_ask(number)?;
        }
        match request.words[0] {
            on_session::DETACH => {
                self.end(number, End::Detached);
                self.wait_for_close(number)
            }
            on_session::STATISTICS => {
                if let Err(end) = self.show_statistics(number) {
                    self.end(number, end);
                    return Err(Error::VOID.into());
                }
                words(&[])
            }
            on_session::SUBSCRIBE => {
                let group = group(request.words[1])?;
                let session = session(&mut self.ports, number).ok_or(Error::VOID)?;
                if !session.groups.contains(&group) {
                    if session.groups.len() >= MOST_GROUPS {
                        return Err(Error::new(EMFILE).into());
                    }
                    let room = session.groups.try_reserve(1).is_ok();
                    if !room || !self.demux.subscribe(number, group) {
                        return Err(Error::new(ENOMEM).into());
                    }
                    session.groups.push(group);
                }
                words(&[])
            }
            on_session::UNSUBSCRIBE => {
                let group = group(request.words[1])?;
                let session = session(&mut self.ports, number).ok_or(Error::VOID)?;
                let index = session.groups.iter().position(|other| *other == group);
                session.groups.swap_remove(index.ok_or(Error::new(ENOENT))?);
                self.demux.unsubscribe(number, group);
                words(&[])
            }
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    /// Answers the caller when the port is closed.
    pub(crate) fn wait_for_close(&mut self, number: PortNumber) -> Served {
        match &self.port(number).ok_or(Error::VOID)?.state {
            State::Closing(closing) if closing.is_crowded() => {
                return Err(Error::new(EBUSY).into());
            }
            State::Closing(_) => {}
            _ => return words(&[]),
        }
        let resume = self.defer()?;
        if let Some(port) = self.port(number)
            && let State::Closing(closing) = &mut port.state
        {
            closing.wait(resume);
        }
        Ok(Outcome::Later)
    }

    /// Writes the counters where the client sees them.
    fn show_statistics(&mut self, number: PortNumber) -> Result<(), End> {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        if let State::Open(session) = &port.state {
            write_counters(&session.receive, &port.counters)?;
        }
        Ok(())
    }

    /// Takes a step of one attachment or closing.
    pub(crate) fn work(&mut self) {
        let Some(number) = self.jobs.pop() else {
            return;
        };
        if self.attach_step(number) || self.close_step(number) || self.switch_step(number) {
            self.jobs.push(number);
        }
    }

    /// Keeps the first capabilities that arrived; the next message's go elsewhere.
    pub(crate) fn keep<const N: usize>(&mut self) -> Result<[CapAddr; N], Error> {
        self.reception.keep(&self.program)
    }
}
