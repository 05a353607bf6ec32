//! Annotates a stream of bytes as it passes.

use std::io::{Result, Write};

use super::Symbols;

/// Longest line that is looked at; longer ones pass as they are.
const LONGEST: usize = 256;

/// Copies bytes and appends names to the lines of backtraces.
///
/// Every byte is passed on as soon as it comes, so that a console with line editing works through
/// it; only before the end of a line is something put in.
#[derive(Debug)]
pub struct Filter<W> {
    symbols: Symbols,
    to: W,
    line: Vec<u8>,
}

impl<W: Write> Filter<W> {
    pub(super) fn new(symbols: Symbols, to: W) -> Filter<W> {
        Filter {
            symbols,
            to,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Write for Filter<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\r' | b'\n'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            self.to.write_all(text)?;
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if let Some(end) = end {
                if self.line.len() < LONGEST
                    && let Ok(line) = std::str::from_utf8(&self.line)
                    && let Some(names) = self.symbols.annotate(&plain(line))
                {
                    write!(self.to, " {names}")?;
                }
                self.line.clear();
                self.to.write_all(&[end])?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush()
    }
}

/// A line without escape sequences (ESC [ … letter): the console clears its prompt with them.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut pieces = line.split("\x1b[");
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c| matches!(c, '@'..='~'));
        text.push_str(end.map_or("", |end| &piece[end + 1..]));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn pass(pieces: &[&[u8]], files: Vec<(String, std::path::PathBuf)>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut filter = Filter::new(Symbols::new(files, Path::new("/")), &mut out);
        for piece in pieces {
            filter.write_all(piece).unwrap();
        }
        out
    }

    #[test]
    fn other_bytes_pass_unchanged_and_at_once() {
        let odd: Vec<u8> = (0..=255).collect();
        assert_eq!(pass(&[&odd, b"\x1b[2K> hel", b"p\r\n"], Vec::new()), {
            let mut all = odd.clone();
            all.extend_from_slice(b"\x1b[2K> help\r\n");
            all
        });
    }

    #[test]
    fn escape_sequences_are_left_out_for_matching() {
        assert_eq!(plain("a\x1b[Kb\x1b[1;31mc\x1b["), "abc");
        assert_eq!(plain("plain"), "plain");
    }

    #[test]
    fn names_are_put_before_the_end_of_the_line_even_if_it_comes_in_pieces() {
        let own = std::env::current_exe().unwrap();
        // Any address that has a name serves; the entry point always has one.
        let symbols = vec![("kernel".to_string(), own.clone())];
        let header = std::fs::read(&own).unwrap();
        let entry = u64::from_le_bytes(header[24..32].try_into().unwrap());
        let line = format!("    #0 kernel {entry:#x}");
        let (front, back) = line.as_bytes().split_at(9);
        let out = pass(&[b"x\r\n\x1b[1;2K", front, back, b"\r\n> "], symbols);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with(&format!("x\r\n\x1b[1;2K{line} ")),
            "{text:?}"
        );
        assert!(
            text.ends_with("\r\n> ") && text.contains("_start"),
            "{text:?}"
        );
    }
}
