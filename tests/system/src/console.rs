//! A guest's console as text that arrives.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regex::Regex;

/// Most of a console that is kept, in bytes; a guest that prints without end must not fill the
/// host's memory. What comes after is read and thrown away.
const MOST: usize = 16 << 20;

/// All that a guest has printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    ended: bool,
    escape: Escape,
}

/// Where in a terminal's escape sequence the text is. They are left out, as are carriage returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Started,
    Sequence,
}

/// Why a wait for text came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    Time,
    End,
}

impl Transcript {
    /// Reads to the end, in a thread of its own.
    pub fn follow(mut console: impl Read + Send + 'static) -> Transcript {
        let transcript = Transcript::default();
        let shared = Arc::clone(&transcript.shared);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = console.read(&mut bytes).unwrap_or(0);
                let mut state = lock(&shared.state);
                if count == 0 {
                    state.ended = true;
                } else {
                    state.append(&bytes[..count]);
                }
                shared.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        transcript
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        lock(&self.shared.state).text.clone()
    }

    /// The last lines.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let state = lock(&self.shared.state);
        let lines: Vec<&str> = state.text.lines().collect();
        lines[lines.len().saturating_sub(count)..]
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Waits until what was printed from `from` on matches, and returns where the match starts
    /// and ends.
    pub fn find(
        &self,
        pattern: &Regex,
        from: usize,
        limit: Duration,
    ) -> Result<(usize, usize), Missed> {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.shared.state);
        loop {
            if let Some(found) = pattern.find_at(&state.text, from) {
                return Ok((found.start(), found.end()));
            }
            if state.ended {
                return Err(Missed::End);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missed::Time);
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the console.
    pub fn wait_end(&self, limit: Duration) {
        let state = lock(&self.shared.state);
        let _ = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| !state.ended);
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.escape = match (self.escape, byte) {
                (Escape::None, 0x1b) => Escape::Started,
                (Escape::Started, b'[') => Escape::Sequence,
                (Escape::Started, _) => Escape::None,
                (Escape::Sequence, 0x40..=0x7e) => Escape::None,
                (Escape::Sequence, _) => Escape::Sequence,
                (Escape::None, b'\r') => Escape::None,
                (Escape::None, byte) => {
                    if self.text.len() < MOST {
                        // A guest's console is ASCII; what isn't must not break the text.
                        self.text.push(char::from(*byte));
                    }
                    Escape::None
                }
            };
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_carriage_returns_are_left_out() {
        let transcript = Transcript::follow(&b"\x1b[1;31mred\x1b[0m\r\n\x1bc> \xff"[..]);
        transcript.wait_end(Duration::from_secs(5));
        assert_eq!(transcript.text(), "red\n> \u{ff}");
        assert_eq!(transcript.tail(1), ["> \u{ff}"]);
    }

    #[test]
    fn a_wait_ends_with_the_text_the_time_or_the_console() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let transcript = Transcript::follow(reader);
        let pattern = Regex::new("o n").unwrap();
        let found = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| transcript.find(&pattern, 0, Duration::from_secs(5)));
            std::io::Write::write_all(&mut writer, b"one two ").unwrap();
            std::io::Write::write_all(&mut writer, b"no ne").unwrap();
            waiting.join().unwrap()
        });
        assert_eq!(found, Ok((6, 9)));
        let short = Duration::from_millis(20);
        assert_eq!(transcript.find(&pattern, 12, short), Err(Missed::Time));
        drop(writer);
        assert_eq!(
            transcript.find(&pattern, 12, Duration::from_secs(5)),
            Err(Missed::End)
        );
    }
}
