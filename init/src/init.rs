//! init's state, and its loop: one event, what is due, one step of work, and again.
//!
//! Nothing in the loop takes long. What takes many steps (destroying a bank, bringing a thousand users
//! up) is [`Work`], done a step at a time; between two steps init waits a moment, so that programs of
//! lower priority run and whoever types is answered. init waits for nobody but spacebank and the
//! driver's prompt answers: both have higher priorities, and a driver that hangs is ended by the
//! [watchdog](crate::watch), whereupon the call fails.

mod arrival;
mod attachment;
mod device;
mod injections;
mod leaving;
mod ports;
mod watching;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::cap::NONE;
use sys::object::{AuditCursor, Irq, Notify};
use sys::{Cap, Event, Message, Sys};

use crate::archive::Archive;
use crate::boot::{Boot, Options};
use crate::driver::Driver;
use crate::failure::{Failure, Trying};
use crate::guest::Guest;
use crate::host::{Host, IO_PORT, IRQ, LOG, PROCESS, bit};
use crate::launch::Launcher;
use crate::manifest::{self, Manifest};
use crate::serial::{self, Serial};
use crate::share::Share;
use crate::terminal::Terminal;
use crate::timers::Timers;
use crate::usage::CpuMark;
use crate::user::Members;

pub(crate) use injections::{Armed, PROBE};
pub(crate) use watching::{NAME as WATCHDOG, Watchdog, watchdog_objects};

/// The pause between two steps of work, in nanoseconds.
const PAUSE: u64 = 100_000;

/// How long after a log line the line being typed is drawn again, in nanoseconds.
const REDRAW: u64 = 10_000_000;

/// How long after the console took no more it is tried again, in nanoseconds: a serial port at 115,200
/// baud sends some 200 bytes meanwhile.
const SEND_ON: u64 = 20_000_000;

/// Something that takes several steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Bring a user up.
    BringUp(usize),
    /// Destroy a user's bank.
    EmptyUser(usize),
    /// Destroy the bank of a session whose driver died.
    EmptySession(usize),
    /// Make a port for a user whose stack goes on with a new driver.
    GivePort(usize),
    /// Look at the sessions that began or ended.
    LookAtSessions,
    /// Destroy the driver's bank.
    EmptyDriver,
    /// End the pins of the dead driver's apertures.
    ReleasePins,
    /// Destroy the guest program's bank.
    EmptyGuest,
    /// Destroy a dead watchdog's bank.
    EmptyWatchdog,
    /// Take more from the serial line.
    Receive,
    /// Have the kernel look at its tables.
    Audit,
}

/// Something that is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The next step of work.
    Work,
    /// To draw the line being typed again.
    Draw,
    /// To send what the console didn't take.
    Print,
    /// A user's next start.
    Restart(usize),
    /// The driver's next start.
    RestartDriver,
    /// To ask whether the device has reset itself.
    AskReset,
    /// To ask whether a user's port is gone.
    AskPort(usize),
    /// A spawned user's stack should have attached.
    Attach(usize),
    /// To look at frames that were counted, for faults that wait for them.
    Frames,
}

/// init.
#[derive(Debug)]
pub struct Init<'a, H: Host> {
    pub(crate) host: &'a H,
    pub(crate) archive: Archive<'a>,
    pub(crate) boot: Boot,
    pub(crate) options: Options,
    pub(crate) manifest: Manifest,
    pub(crate) launcher: Launcher,
    pub(crate) terminal: Terminal,
    serial: Option<Serial>,
    pub(crate) driver: Driver,
    pub(crate) watchdog: Watchdog,
    /// The bank of all users.
    pub(crate) share: Share,
    pub(crate) members: Members,
    pub(crate) guest: Option<Guest>,
    pub(crate) timers: Timers<Due>,
    pub(crate) work: VecDeque<Work>,
    /// Faults that are armed.
    pub(crate) armed: Vec<Armed>,
    /// How far the kernel has looked at its tables, while it is to.
    pub(crate) auditing: Option<AuditCursor>,
    /// When `ps` was asked last, and who had run for how long then.
    pub(crate) mark: CpuMark,
}

impl<'a, H: Host> Init<'a, H> {
    /// Sets up console and log, and reads archive and manifest. What is wrong with them is told on the
    /// console, which comes up all the same.
    ///
    /// # Errors
    /// Not even that could be done.
    pub fn new(host: &'a H, boot: Boot, archive: &'a [u8]) -> Result<Init<'a, H>, Failure> {
        let (options, complaints) = Options::parse(&boot.command_line);
        let mut init = Init {
            host,
            archive: Archive::empty(),
            boot,
            options,
            manifest: Manifest::default(),
            launcher: Launcher::new(host)?,
            terminal: Terminal::new(),
            serial: None,
            driver: Driver::new(host)?,
            watchdog: Watchdog::new(host)?,
            share: Share::new(host)?,
            members: Members::default(),
            guest: None,
            timers: Timers::new(),
            work: VecDeque::new(),
            armed: Vec::new(),
            auditing: None,
            mark: CpuMark::default(),
        };
        match init.start_serial() {
            Ok(serial) => init.serial = Some(serial),
            Err(failure) => log::warn!("no console: {failure}"),
        }
        complaints
            .iter()
            .for_each(|complaint| log::warn!("{complaint}"));
        match Archive::open(archive) {
            Ok(archive) => init.archive = archive,
            Err(error) => log::error!("{error}"),
        }
        Ok(init)
    }

    /// Starts what the manifest and the command line ask for.
    pub fn start(&mut self) {
        match self.read_manifest() {
            Ok(manifest) => self.manifest = manifest,
            Err(failure) => log::error!("{failure}"),
        }
        let level = self.options.log.unwrap_or(self.manifest.system.log);
        if let Err(failure) = self.set_log_level(level) {
            log::warn!("{failure}");
        }
        if let Some(file) = self.options.program.clone() {
            self.start_guest(&file);
        }
        if self.options.users {
            self.start_users();
        }
        self.terminal
            .print(self.host, "Usufruct. `help` lists the commands.\n");
        self.terminal.draw(self.host);
        self.print_later();
    }

    fn read_manifest(&self) -> Result<Manifest, Failure> {
        let what = "reading the manifest";
        let none = |why: String| {
            Failure::new(what, why).advise("no user is started; `spawn` brings one up")
        };
        let bytes = self
            .archive
            .file(manifest::PATH)
            .map_err(|error| none(format!("{error}")))?;
        let text = core::str::from_utf8(bytes)
            .map_err(|error| none(format!("{}: not text: {error}", manifest::PATH)))?;
        Manifest::parse(text).map_err(|error| none(format!("{}: {error}", manifest::PATH)))
    }

    fn start_serial(&self) -> Result<Serial, Failure> {
        let (host, sys) = (self.host, self.host.sys());
        let take = || host.take_slot().trying("taking slots for the console");
        let (ports, interrupt, notify) = (take()?, take()?, take()?);
        PROCESS
            .make_notify(sys, bit::LOG, notify)
            .trying("naming the log's bit")?;
        LOG.set_notify(sys, Cap::at(notify))
            .trying("asking to be told of log lines")?;
        IO_PORT
            .narrow(sys, serial::FIRST_PORT, serial::PORTS, ports)
            .trying("taking the serial line's ports")?;
        IRQ.isa(sys, serial::INTERRUPT, interrupt)
            .trying("taking the serial line's interrupt")?;
        // The kernel keeps a copy, so the slot may serve again.
        PROCESS
            .make_notify(sys, bit::SERIAL, notify)
            .trying("naming the serial line's bit")?;
        let interrupt: Cap<Irq> = Cap::at(interrupt);
        interrupt
            .bind(sys, Cap::<Notify>::at(notify))
            .trying("binding the serial line's interrupt")?;
        Serial::start(sys, Cap::at(ports), interrupt).trying("starting the serial line")
    }

    /// Runs for ever.
    pub fn run(&mut self) -> ! {
        loop {
            self.turn();
        }
    }

    /// One turn: waits for an event, then does what it asks for, what is due, and a step of work.
    pub fn turn(&mut self) {
        let now = self.host.now();
        if !self.work.is_empty() && self.timers.when(&Due::Work).is_none() {
            self.timers.set(now + PAUSE, Due::Work);
        }
        // Bit 0 is the timer's, so a deadline that can't be set is noticed as soon as anything else
        // happens; an own clock doesn't refuse.
        let _ = match self.timers.next() {
            Some(next) => self.host.arm(next.max(1), bit::TIMER),
            None => Ok(()),
        };
        match self.host.sys().wait([NONE; 4]) {
            Event::Notified { group, bits } => self.notified(group, bits),
            // Nobody has been given a way to call init; whoever calls all the same learns that.
            Event::Request(request) if request.call => self.refuse(),
            Event::Request(_) => {}
        }
        let now = self.host.now();
        while let Some(due) = self.timers.take(now) {
            self.due(due);
        }
        self.print_later();
    }

    /// Has sent later what the console didn't take.
    fn print_later(&mut self) {
        if self.terminal.is_behind() && self.timers.when(&Due::Print).is_none() {
            self.timers.set(self.host.now() + SEND_ON, Due::Print);
        }
    }

    /// Has the line being typed drawn again after log lines: once after a burst of them, so that who
    /// logs much doesn't keep init busy with drawing.
    fn line_was_logged(&mut self) {
        self.terminal.cover();
        if self.timers.when(&Due::Draw).is_none() {
            self.timers.set(self.host.now() + REDRAW, Due::Draw);
        }
    }

    fn refuse(&mut self) {
        let status = abi::error::status(abi::error::ENOSYS);
        let slot = self.driver.scratch;
        if self.host.sys().save_caller(slot) == abi::error::OK {
            let _ = self.host.sys().resume(slot, status, &Message::default());
        }
    }

    fn notified(&mut self, group: u16, bits: u64) {
        for n in (0..64).filter(|n| bits >> n & 1 != 0) {
            match u64::from(group) * 64 + n {
                // What is due is looked at in every turn.
                bit::TIMER => {}
                bit::SERIAL => self.receive(),
                bit::LOG => self.line_was_logged(),
                bit::DRIVER => self.driver_stopped(),
                bit::GUEST => self.guest_stopped(),
                bit::HUNG => self.driver_hung(),
                bit::WATCHDOG => self.watchdog_stopped(),
                bit::PROBE => self.entry_came(),
                bit::SESSIONS => self.add_work(Work::LookAtSessions),
                user @ bit::USERS.. => self.stack_stopped((user - bit::USERS) as usize),
                _ => {}
            }
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Work => {
                if let Some(work) = self.work.pop_front()
                    && self.step(work)
                {
                    self.work.push_back(work);
                }
            }
            Due::Draw => self.terminal.uncover(self.host),
            Due::Print => self.terminal.send_on(self.host),
            Due::Restart(user) => self.restart_user(user),
            Due::RestartDriver => self.start_driver(),
            Due::AskReset => self.ask_reset(),
            Due::AskPort(user) => self.ask_port(user),
            Due::Attach(user) => self.attach_is_late(user),
            Due::Frames => self.look_at_frames(),
        }
    }

    /// Does a step of a work; answers whether there is more.
    fn step(&mut self, work: Work) -> bool {
        match work {
            Work::BringUp(user) => self.bring_up_in_turn(user),
            Work::EmptyUser(user) => self.empty_user(user),
            Work::EmptySession(user) => self.empty_session(user),
            Work::GivePort(user) => self.give_port(user),
            Work::LookAtSessions => self.look_at_sessions(),
            Work::EmptyDriver => self.empty_driver(),
            Work::ReleasePins => self.release_pins(),
            Work::EmptyGuest => self.empty_guest(),
            Work::EmptyWatchdog => self.empty_watchdog(),
            Work::Audit => self.audit_step(),
            Work::Receive => {
                self.receive();
                false
            }
        }
    }

    /// Adds work that isn't waiting already.
    pub(crate) fn add_work(&mut self, work: Work) {
        if !self.work.contains(&work) {
            self.work.push_back(work);
        }
    }

    fn receive(&mut self) {
        let Some(serial) = self.serial else {
            return;
        };
        let taken = match serial.take(self.host.sys()) {
            Ok(taken) => taken,
            Err(error) => {
                log::error!("the console fails: {error}");
                self.serial = None;
                return;
            }
        };
        if taken.more {
            self.add_work(Work::Receive);
        }
        // The terminal is taken out, because completion looks at everything else.
        let mut terminal = core::mem::take(&mut self.terminal);
        let lines = terminal.typed(self.host, &taken.bytes, || self.names());
        self.terminal = terminal;
        for line in lines {
            self.run_line(&line);
        }
    }
}

#[cfg(test)]
mod tests;
