//! `invariants`: whether the live system agrees with itself.
//!
//! What the kernel knows twice, the kernel compares. Here its counts are held against spacebank's, the
//! banks against each other and their limits, and what init knows of ports, sessions and processes
//! against what driver and kernel say.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::method::process::state;
use dev::admin::PortState;
use sys::bank::{Bank, Usage};
use sys::object::{Audit, AuditCursor, AuditPiece, Census, Process};
use sys::{Cap, Error};

use crate::host::{Host, PRIME};
use crate::init::{Init, PROBE, Work};
use crate::launch::clear;
use crate::user::{Attached, Phase};

/// How often two servers are asked before what they say is compared: between the two, somebody may buy.
const ATTEMPTS: u32 = 4;

/// How long the kernel looks at its tables without a pause for those who are less urgent than init, in
/// nanoseconds.
const SLICE: u64 = 50_000;

/// What was checked, and what is broken.
#[derive(Default)]
struct Findings {
    lines: String,
    checks: u64,
    broken: Vec<String>,
}

impl Findings {
    fn demand(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.broken.push(broken());
        }
    }

    fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }
}

impl<H: Host> Init<'_, H> {
    /// Begins to check everything. The kernel looks at its tables piece by piece, and others run between
    /// the pieces; the answer comes when that is over.
    pub(crate) fn begin_invariants(&mut self) -> String {
        if self.auditing.is_some() {
            return "They are being checked already.".into();
        }
        self.auditing = Some(AuditCursor::start(true));
        self.add_work(Work::Audit);
        String::new()
    }

    /// Has the kernel look at a few pieces; answers whether there are more. After the last everything
    /// else is checked, and the answer shown.
    pub(crate) fn audit_step(&mut self) -> bool {
        let until = self.host.now() + SLICE;
        while let Some(at) = self.auditing {
            match PROBE.audit_piece(self.host.sys(), at) {
                Ok(AuditPiece::More(next)) => self.auditing = Some(next),
                Ok(AuditPiece::Done(audit)) => self.end_invariants(Ok(audit)),
                Err(error) => self.end_invariants(Err(error)),
            }
            if self.host.now() >= until {
                break;
            }
        }
        self.auditing.is_some()
    }

    fn end_invariants(&mut self, audit: Result<Audit, Error>) {
        self.auditing = None;
        let answer = self.answer_invariants(audit);
        self.say(&answer);
    }

    /// Checks everything else that init can, and says what was checked, in counts.
    fn answer_invariants(&self, audit: Result<Audit, Error>) -> String {
        let mut found = Findings::default();
        self.check_storage(&mut found, audit);
        self.check_banks(&mut found);
        self.check_sessions(&mut found);
        self.check_processes(&mut found);
        let mut text = found.lines;
        for broken in &found.broken {
            text.push_str(&format!("BROKEN: {broken}\n"));
        }
        text.push_str(&match found.broken.len() {
            0 => format!("All {} invariants hold.\n", found.checks),
            count => format!("{count} of {} invariants don't hold.\n", found.checks),
        });
        text
    }

    /// The kernel's tables, and its counts against spacebank's.
    fn check_storage(&self, found: &mut Findings, audit: Result<Audit, Error>) {
        let audit = match audit {
            Ok(audit) => audit,
            Err(error) => {
                return found.demand(false, || format!("the kernel doesn't look: {error}"));
            }
        };
        found.demand(audit.violation == 0, || {
            format!("kernel: violation {}, which the log names", audit.violation)
        });
        let mut both = self.counts();
        for _ in 1..ATTEMPTS {
            if both.is_ok_and(|(census, usage)| agree(&census, &usage)) {
                break;
            }
            both = self.counts();
        }
        let (census, usage) = match both {
            Ok(both) => both,
            Err(error) => return found.demand(false, || format!("counting objects: {error}")),
        };
        let Census { free, live, limbo } = census;
        found.demand(agree(&census, &usage), || {
            format!(
                "the kernel has {live} objects live and {limbo} in limbo, spacebank {} and {}",
                usage.bought, usage.limbo
            )
        });
        let all = free + live + limbo;
        found.demand(all == usage.limit, || {
            format!(
                "{free} free + {live} live + {limbo} in limbo is not {}",
                usage.limit
            )
        });
        let calls = match audit.compared {
            _ if audit.violation != 0 => return,
            true => "calls and timers agree",
            false => "and timers agree; calls came and went too fast to be compared with answers",
        };
        found.line(&format!(
            "kernel: {free} free + {live} live + {limbo} in limbo = {all} objects, each with a frame of \
             its own; free frames are zeroed; tables, pins, slots, processes, {calls}"
        ));
    }

    /// What kernel and spacebank count.
    fn counts(&self) -> Result<(Census, Usage), Error> {
        let sys = self.host.sys();
        Ok((PROBE.census(sys)?, PRIME.usage(sys)?))
    }

    /// Banks against their limits, and against what hangs below them.
    fn check_banks(&self, found: &mut Findings) {
        let sys = self.host.sys();
        let mut banks: Vec<(String, Cap<Bank>, Option<u64>)> = Vec::new();
        if self.driver.is_running() {
            let limit = self.driver.base + self.driver.reserved;
            banks.push((crate::ethernet::NAME.into(), self.driver.bank, Some(limit)));
        }
        if self.watchdog.has_bank {
            banks.push((crate::init::WATCHDOG.into(), self.watchdog.bank, None));
        }
        if let Some(guest) = &self.guest {
            banks.push((guest.name().into(), guest.bank, None));
        }
        for (_, member) in self.members.iter().filter(|(_, member)| member.has_bank) {
            let limit = Some(member.plan.limit);
            banks.push((member.name().into(), member.slots.bank, limit));
        }
        let mut count = 0;
        for (name, bank, limit) in banks {
            // One that is being destroyed by a step a moment is there until the last.
            let Ok(usage) = bank.usage(sys) else {
                found.demand(false, || format!("{name}'s bank does not answer"));
                continue;
            };
            count += 1;
            let Usage {
                bought,
                limbo,
                high_water,
                ..
            } = usage;
            found.demand(limit.is_none_or(|limit| usage.limit == limit), || {
                format!(
                    "{name}'s bank has a limit of {}, not {limit:?}",
                    usage.limit
                )
            });
            found.demand(bought + limbo <= usage.limit, || {
                format!("{name}'s bank is beyond its limit: {usage:?}")
            });
            found.demand(bought + limbo <= high_water, || {
                format!("{name}'s bank holds more than ever: {usage:?}")
            });
        }
        found.line(&format!(
            "banks: {count} within their limits, which are as init set them"
        ));
    }

    /// Ports and sessions, as init knows them and as the driver does.
    fn check_sessions(&self, found: &mut Findings) {
        if !self.driver.is_running() {
            return found.line("sessions: the driver doesn't run, so there are none");
        }
        let (sys, admin) = (self.host.sys(), self.driver.admin);
        let scratch = self.driver.scratch;
        let (mut ports, mut open) = (0, 0);
        for (number, member) in self.members.iter() {
            let Some(port) = member.port else { continue };
            let name = member.name();
            ports += 1;
            found.demand(self.members.at_port(port.number) == Some(number), || {
                format!("the port of {name} is noted as somebody else's")
            });
            clear(self.host, scratch);
            let seen = admin.inspect(sys, port.number, scratch);
            let is_open = matches!(&seen, Ok(seen) if seen.state == PortState::Open);
            open += u64::from(is_open);
            // A port that is being removed is gone before init has asked.
            let leaves = matches!(member.phase, Phase::Closing(_));
            found.demand(seen.is_ok() || leaves, || {
                format!("the driver doesn't know the port of {name}: {seen:?}")
            });
            let bank: Cap<Bank> = Cap::at(scratch);
            if is_open
                && let (Ok(session), Ok(all)) = (bank.usage(sys), member.slots.bank.usage(sys))
            {
                let within = session.bought + session.limbo <= all.bought + all.limbo;
                found.demand(within, || {
                    format!(
                        "the session of {name} holds more than its bank: {session:?} of {all:?}"
                    )
                });
            }
            if let Ok(seen) = seen {
                found.demand(seen.spare_pages <= seen.receive_pages, || {
                    format!("the session of {name} has more pages to spare than it has: {seen:?}")
                });
            }
            clear(self.host, scratch);
        }
        let device = admin.device(sys);
        found.demand(device.is_ok_and(|device| device.ports == ports), || {
            format!("init made {ports} ports, and the driver has others: {device:?}")
        });
        found.line(&format!(
            "sessions: {ports} ports, as the driver says, {open} of them with a session"
        ));
    }

    /// Who should run does.
    fn check_processes(&self, found: &mut Findings) {
        let sys = self.host.sys();
        let mut count = 0;
        let mut runs = |found: &mut Findings, name: &str, process: Cap<Process>| {
            let info = process.info(sys);
            count += 1;
            found.demand(
                info.as_ref().is_ok_and(|info| info.state != state::STOPPED),
                || format!("{name} should run, and doesn't: {info:?}"),
            );
        };
        runs(found, "spacebank", crate::host::SPACEBANK);
        if self.driver.is_running() {
            let process = Cap::at(self.driver.held.process);
            runs(found, crate::ethernet::NAME, process);
            found.demand(self.watchdog.running, || "nobody watches the driver".into());
        }
        if self.watchdog.running {
            let process = Cap::at(self.watchdog.held.process);
            runs(found, crate::init::WATCHDOG, process);
        }
        for (_, member) in self.members.iter() {
            if !matches!(member.phase, Phase::Running { .. }) {
                continue;
            }
            for (name, _, process) in member.processes() {
                runs(found, &name, process);
            }
            found.demand(member.attached != Attached::Done || member.has_bank, || {
                format!("{} is attached, without a bank", member.name())
            });
        }
        found.line(&format!("processes: {count} run that should"));
    }
}

/// Whether kernel and spacebank count the same.
fn agree(census: &Census, usage: &Usage) -> bool {
    (census.live, census.limbo) == (usage.bought, usage.limbo)
}
