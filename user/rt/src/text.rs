//! Text as it goes to the log: in lines of at most [`LINE`] bytes.

use core::fmt;

/// Most bytes in a line: what the kernel's log takes at once.
pub const LINE: usize = 1024;

/// Where lines go: a buffer of [`LINE`] bytes somewhere, and what to do with a full one.
pub trait Sink {
    /// Puts bytes into the buffer; offset and length stay within [`LINE`].
    fn put(&mut self, offset: usize, bytes: &[u8]);
    /// Writes out the first `length` bytes of the buffer as one line.
    fn flush(&mut self, length: usize);
}

/// Splits what is written to it into lines: at line feeds, and before the character that does not
/// fit. What remains is written out when it is dropped.
pub struct Lines<S: Sink> {
    sink: S,
    used: usize,
}

impl<S: Sink> Lines<S> {
    /// Nothing written yet.
    pub fn new(sink: S) -> Lines<S> {
        Lines { sink, used: 0 }
    }

    fn end_line(&mut self) {
        self.sink.flush(self.used);
        self.used = 0;
    }

    fn put(&mut self, mut text: &str) {
        while !text.is_empty() {
            let space = LINE - self.used;
            let fits = text.floor_char_boundary(space);
            let (now, later) = text.split_at(fits);
            self.sink.put(self.used, now.as_bytes());
            self.used += fits;
            if !later.is_empty() {
                self.end_line();
            }
            text = later;
        }
    }
}

impl<S: Sink> fmt::Write for Lines<S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut pieces = text.split('\n');
        if let Some(first) = pieces.next() {
            self.put(first);
        }
        for piece in pieces {
            self.end_line();
            self.put(piece);
        }
        Ok(())
    }
}

impl<S: Sink> Drop for Lines<S> {
    fn drop(&mut self) {
        if self.used > 0 {
            self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;
    use std::string::{String, ToString};
    use std::vec::Vec;

    struct Collect<'a> {
        buffer: [u8; LINE],
        lines: &'a mut Vec<String>,
    }

    impl Sink for Collect<'_> {
        fn put(&mut self, offset: usize, bytes: &[u8]) {
            self.buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
        }

        fn flush(&mut self, length: usize) {
            self.lines
                .push(str::from_utf8(&self.buffer[..length]).unwrap().to_string());
        }
    }

    fn lines(write: impl FnOnce(&mut dyn Write)) -> Vec<String> {
        let mut lines = Vec::new();
        write(&mut Lines::new(Collect {
            buffer: [0; LINE],
            lines: &mut lines,
        }));
        lines
    }

    #[test]
    fn line_feeds_end_lines() {
        assert_eq!(
            lines(|out| write!(out, "a {}\n\nb", 1).unwrap()),
            ["a 1", "", "b"]
        );
        assert_eq!(lines(|out| out.write_str("whole\n").unwrap()), ["whole"]);
        assert_eq!(lines(|_| ()), [] as [&str; 0]);
    }

    #[test]
    fn long_lines_are_split_between_characters() {
        let text: String = std::iter::once('x')
            .chain(std::iter::repeat_n('ä', 1500))
            .collect();
        let split = lines(|out| out.write_str(&text).unwrap());
        assert_eq!(split.concat(), text);
        assert_eq!(
            split.iter().map(String::len).collect::<Vec<_>>(),
            [1023, 1024, 954]
        );
    }

    #[test]
    fn a_line_that_just_fits_is_not_split() {
        let text = "y".repeat(LINE);
        for feed in ["", "\n"] {
            assert_eq!(
                lines(|out| write!(out, "{text}{feed}").unwrap()),
                [&text[..]]
            );
        }
    }
}
