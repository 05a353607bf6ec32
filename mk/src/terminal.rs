//! The user's terminal as the guest's console.

use std::io::{IsTerminal, Read, Write};
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// Raw mode: every key goes to the guest, Ctrl-C too. Ends when this is dropped.
#[derive(Debug)]
pub struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Enters raw mode, if standard input is a terminal.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter() -> Result<Raw> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(Raw { before: None });
        }
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        let output = raw.output_modes;
        raw.make_raw();
        // Output is left alone: mk's own lines end in a bare newline.
        raw.output_modes = output;
        raw.local_modes.remove(LocalModes::ISIG);
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Raw {
            before: Some(before),
        })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Hands what is typed to whichever guest is running.
#[derive(Clone, Debug, Default)]
pub struct Keyboard {
    guest: Arc<Mutex<Guest>>,
}

#[derive(Debug, Default)]
struct Guest {
    stdin: Option<ChildStdin>,
    /// Standard input has ended.
    ended: bool,
}

impl Keyboard {
    /// Starts to read standard input. The reader ends with mk.
    pub fn open() -> Keyboard {
        let keyboard = Keyboard::default();
        let guest = Arc::clone(&keyboard.guest);
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            let mut stdin = std::io::stdin();
            loop {
                let count = stdin.read(&mut bytes).unwrap_or(0);
                let mut guest = guest.lock().unwrap_or_else(PoisonError::into_inner);
                if count == 0 {
                    guest.ended = true;
                    guest.stdin = None;
                    return;
                }
                if let Some(to) = &mut guest.stdin
                    && to
                        .write_all(&bytes[..count])
                        .and_then(|()| to.flush())
                        .is_err()
                {
                    guest.stdin = None;
                }
            }
        });
        keyboard
    }

    /// From now on what is typed goes there.
    pub fn connect(&self, stdin: Option<ChildStdin>) {
        let mut guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        guest.stdin = if guest.ended { None } else { stdin };
    }
}
