//! Stacks attach to their ports: only then is a user up.

use alloc::format;
use alloc::string::{String, ToString};

use abi::error::{EDQUOT, ENOMEM};
use dev::admin::{Inspection, PortState};
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::refusal::Refusal;
use sys::bank::{Bank, Usage};
use sys::{Cap, Error};

use super::{Due, Init};
use crate::failure::Failure;
use crate::host::Host;
use crate::launch::clear;
use crate::supervise::backoff::SECOND;
use crate::user::{Attached, Member, Next, Phase};

/// How long the stack of a user spawned at the console may take to attach, in nanoseconds: a restart of
/// the driver fits in.
const PATIENCE: u64 = 10 * SECOND;

/// How many sessions are looked at in a step.
const LOOKS: usize = 16;

/// Objects of a session besides its receive pages: its bank's record, and what rounds up.
const SESSION_SLACK: u64 = 2;

impl<H: Host> Init<'_, H> {
    /// Somebody at the console waits until this user is up.
    pub(super) fn await_attachment(&mut self, number: usize) {
        if let Some(member) = self.members.get_mut(number) {
            member.attached = Attached::Awaited;
            let at = self.host.now() + PATIENCE;
            self.timers.set(at, Due::Attach(number));
        }
    }

    /// Looks at some of the sessions that began or ended: who has attached, and what their banks are, for
    /// when the driver dies it can't be asked any more. Answers whether there may be more.
    pub(super) fn look_at_sessions(&mut self) -> bool {
        for _ in 0..LOOKS {
            // A driver that doesn't answer is dead: the next one tells of its own sessions.
            let running = self.driver.is_running();
            let change = running.then(|| self.driver.admin.next_change(self.host.sys()));
            let Some(Ok(Some(port))) = change else {
                return false;
            };
            let Some(found) = self.members.at_port(port) else {
                continue;
            };
            if self.look_at_port(found, true).map(|port| port.state) == Some(PortState::Open) {
                self.is_attached(found);
            }
        }
        true
    }

    /// What the driver says of a user's port. Its session's bank is kept, if that is asked for.
    fn look_at_port(&self, number: usize, keep: bool) -> Option<Inspection> {
        let member = self.members.get(number)?;
        let port = member.port.filter(|_| self.driver.is_running())?;
        let into = match keep {
            true => member.slots.session.address(),
            false => self.driver.scratch,
        };
        clear(self.host, into);
        // A port that can't be looked at has no session that matters.
        self.driver
            .admin
            .inspect(self.host.sys(), port.number, into)
            .ok()
    }

    /// A user's stack has attached: the user is up.
    fn is_attached(&mut self, number: usize) {
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        if !matches!(member.phase, Phase::Running { .. }) {
            return;
        }
        let before = core::mem::replace(&mut member.attached, Attached::Done);
        let said = describe(member);
        match before {
            Attached::Done => {}
            Attached::NotYet => log::info!("{said}"),
            Attached::Awaited => {
                self.timers.cancel(&Due::Attach(number));
                self.say(&said);
            }
        }
    }

    /// Whether a user's stack, which stopped, was awaited at the console; then it is not started again,
    /// but given up, and why is said.
    pub(super) fn was_awaited(&mut self, number: usize) -> bool {
        let awaited = |member: &&Member| member.attached == Attached::Awaited;
        let Some(member) = self.members.get(number).filter(awaited) else {
            return false;
        };
        let sys = self.host.sys();
        let room = |bank: Cap<Bank>| {
            let left = |usage: Usage| usage.limit.saturating_sub(usage.bought + usage.limbo);
            bank.usage(sys).map_or(0, left)
        };
        let needed =
            u64::from(FIRST_RECEIVE_PAGE) + u64::from(member.user.receive_slots()) + SESSION_SLACK;
        let (own, all) = (room(member.slots.bank), room(self.share.bank));
        let refusal = self
            .look_at_port(number, false)
            .and_then(|port| port.refusal);
        let tried = match refusal {
            Some(_) => "attaching to its port",
            None => "its stack stopped before it attached",
        };
        let failure = match refusal {
            Some(refusal) if refusal != Refusal::BankTooSmall => Failure::new(tried, refusal),
            _ if own < needed => Failure::of(tried, Error::new(EDQUOT)),
            // Its bank has room, and yet could not buy: there is nothing left to buy.
            _ if refusal.is_some() || all < needed => Failure::of(tried, Error::new(ENOMEM)),
            _ => Failure::new(tried, "the log says why"),
        };
        self.did_not_attach(number, &failure);
        true
    }

    /// A user's stack should have attached by now.
    pub(super) fn attach_is_late(&mut self, number: usize) {
        let late = |member: &Member| {
            member.attached == Attached::Awaited && matches!(member.phase, Phase::Running { .. })
        };
        if self.members.get(number).is_some_and(late) {
            let within = format!("it did not within {} s", PATIENCE / SECOND);
            self.did_not_attach(number, &Failure::new("attaching to its port", within));
        }
    }

    fn did_not_attach(&mut self, number: usize, failure: &Failure) {
        self.timers.cancel(&Due::Attach(number));
        let said = failure.clone().during(self.whole(number)).to_string();
        if let Some(member) = self.members.get_mut(number) {
            member.attached = Attached::NotYet;
        }
        self.give_up(number, Next::Tell(said));
    }

    /// Says something at the console that was asked for a while ago.
    pub(crate) fn say(&mut self, text: &str) {
        self.terminal.print(self.host, text);
        self.terminal.draw(self.host);
    }
}

/// A line about a user who is up.
fn describe(member: &Member) -> String {
    let user = &member.user;
    format!(
        "{} is up: {}, IPv4 {}, IPv6 {}, bank of {} pages ({} set aside for its port)",
        user.name, user.mac, user.ipv4, user.ipv6, user.bank, member.plan.reserve
    )
}
