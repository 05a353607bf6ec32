//! The line being typed, and how it looks on the screen.
//!
//! The editor owns the last line of the terminal. Whatever changes, it draws that line again from
//! its first column, which is also how the prompt comes back after a log line. A line longer than
//! the terminal scrolls sideways, so that the cursor never leaves the one row that is drawn.
//!
//! It holds printable ASCII only ([`Key::Char`] promises it): one byte is one column, and a byte
//! offset is a character's.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::history::History;
use super::key::Key;

/// Longest line, in bytes.
pub const LONGEST: usize = 512;

/// Columns of the terminal. Serial lines don't tell; 80 is what every terminal has at least.
const COLUMNS: usize = 80;

/// What a key asks of the console beyond editing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run a line.
    Run(String),
    /// To complete the word before the cursor.
    Complete,
}

/// A line editor.
#[derive(Clone, Debug)]
pub struct Editor {
    prompt: &'static str,
    text: String,
    cursor: usize,
    /// First character shown.
    left: usize,
    cut: String,
    history: History,
}

impl Editor {
    /// An editor with an empty line.
    pub fn new(prompt: &'static str) -> Editor {
        Editor {
            prompt,
            text: String::new(),
            cursor: 0,
            left: 0,
            cut: String::new(),
            history: History::default(),
        }
    }

    /// The line so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor stands, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes a key; puts what the terminal has to get into `screen`.
    pub fn key(&mut self, key: Key, screen: &mut Vec<u8>) -> Option<Asked> {
        match key {
            Key::Char(c) if self.echoes() => {
                // Nothing else on the row changes: no need to draw it.
                self.insert(c.encode_utf8(&mut [0; 4]));
                screen.push(c as u8);
                return None;
            }
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Enter => return Some(Asked::Run(self.enter(screen))),
            Key::Tab => return Some(Asked::Complete),
            Key::Backspace if self.cursor > 0 => self.remove(self.cursor - 1, self.cursor),
            Key::Delete if self.cursor < self.text.len() => {
                self.remove(self.cursor, self.cursor + 1)
            }
            Key::Backspace | Key::Delete => {}
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::WordLeft => self.cursor = self.word_start(),
            Key::WordRight => self.cursor = self.word_end(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::CutToEnd => self.cut(self.cursor, self.text.len()),
            Key::CutToStart => self.cut(0, self.cursor),
            Key::CutWord => self.cut(self.word_start(), self.cursor),
            Key::Paste => {
                let cut = core::mem::take(&mut self.cut);
                self.insert(&cut);
                self.cut = cut;
            }
            Key::Up => {
                if let Some(line) = self.history.older(&self.text) {
                    self.text = line.into();
                    self.cursor = self.text.len();
                }
            }
            Key::Down => {
                if let Some(line) = self.history.newer() {
                    self.text = line.into();
                    self.cursor = self.text.len();
                }
            }
            Key::ClearScreen => screen.extend(b"\x1b[H\x1b[2J"),
            Key::Cancel => {
                self.cursor = self.text.len();
                self.draw(screen);
                screen.extend(b"\r\n");
                self.history.leave();
                self.set("");
            }
        }
        self.draw(screen);
        None
    }

    /// Whether the next character just goes to the end of the row.
    fn echoes(&self) -> bool {
        let shown = self.prompt.len() + self.text.len() - self.left;
        self.cursor == self.text.len() && self.text.len() < LONGEST && shown < COLUMNS - 2
    }

    /// Inserts text at the cursor, as far as there is room for it.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST - self.text.len().min(LONGEST);
        let text = text.get(..room.min(text.len())).unwrap_or("");
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        self.history.leave();
    }

    /// Draws the line anew, on the row where the terminal's cursor is.
    pub fn draw(&mut self, screen: &mut Vec<u8>) {
        // One column stays free: a character in the last column may make a terminal wrap.
        let room = COLUMNS - 1 - self.prompt.len();
        if self.left > 0 && self.cursor <= self.left {
            // Shows what stands before the cursor, too.
            self.left = self.cursor.saturating_sub(room / 2);
        }
        if self.cursor - self.left > room {
            self.left = self.cursor - room;
        }
        let shown = &self.text[self.left..self.text.len().min(self.left + room)];
        screen.extend(b"\r");
        screen.extend(self.prompt.bytes());
        screen.extend(shown.bytes());
        screen.extend(b"\x1b[K");
        let back = shown.len() - (self.cursor - self.left).min(shown.len());
        if back > 0 {
            let mut text = String::new();
            // Writing to a String can't fail.
            let _ = write!(text, "\x1b[{back}D");
            screen.extend(text.bytes());
        }
    }

    /// Erases the line from the screen, so that something else can be printed there.
    pub fn erase(screen: &mut Vec<u8>) {
        screen.extend(b"\r\x1b[K");
    }

    fn enter(&mut self, screen: &mut Vec<u8>) -> String {
        if self.cursor < self.text.len() {
            self.cursor = self.text.len();
            self.draw(screen);
        }
        screen.extend(b"\r\n");
        self.history.add(self.text.trim());
        let line = core::mem::take(&mut self.text);
        self.set("");
        line
    }

    fn set(&mut self, text: &str) {
        self.text = text.into();
        self.cursor = self.text.len();
        self.left = 0;
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
        self.history.leave();
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text[from..to].into();
            self.remove(from, to);
        }
    }

    /// Start of the word before the cursor.
    fn word_start(&self) -> usize {
        let before = self.text[..self.cursor].trim_end_matches(' ');
        before.rfind(' ').map_or(0, |space| space + 1)
    }

    /// End of the word after the cursor.
    fn word_end(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let word = rest.len() - rest.trim_start_matches(' ').len();
        let length = rest[word..].find(' ').unwrap_or(rest.len() - word);
        self.cursor + word + length
    }
}

#[cfg(test)]
mod tests;
