//! A running QEMU.
//!
//! QEMU is started frozen, connects to a socket of mk's, and runs on when everything listens: so
//! no event is missed, however short the guest lives. It never outlives mk.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tempfile::TempDir;

use crate::launch::Launch;
use crate::outcome::{Evidence, Outcome};
use crate::qmp::Qmp;

/// Longest piece of QEMU's standard error that is kept, in bytes.
const MOST_SAID: u64 = 64 << 10;

/// A running QEMU. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    qmp: Option<Qmp>,
    scratch: TempDir,
    said: Option<JoinHandle<String>>,
    outcome: Option<Outcome>,
}

impl Process {
    /// Starts QEMU, frozen: the guest runs from [`Process::resume`] on. A QEMU that refuses its
    /// arguments is not an error here, but [`Outcome::NotStarted`] later.
    ///
    /// # Errors
    /// The program can't be run.
    pub fn start(launch: &Launch) -> Result<Process> {
        let scratch = tempfile::Builder::new().prefix("usufruct-").tempdir()?;
        let socket = scratch.path().join("qmp");
        let listener = UnixListener::bind(&socket)
            .with_context(|| format!("can't listen on {}", socket.display()))?;
        let mut command = Command::new(&launch.qemu);
        command
            .args(launch.arguments()?)
            .arg("-S")
            .args([
                "-chardev",
                &format!("socket,id=qmp,path={}", socket.display()),
            ])
            .args(["-mon", "chardev=qmp,mode=control"])
            // A triple fault leaves a line in this log; nothing else tells it from a reset.
            .args(["-d", "cpu_reset", "-D"])
            .arg(scratch.path().join("resets"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} can't be run", launch.qemu.display()))?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr;
            let _ = stderr.by_ref().take(MOST_SAID).read_to_end(&mut text);
            // Keep the pipe empty, so that QEMU never waits for us.
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut process = Process {
            child,
            qmp: None,
            scratch,
            said: Some(said),
            outcome: None,
        };
        process.qmp = Qmp::accept(&listener, &mut process.child)?;
        Ok(process)
    }

    /// Lets the guest run. Does nothing if QEMU has ended already.
    pub fn resume(&mut self) {
        if let Some(qmp) = &mut self.qmp {
            // If this fails QEMU has ended, and `wait` says how.
            let _ = qmp.execute("cont");
        }
    }

    /// The guest's console, to write to. Once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The guest's console, to read from. Once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// A QMP command without arguments, such as `stop` or `system_reset`.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn command(&mut self, command: &str) -> Result<()> {
        match &mut self.qmp {
            Some(qmp) => qmp.execute(command),
            None => bail!("QEMU has ended"),
        }
    }

    /// Waits for the end; kills QEMU when the time is up.
    ///
    /// # Errors
    /// The operating system refuses to wait.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Outcome> {
        if let Some(outcome) = &self.outcome {
            return Ok(outcome.clone());
        }
        let outcome = match wait_for(&mut self.child, limit)? {
            Some(status) => self.judge(status),
            None => {
                self.kill();
                let after = limit.unwrap_or_default();
                Outcome::TimedOut { after }
            }
        };
        self.outcome = Some(outcome.clone());
        Ok(outcome)
    }

    /// How QEMU ended, if it has.
    ///
    /// # Errors
    /// As for [`Process::wait`].
    pub fn ended(&mut self) -> Result<Option<Outcome>> {
        if self.outcome.is_none()
            && let Some(status) = self.child.try_wait()?
        {
            self.outcome = Some(self.judge(status));
        }
        Ok(self.outcome.clone())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends QEMU at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn judge(&mut self, status: ExitStatus) -> Outcome {
        let started = self.qmp.is_some();
        let shutdown = self.qmp.take().and_then(Qmp::shutdown_reason);
        let log = std::fs::read(self.scratch.path().join("resets")).unwrap_or_default();
        let triple_fault = log
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"Triple fault");
        let said = self
            .said
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        Outcome::of(
            status,
            &Evidence {
                shutdown,
                triple_fault,
                started,
                said,
            },
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a child's end, at most so long.
fn wait_for(child: &mut Child, limit: Option<Duration>) -> Result<Option<ExitStatus>> {
    let Some(limit) = limit else {
        return Ok(Some(child.wait()?));
    };
    let deadline = Instant::now() + limit;
    let pid = Pid::from_child(child);
    let handle = pidfd_open(pid, PidfdFlags::empty()).context("can't watch QEMU")?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let mut watched = [PollFd::new(&handle, PollFlags::IN)];
        match poll(&mut watched, Some(&left.try_into()?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("can't watch QEMU"),
        }
    }
}

/// Makes the kernel kill QEMU when the thread that started it ends without having done so: a test
/// run that is itself killed leaves no machines behind.
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY:
    // - the closure runs between fork and exec, where only async-signal-safe calls are allowed;
    // - it makes one system call (prctl) and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
}
