//! The copier: its parts, its rounds, its loop.

use abi::cap::CapAddr;
use dev::Program;
use dev::port::{AttachError, Port};
use dev::program::PROCESS;
use dev::session::{Lost, Session, TransmitSegment};
use dev::statistics::{Counter, Counters};
use ethdrv::misbehaviour::{End, Misbehaved};
use ethdrv::port::TIMER_BIT;
use ethdrv::reception::Reception;
use sys::bank::Verifier;
use sys::{Cap, Error, Event, Sys};

use crate::grant::{DRIVER_BIT, PORT_BANK};
use crate::pair::{Pair, Told, Trouble};

/// How soon attaching to the driver is tried again, at first and at last, in nanoseconds.
const RETRY: (u64, u64) = (50_000_000, 2_000_000_000);
/// How often memory is looked at: what is taken away says nothing.
const LOOK: u64 = 1_000_000_000;

/// The copier.
pub struct Copier<P: Program> {
    pub(crate) program: P,
    /// The driver's.
    pub(crate) port: Port,
    pub(crate) verifier: Cap<Verifier>,
    /// What the driver sends from.
    segment: TransmitSegment<P>,
    /// Signalled by the driver.
    notify: CapAddr,
    pub(crate) reception: Reception,
    /// The last serial number given to a session.
    pub(crate) serial: u64,
    /// Both sessions, while the stack is attached.
    pub(crate) pair: Option<Pair<P>>,
    /// What the copier itself did with frames, over all sessions.
    pub(crate) counters: Counters,
    /// When attaching to the driver is tried again, and how long to wait after that.
    attach_at: u64,
    retry: u64,
    /// The timer is set for this time.
    armed: u64,
}

impl<P: Program> Copier<P> {
    /// A copier for a port of the driver's; nobody is attached yet.
    ///
    /// # Errors
    /// The driver doesn't answer; the bank can't pay; there are no slots.
    pub fn begin(program: P, port: Port, verifier: Cap<Verifier>) -> Result<Self, Error> {
        let described = port.describe(program.sys())?;
        let reception = Reception::new(&program)?;
        let notify = program.take_slot()?;
        PROCESS.make_notify(program.sys(), DRIVER_BIT, notify)?;
        // As many pages as any stack can have: what that can send, the copier can.
        let segment = TransmitSegment::buy(&program, described.transmit_pages)?;
        Ok(Copier {
            program,
            port,
            verifier,
            segment,
            notify,
            reception,
            serial: 0,
            pair: None,
            counters: Counters::new(),
            attach_at: 0,
            retry: RETRY.0,
            armed: u64::MAX,
        })
    }

    /// Works for ever.
    pub fn run(&mut self) -> ! {
        loop {
            self.turn();
        }
    }

    /// One round, then one event: waits for it if nothing is left to do.
    pub fn turn(&mut self) {
        let incoming = self.reception.incoming;
        let event = if self.round() || self.ready() {
            self.program.sys().poll(incoming)
        } else {
            Some(self.program.sys().wait(incoming))
        };
        if let Some(event) = event {
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

    /// Takes in an event.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Request(request) => self.serve(&request),
            // Whatever else it is, everything is looked at in the next round.
            Event::Notified { group: 0, bits } if bits & 1 << TIMER_BIT != 0 => {
                self.armed = u64::MAX;
            }
            Event::Notified { .. } => {}
        }
    }

    /// Carries a bounded number of frames in both directions. `true`: there may be more.
    pub fn round(&mut self) -> bool {
        self.attach_again();
        let Some(pair) = &mut self.pair else {
            return false;
        };
        let carried = pair.carry(&self.program, &mut self.counters);
        carried.unwrap_or_else(|trouble| self.trouble(trouble))
    }

    /// Asks for all that can be waited for. `true`: something is there already.
    pub fn ready(&mut self) -> bool {
        let Some(pair) = &mut self.pair else {
            return false;
        };
        let now = self.program.now();
        let wake = match pair.driver {
            Some(_) => now + LOOK,
            None => self.attach_at,
        };
        if wake < self.armed && self.program.arm(wake, TIMER_BIT).is_ok() {
            self.armed = wake;
        }
        let asked = pair.ask(&self.program);
        asked.unwrap_or_else(|trouble| self.trouble(trouble))
    }

    /// A side can't go on. `true`: there is something to do.
    #[cold]
    fn trouble(&mut self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Driver(lost) => self.lose_driver(lost),
            Trouble::Stack(end) => self.end(end),
        }
        true
    }

    /// The session with the driver is lost; the stack's goes on.
    pub(crate) fn lose_driver(&mut self, lost: Lost) {
        let Some(pair) = &mut self.pair else {
            return;
        };
        if let Some(driver) = pair.driver.take() {
            log::warn!("the driver's session is lost: {lost}");
            driver.detach(&self.program);
            self.attach_at = self.program.now();
            self.retry = RETRY.0;
        }
    }

    /// Attaches to the driver.
    pub(crate) fn attach_to_driver(&self, receive_pages: u16) -> Result<Session<P>, AttachError> {
        let notify = Cap::at(self.notify);
        let (program, segment) = (&self.program, &self.segment);
        Session::attach(
            program,
            self.port,
            PORT_BANK,
            segment,
            receive_pages,
            notify,
        )
    }

    /// Attaches to the driver again if it was lost and it is time.
    fn attach_again(&mut self) {
        let Some(pair) = &self.pair else {
            return;
        };
        if pair.driver.is_some() || self.program.now() < self.attach_at {
            return;
        }
        let driver = match self.attach_to_driver(pair.receive_pages) {
            Ok(driver) => driver,
            Err(error) => {
                log::info!("attaching to the driver: {error}");
                self.attach_at = self.program.now() + self.retry;
                self.retry = (self.retry * 2).min(RETRY.1);
                return;
            }
        };
        let Some(pair) = &mut self.pair else {
            return;
        };
        let same = Told::by(&driver) == pair.told;
        for group in &pair.stack.groups {
            // It was accepted before. A driver that is gone again shows itself.
            let _ = driver.subscribe(&self.program, *group, true);
        }
        pair.driver = Some(driver);
        match same {
            true => log::info!("attached to the driver again"),
            // The stack can't be told in its midst: it has to attach again.
            false => self.end(End::Removed),
        }
    }

    /// What the copier itself did with frames, over all sessions.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether it is attached to the driver.
    pub const fn is_attached(&self) -> bool {
        matches!(&self.pair, Some(pair) if pair.driver.is_some())
    }

    /// Ends the stack's session, and says why.
    pub(crate) fn end(&mut self, end: End) {
        let Some(pair) = self.pair.take() else {
            return;
        };
        let (port, session) = (pair.told.mac, pair.stack.serial);
        match end {
            End::Misbehaved(kind) => {
                self.counters.count(Counter::Misbehaved);
                log::warn!(
                    "{}",
                    Misbehaved {
                        port,
                        session,
                        kind
                    }
                );
            }
            End::Revoked => {
                self.counters.count(Counter::Revoked);
                log::info!("session {session} ends: its memory was taken back");
            }
            End::Detached => log::debug!("session {session} detached"),
            End::Replaced => log::info!("session {session} is replaced"),
            End::Removed => log::info!("session {session} ends: the driver's port is another one"),
        }
        let notify = pair.end(&self.program);
        self.program.give_slot(notify);
    }
}
