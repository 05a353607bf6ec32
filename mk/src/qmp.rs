//! As much of QEMU's machine protocol (QMP) as mk needs: starting the guest only when everything
//! listens, and the reason for which QEMU ends.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long QEMU may take from its start to its greeting.
const GREETING: Duration = Duration::from_secs(30);

/// A connection to QEMU.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: UnixStream,
    /// Reason of the SHUTDOWN event.
    shutdown: Arc<Mutex<Option<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Qmp {
    /// Waits for QEMU to connect and says hello. `Ok(None)` means that it exited before.
    pub fn accept(listener: &UnixListener, child: &mut Child) -> Result<Option<Qmp>> {
        listener.set_nonblocking(true)?;
        let deadline = Instant::now() + GREETING;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if child.try_wait()?.is_some() {
                return Ok(None);
            }
            if Instant::now() > deadline {
                bail!("QEMU says nothing after {} s", GREETING.as_secs());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(GREETING))?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut qmp = Qmp {
            stream,
            shutdown: Arc::default(),
            reader: None,
        };
        // QEMU connects and greets early, and may still exit because an argument is wrong. It
        // answers a command only when everything is set up.
        if qmp.execute("qmp_capabilities").is_err() {
            return Ok(None);
        }
        loop {
            let mut line = String::new();
            match lines.read_line(&mut line) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // It went away with our command unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error).context("QEMU's greeting"),
            }
            if serde_json::from_str::<Value>(&line)
                .is_ok_and(|message| message.get("return").is_some())
            {
                break;
            }
        }
        qmp.stream.set_read_timeout(None)?;
        let shutdown = Arc::clone(&qmp.shutdown);
        qmp.reader = Some(std::thread::spawn(move || read_events(lines, &shutdown)));
        Ok(Some(qmp))
    }

    /// Sends a command without arguments. Its answer is not waited for.
    pub fn execute(&mut self, command: &str) -> Result<()> {
        writeln!(self.stream, "{{\"execute\":\"{command}\"}}").context("QEMU is gone")
    }

    /// After QEMU's exit: the reason that it gave for it.
    pub fn shutdown_reason(mut self) -> Option<String> {
        // The socket is closed by now, so that the reader comes to its end.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.shutdown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

fn read_events(lines: BufReader<UnixStream>, shutdown: &Mutex<Option<String>>) {
    for line in lines.lines() {
        let Ok(line) = line else { return };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if message["event"] == "SHUTDOWN" {
            let reason = message["data"]["reason"].as_str().unwrap_or("unknown");
            *shutdown.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
        }
    }
}
