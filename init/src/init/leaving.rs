//! Users go: their stacks die and come back, their banks are destroyed, their ports removed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sys::bank::Usage;

use super::{Due, Init, Work};
use crate::console::near::nearest;
use crate::console::table::memory;
use crate::destroy::destroy_step;
use crate::failure::Failure;
use crate::host::{Host, PRIME};
use crate::launch::{clear, image_name};
use crate::supervise::backoff::{MOST, SECOND};
use crate::supervise::has_stopped;
use crate::supervise::report::{self, Subject};
use crate::user::{Member, Next, Phase, Revocation};

/// How often init asks whether a port is gone, in nanoseconds.
const ASK_PORT: u64 = 2_000_000;

impl<H: Host> Init<'_, H> {
    /// Takes everything from a user, then does what follows.
    pub(crate) fn give_up(&mut self, number: usize, next: Next) {
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        if member.has_bank {
            member.phase = Phase::Emptying(next);
            self.add_work(Work::EmptyUser(number));
        } else {
            self.bank_is_gone(number, next);
        }
    }

    /// A step of destroying a user's bank; answers whether there is more.
    pub(crate) fn empty_user(&mut self, number: usize) -> bool {
        let sys = self.host.sys();
        let Some(member) = self.members.get_mut(number) else {
            return false;
        };
        let Phase::Emptying(next) = &member.phase else {
            return false;
        };
        let next = next.clone();
        member.revocation.steps += 1;
        if destroy_step(sys, member.slots.bank, member.name()) {
            return true;
        }
        self.bank_is_gone(number, next);
        false
    }

    fn bank_is_gone(&mut self, number: usize, next: Next) {
        let host = self.host;
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        member.has_bank = false;
        let held = member.slots.held;
        let slots = member.slots;
        for slot in [
            slots.bank.address(),
            held.process,
            held.root,
            slots.copier.process,
            slots.copier.root,
            slots.copier_bank.address(),
            slots.port_bank.address(),
            slots.copier_port_bank.address(),
            slots.served.address(),
            slots.session.address(),
        ] {
            clear(host, slot);
        }
        match (next, member.port) {
            (Next::Restart { at }, _) => {
                member.phase = Phase::Resting { until: at };
                self.timers.set(at, Due::Restart(number));
            }
            (next, Some(port)) if self.driver.is_running() => {
                member.phase = Phase::Closing(next);
                self.driver.begin_remove_port(host, port.number);
                self.timers.set(host.now() + ASK_PORT, Due::AskPort(number));
            }
            (next, _) => self.user_is_gone(number, next),
        }
    }

    /// Asks whether the port of a user who goes is gone.
    pub(crate) fn ask_port(&mut self, number: usize) {
        let host = self.host;
        let Some(member) = self.members.get(number) else {
            return;
        };
        let Phase::Closing(next) = &member.phase else {
            return;
        };
        let next = next.clone();
        if let Some(port) = member.port {
            if self.driver.is_running() && !self.driver.port_is_gone(host, port.number) {
                self.driver.begin_remove_port(host, port.number);
                self.timers.set(host.now() + ASK_PORT, Due::AskPort(number));
                return;
            }
            self.port_is_removed(number);
        }
        self.user_is_gone(number, next);
    }

    fn user_is_gone(&mut self, number: usize, next: Next) {
        if let Next::Fail(why) = &next {
            if let Some(member) = self.members.get_mut(number) {
                member.phase = Phase::Failed(why.clone());
            }
            return;
        }
        self.timers.cancel(&Due::Attach(number));
        let Some(member) = self.members.remove(number) else {
            return;
        };
        self.limit_share();
        member.slots.give(self.host);
        if let Next::Tell(said) = next {
            self.say(&said);
        } else if member.revocation.began != 0 {
            let text = self.revoked(&member);
            self.say(&text);
        }
    }

    fn revoked(&self, member: &Member) -> String {
        let Revocation {
            objects,
            limbo,
            steps,
            began,
            ..
        } = member.revocation;
        let name = member.name();
        let milliseconds = (self.host.now() - began) / 1_000_000;
        let mut text = format!(
            "{name} is gone: {objects} objects ({}) came back in {steps} steps, {milliseconds} ms.\n",
            memory(objects + limbo)
        );
        if let Ok(usage) = PRIME.usage(self.host.sys()) {
            let Usage {
                limit,
                bought,
                limbo,
                ..
            } = usage;
            text.push_str(&format!(
                "The system holds {bought} of {limit} objects now, {limbo} in limbo; it held {} before.\n",
                member.revocation.total
            ));
        }
        text
    }

    /// Destroys a user's bank, and forgets the user.
    ///
    /// # Errors
    /// There is no such user, or it is going already.
    pub(crate) fn revoke(&mut self, name: &str) -> Result<String, Failure> {
        let (sys, now) = (self.host.sys(), self.host.now());
        let what = format!("revoking {name}");
        let number = self
            .members
            .find(name)
            .ok_or_else(|| Failure::new(&what, self.no_such_user(name)))?;
        self.timers.cancel(&Due::Restart(number));
        let Some(member) = self.members.get_mut(number) else {
            return Ok(String::new());
        };
        let goes = |next: &Next| matches!(next, Next::Forget | Next::Tell(_));
        if matches!(&member.phase, Phase::Emptying(next) | Phase::Closing(next) if goes(next)) {
            return Err(Failure::new(what, "its bank is being destroyed already"));
        }
        let usage = match member.has_bank {
            true => member.slots.bank.usage(sys).unwrap_or_default(),
            false => Usage::default(),
        };
        let total = PRIME
            .usage(sys)
            .map_or(0, |usage| usage.bought + usage.limbo);
        member.revocation = Revocation {
            // The record of its bank comes back, too.
            objects: usage.bought + u64::from(member.has_bank),
            limbo: usage.limbo,
            total,
            steps: 0,
            began: now.max(1),
        };
        if let Phase::Closing(next) = &mut member.phase {
            *next = Next::Forget;
        } else {
            self.give_up(number, Next::Forget);
        }
        Ok(format!(
            "Destroying {name}'s bank: {} objects.",
            usage.bought
        ))
    }

    /// What to say of a name that is no user's.
    pub(crate) fn no_such_user(&self, name: &str) -> String {
        let names = self.members.iter().map(|(_, member)| member.name());
        let known: Vec<&str> = names.clone().collect();
        match nearest(name, names) {
            Some(near) => format!("there is no user {name:?}; did you mean {near}?"),
            None if known.is_empty() => format!("there is no user {name:?}, nor any other"),
            None => format!("there is no user {name:?}; there are {}", known.join(" ")),
        }
    }

    /// A user's stack stopped: says why, and starts it again later.
    pub(crate) fn stack_stopped(&mut self, number: usize) {
        let sys = self.host.sys();
        let Some(member) = self.members.get(number) else {
            return;
        };
        // A bit that an earlier process of this number left behind means nothing.
        let running = matches!(member.phase, Phase::Running { .. });
        let stopped = member
            .processes()
            .into_iter()
            .find(|(_, _, process)| running && has_stopped(sys, *process));
        let Some((name, file, process)) = stopped else {
            return;
        };
        let subject = Subject {
            name: &name,
            image: image_name(file),
        };
        report::lines(sys, process, subject)
            .iter()
            .for_each(|line| log::error!("{line}"));
        if !self.was_awaited(number) {
            self.restart_later(number);
        }
    }

    /// Empties a user's bank and has the stack started again when its back-off says so, or never if it
    /// died too often.
    pub(crate) fn restart_later(&mut self, number: usize) {
        let now = self.host.now();
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        let at = member.back_off.died(now);
        let name = member.name();
        let next = match member.back_off.is_hopeless() {
            false => {
                let seconds = (at - now).div_ceil(SECOND);
                log::warn!("{name}: its bank is emptied; it is started again in {seconds} s");
                Next::Restart { at }
            }
            true => {
                let why = format!(
                    "its stack stopped {MOST} times in a row; `revoke` it, and `spawn` it again"
                );
                log::error!("user {name}: {why}");
                Next::Fail(why)
            }
        };
        self.give_up(number, next);
    }

    /// The time for a user's next start has come.
    pub(crate) fn restart_user(&mut self, number: usize) {
        if let Some(member) = self.members.get_mut(number)
            && matches!(member.phase, Phase::Resting { .. })
        {
            member.phase = Phase::Starting;
            self.add_work(Work::BringUp(number));
        }
    }
}
