//! The words of the command line that are the kernel's. The others are init's, which complains about what
//! nobody knows.

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'l> {
    /// `exit=PORT`: the debug-exit device's I/O port, or 0.
    pub exit_port: u16,
    /// `log=LEVEL`: 1 (errors) to 5.
    pub log_level: u64,
    /// `init=NAME`: the first program but spacebank. Benches and tests can stand in init's place.
    pub init: &'l str,
    /// `planted=NAME`: a mistake to make.
    pub planted: Option<&'l str>,
}

impl<'l> Options<'l> {
    /// Looks for the kernel's words. One that isn't text, or means nothing, is as if it weren't there.
    pub fn parse(line: &'l [u8]) -> Options<'l> {
        Options {
            exit_port: option(line, "exit").and_then(number).unwrap_or(0),
            log_level: option(line, "log").and_then(level).unwrap_or(3),
            init: option(line, "init").unwrap_or("init"),
            planted: option(line, "planted"),
        }
    }
}

/// The value of the first word `key=value`.
fn option<'l>(line: &'l [u8], key: &str) -> Option<&'l str> {
    line.split(u8::is_ascii_whitespace).find_map(|word| {
        let word = core::str::from_utf8(word).ok()?;
        word.strip_prefix(key)?.strip_prefix('=')
    })
}

/// A number, of base 16 behind `0x`.
fn number(text: &str) -> Option<u16> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.ok()
}

fn level(name: &str) -> Option<u64> {
    let names = ["error", "warn", "info", "debug", "trace"];
    let place = names.iter().position(|each| *each == name)?;
    Some(place as u64 + 1)
}
