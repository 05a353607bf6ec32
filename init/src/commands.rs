//! What the console's commands do.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sys::Cap;
use sys::object::Process;

use crate::console::command::{Command, help};
use crate::console::complete::Names;
use crate::console::near::nearest;
use crate::console::receiving::Receiving;
use crate::failure::{Failure, Trying};
use crate::host::{Host, LOG, RESET};
use crate::init::Init;
use crate::manifest::{LogLevel, Strategy};
use crate::settings::receive;
use crate::user::Phase;

impl<H: Host> Init<'_, H> {
    /// Runs a line and prints the answer.
    pub(crate) fn run_line(&mut self, line: &str) {
        let answer = match Command::parse(line) {
            Ok(None) => String::new(),
            Ok(Some(command)) => match self.run_command(command) {
                Ok(answer) => answer,
                Err(failure) => failure.to_string(),
            },
            Err(error) => error.to_string(),
        };
        if !answer.is_empty() {
            self.terminal.print(self.host, &answer);
        }
        self.terminal.draw(self.host);
    }

    fn run_command(&mut self, command: Command) -> Result<String, Failure> {
        let sys = self.host.sys();
        match command {
            Command::Help(about) => Ok(help(about)),
            Command::Users => Ok(self.answer_users()),
            Command::Banks => Ok(self.answer_banks()),
            Command::Ps => Ok(self.answer_processes()),
            Command::Net => Ok(self.answer_net()),
            Command::Ports => Ok(self.answer_ports()),
            Command::Spawn(spec) => self.spawn(spec),
            Command::Kill(name) => self.kill(&name),
            Command::Revoke(name) => self.revoke(&name),
            Command::Strategy(receiving) => self.strategy(&receiving),
            Command::Inject(asked) => self.inject(asked),
            Command::Invariants => Ok(self.begin_invariants()),
            Command::Log(level) => {
                self.set_log_level(level)?;
                Ok(format!("Lines up to {level} are shown."))
            }
            Command::Reboot => RESET
                .reboot(sys)
                .trying("starting the machine again")
                .map(|()| String::new()),
            Command::Halt => RESET
                .halt(sys, 0)
                .trying("stopping the machine")
                .map(|()| String::new()),
        }
    }

    /// Sets the least important level that is logged, for the kernel and for init.
    pub(crate) fn set_log_level(&self, level: LogLevel) -> Result<(), Failure> {
        let (number, filter) = match level {
            LogLevel::Off => (0, log::LevelFilter::Off),
            LogLevel::Error => (1, log::LevelFilter::Error),
            LogLevel::Warn => (2, log::LevelFilter::Warn),
            LogLevel::Info => (3, log::LevelFilter::Info),
            LogLevel::Debug => (4, log::LevelFilter::Debug),
            LogLevel::Trace => (5, log::LevelFilter::Trace),
        };
        LOG.set_level(self.host.sys(), number)
            .trying(format_args!("setting the log level to {level}"))?;
        log::set_max_level(filter);
        Ok(())
    }

    /// Shows how a user receives, or changes it while frames come.
    fn strategy(&mut self, wanted: &Receiving) -> Result<String, Failure> {
        let name = &wanted.name;
        let whole = format!("user {name}");
        let found = self.members.find(name);
        let number = found.ok_or_else(|| Failure::new(&whole, self.no_such_user(name)))?;
        let Some(member) = self.members.get_mut(number) else {
            return Ok(String::new());
        };
        let user = &mut member.user;
        let strategy = wanted.strategy.unwrap_or(user.strategy);
        let sealed = wanted.sealed.unwrap_or(user.sealed);
        let receive = receive(strategy, sealed);
        if wanted.changes() {
            // A user who has no port just now gets the next one so.
            if let Some(port) = member.port.filter(|_| self.driver.is_running()) {
                self.driver.provide_for(self.host, strategy);
                self.driver
                    .admin
                    .set_receive(self.host.sys(), port.number, receive)
                    .trying(format_args!("{whole}: receiving by {receive}"))?;
            }
            (user.strategy, user.sealed) = (strategy, sealed);
        }
        let from = if wanted.changes() { " from now on" } else { "" };
        let note = match strategy {
            Strategy::Hybrid { threshold: None } => {
                " (from which length on, the driver chose: `net` says what and why)"
            }
            _ => "",
        };
        Ok(format!("{name} receives by {receive}{from}{note}."))
    }

    /// Ends a process.
    pub(crate) fn kill(&mut self, name: &str) -> Result<String, Failure> {
        let what = format!("killing {name}");
        match name {
            "init" => {
                return Err(Failure::new(what, "that is who you are talking to").advise("halt"));
            }
            "spacebank" | "kernel" => {
                return Err(Failure::new(what, "nothing could go on without it").advise("halt"));
            }
            crate::ethernet::NAME if self.driver.is_running() => {
                self.stop(self.driver.held.process, &what)?;
                log::warn!("{name}: killed at the console");
                self.driver_died();
                return Ok(format!(
                    "{name} is killed. Its device is reset, then it is started again."
                ));
            }
            crate::init::WATCHDOG if self.watchdog.running => {
                self.stop(self.watchdog.held.process, &what)?;
                log::warn!("{name}: killed at the console");
                self.watchdog_ended();
                return Ok(format!(
                    "{name} is killed. The driver is started again with another."
                ));
            }
            _ => {}
        }
        if let Some(guest) = self
            .guest
            .as_ref()
            .filter(|guest| guest.running && guest.name() == name)
        {
            self.stop(guest.held.process, &what)?;
            log::warn!("{name}: killed at the console");
            self.guest_ended();
            return Ok(format!("{name} is killed."));
        }
        let number = self.members.find(name);
        let Some((number, member)) = number.and_then(|n| Some((n, self.members.get(n)?))) else {
            return Err(Failure::new(what, self.no_such_process(name)));
        };
        if !matches!(member.phase, Phase::Running { .. }) {
            return Err(Failure::new(what, "it isn't running").advise("`users` says how it is"));
        }
        self.stop(member.slots.held.process, &what)?;
        log::warn!("{name}: killed at the console");
        self.restart_later(number);
        Ok(format!(
            "{name} is killed. It is supervised, so it is started again; `revoke` ends a user."
        ))
    }

    pub(crate) fn stop(&self, process: abi::cap::CapAddr, what: &str) -> Result<(), Failure> {
        Cap::<Process>::at(process)
            .stop(self.host.sys())
            .trying(what)
    }

    pub(crate) fn no_such_process(&self, name: &str) -> String {
        let names = self.names().programs;
        let all = names.iter().map(String::as_str);
        match nearest(name, all.clone()) {
            Some(near) => format!("there is no process {name:?}; did you mean {near}?"),
            None if names.is_empty() => format!("there is no process {name:?} that can be killed"),
            None => {
                let known: Vec<&str> = all.collect();
                format!(
                    "there is no process {name:?}; there are {}",
                    known.join(" ")
                )
            }
        }
    }

    /// Names for completion.
    pub(crate) fn names(&self) -> Names {
        let users: Vec<String> = self
            .members
            .iter()
            .map(|(_, m)| m.name().to_string())
            .collect();
        let running = self
            .members
            .iter()
            .filter(|(_, m)| matches!(m.phase, Phase::Running { .. }));
        let mut programs: Vec<String> = running.map(|(_, m)| m.name().to_string()).collect();
        if self.driver.is_running() {
            programs.push(crate::ethernet::NAME.into());
        }
        if self.watchdog.running {
            programs.push(crate::init::WATCHDOG.into());
        }
        if let Some(guest) = self.guest.as_ref().filter(|guest| guest.running) {
            programs.push(guest.name().into());
        }
        Names { programs, users }
    }
}
