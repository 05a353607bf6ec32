//! What `inject` is told: `revoke alice at entry 1234 of ethdrv`.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// What is asked of the faults that are armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injecting {
    /// Which are armed.
    List,
    /// None is any more.
    Clear,
    /// One more is.
    Arm(Injection),
}

/// A fault, and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// What happens.
    pub deed: Deed,
    /// When.
    pub moment: Moment,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A user's bank is destroyed.
    Revoke(String),
    /// The bank of a user's session is destroyed, which ends the session and nothing else.
    Session(String),
    /// A process is ended.
    Kill(String),
    /// The network card stops in the middle of whatever it does.
    StallDevice,
}

/// When it happens, counted from the moment at which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At once.
    Now,
    /// When the kernel is entered for the n-th time: by anybody but init, or by one process alone.
    Entry {
        /// From 1.
        number: u64,
        /// Whose entries are counted.
        of: Option<String>,
    },
    /// When so many frames have passed: those of the user whom it is about, or everybody's.
    Frame {
        /// From 1.
        number: u64,
    },
}

impl Injecting {
    /// Words that may come first.
    pub const WORDS: [&'static str; 6] = ["clear", "device", "kill", "list", "revoke", "session"];

    /// Reads the words after `inject`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[&str]) -> Result<Injecting, String> {
        let (deed, rest) = match words {
            [] => return Err("lacks what is to happen".into()),
            ["list"] => return Ok(Injecting::List),
            ["clear"] => return Ok(Injecting::Clear),
            ["list" | "clear", extra, ..] => {
                return Err(format!("takes nothing after that, so not {extra:?}"));
            }
            ["revoke", name, rest @ ..] => (Deed::Revoke((*name).into()), rest),
            ["session", name, rest @ ..] => (Deed::Session((*name).into()), rest),
            ["kill", name, rest @ ..] => (Deed::Kill((*name).into()), rest),
            ["device", "stall", rest @ ..] => (Deed::StallDevice, rest),
            ["device", ..] => return Err("can only `stall` a device".into()),
            [word @ ("revoke" | "session" | "kill")] => {
                return Err(format!("lacks whom to {word}"));
            }
            [other, ..] => return Err(format!("doesn't know {other:?}")),
        };
        let moment = Moment::parse(rest)?;
        Ok(Injecting::Arm(Injection { deed, moment }))
    }
}

impl Moment {
    fn parse(words: &[&str]) -> Result<Moment, String> {
        let number = |word: &str| match word.parse() {
            Ok(number @ 1..) => Ok(number),
            _ => Err(format!("takes a number from 1 on, so not {word:?}")),
        };
        match words {
            [] => Ok(Moment::Now),
            ["at", "entry", n] => Ok(Moment::Entry {
                number: number(n)?,
                of: None,
            }),
            ["at", "entry", n, "of", name] => Ok(Moment::Entry {
                number: number(n)?,
                of: Some((*name).into()),
            }),
            ["at", "frame", n] => Ok(Moment::Frame { number: number(n)? }),
            ["at", "entry" | "frame"] => Err("lacks a number".into()),
            ["at", other, ..] if !["entry", "frame"].contains(other) => Err(format!(
                "counts entries and frames: `at entry N` or `at frame N`, not {other:?}"
            )),
            ["at"] => Err("lacks `entry N` or `frame N`".into()),
            ["at", _, _, extra, ..] => Err(format!("doesn't know what {extra:?} is there for")),
            [other, ..] => Err(format!("takes `at` there, not {other:?}")),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Revoke(name) => write!(f, "revoke {name}"),
            Deed::Session(name) => write!(f, "session {name}"),
            Deed::Kill(name) => write!(f, "kill {name}"),
            Deed::StallDevice => f.write_str("device stall"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Now => f.write_str("now"),
            Moment::Entry { number, of: None } => write!(f, "at entry {number}"),
            Moment::Entry {
                number,
                of: Some(name),
            } => write!(f, "at entry {number} of {name}"),
            Moment::Frame { number } => write!(f, "at frame {number}"),
        }
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.deed, self.moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Injecting, String> {
        let words: alloc::vec::Vec<&str> =
            line.split(' ').filter(|word| !word.is_empty()).collect();
        Injecting::parse(&words)
    }

    #[test]
    fn what_is_armed_reads_as_it_was_written() {
        for line in [
            "revoke alice at entry 1234",
            "revoke alice at entry 7 of ethdrv",
            "session bob at frame 3",
            "kill ethdrv at frame 100",
            "device stall at entry 5",
            "device stall now",
        ] {
            let armed = parse(line.trim_end_matches(" now")).unwrap();
            let Injecting::Arm(injection) = armed else {
                panic!("{line}");
            };
            assert_eq!(alloc::string::ToString::to_string(&injection), line);
        }
        assert_eq!(parse("list"), Ok(Injecting::List));
        assert_eq!(parse("clear"), Ok(Injecting::Clear));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, wrong) in [
            ("", "lacks what is to happen"),
            ("revoke", "lacks whom to revoke"),
            ("explode", "doesn't know \"explode\""),
            ("device", "stall"),
            ("list all", "not \"all\""),
            ("revoke alice at", "entry N"),
            ("revoke alice at entry", "lacks a number"),
            ("revoke alice at entry 0", "not \"0\""),
            ("revoke alice at entry many", "not \"many\""),
            ("revoke alice at noon", "not \"noon\""),
            ("revoke alice at entry 5 by", "\"by\""),
            ("revoke alice soon", "not \"soon\""),
            ("kill ethdrv at frame 5 of bob", "\"of\""),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(wrong), "{line}: {said}");
        }
    }
}
