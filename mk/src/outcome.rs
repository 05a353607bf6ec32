//! How a boot ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// Port of the device through which a guest ends QEMU, as the kernel's command line names it.
pub const EXIT_PORT: u16 = 0xf4;

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest halted in good order (0x10 to the exit port).
    Halted,
    /// A test in the guest found something wrong, or the system could not start (0x11).
    TestFailed,
    /// The kernel panicked (0x12).
    Panicked,
    /// The CPU gave up: a fault while it delivered a double fault. Told apart from [`Outcome::Reset`]
    /// under TCG only.
    TripleFault,
    /// The guest reset the machine.
    Reset,
    /// The guest switched the machine off.
    PoweredOff,
    /// The user ended QEMU, by Ctrl-A x or a signal.
    Quit,
    /// The guest wrote something else to the exit port, or QEMU exited for a reason of its own.
    Exit {
        /// QEMU's exit status.
        status: i32,
        /// What QEMU said.
        said: String,
    },
    /// A signal killed QEMU.
    Killed {
        /// Its number.
        signal: i32,
    },
    /// Time ran out; mk ended QEMU.
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// QEMU did not get as far as starting the guest.
    NotStarted {
        /// What it said.
        said: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Halted => f.write_str("halted in good order"),
            Outcome::TestFailed => f.write_str("the guest gave up, or a test in it failed"),
            Outcome::Panicked => f.write_str("the kernel panicked"),
            Outcome::TripleFault => f.write_str("triple fault"),
            Outcome::Reset => f.write_str("the guest reset the machine"),
            Outcome::PoweredOff => f.write_str("the guest switched the machine off"),
            Outcome::Quit => f.write_str("ended by the user"),
            Outcome::Exit { status, said } => {
                write!(f, "wrong exit status {status}")?;
                if status % 2 == 1 && *status > 1 {
                    write!(f, " (the guest wrote {:#x} to the exit port)", status / 2)?;
                }
                said_by_qemu(f, said)
            }
            Outcome::Killed { signal } => write!(f, "QEMU was killed by signal {signal}"),
            Outcome::TimedOut { after } => {
                write!(
                    f,
                    "timeout: still running after {:.1} s",
                    after.as_secs_f64()
                )
            }
            Outcome::NotStarted { said } => {
                f.write_str("QEMU did not start")?;
                said_by_qemu(f, said)
            }
        }
    }
}

fn said_by_qemu(f: &mut fmt::Formatter<'_>, said: &str) -> fmt::Result {
    if said.is_empty() {
        Ok(())
    } else {
        write!(f, "; QEMU said:\n{}", said.trim_end())
    }
}

/// What is known when QEMU has exited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Reason in QEMU's SHUTDOWN event, if there was one.
    pub shutdown: Option<String>,
    /// Whether the reset log has the line `Triple fault`.
    pub triple_fault: bool,
    /// Whether the guest was started.
    pub started: bool,
    /// QEMU's standard error.
    pub said: String,
}

impl Outcome {
    /// Whether a user or a script should take it for success.
    pub fn is_good(&self) -> bool {
        matches!(self, Outcome::Halted | Outcome::PoweredOff | Outcome::Quit)
    }

    pub(crate) fn of(status: ExitStatus, evidence: &Evidence) -> Outcome {
        if let Some(signal) = status.signal() {
            return Outcome::Killed { signal };
        }
        let status = status.code().unwrap_or(-1);
        let said = evidence.said.clone();
        if !evidence.started {
            return Outcome::NotStarted { said };
        }
        match (status, evidence.shutdown.as_deref()) {
            // Only the exit device ends QEMU so.
            (33, _) => Outcome::Halted,
            (35, _) => Outcome::TestFailed,
            (37, _) => Outcome::Panicked,
            (0, Some("guest-reset")) if evidence.triple_fault => Outcome::TripleFault,
            (0, Some("guest-reset")) => Outcome::Reset,
            (0, Some("guest-shutdown")) => Outcome::PoweredOff,
            // The console's Ctrl-A x calls exit() without an event; signals have one.
            (0, None | Some("host-signal" | "host-qmp-quit" | "host-ui")) => Outcome::Quit,
            (status, _) => Outcome::Exit { status, said },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: i32, shutdown: Option<&str>, triple_fault: bool) -> Outcome {
        let evidence = Evidence {
            shutdown: shutdown.map(str::to_string),
            triple_fault,
            started: true,
            said: String::new(),
        };
        Outcome::of(ExitStatus::from_raw(code << 8), &evidence)
    }

    #[test]
    fn every_way_to_end_has_its_name() {
        assert_eq!(outcome(33, None, false), Outcome::Halted);
        assert_eq!(outcome(35, None, false), Outcome::TestFailed);
        assert_eq!(outcome(37, None, false), Outcome::Panicked);
        assert_eq!(outcome(0, Some("guest-reset"), true), Outcome::TripleFault);
        assert_eq!(outcome(0, Some("guest-reset"), false), Outcome::Reset);
        assert_eq!(
            outcome(0, Some("guest-shutdown"), false),
            Outcome::PoweredOff
        );
        assert_eq!(outcome(0, None, false), Outcome::Quit);
        assert!(!outcome(0, Some("guest-panic"), false).is_good());
        let wrong = outcome(1, None, false);
        assert!(matches!(wrong, Outcome::Exit { status: 1, .. }));
        assert!(outcome(39, None, false).to_string().contains("0x13"));
    }

    #[test]
    fn a_qemu_that_does_not_start_and_one_that_is_killed_are_told_apart() {
        let unstarted = Evidence {
            said: "no such device".into(),
            ..Evidence::default()
        };
        let outcome = Outcome::of(ExitStatus::from_raw(1 << 8), &unstarted);
        assert!(outcome.to_string().contains("no such device"), "{outcome}");
        let killed = Outcome::of(ExitStatus::from_raw(9), &unstarted);
        assert_eq!(killed, Outcome::Killed { signal: 9 });
    }
}
