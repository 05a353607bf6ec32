//! Messages: from clients through their ports and sessions, from init through the administration.
//!
//! Whoever calls is answered through a `Resume`, at once or when what was asked for is done: the driver
//! never waits for anybody.

use alloc::boxed::Box;

use abi::cap::CapAddr;
use abi::error::{EBADF, EBUSY, EEXIST, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSYS, OK, Status};
use dev::badge::Badge;
use dev::layout::{FEWEST_PAGES, STATISTICS};
use dev::port::{on_port, on_session};
use dev::refusal::Refusal;
use dev::settings::{PortSettings, Rate, Strategy, address_from_words};
use dev::statistics::Counter;
use dev::window::Window;
use dev::{Mac, Program, admin};
use sys::object::Aperture;
use sys::{Cap, Error, Mem, Message, Request, Sys};

use crate::attach::Attaching;
use crate::bucket::Bucket;
use crate::demux::{MOST_GROUPS, PortNumber};
use crate::driver::{Driver, session};
use crate::misbehaviour::End;
use crate::port::{MOST_PORTS, Port, State, limbo_bit, port_badge};
use crate::transport::Transport;

/// What a request comes to.
enum Outcome {
    /// An answer.
    Answer(Message),
    /// An answer, and a slot to be emptied afterwards.
    AnswerAndEmpty(Message, CapAddr),
    /// The caller is answered later; the `Resume` was kept.
    Later,
}

type Served = Result<Outcome, Refused>;

/// A status with words.
struct Refused(Status, Message);

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused(error.0, Message::default())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused(refusal.error().0, Message::new(&[refusal as u64]))
    }
}

/// An answer of words.
fn words(words: &[u64]) -> Served {
    Ok(Outcome::Answer(Message::new(words)))
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Serves a message.
    pub(crate) fn serve(&mut self, request: &Request) {
        if !request.call {
            self.serve_sent(request);
        } else if self.program.sys().save_caller(self.caller) == OK {
            self.serve_caller(request);
        }
        self.empty_incoming(request);
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
        match served {
            Ok(Outcome::Answer(message)) => self.answer(self.caller, OK, &message),
            Ok(Outcome::AnswerAndEmpty(message, slot)) => {
                self.answer(self.caller, OK, &message);
                self.program.give_slot(slot);
            }
            Ok(Outcome::Later) => {}
            Err(Refused(status, message)) => self.answer(self.caller, status, &message),
        }
    }

    /// Keeps the caller, to be answered later.
    fn defer(&mut self) -> Result<CapAddr, Error> {
        let next = self.program.take_slot()?;
        Ok(core::mem::replace(&mut self.caller, next))
    }

    /// Answers a caller.
    pub(crate) fn answer(&self, resume: CapAddr, status: Status, message: &Message) {
        // A caller that is gone needs no answer. The slot is empty afterwards.
        self.program.sys().resume(resume, status, message);
        if resume != self.caller {
            self.program.give_slot(resume);
        }
    }

    fn port(&mut self, number: PortNumber) -> Option<&mut Port<P>> {
        self.ports.get_mut(number as usize)?.as_deref_mut()
    }

    fn on_port(&mut self, request: &Request, number: PortNumber) -> Served {
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
        let count = |word: u64, most: u16| {
            u16::try_from(word)
                .ok()
                .filter(|count| (FEWEST_PAGES..=most).contains(count))
                .ok_or(Refusal::PageCount)
        };
        let transmit_pages = count(request.words[1], port.settings.transmit_pages)?;
        let receive_pages = count(request.words[2], port.settings.receive_pages)?;
        let busy = match &port.state {
            State::Idle | State::Open(_) => false,
            State::Attaching(_) => true,
            State::Closing(closing) => closing.next.is_some(),
        };
        if busy {
            return Err(Refusal::Busy.into());
        }
        for (n, refusal) in [Refusal::NotABank, Refusal::NotASegment, Refusal::NotANotify]
            .into_iter()
            .enumerate()
        {
            if !arrived(request, n) {
                return Err(refusal.into());
            }
        }
        port.attaches.take(1, now).map_err(|_| Refusal::TooOften)?;
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
                self.jobs.push_back(number);
            }
        }
        Ok(Outcome::Later)
    }

    fn on_session(&mut self, request: &Request, number: PortNumber) -> Served {
        let group = || {
            let word = request.words[1];
            let group = Mac::from_word(word);
            let good = word >> 48 == 0 && group.is_group() && group != Mac::BROADCAST;
            good.then_some(group).ok_or(Error::new(EINVAL))
        };
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
                let group = group()?;
                let session = session(&mut self.ports, number).ok_or(Error::VOID)?;
                if !session.groups.contains(&group) {
                    if session.groups.len() >= MOST_GROUPS {
                        return Err(Error::new(EMFILE).into());
                    }
                    session.groups.push(group);
                    self.demux.subscribe(number, group);
                }
                words(&[])
            }
            on_session::UNSUBSCRIBE => {
                let group = group()?;
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
    fn wait_for_close(&mut self, number: PortNumber) -> Served {
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
            for (n, value) in port.counters.values().iter().enumerate() {
                session.receive.store_u64(STATISTICS + 8 * n, *value)?;
            }
        }
        Ok(())
    }

    fn administrate(&mut self, request: &Request) -> Served {
        let [method, arguments @ ..] = request.words;
        if method == admin::method::ADD_PORT {
            return self.add_port(request);
        }
        if method == admin::method::SET_NOTIFY {
            if !arrived(request, 0) {
                return Err(Error::new(EBADF).into());
            }
            let [observer] = self.keep()?;
            if let Some(old) = self.observer.replace(observer) {
                self.program.give_slot(old);
            }
            return words(&[]);
        }
        if method == admin::method::DEVICE {
            let ports = self.ports.iter().flatten().count() as u64;
            return words(&[
                Mac::new(self.information.mac).word(),
                self.information.frame_limit as u64,
                self.transport.link() as u64,
                ports,
            ]);
        }
        if method == admin::method::STATISTICS && arguments[0] == admin::DEVICE {
            return words(&six(self.counters.values(), arguments[1]));
        }
        let number = PortNumber::try_from(arguments[0]).map_err(|_| Error::new(ENOENT))?;
        let limit = self.information.frame_limit;
        let port = self.port(number).ok_or(Error::new(ENOENT))?;
        match method {
            admin::method::BIND_ADDRESS => {
                let address = address_from_words([arguments[1], arguments[2], arguments[3]]);
                match port.bindings.add(address.ok_or(Error::new(EINVAL))?) {
                    true => words(&[]),
                    false => Err(Error::new(EMFILE).into()),
                }
            }
            admin::method::REMOVE_PORT => self.remove_port(number),
            admin::method::STATISTICS => words(&six(port.counters.values(), arguments[1])),
            admin::method::SET_STRATEGY => {
                let strategy = u8::try_from(arguments[1]).ok().and_then(Strategy::from_u8);
                port.settings.strategy = strategy.ok_or(Error::new(EINVAL))?;
                words(&[])
            }
            admin::method::SET_RATE => {
                let rate = Rate {
                    bytes_per_second: arguments[1],
                    burst: arguments[2],
                    share: u16::try_from(arguments[3]).map_err(|_| Error::new(EINVAL))?,
                };
                rate.check(limit)?;
                port.settings.rate = rate;
                port.bucket = Bucket::new(rate.bytes_per_second, rate.burst);
                words(&[])
            }
            admin::method::INSPECT => inspect(port),
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    fn add_port(&mut self, request: &Request) -> Served {
        let [_, a, b, c, d, _] = request.words;
        let settings = PortSettings::from_words([a, b, c, d], self.information.frame_limit)?;
        if self.demux.is_taken(settings.mac) {
            return Err(Error::new(EEXIST).into());
        }
        if !arrived(request, 0) || !arrived(request, 1) {
            return Err(Error::new(EBADF).into());
        }
        let index = match self.ports.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.ports.len() < MOST_PORTS => {
                self.ports.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
                self.ports.push(None);
                self.ports.len() - 1
            }
            None => return Err(Error::new(EMFILE).into()),
        };
        let number = index as PortNumber;
        let sys = self.program.sys();
        let [aperture, window_cap, ..] = self.incoming;
        let aperture: Cap<Aperture> = Cap::at(aperture);
        let scratch = self.program.take_slot()?;
        let serial = self.serial + 1;
        // The slot holds the notification first, then the port.
        let made = dev::program::PROCESS
            .make_notify(sys, limbo_bit(number), scratch)
            .and_then(|()| aperture.set_limbo_notify(sys, Cap::at(scratch)))
            .and_then(|()| {
                dev::program::PROCESS.make_start(sys, port_badge(number, serial), scratch)
            })
            .and_then(|()| Window::open(&self.program, aperture, Cap::at(window_cap)));
        let window = made.inspect_err(|_| self.program.give_slot(scratch))?;
        // Both capabilities are kept: their slots are no longer the next message's.
        if let Err(error) = self.keep::<2>() {
            window.close(&self.program);
            self.program.give_slot(scratch);
            return Err(error.into());
        }
        self.serial = serial;
        let port = Port::new(serial, settings, window, window_cap);
        self.ports[index] = Some(Box::new(port));
        self.demux.add(settings.mac, number);
        log::debug!("port {}: added", settings.mac);
        let answer = Message::new(&[number as u64]).with_caps(&[scratch]);
        Ok(Outcome::AnswerAndEmpty(answer, scratch))
    }

    fn remove_port(&mut self, number: PortNumber) -> Served {
        self.begin_removal(number)?;
        self.wait_for_close(number)
    }

    /// Begins to remove a port. From now on its capability is void.
    fn begin_removal(&mut self, number: PortNumber) -> Result<(), Error> {
        self.end(number, End::Removed);
        self.fail(number, Refusal::PortRemoved);
        self.serial += 1;
        let serial = self.serial;
        let port = self.port(number).ok_or(Error::new(ENOENT))?;
        port.serial = serial;
        let mac = port.settings.mac;
        if matches!(port.state, State::Idle) {
            // Nothing to undo; but the end is the same.
            port.state = State::Closing(crate::close::Closing::nothing());
            self.jobs.push_back(number);
        }
        if self.close_for_good(number) {
            self.demux.remove(mac);
        }
        Ok(())
    }

    /// Takes a step of one attachment or closing.
    pub(crate) fn work(&mut self) {
        let Some(number) = self.jobs.pop_front() else {
            return;
        };
        if self.attach_step(number) || self.close_step(number) {
            self.jobs.push_back(number);
        }
    }

    /// Keeps the first capabilities that arrived; the next message's go elsewhere.
    fn keep<const N: usize>(&mut self) -> Result<[CapAddr; N], Error> {
        let mut slots = [0; N];
        for n in 0..N {
            match self.program.take_slot() {
                Ok(slot) => slots[n] = slot,
                Err(error) => {
                    slots[..n]
                        .iter()
                        .for_each(|slot| self.program.give_slot(*slot));
                    return Err(error);
                }
            }
        }
        for (fresh, incoming) in slots.iter_mut().zip(&mut self.incoming) {
            core::mem::swap(fresh, incoming);
        }
        Ok(slots)
    }

    /// Empties the slots of what arrived and was not kept.
    fn empty_incoming(&self, request: &Request) {
        for (n, slot) in self.incoming.iter().enumerate() {
            if arrived(request, n) {
                let (table, index) = self.program.table_of(*slot);
                // An own table can't refuse.
                let _ = table.clear(self.program.sys(), index, 1);
            }
        }
    }
}

/// Whether the `n`-th capability arrived and lies in its slot.
const fn arrived(request: &Request, n: usize) -> bool {
    request.received >> n & 1 != 0 && request.received >> (4 + n) & 1 == 0
}

/// Six counters from one on; zeros beyond the last.
fn six(values: &[u64], first: u64) -> [u64; 6] {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let mut six = [0; 6];
    let rest = values.get(first..).unwrap_or(&[]);
    for (to, from) in six.iter_mut().zip(rest) {
        *to = *from;
    }
    six
}

fn inspect<P: Program>(port: &Port<P>) -> Served {
    let state = port.describe() as u64;
    let answer = match &port.state {
        State::Open(session) => {
            let message = Message::new(&[
                state,
                session.serial,
                session.transmit_pages.len() as u64,
                session.pages.total() as u64,
                session.pages.spare() as u64,
                session.in_flight as u64,
            ]);
            match session.assets.bank {
                Some(bank) => message.with_caps(&[bank]),
                None => message,
            }
        }
        State::Closing(closing) => Message::new(&[state, 0, 0, 0, 0, closing.in_flight() as u64]),
        State::Idle | State::Attaching(_) => Message::new(&[state]),
    };
    Ok(Outcome::Answer(answer))
}

const _: () = assert!(Counter::ALL.len() == dev::statistics::COUNTERS);
