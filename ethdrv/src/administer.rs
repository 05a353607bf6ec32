//! The administration: init makes ports, looks at them, and takes them away.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::error::{EBADF, EEXIST, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSYS};
use dev::admin::{self, method};
use dev::program::PROCESS;
use dev::refusal::Refusal;
use dev::settings::{PortSettings, Rate, Receive, address_from_words};
use dev::window::Window;
use dev::{Mac, Program};
use sys::object::Aperture;
use sys::{Cap, Error, Message, Request};

use crate::bucket::Bucket;
use crate::close::Closing;
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::misbehaviour::End;
use crate::port::{MOST_PORTS, Port, RECEIVE_LIMBO_BIT, State, limbo_bit, port_badge};
use crate::reception::{Outcome, Served, arrived, words};
use crate::transport::Transport;

impl<P: Program, T: Transport> Driver<P, T> {
    /// Serves init.
    pub(crate) fn administrate(&mut self, request: &Request) -> Served {
        let [what, arguments @ ..] = request.words;
        if what == method::ADD_PORT {
            return self.add_port(request);
        }
        if what == method::SET_NOTIFY {
            if !arrived(request, 0) {
                return Err(Error::new(EBADF).into());
            }
            let [observer] = self.keep()?;
            if let Some(old) = self.observer.replace(observer) {
                self.program.give_slot(old);
            }
            return words(&[]);
        }
        if what == method::ADD_APERTURE {
            return self.add_aperture(request);
        }
        if what == method::DEVICE {
            let ports = self.ports.iter().flatten().count() as u64;
            return words(&[
                Mac::new(self.information.mac).word(),
                self.information.frame_limit as u64,
                self.transport.link() as u64,
                ports,
            ]);
        }
        if what == method::NEXT_CHANGE {
            let port = self.changes.take();
            return words(&[port.is_some() as u64, port.unwrap_or(0) as u64]);
        }
        if what == method::STATISTICS && arguments[0] == admin::DEVICE {
            return words(&six(self.counters.values(), arguments[1]));
        }
        if what == method::HYBRID {
            return words(&self.hybrid.words());
        }
        let own = self.hybrid.port_threshold();
        let number = PortNumber::try_from(arguments[0]).map_err(|_| Error::new(ENOENT))?;
        let limit = self.information.frame_limit;
        let port = self.port(number).ok_or(Error::new(ENOENT))?;
        match what {
            method::BIND_ADDRESS => {
                let address = address_from_words([arguments[1], arguments[2], arguments[3]]);
                match port.bindings.add(address.ok_or(Error::new(EINVAL))?) {
                    true => words(&[]),
                    false => Err(Error::new(EMFILE).into()),
                }
            }
            method::REMOVE_PORT => self.remove_port(number),
            method::STATISTICS => words(&six(port.counters.values(), arguments[1])),
            method::SET_RECEIVE => {
                let receive = Receive::from_word(arguments[1]).ok_or(Error::new(EINVAL))?;
                port.settings.receive = receive.with_own(own);
                if let State::Open(session) = &mut port.state {
                    session.receiving.refused = None;
                }
                self.go_over(number);
                words(&[])
            }
            method::SET_RATE => {
                let rate = Rate {
                    bytes_per_second: arguments[1],
                    burst: arguments[2],
                    share: u16::try_from(arguments[3]).map_err(|_| Error::new(EINVAL))?,
                };
                rate.check(limit)?;
                port.settings.rate = rate;
                port.bucket = Bucket::new(rate.bytes_per_second, rate.burst);
                self.share_anew(number);
                words(&[])
            }
            method::INSPECT => inspect(port),
            _ => Err(Error::new(ENOSYS).into()),
        }
    }

    fn add_port(&mut self, request: &Request) -> Served {
        let [_, settings @ ..] = request.words;
        let mut settings = PortSettings::from_words(settings, self.information.frame_limit)?;
        settings.receive = settings.receive.with_own(self.hybrid.port_threshold());
        if self.demux.is_taken(settings.mac) {
            return Err(Error::new(EEXIST).into());
        }
        if !arrived(request, 0) || !arrived(request, 1) {
            return Err(Error::new(EBADF).into());
        }
        let index = match self.ports.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.ports.len() < MOST_PORTS => {
                if !self.reserve(self.ports.len() + 1) {
                    return Err(Error::new(ENOMEM).into());
                }
                self.ports.push(None);
                self.ports.len() - 1
            }
            None => return Err(Error::new(EMFILE).into()),
        };
        let number = index as PortNumber;
        let sys = self.program.sys();
        let [aperture, window_cap, ..] = self.reception.incoming;
        let aperture: Cap<Aperture> = Cap::at(aperture);
        let scratch = self.program.take_slot()?;
        let serial = self.serial + 1;
        // The slot holds the notification first, then the port.
        let made = PROCESS
            .make_notify(sys, limbo_bit(number), scratch)
            .and_then(|()| aperture.set_limbo_notify(sys, Cap::at(scratch)))
            .and_then(|()| PROCESS.make_start(sys, port_badge(number, serial), scratch))
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
        self.posting.change();
        self.demux.add(settings.mac, number);
        log::debug!("port {}: added", settings.mac);
        let answer = Message::new(&[number as u64]).with_caps(&[scratch]);
        Ok(Outcome::AnswerAndEmpty(answer, scratch))
    }

    /// Makes room for so many ports in all that a port may have to stand in. `false`: there is no memory.
    fn reserve(&mut self, ports: usize) -> bool {
        let room = |list: &mut Vec<PortNumber>| {
            let missing = ports.saturating_sub(list.len());
            list.try_reserve(missing).is_ok()
        };
        room(&mut self.dirty)
            && self.gone.reserve(ports)
            && self.ports.try_reserve(1).is_ok()
            && self.changes.reserve(ports)
            && self.jobs.reserve(ports)
            && self.posting.reserve(ports)
            && self.schedule.reserve(ports)
            && self.fanout.reserve(ports)
            && self.demux.reserve(ports)
    }

    /// Takes in an aperture for receive pages.
    fn add_aperture(&mut self, request: &Request) -> Served {
        if !arrived(request, 0) || !arrived(request, 1) {
            return Err(Error::new(EBADF).into());
        }
        if !self.deliveries.reserve() {
            return Err(Error::new(ENOMEM).into());
        }
        let sys = self.program.sys();
        let [aperture, window, ..] = self.reception.incoming;
        let aperture: Cap<Aperture> = Cap::at(aperture);
        let scratch = self.program.take_slot()?;
        let made = PROCESS
            .make_notify(sys, RECEIVE_LIMBO_BIT, scratch)
            .and_then(|()| aperture.set_limbo_notify(sys, Cap::at(scratch)))
            .and_then(|()| Window::open(&self.program, aperture, Cap::at(window)));
        self.program.give_slot(scratch);
        let window = made?;
        // They are the driver's for good: before anything counts on them, their slots are no longer
        // the next message's.
        let kept = match self.keep::<2>() {
            Ok(kept) => kept,
            Err(error) => {
                window.close(&self.program);
                return Err(error.into());
            }
        };
        if let Err((error, window)) = self.slots.add(window) {
            window.close(&self.program);
            kept.into_iter()
                .for_each(|slot| self.program.give_slot(slot));
            return Err(error.into());
        }
        self.posting.change();
        for number in 0..self.ports.len() as PortNumber {
            if let Some(session) = session(&mut self.ports, number) {
                session.receiving.refused = None;
            }
            self.go_over(number);
        }
        words(&[])
    }

    fn remove_port(&mut self, number: PortNumber) -> Served {
        self.begin_removal(number)?;
        self.wait_for_close(number)
    }

    /// Begins to remove a port. From now on its capability is void.
    pub(crate) fn begin_removal(&mut self, number: PortNumber) -> Result<(), Error> {
        self.end(number, End::Removed);
        self.fail(number, Refusal::PortRemoved);
        self.serial += 1;
        let serial = self.serial;
        let port = self.port(number).ok_or(Error::new(ENOENT))?;
        port.serial = serial;
        let mac = port.settings.mac;
        if matches!(port.state, State::Idle) {
            // Nothing to undo; but the end is the same.
            port.state = State::Closing(Closing::nothing());
            self.jobs.push(number);
        }
        if self.close_for_good(number) {
            self.demux.remove(mac);
        }
        Ok(())
    }
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
    let refusal = port.refusal.map_or(0, |refusal| refusal as u64);
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
        State::Closing(closing) => {
            Message::new(&[state, refusal, 0, 0, 0, closing.in_flight() as u64])
        }
        State::Idle | State::Attaching(_) => Message::new(&[state, refusal]),
    };
    Ok(Outcome::Answer(answer))
}
