//! From the bytes of a serial line to keys.
//!
//! Understands what xterm, the Linux console, screen and tmux send: plain characters, control
//! characters, and the escape sequences of ECMA-48 (`ESC [ … final`) and of application mode
//! (`ESC O final`). Whatever else arrives is swallowed. No bytes make it wait for ever: a sequence
//! ends after 16 bytes.

/// Longest escape sequence that is followed to its end.
const LONGEST: u8 = 16;

/// Something that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A printable ASCII character.
    Char(char),
    /// End of the line.
    Enter,
    /// Complete the word.
    Tab,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character under the cursor.
    Delete,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// One word to the left.
    WordLeft,
    /// One word to the right.
    WordRight,
    /// Older line.
    Up,
    /// Newer line.
    Down,
    /// Start of the line.
    Home,
    /// End of the line.
    End,
    /// Cut from the cursor to the end.
    CutToEnd,
    /// Cut from the start to the cursor.
    CutToStart,
    /// Cut the word before the cursor.
    CutWord,
    /// Put what was cut.
    Paste,
    /// Clear the screen.
    ClearScreen,
    /// Give the line up.
    Cancel,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After a carriage return: a line feed that follows belongs to it.
    Returned,
    Escape,
    /// Inside `ESC [`: bytes so far, first number, last number.
    Sequence {
        length: u8,
        first: u8,
        last: u8,
    },
    /// After `ESC O`.
    Application,
    /// Before the last byte of something that means nothing here.
    Skip,
}

/// Decodes byte after byte.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// A decoder at the start of a line.
    pub const fn new() -> Decoder {
        Decoder {
            state: State::Ground,
        }
    }

    /// Takes a byte; answers the key that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(&mut self.state) {
            State::Returned if byte == b'\n' => None,
            State::Ground | State::Returned => self.ground(byte),
            State::Escape => match byte {
                b'[' => {
                    self.state = State::Sequence {
                        length: 0,
                        first: 0,
                        last: 0,
                    };
                    None
                }
                b'O' => {
                    self.state = State::Application;
                    None
                }
                b'b' => Some(Key::WordLeft),
                b'f' => Some(Key::WordRight),
                0x7f | 0x08 => Some(Key::CutWord),
                // A lone escape and then a control character: the latter counts.
                0..0x20 => self.ground(byte),
                _ => None,
            },
            State::Application => arrow(byte, 0),
            State::Skip => None,
            State::Sequence {
                length,
                first,
                last,
            } => self.sequence(byte, length, first, last),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.state = State::Returned;
                Key::Enter
            }
            b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::Cancel,
            0x04 => Key::Delete,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            0x0b => Key::CutToEnd,
            0x0c => Key::ClearScreen,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::CutToStart,
            0x17 => Key::CutWord,
            0x19 => Key::Paste,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            b' '..=b'~' => Key::Char(char::from(byte)),
            _ => return None,
        })
    }

    fn sequence(&mut self, byte: u8, length: u8, first: u8, last: u8) -> Option<Key> {
        let go_on = |first, last| State::Sequence {
            length: length + 1,
            first,
            last,
        };
        match byte {
            b'0'..=b'9' | b';' | b'<'..=b'?' | b' '..=b'/' if length >= LONGEST => None,
            b'0'..=b'9' => {
                let digit = byte - b'0';
                let last = last.saturating_mul(10).saturating_add(digit);
                self.state = go_on(first, last);
                None
            }
            b';' => {
                let first = if first == 0 { last } else { first };
                self.state = go_on(first, 0);
                None
            }
            b'<'..=b'?' | b' '..=b'/' | b':' => {
                self.state = go_on(first, last);
                None
            }
            b'~' => match if first == 0 { last } else { first } {
                1 | 7 => Some(Key::Home),
                3 => Some(Key::Delete),
                4 | 8 => Some(Key::End),
                _ => None,
            },
            // The Linux console's function keys: one more byte follows, and means nothing here.
            b'[' if length == 0 => {
                self.state = State::Skip;
                None
            }
            b'@'..=b'~' => arrow(byte, if first == 0 { 0 } else { last }),
            _ => None,
        }
    }
}

/// The key of a final byte; `modifier` 3 and 5 are alt and ctrl.
fn arrow(byte: u8, modifier: u8) -> Option<Key> {
    let word = modifier == 3 || modifier == 5;
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if word => Key::WordRight,
        b'C' => Key::Right,
        b'D' if word => Key::WordLeft,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|b| decoder.push(*b)).collect()
    }

    #[test]
    fn terminals_sequences_are_keys() {
        assert_eq!(
            keys(b"a\x1b[Db"),
            [Key::Char('a'), Key::Left, Key::Char('b')]
        );
        assert_eq!(
            keys(b"\x1b[A\x1b[B\x1b[C"),
            [Key::Up, Key::Down, Key::Right]
        );
        assert_eq!(keys(b"\x1bOA\x1bOH\x1bOF"), [Key::Up, Key::Home, Key::End]);
        assert_eq!(keys(b"\x1b[H\x1b[F"), [Key::Home, Key::End]);
        assert_eq!(
            keys(b"\x1b[1~\x1b[3~\x1b[4~\x1b[7~\x1b[8~"),
            [Key::Home, Key::Delete, Key::End, Key::Home, Key::End]
        );
        assert_eq!(keys(b"\x1b[1;5D\x1b[1;3C"), [Key::WordLeft, Key::WordRight]);
        assert_eq!(
            keys(b"\x1bb\x1bf\x1b\x7f"),
            [Key::WordLeft, Key::WordRight, Key::CutWord]
        );
    }

    #[test]
    fn unknown_sequences_leave_no_text() {
        assert_eq!(keys(b"\x1b[200~x\x1b[201~"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1b[?25hx"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1b[[Ax"), [Key::Char('x')]);
        assert_eq!(keys(b"\x00\xff\xc3\xa4x"), [Key::Char('x')]);
    }

    #[test]
    fn an_endless_sequence_ends() {
        let mut bytes = alloc::vec![0x1b, b'['];
        bytes.extend([b'1'; 40]);
        bytes.extend(b"\r");
        assert_eq!(keys(&bytes).last(), Some(&Key::Enter));
    }

    #[test]
    fn line_ends_count_once() {
        assert_eq!(keys(b"\r\n\r\r\n\n"), [Key::Enter; 4]);
        assert_eq!(keys(b"\r\x1b[A"), [Key::Enter, Key::Up]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new();
            for byte in bytes {
                if let Some(Key::Char(c)) = decoder.push(byte) {
                    prop_assert!((' '..='~').contains(&c));
                }
            }
            // Whatever came before, after the longest sequence the decoder listens again.
            for _ in 0..=LONGEST {
                decoder.push(b'0');
            }
            decoder.push(b'\r');
            prop_assert_eq!(decoder.push(b'x'), Some(Key::Char('x')));
        }
    }
}
