//! The console's screen: the line being typed, and everything that is printed around it.
//!
//! What is printed goes out in pieces of at most one message; the kernel may put a log line between
//! two of them, so pieces end at line ends where they can. A log line takes the place of the line
//! being typed, which is drawn again afterwards.
//!
//! A slow console takes only so much at a time. What it doesn't take waits here, and is sent on later.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::error::EAGAIN;
use dev::program::{BATCH_BYTES, BATCH_PAGE};
use sys::{Error, Mem};

use crate::console::complete::{Names, complete};
use crate::console::edit::{Asked, Editor};
use crate::console::key::Decoder;
use crate::host::{Host, LOG};

/// What stands before the line.
pub const PROMPT: &str = "usufruct> ";

/// The console's screen and keyboard.
#[derive(Debug)]
pub struct Terminal {
    decoder: Decoder,
    editor: Editor,
    /// A log line took the place of the line being typed.
    covered: bool,
    /// What the console didn't take yet, and how many bytes more there was no room for.
    waiting: Vec<u8>,
    lost: usize,
}

/// Bytes that wait at most: several screens of the longest tables.
const MOST_WAITING: usize = 256 * 1024;

impl Terminal {
    /// A screen with nothing on it.
    pub fn new() -> Terminal {
        Terminal {
            decoder: Decoder::new(),
            editor: Editor::new(PROMPT),
            covered: false,
            waiting: Vec::new(),
            lost: 0,
        }
    }

    /// Takes bytes from the keyboard; answers the lines to run. `names` are asked for only when
    /// something is to be completed.
    pub fn typed<H: Host>(
        &mut self,
        host: &H,
        bytes: &[u8],
        names: impl Fn() -> Names,
    ) -> Vec<String> {
        let mut screen = Vec::new();
        let mut lines = Vec::new();
        if core::mem::take(&mut self.covered) {
            self.editor.draw(&mut screen);
        }
        for byte in bytes {
            let Some(key) = self.decoder.push(*byte) else {
                continue;
            };
            match self.editor.key(key, &mut screen) {
                Some(Asked::Run(line)) => lines.push(line),
                Some(Asked::Complete) => self.complete(&names(), &mut screen),
                None => {}
            }
        }
        self.send(host, &screen);
        lines
    }

    fn complete(&mut self, names: &Names, screen: &mut Vec<u8>) {
        let before = &self.editor.text()[..self.editor.cursor()];
        let completion = complete(before, names);
        self.editor.insert(&completion.insert);
        if !completion.choices.is_empty() {
            Editor::erase(screen);
            for choice in &completion.choices {
                screen.extend(choice.bytes());
                screen.extend(b"  ");
            }
            screen.extend(b"\r\n");
        }
        self.editor.draw(screen);
    }

    /// Notes that a log line took the place of the line being typed.
    pub fn cover(&mut self) {
        self.covered = true;
    }

    /// Draws the line being typed again, if it was covered.
    pub fn uncover<H: Host>(&mut self, host: &H) {
        if self.covered {
            self.draw(host);
        }
    }

    /// Draws the line being typed again.
    pub fn draw<H: Host>(&mut self, host: &H) {
        self.covered = false;
        let mut screen = Vec::new();
        self.editor.draw(&mut screen);
        self.send(host, &screen);
    }

    /// Prints text in place of the line being typed, which has to be drawn again afterwards.
    pub fn print<H: Host>(&mut self, host: &H, text: &str) {
        let mut screen = Vec::new();
        Editor::erase(&mut screen);
        for line in text.lines() {
            screen.extend(line.bytes());
            screen.extend(b"\r\n");
        }
        self.send(host, &screen);
    }

    /// Sends bytes to the console, behind those that wait.
    fn send<H: Host>(&mut self, host: &H, bytes: &[u8]) {
        if self.lost > 0 || self.waiting.len() + bytes.len() > MOST_WAITING {
            self.lost += bytes.len();
        } else {
            self.waiting.extend(bytes);
        }
        self.send_on(host);
    }

    /// Sends what waits, as far as the console takes it.
    pub fn send_on<H: Host>(&mut self, host: &H) {
        self.send_waiting(host);
        if self.waiting.is_empty() && self.lost > 0 {
            let lost = core::mem::take(&mut self.lost);
            let told =
                format!("\r\n[{lost} bytes of output were lost: the console is too slow]\r\n");
            self.waiting.extend(told.bytes());
            self.editor.draw(&mut self.waiting);
            self.send_waiting(host);
        }
    }

    fn send_waiting<H: Host>(&mut self, host: &H) {
        let mut sent = 0;
        while let Some(bytes) = self.waiting.get(sent..).filter(|bytes| !bytes.is_empty()) {
            let piece = &bytes[..piece_length(bytes)];
            match write(host, piece) {
                Err(error) if error.is(EAGAIN) => break,
                // Without a console there is nobody to tell.
                _ => sent += piece.len(),
            }
        }
        self.waiting.drain(..sent);
    }

    /// Whether something waits.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}

/// Sends a piece to the console, or nothing.
fn write<H: Host>(host: &H, piece: &[u8]) -> Result<(), Error> {
    if host.batch().write(0, piece).is_err() {
        return Ok(());
    }
    LOG.console(host.sys(), BATCH_PAGE, 0, piece.len() as u64)
}

/// How many bytes go out at once: to the last line end that fits, if there is one.
fn piece_length(bytes: &[u8]) -> usize {
    let Some(most) = bytes.get(..BATCH_BYTES) else {
        return bytes.len();
    };
    match most.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None => BATCH_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_at_line_ends() {
        assert_eq!(piece_length(b"short"), 5);
        let mut long = alloc::vec![b'x'; 3000];
        assert_eq!(piece_length(&long), BATCH_BYTES);
        long[100] = b'\n';
        long[900] = b'\n';
        assert_eq!(piece_length(&long), 901);
    }
}
