//! A running guest.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::process::ChildStdin;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use manifest::Service;
use mk::forwards::Forwards;
use mk::launch::Launch;
use mk::outcome::Outcome;
use mk::process::Process;
use regex::Regex;

use crate::case::{Case, Record};
use crate::console::{Missed, Transcript};
use crate::environment::limit;
use crate::wire::Wire;

/// How a guest ended, as far as its case looked.
#[derive(Debug, Default)]
pub(crate) struct EndState {
    outcome: RefCell<Option<Outcome>>,
    /// Still running when the case let go of it.
    dropped: Cell<bool>,
}

impl EndState {
    /// For the report.
    pub fn text(&self) -> String {
        match (&*self.outcome.borrow(), self.dropped.get()) {
            (Some(outcome), _) => format!("ended: {outcome}"),
            (None, true) => "was still running".into(),
            (None, false) => "was not looked at".into(),
        }
    }
}

/// What was found on the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// All that matched, then what each group of the pattern matched.
    pub groups: Vec<String>,
}

impl Match {
    /// A group of the pattern; 0 is the whole.
    ///
    /// # Errors
    /// The pattern has no such group.
    pub fn group(&self, index: usize) -> Result<&str> {
        let group = self.groups.get(index).map(String::as_str);
        group.with_context(|| format!("the pattern has no group {index}"))
    }
}

/// A running guest. Dropping it kills QEMU.
#[derive(Debug)]
pub struct Guest {
    process: Process,
    keyboard: Option<ChildStdin>,
    record: Rc<Record>,
    /// Up to where `expect` has read.
    read: usize,
    wire: Option<Wire>,
    forwards: Forwards,
}

impl Guest {
    pub(crate) fn start(
        case: &Case,
        launch: &Launch,
        init: Option<String>,
        wire: Option<Wire>,
        forwards: Forwards,
    ) -> Result<Guest> {
        let mut process = Process::start(launch)?;
        let console = process.take_stdout().context("standard output is piped")?;
        let record = Rc::new(Record {
            transcript: Transcript::follow(console),
            end: EndState::default(),
            init,
        });
        case.keep(Rc::clone(&record));
        let keyboard = process.take_stdin();
        process.resume();
        Ok(Guest {
            process,
            keyboard,
            record,
            read: 0,
            wire,
            forwards,
        })
    }

    /// The number of QEMU's process.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the console shows text that matches a regular expression, after what earlier
    /// calls found.
    ///
    /// # Errors
    /// The time is up, or the guest ended without it.
    pub fn expect(&mut self, pattern: &str, within: Duration) -> Result<Match> {
        let regex = Regex::new(pattern).with_context(|| format!("the pattern {pattern:?}"))?;
        let within = limit(within);
        match self.record.transcript.find(&regex, self.read, within) {
            Ok((_, end)) => {
                let text = self.record.transcript.text();
                let captures = regex
                    .captures_at(&text, self.read)
                    .context("what has matched once matches again")?;
                let group = |group: Option<regex::Match<'_>>| {
                    group.map_or(String::new(), |group| group.as_str().to_string())
                };
                self.read = end;
                Ok(Match {
                    groups: captures.iter().map(group).collect(),
                })
            }
            Err(Missed::Time) => {
                bail!(
                    "{pattern:?} did not appear within {:.1} s",
                    within.as_secs_f64()
                )
            }
            Err(Missed::End) => {
                let outcome = self.wait_exit(Duration::from_secs(5))?;
                bail!("{pattern:?} did not appear before the guest ended: {outcome}")
            }
        }
    }

    /// Whether text that matches has appeared anywhere so far.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub fn has_shown(&self, pattern: &str) -> Result<bool> {
        let regex = Regex::new(pattern).with_context(|| format!("the pattern {pattern:?}"))?;
        Ok(regex.is_match(&self.console()))
    }

    /// All that the console has shown, without escape sequences and carriage returns.
    pub fn console(&self) -> String {
        self.record.transcript.text()
    }

    /// Types text.
    ///
    /// # Errors
    /// The guest has ended.
    pub fn send(&mut self, text: &str) -> Result<()> {
        let keyboard = self.keyboard.as_mut().context("the keyboard is closed")?;
        keyboard
            .write_all(text.as_bytes())
            .and_then(|()| keyboard.flush())
            .context("QEMU is gone")
    }

    /// Types a line.
    ///
    /// # Errors
    /// The guest has ended.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send(&format!("{line}\r"))
    }

    /// Waits for the end; a guest that is still running then is killed, and the outcome says so.
    ///
    /// # Errors
    /// The operating system refuses to wait.
    pub fn wait_exit(&mut self, within: Duration) -> Result<Outcome> {
        let outcome = self.process.wait(Some(limit(within)))?;
        // What it printed last is still on its way through the pipe.
        self.record.transcript.wait_end(Duration::from_secs(5));
        *self.record.end.outcome.borrow_mut() = Some(outcome.clone());
        Ok(outcome)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// As for [`Guest::wait_exit`].
    pub fn ended(&mut self) -> Result<Option<Outcome>> {
        let outcome = self.process.ended()?;
        if let Some(outcome) = &outcome {
            *self.record.end.outcome.borrow_mut() = Some(outcome.clone());
        }
        Ok(outcome)
    }

    /// A QMP command without arguments, such as `stop`, `cont` or `system_reset`.
    ///
    /// # Errors
    /// The guest has ended.
    pub fn qmp(&mut self, command: &str) -> Result<()> {
        self.process.command(command)
    }

    /// The wire, to use beside the guest.
    ///
    /// # Errors
    /// The boot has none, or it was taken.
    pub fn wire(&mut self) -> Result<&mut Wire> {
        self.wire
            .as_mut()
            .ok_or_else(|| anyhow!("this boot has no wire: .net(Net::Wire)"))
    }

    /// The wire, for keeps.
    ///
    /// # Errors
    /// The boot has none, or it was taken.
    pub fn take_wire(&mut self) -> Result<Wire> {
        self.wire
            .take()
            .ok_or_else(|| anyhow!("this boot has no wire: .net(Net::Wire)"))
    }

    /// The port of 127.0.0.1 that leads to a user's service.
    ///
    /// # Errors
    /// Nothing is forwarded there.
    pub fn port(&self, user: &str, service: Service) -> Result<u16> {
        let named = |name: &Option<String>| name.as_deref() == Some(user);
        let row = self.forwards.rows.iter().find(|row| named(&row.name));
        let port = row.and_then(|row| row.ports.iter().find(|(other, _)| *other == service));
        port.map(|(_, port)| *port)
            .with_context(|| format!("{service} of {user} is not forwarded"))
    }

    /// The forwarded ports, those for users to be spawned too.
    pub fn forwards(&self) -> &Forwards {
        &self.forwards
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.record.end.outcome.borrow().is_none() {
            match self.process.ended() {
                Ok(Some(outcome)) => *self.record.end.outcome.borrow_mut() = Some(outcome),
                _ => self.record.end.dropped.set(true),
            }
        }
        self.process.kill();
        self.record.transcript.wait_end(Duration::from_secs(5));
    }
}
