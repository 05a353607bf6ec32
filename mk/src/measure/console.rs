//! What a guest prints, read with patience that ends.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Result, bail};

/// Hands each line of a console to `line`, until it ends. A guest that stands still has no end: so
/// nobody waits longer than `silence` for the next line.
///
/// # Errors
/// No line came for so long.
pub(super) fn lines(
    console: impl Read + Send + 'static,
    silence: Duration,
    mut line: impl FnMut(String),
) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    // It ends with the console, at the latest when whoever gave up kills the guest.
    std::thread::spawn(move || {
        for read in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&read).trim_end().to_string();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    loop {
        match receiver.recv_timeout(silence) {
            Ok(text) => line(text),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                bail!("it printed nothing for {} s", silence.as_secs_f32())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_guest_that_stands_still_is_given_up() {
        let (guest, mut printed) = UnixStream::pair().unwrap();
        printed.write_all(b"row one\r\n").unwrap();
        let mut seen = Vec::new();
        let error = lines(guest, Duration::from_millis(50), |line| seen.push(line)).unwrap_err();
        assert!(error.to_string().contains("printed nothing"), "{error}");
        assert_eq!(seen, ["row one"]);
        drop(printed);
    }

    #[test]
    fn the_last_line_needs_no_end_of_line() {
        let (guest, mut printed) = UnixStream::pair().unwrap();
        printed.write_all(b"one\ntwo").unwrap();
        drop(printed);
        let mut seen = Vec::new();
        lines(guest, Duration::from_secs(60), |line| seen.push(line)).unwrap();
        assert_eq!(seen, ["one", "two"]);
    }
}
