//! Faults on purpose: armed at the console, they come at an entry into the kernel, or at a frame.
//!
//! At an entry the [probe](Probe) stops whoever makes it, before the kernel does what it asks for, and
//! init, if it waits, runs first, whoever is more urgent; what is said of it says whether it was so.
//! Frames are counted by the driver; init looks at its counts a thousand times a second, so that a
//! fault comes at the frame, or a few after it, and says at which.

mod place;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::boot::slot;
use abi::cap::{CapAddr, NONE};
use dev::statistics::Counter;
use sys::object::{DeviceDma, Probe};
use sys::{Cap, Error};

use self::place::describe;
use super::{Due, Init};
use crate::console::injection::{Deed, Injecting, Injection, Moment};
use crate::destroy::destroy_step;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PROCESS, bit};
use crate::launch::clear;

/// Counts entries into the kernel, stops at one, and looks at the whole kernel.
pub(crate) const PROBE: Cap<Probe> = Cap::at(slot::INIT_PROBE);

/// How often init looks at the driver's counts while it waits for a frame, in nanoseconds.
const LOOK: u64 = 1_000_000;

/// Most faults that are armed at once.
const MOST: usize = 16;

/// A fault that is armed.
#[derive(Clone, Debug)]
pub(crate) struct Armed {
    injection: Injection,
    /// Frames that had passed when it was armed.
    from: u64,
}

impl Armed {
    /// Frames since it was armed, when so many have passed. A driver that was started since has begun to
    /// count again.
    fn passed(&self, now: u64) -> u64 {
        now.checked_sub(self.from).unwrap_or(now)
    }
}

impl<H: Host> Init<'_, H> {
    /// Arms a fault, or says which are armed, or disarms them.
    pub(crate) fn inject(&mut self, asked: Injecting) -> Result<String, Failure> {
        match asked {
            Injecting::List => Ok(self.list_injections()),
            Injecting::Clear => {
                let count = self.armed.len();
                self.armed.clear();
                self.timers.cancel(&Due::Frames);
                self.disarm()?;
                Ok(format!("{count} were armed; none is now."))
            }
            Injecting::Arm(injection) => self.arm(injection),
        }
    }

    fn list_injections(&self) -> String {
        let mut text: String = self
            .armed
            .iter()
            .map(|armed| format!("{}{}\n", armed.injection, self.progress(armed)))
            .collect();
        if text.is_empty() {
            text = "No fault is armed.\n".into();
        }
        text
    }

    /// How far the count has come that a fault waits for.
    fn progress(&self, armed: &Armed) -> String {
        let so_far = match &armed.injection.moment {
            Moment::Now => None,
            Moment::Entry { .. } => {
                let reading = PROBE.read(self.host.sys(), 0);
                reading.ok().map(|reading| reading.entries)
            }
            Moment::Frame { .. } => {
                let now = self.frames(&armed.injection.deed);
                now.map(|now| armed.passed(now))
            }
        };
        so_far.map_or(String::new(), |count| format!(" ({count} so far)"))
    }

    fn arm(&mut self, injection: Injection) -> Result<String, Failure> {
        let what = format!("arming {injection}");
        self.check(&injection.deed)
            .map_err(|why| Failure::new(&what, why))?;
        if self.armed.len() >= MOST {
            return Err(Failure::new(&what, format!("{MOST} are armed")).advise("inject clear"));
        }
        let mut from = 0;
        match &injection.moment {
            Moment::Now => return Ok(self.carry_out(&injection, "now")),
            Moment::Entry { number, of } => {
                let counted =
                    |armed: &Armed| matches!(armed.injection.moment, Moment::Entry { .. });
                if self.armed.iter().any(counted) {
                    return Err(Failure::new(
                        &what,
                        "the kernel counts entries for one fault at a time",
                    )
                    .advise("inject clear"));
                }
                let only = match of {
                    None => NONE,
                    Some(name) => self
                        .process_named(name)
                        .ok_or_else(|| Failure::new(&what, self.no_such_process(name)))?,
                };
                self.count_entries(*number, only).map_err(|error| {
                    let failure = Failure::of(&what, error);
                    if error == Error::VOID {
                        return Failure::new(&what, "this kernel has no probe to count with");
                    }
                    failure
                })?;
            }
            Moment::Frame { .. } => {
                from = self
                    .frames(&injection.deed)
                    .ok_or_else(|| Failure::new(&what, "there is nobody to count its frames"))?;
                self.timers.set(self.host.now() + LOOK, Due::Frames);
            }
        }
        let said = format!("Armed: {injection}.");
        self.armed.push(Armed { injection, from });
        Ok(said)
    }

    /// Whether what is to happen can, as things are.
    fn check(&self, deed: &Deed) -> Result<(), String> {
        match deed {
            Deed::Revoke(name) | Deed::Session(name) => match self.members.find(name) {
                Some(_) => Ok(()),
                None => Err(self.no_such_user(name)),
            },
            Deed::Kill(name) if ["init", "spacebank", "kernel"].contains(&name.as_str()) => {
                Err("nothing could go on without it".into())
            }
            Deed::Kill(name) => match self.process_named(name) {
                Some(_) => Ok(()),
                None => Err(self.no_such_process(name)),
            },
            Deed::StallDevice if self.driver.is_running() => Ok(()),
            Deed::StallDevice => Err("nobody drives the network card".into()),
        }
    }

    fn count_entries(&self, number: u64, only: CapAddr) -> Result<(), Error> {
        let (sys, told) = (self.host.sys(), self.driver.scratch);
        clear(self.host, told);
        let armed = PROCESS
            .make_notify(sys, bit::PROBE, told)
            .and_then(|()| PROBE.arm(sys, number, told, only));
        clear(self.host, told);
        armed
    }

    fn disarm(&self) -> Result<(), Failure> {
        match PROBE.disarm(self.host.sys()) {
            // Nothing that there isn't counts.
            Err(error) if error == Error::VOID => Ok(()),
            done => done.trying("stopping to count entries"),
        }
    }

    /// The probe stopped somebody: what waited for that comes now.
    pub(super) fn entry_came(&mut self) {
        let counted = |armed: &Armed| matches!(armed.injection.moment, Moment::Entry { .. });
        let Some(n) = self.armed.iter().position(counted) else {
            return;
        };
        let armed = self.armed.remove(n);
        if let Err(failure) = self.disarm() {
            log::warn!("{failure}");
        }
        let at = self.place();
        let said = self.carry_out(&armed.injection, &at);
        self.say(&said);
    }

    /// Where the probe stopped whom.
    fn place(&self) -> String {
        let place = PROBE.place(self.host.sys());
        place.map_or("at an entry of nobody's".into(), |place| describe(&place))
    }

    /// It is time to look at the frames that were counted.
    pub(super) fn look_at_frames(&mut self) {
        let mut due = Vec::new();
        for (n, armed) in self.armed.iter().enumerate() {
            let Moment::Frame { number } = armed.injection.moment else {
                continue;
            };
            let count = self.frames(&armed.injection.deed);
            let count = count.map(|count| armed.passed(count));
            if let Some(count) = count.filter(|count| *count >= number) {
                due.push((n, count));
            }
        }
        for (n, count) in due.into_iter().rev() {
            let armed = self.armed.remove(n);
            let said = self.carry_out(&armed.injection, &format!("after {count} frames"));
            self.say(&said);
        }
        let waits = |armed: &Armed| matches!(armed.injection.moment, Moment::Frame { .. });
        if self.armed.iter().any(waits) {
            self.timers.set(self.host.now() + LOOK, Due::Frames);
        }
    }

    /// Frames that came and went, of the user whom a deed is about, or of all.
    fn frames(&self, deed: &Deed) -> Option<u64> {
        if !self.driver.is_running() {
            return None;
        }
        let of_port = |port| {
            let (sys, admin) = (self.host.sys(), self.driver.admin);
            let count = |counter| admin.counter(sys, port, counter).ok();
            Some(count(Counter::ReceivedFrames)? + count(Counter::SentFrames)?)
        };
        let port_of = |name: &str| Some(self.members.get(self.members.find(name)?)?.port?.number);
        match deed {
            Deed::Revoke(name) | Deed::Session(name) => of_port(port_of(name)?),
            Deed::Kill(name) if port_of(name).is_some() => of_port(port_of(name)?),
            Deed::Kill(_) | Deed::StallDevice => {
                let ports = self.members.iter().filter_map(|(_, member)| member.port);
                Some(ports.filter_map(|port| of_port(port.number)).sum())
            }
        }
    }

    /// Does it; answers what is said of it.
    fn carry_out(&mut self, injection: &Injection, at: &str) -> String {
        let deed = &injection.deed;
        let done = match deed {
            Deed::Revoke(name) => self.revoke_at_once(name),
            Deed::Session(name) => self.end_session(name),
            Deed::Kill(name) => self.kill(name),
            Deed::StallDevice => self.stall(self.driver.function),
        };
        match done {
            Ok(said) => format!("Injected {at}: {deed}. {said}"),
            Err(failure) => format!("Injected {at}: {deed}: {failure}"),
        }
    }

    /// Revokes a user, and takes the first step of it before anybody else goes on: from then on the bank
    /// refuses everything.
    fn revoke_at_once(&mut self, name: &str) -> Result<String, Failure> {
        let said = self.revoke(name)?;
        if let Some(number) = self.members.find(name) {
            self.empty_user(number);
        }
        Ok(said)
    }

    /// Destroys the bank of a user's session, as far as init knows it: without asking the driver, who may
    /// stand in the middle of anything.
    fn end_session(&self, name: &str) -> Result<String, Failure> {
        let what = format!("ending the session of {name}");
        let member = self.members.find(name).and_then(|n| self.members.get(n));
        let member = member.ok_or_else(|| Failure::new(&what, self.no_such_user(name)))?;
        let (sys, session) = (self.host.sys(), member.slots.session);
        if session.usage(sys).is_err() {
            return Err(Failure::new(what, "there is none"));
        }
        let mut steps = 1;
        while destroy_step(sys, session, name) {
            steps += 1;
        }
        Ok(format!("Its bank was destroyed in {steps} steps."))
    }

    /// Takes a device's way to memory away, and with it all it could go on with.
    fn stall(&self, function: Cap<DeviceDma>) -> Result<String, Failure> {
        let stopped = function.set_master(self.host.sys(), false);
        stopped.trying("stopping the device")?;
        Ok("The card reaches memory no more.".into())
    }

    /// The process of a name, if there is one that init can name.
    fn process_named(&self, name: &str) -> Option<CapAddr> {
        if name == crate::ethernet::NAME && self.driver.is_running() {
            return Some(self.driver.held.process);
        }
        if name == super::WATCHDOG && self.watchdog.running {
            return Some(self.watchdog.held.process);
        }
        if name == "spacebank" {
            return Some(slot::INIT_SPACEBANK);
        }
        let guest = self.guest.as_ref().filter(|guest| guest.running);
        if let Some(guest) = guest.filter(|guest| guest.name() == name) {
            return Some(guest.held.process);
        }
        let with_bank = self.members.iter().filter(|(_, member)| member.has_bank);
        let mut all = with_bank.flat_map(|(_, member)| member.processes());
        let found = all.find(|(other, _, _)| other == name);
        found.map(|(_, _, process)| process.address())
    }
}
