//! The editor against a naive model of the buffer, and what it draws against a small terminal.

use super::*;
use alloc::vec;
use proptest::prelude::*;

/// A terminal of one row that understands what the editor sends, and refuses anything else.
#[derive(Default)]
struct Terminal {
    row: Vec<u8>,
    column: usize,
}

impl Terminal {
    fn show(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\r' => self.column = 0,
                b'\n' => self.row.clear(),
                0x1b => {
                    assert_eq!(bytes.next(), Some(b'['));
                    let mut number = 0;
                    while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                        number = number * 10 + usize::from(digit - b'0');
                    }
                    match bytes.next() {
                        Some(b'K') => self.row.truncate(self.column),
                        Some(b'D') => self.column = self.column.checked_sub(number).unwrap(),
                        Some(b'H') => self.column = 0,
                        Some(b'J') => self.row.clear(),
                        other => panic!("the terminal doesn't know {other:?}"),
                    }
                }
                b' '..=b'~' => {
                    if self.row.len() <= self.column {
                        self.row.resize(self.column + 1, b' ');
                    }
                    self.row[self.column] = byte;
                    self.column += 1;
                    assert!(self.column < COLUMNS, "the line reaches the last column");
                }
                other => panic!("the terminal doesn't print {other:#x}"),
            }
        }
    }
}

fn type_keys(editor: &mut Editor, keys: &[Key]) -> Vec<Asked> {
    let mut screen = Vec::new();
    keys.iter()
        .filter_map(|key| editor.key(*key, &mut screen))
        .collect()
}

fn type_text(editor: &mut Editor, text: &str) {
    let keys: Vec<Key> = text.chars().map(Key::Char).collect();
    type_keys(editor, &keys);
}

#[test]
fn words_are_cut_and_put_back() {
    let mut editor = Editor::new("> ");
    type_text(&mut editor, "spawn carol  now");
    type_keys(&mut editor, &[Key::WordLeft, Key::CutWord]);
    assert_eq!(editor.text(), "spawn now");
    type_keys(&mut editor, &[Key::End, Key::Char(' '), Key::Paste]);
    assert_eq!(editor.text(), "spawn now carol  ");
    type_keys(&mut editor, &[Key::Home, Key::WordRight, Key::CutToEnd]);
    assert_eq!(editor.text(), "spawn");
}

#[test]
fn history_gives_back_lines_and_the_typed_one() {
    let mut editor = Editor::new("> ");
    type_text(&mut editor, "users");
    assert_eq!(
        type_keys(&mut editor, &[Key::Enter]),
        [Asked::Run("users".into())]
    );
    type_text(&mut editor, "ba");
    type_keys(&mut editor, &[Key::Up]);
    assert_eq!(editor.text(), "users");
    type_keys(&mut editor, &[Key::Down]);
    assert_eq!(editor.text(), "ba");
}

#[test]
fn a_line_has_an_end() {
    let mut editor = Editor::new("> ");
    for _ in 0..LONGEST + 10 {
        type_text(&mut editor, "x");
    }
    assert_eq!(editor.text().len(), LONGEST);
}

#[derive(Default)]
struct Model {
    text: Vec<char>,
    cursor: usize,
    cut: Vec<char>,
}

impl Model {
    /// The plainest account of what each key does to a line; history is tested apart.
    fn key(&mut self, key: Key) {
        let length = self.text.len();
        match key {
            Key::Char(c) if length < LONGEST => {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Delete if self.cursor < length => {
                self.text.remove(self.cursor);
            }
            Key::Left if self.cursor > 0 => self.cursor -= 1,
            Key::Right if self.cursor < length => self.cursor += 1,
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = length,
            Key::WordLeft => self.cursor = self.back(),
            Key::WordRight => {
                while self.cursor < length && self.text[self.cursor] == ' ' {
                    self.cursor += 1;
                }
                while self.cursor < length && self.text[self.cursor] != ' ' {
                    self.cursor += 1;
                }
            }
            Key::CutToEnd if self.cursor < length => self.cut = self.text.split_off(self.cursor),
            Key::CutToStart if self.cursor > 0 => {
                self.cut = self.text.drain(..self.cursor).collect();
                self.cursor = 0;
            }
            Key::CutWord if self.cursor > 0 => {
                let from = self.back();
                self.cut = self.text.drain(from..self.cursor).collect();
                self.cursor = from;
            }
            Key::Paste => {
                for c in self.cut.clone() {
                    self.key(Key::Char(c));
                }
            }
            Key::Enter | Key::Cancel => {
                self.text.clear();
                self.cursor = 0;
            }
            _ => {}
        }
    }

    fn back(&self) -> usize {
        let mut to = self.cursor;
        while to > 0 && self.text[to - 1] == ' ' {
            to -= 1;
        }
        while to > 0 && self.text[to - 1] != ' ' {
            to -= 1;
        }
        to
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        8 => (b' '..=b'~').prop_map(|byte| Key::Char(char::from(byte))),
        3 => Just(Key::Char(' ')),
        4 => prop::sample::select(vec![
            Key::Backspace, Key::Delete, Key::Left, Key::Right, Key::WordLeft, Key::WordRight,
            Key::Home, Key::End, Key::CutToEnd, Key::CutToStart, Key::CutWord, Key::Paste,
            Key::ClearScreen, Key::Tab,
        ]),
        1 => prop::sample::select(vec![Key::Enter, Key::Cancel]),
    ]
}

proptest! {
    #[test]
    fn edits_as_the_model_does_and_shows_it(keys in prop::collection::vec(any_key(), 0..300)) {
        let prompt = "usufruct> ";
        let mut editor = Editor::new(prompt);
        let mut model = Model::default();
        let mut terminal = Terminal::default();
        let mut screen = Vec::new();
        editor.draw(&mut screen);
        for key in keys {
            let before: String = model.text.iter().collect();
            let asked = editor.key(key, &mut screen);
            model.key(key);
            let after: String = model.text.iter().collect();
            match key {
                Key::Enter => {
                    prop_assert_eq!(asked, Some(Asked::Run(before)));
                    editor.draw(&mut screen);
                }
                Key::Tab => prop_assert_eq!(asked, Some(Asked::Complete)),
                _ => prop_assert_eq!(asked, None),
            }
            prop_assert_eq!(editor.text(), &after);
            prop_assert_eq!(editor.cursor(), model.cursor);

            terminal.show(&screen);
            screen.clear();
            let row = core::str::from_utf8(&terminal.row).unwrap();
            prop_assert!(row.starts_with(prompt));
            let shown = &row[prompt.len()..];
            let left = model.cursor.checked_sub(terminal.column - prompt.len()).unwrap();
            let room = COLUMNS - 1 - prompt.len();
            prop_assert_eq!(shown, &after[left..after.len().min(left + room)]);
            prop_assert!(left == 0 || after.len() > left);
        }
    }

    #[test]
    fn random_bytes_never_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut decoder = super::super::key::Decoder::new();
        let mut editor = Editor::new("> ");
        let mut terminal = Terminal::default();
        for byte in bytes {
            if let Some(key) = decoder.push(byte) {
                let mut screen = Vec::new();
                editor.key(key, &mut screen);
                terminal.show(&screen);
            }
            prop_assert!(editor.cursor() <= editor.text().len());
            prop_assert!(editor.text().len() <= LONGEST);
        }
    }
}
