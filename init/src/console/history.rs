//! Lines that were run before, and the way through them.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Most lines kept.
const MOST: usize = 64;

/// Lines run before, the newest last, and which of them is on the screen.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// How many lines back; 0: the line being typed.
    back: usize,
    /// The line being typed, while an older one is shown.
    typed: String,
}

impl History {
    /// Keeps a line, unless it is empty or the same as the last; ends the walk.
    pub fn add(&mut self, line: &str) {
        self.back = 0;
        if line.is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    /// One line back; `shown` is the line on the screen.
    pub fn older(&mut self, shown: &str) -> Option<&str> {
        let position = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.typed = shown.into();
        }
        self.back += 1;
        self.lines.get(position).map(String::as_str)
    }

    /// One line forward; after the last comes the line that was being typed.
    pub fn newer(&mut self) -> Option<&str> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(&self.typed);
        }
        self.lines
            .get(self.lines.len() - self.back)
            .map(String::as_str)
    }

    /// Ends the walk: what is on the screen is now the line being typed.
    pub fn leave(&mut self) {
        self.back = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn walks_back_and_forth_and_keeps_the_typed_line() {
        let mut history = History::default();
        assert_eq!(history.older("x"), None);
        history.add("one");
        history.add("two");
        history.add("two");
        history.add("");
        assert_eq!(history.older("typed"), Some("two"));
        assert_eq!(history.older("two"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("typed"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn keeps_a_bounded_number() {
        let mut history = History::default();
        for n in 0..3 * MOST {
            history.add(&format!("line {n}"));
        }
        let mut found = 0;
        while history.older("").is_some() {
            found += 1;
        }
        assert_eq!(found, MOST);
    }
}
