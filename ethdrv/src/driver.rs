//! The driver: its parts, its rounds, its loop.
//!
//! A round does a bounded piece of everything: it takes in what the device sent and received, hands
//! multicast frames on, sends for the sessions in turn, takes one step of one attachment or closing,
//! and tells each client at most once. Then it looks for events; it waits only when nothing is left
//! to do.

mod error;

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::cap::CapAddr;
use dev::hybrid::Choice;
use dev::pool::Pool;
use dev::refusal::Refusal;
use dev::statistics::{Counter, Counters};
use dev::{Activity, Program};
use sys::bank::Verifier;
use sys::object::Notify;
use sys::{Cap, Event, Sys};

use crate::assembly::Assembly;
use crate::buffers::Buffers;
use crate::deliveries::Deliveries;
use crate::demux::{Demux, PortNumber};
use crate::flight::Flights;
use crate::flood::Flood;
use crate::frame::LONGEST;
use crate::jobs::Jobs;
use crate::misbehaviour::{End, Misbehaved};
use crate::multicast::Fanout;
use crate::port::{Bit, Port, State, TIMER_BIT};
use crate::port_set::PortSet;
use crate::posting::Posting;
use crate::pulse::Pulse;
use crate::reception::Reception;
use crate::respite::Respite;
use crate::schedule::Schedule;
use crate::session::Session;
use crate::slots::Slots;
use crate::transport::{Information, Interest, Transport};
pub use error::BeginError;

/// The driver.
pub struct Driver<P: Program, T: Transport> {
    pub(crate) program: P,
    pub(crate) transport: T,
    pub(crate) information: Information,
    pub(crate) verifier: Cap<Verifier>,
    pub(crate) pool: Pool<P>,
    pub(crate) buffers: Buffers,
    pub(crate) flights: Flights,
    pub(crate) ports: Vec<Option<Box<Port<P>>>>,
    pub(crate) demux: Demux,
    pub(crate) fanout: Fanout,
    /// What each session may receive while more comes than can be taken.
    pub(crate) flood: Flood,
    /// When it takes nothing from the device for a while.
    pub(crate) respite: Respite,
    pub(crate) schedule: Schedule,
    /// The frame that is being put together.
    pub(crate) assembly: Assembly,
    /// Where receive pages are pinned.
    pub(crate) slots: Slots<P>,
    /// Whose pages are posted.
    pub(crate) posting: Posting,
    /// Frames that wait for an exchange.
    pub(crate) deliveries: Deliveries,
    /// Ports whose sessions lost pages.
    pub(crate) gone: PortSet,
    /// Sessions with something to publish.
    pub(crate) dirty: Vec<PortNumber>,
    /// Ports that attach or close, or go over to another strategy.
    pub(crate) jobs: Jobs,
    /// Sessions that wait for frames to leave.
    pub(crate) awaiting_room: u32,
    /// Ports that wait for frames to leave, to be closed.
    pub(crate) awaiting_flights: u32,
    /// Sessions whose pages are unpinned when their frames have left.
    pub(crate) pinning_per_frame: u32,
    pub(crate) counters: Counters,
    /// What `hybrid` goes by where nobody names a threshold.
    pub(crate) hybrid: Choice,
    /// The last serial number given.
    pub(crate) serial: u64,
    /// The slots that messages come with.
    pub(crate) reception: Reception,
    /// Who is told when sessions begin and end, and at which ports they did.
    pub(crate) observer: Option<CapAddr>,
    pub(crate) changes: PortSet,
    /// Whether the device gets on.
    pub(crate) pulse: Pulse,
    /// The timer is set for this time.
    armed: u64,
    #[cfg(feature = "planted-faults")]
    pub(crate) planted: Option<crate::planted::Fault>,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// How many pages of the pool the driver needs for a device, beside the transport's own.
    pub const fn pool_pages(information: &Information) -> usize {
        Buffers::pages(information)
    }

    /// A driver without ports, for a device that works. Its buffers lie in the pool from page
    /// `first` on; all receive buffers are posted.
    ///
    /// # Errors
    /// The pool is too small, or the program has no slots left.
    pub fn begin(
        program: P,
        transport: T,
        verifier: Cap<Verifier>,
        pool: Pool<P>,
        first: usize,
    ) -> Result<Self, BeginError> {
        let mut information = transport.information();
        information.frame_limit = information.frame_limit.min(LONGEST);
        let buffers = Buffers::new(&pool, first, &information)?;
        let reception = Reception::new(&program)?;
        let mut driver = Driver {
            program,
            transport,
            verifier,
            pool,
            buffers,
            flights: Flights::new(information.transmit_capacity),
            information,
            ports: Vec::new(),
            demux: Demux::default(),
            fanout: Fanout::new(),
            flood: Flood::default(),
            respite: Respite::default(),
            schedule: Schedule::new(),
            assembly: Assembly::new(),
            slots: Slots::default(),
            posting: Posting::new(information.receive_capacity),
            deliveries: Deliveries::default(),
            gone: PortSet::default(),
            dirty: Vec::new(),
            jobs: Jobs::default(),
            awaiting_room: 0,
            awaiting_flights: 0,
            pinning_per_frame: 0,
            counters: Counters::new(),
            hybrid: Choice::default(),
            serial: 0,
            reception,
            observer: None,
            changes: PortSet::default(),
            pulse: Pulse::default(),
            armed: u64::MAX,
            #[cfg(feature = "planted-faults")]
            planted: None,
        };
        driver.refill();
        driver.transport.flush();
        Ok(driver)
    }

    /// From now on `hybrid` goes by this where nobody names a threshold. Before it is told, it copies.
    pub const fn set_hybrid(&mut self, choice: Choice) {
        self.hybrid = choice;
    }

    /// Works until the device can't be worked with any more.
    pub fn run(&mut self) {
        self.run_watched(|_| {});
    }

    /// The same; before each event it is shown to `watch`.
    pub fn run_watched(&mut self, mut watch: impl FnMut(&Self)) {
        while self.transport.works() && !self.is_still() {
            watch(self);
            self.turn();
        }
    }

    /// One round, then one event: waits for it if nothing is left to do.
    pub fn turn(&mut self) {
        let busy = self.round();
        let event = if busy || self.ready() {
            self.program.sys().poll(self.reception.incoming)
        } else {
            self.program.doing(Activity::Waiting);
            Some(self.program.sys().wait(self.reception.incoming))
        };
        if let Some(event) = event {
            self.program.doing(Activity::Serving);
            self.transport.quiet();
            self.event(event);
        }
    }

    /// Takes in one event, if there is one.
    pub fn poll(&mut self) -> bool {
        match self.program.sys().poll(self.reception.incoming) {
            Some(event) => {
                self.event(event);
                true
            }
            None => false,
        }
    }

    /// Does a bounded piece of everything there is to do. `true`: there is more.
    pub fn round(&mut self) -> bool {
        self.wake_throttled();
        self.program.doing(Activity::Reclaiming);
        let mut busy = self.reclaim();
        self.program.doing(Activity::Receiving);
        busy |= self.receive();
        self.program.doing(Activity::Sending);
        self.send();
        self.program.doing(Activity::HandingOut);
        self.hand_out();
        self.work();
        self.program.doing(Activity::UnpinningDead);
        self.slots.unpin_dead(&self.program);
        self.use_freed_slots();
        self.program.doing(Activity::Posting);
        self.refill();
        self.program.doing(Activity::Publishing);
        self.publish();
        if self.demux.take_change() {
            let (stations, groups) = (self.demux.stations(), self.demux.groups());
            self.transport.set_filter(stations, groups);
        }
        self.transport.flush();
        // Each of them may have made work for another.
        busy |= self.slots.has_dead();
        busy || self.schedule.is_busy() || !self.fanout.is_empty() || !self.jobs.is_empty()
    }

    /// Asks for all that can be waited for. `true`: something is there already.
    pub fn ready(&mut self) -> bool {
        let respite = self.respite.until();
        let mut wake = self.schedule.next_wake();
        if respite.is_some() {
            wake = wake.into_iter().chain(respite).min();
        }
        if let Some(wake) = wake
            && wake != self.armed
            && self.program.arm(wake, TIMER_BIT).is_ok()
        {
            self.armed = wake;
        }
        let transmit = self.schedule.is_blocked()
            || self.awaiting_room > 0
            || self.awaiting_flights > 0
            || self.pinning_per_frame > 0;
        self.transport.ask(Interest {
            receive: respite.is_none(),
            transmit: transmit && self.flights.count() > 0,
        })
    }

    /// Takes in an event.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Request(request) => self.serve(&request),
            Event::Notified { group, mut bits } => {
                while bits != 0 {
                    let number = group as u64 * 64 + bits.trailing_zeros() as u64;
                    bits &= bits - 1;
                    match Bit::from_number(number) {
                        Bit::Device => {}
                        Bit::Timer => self.armed = u64::MAX,
                        Bit::Beat => self.beat(),
                        Bit::Kick(port) => self.kicked(port),
                        Bit::Limbo(port) => self.limbo(port),
                        Bit::ReceiveLimbo => self.notice_limbo(),
                    }
                }
            }
        }
    }

    /// A client says that it has work, or waits for room.
    fn kicked(&mut self, number: PortNumber) {
        let Some(session) = session(&mut self.ports, number) else {
            return;
        };
        if !session.awaits_room && session.transmit.held() > 0 {
            match session.transmit.awaited(&session.transmit_memory) {
                Ok(true) => {
                    session.awaits_room = true;
                    self.awaiting_room += 1;
                }
                Ok(false) => {}
                Err(error) => return self.end(number, error.into()),
            }
        }
        self.activate(number);
    }

    /// A client's transmit memory is gone: what is pinned of it is given back when the device is done.
    fn limbo(&mut self, number: PortNumber) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        // An aperture of the driver's own that is gone: init is taking the driver down.
        let gone = port
            .window
            .limbo(&self.program)
            .is_ok_and(|slots| slots.len() > 0);
        if gone {
            self.end(number, End::Revoked);
            self.fail(number, Refusal::PageNotPinnable);
        }
    }

    /// Takes back what the device is done sending. `true`: there may be more.
    fn reclaim(&mut self) -> bool {
        for _ in 0..self.information.transmit_capacity {
            match self.transport.transmitted() {
                Ok(None) => return false,
                Ok(Some(token)) => match self.flights.left(token) {
                    Ok(borrowed) => self.restore(borrowed),
                    Err(_) => self.counters.count(Counter::DeviceLie),
                },
                Err(_) => self.counters.count(Counter::DeviceFault),
            }
            self.schedule.unblock();
        }
        true
    }

    /// Shows each client once what was done for it, and notifies those that want it.
    pub(crate) fn publish(&mut self) {
        while let Some(number) = self.dirty.pop() {
            let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
                continue;
            };
            let State::Open(session) = &mut port.state else {
                continue;
            };
            session.dirty = false;
            if let Some(pins) = &mut session.frame_pins {
                // First: who is told that a frame has left finds its page unpinned.
                pins.unpin_unneeded(&self.program, &port.window);
            }
            match session.publish() {
                Ok(notify) => {
                    if session.awaits_room && (notify || session.transmit.held() == 0) {
                        session.awaits_room = false;
                        self.awaiting_room -= 1;
                    }
                    if notify {
                        let notify: Cap<Notify> = Cap::at(session.notify);
                        // Who can't be notified any more has only itself to blame.
                        let _ = notify.signal(self.program.sys());
                    }
                }
                Err(end) => self.end(number, end),
            }
        }
    }

    /// Ends a session, and says why.
    pub(crate) fn end(&mut self, number: PortNumber, end: End) {
        let Some(port) = self.ports.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let mac = port.settings.mac;
        let State::Open(session) = &port.state else {
            return;
        };
        let serial = session.serial;
        match end {
            End::Misbehaved(kind) => {
                port.counters.count(Counter::Misbehaved);
                let what = Misbehaved {
                    port: mac,
                    session: serial,
                    kind,
                };
                log::warn!("{what}");
            }
            End::Revoked => {
                port.counters.count(Counter::Revoked);
                log::info!("port {mac}: session {serial} ends: its memory was taken back");
            }
            End::Detached => log::debug!("port {mac}: session {serial} detached"),
            End::Replaced => log::info!("port {mac}: session {serial} is replaced"),
            End::Removed => log::info!("port {mac}: removed with session {serial}"),
        }
        self.close(number);
    }

    /// Marks a session as having something to publish.
    #[inline]
    pub(crate) fn touch(dirty: &mut Vec<PortNumber>, number: PortNumber, session: &mut Session<P>) {
        if !session.dirty {
            session.dirty = true;
            dirty.push(number);
        }
    }

    /// Signals who watches sessions: something changed at a port.
    pub(crate) fn tell_observer(&mut self, port: PortNumber) {
        self.changes.mark(port);
        if let Some(observer) = self.observer {
            let observer: Cap<Notify> = Cap::at(observer);
            let _ = observer.signal(self.program.sys());
        }
    }

    /// The program that it is.
    pub const fn program(&self) -> &P {
        &self.program
    }

    /// The device's counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The transport.
    pub const fn transport(&mut self) -> &mut T {
        &mut self.transport
    }
}

/// A port's session, if it has one.
#[inline]
pub(crate) fn session<P: Program>(
    ports: &mut [Option<Box<Port<P>>>],
    number: PortNumber,
) -> Option<&mut Session<P>> {
    ports.get_mut(number as usize)?.as_mut()?.session()
}
