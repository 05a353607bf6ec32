//! What the kernel tells init at its start: [`Boot`], and the words of the kernel's command line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use abi::boot::{INIT_MAGIC, InitBoot};

use crate::console::near::nearest;
use crate::manifest::LogLevel;

/// What the arguments page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Address of the boot archive.
    pub archive: u64,
    /// Bytes of it.
    pub archive_bytes: u64,
    /// Frames of RAM in the machine.
    pub frames: u32,
    /// CPUs that run.
    pub cpus: u32,
    /// The kernel's command line.
    pub command_line: String,
}

/// The arguments page is not what a kernel of this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBoot;

impl fmt::Display for NoBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the arguments page holds no boot data: kernel and init are of different versions",
        )
    }
}

impl core::error::Error for NoBoot {}

impl Boot {
    /// Reads an [`InitBoot`] and the command line after it.
    ///
    /// # Errors
    /// It isn't there, or not whole.
    pub fn parse(arguments: &[u8]) -> Result<Boot, NoBoot> {
        let word = |offset: usize| {
            let bytes = arguments.get(offset..offset + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let half = |offset: usize| {
            let bytes = arguments.get(offset..offset + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let read = || {
            if word(core::mem::offset_of!(InitBoot, magic))? != INIT_MAGIC {
                return None;
            }
            let length = word(core::mem::offset_of!(InitBoot, command_line_bytes))?;
            let text = arguments.get(size_of::<InitBoot>()..)?;
            let text = text.get(..usize::try_from(length).ok()?)?;
            Some(Boot {
                archive: word(core::mem::offset_of!(InitBoot, archive))?,
                archive_bytes: word(core::mem::offset_of!(InitBoot, archive_bytes))?,
                frames: half(core::mem::offset_of!(InitBoot, frames))?,
                cpus: half(core::mem::offset_of!(InitBoot, cpus))?,
                command_line: String::from_utf8_lossy(text).into_owned(),
            })
        };
        read().ok_or(NoBoot)
    }
}

/// What happens when the program of `program=` has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterProgram {
    /// The machine halts with code [`PROGRAM_ENDED`]: a test program that passes halts the machine
    /// itself, with code 0, before it ends.
    #[default]
    Halt,
    /// The console goes on.
    Stay,
}

/// The code with which the machine halts when the program of `program=` ended by a fault or gave
/// up.
pub const PROGRAM_ENDED: u64 = 1;

/// A port of the host that leads to one of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Whether it is UDP's, not TCP's.
    pub udp: bool,
    /// The port on the host.
    pub host: u16,
    /// The address in the guest.
    pub address: core::net::IpAddr,
    /// The port in the guest.
    pub port: u16,
}

/// The words of the command line that are init's, as `key=value`.
///
/// | word | meaning |
/// | --- | --- |
/// | `users=on` (default), `users=off` | whether the manifest's users (and with them the driver) are started |
/// | `program=bin/NAME` | runs this program with a bank of its own and copies of init's authorities in its `GRANT` slots |
/// | `program-bank=PAGES` | the limit of its bank (default: a quarter of RAM) |
/// | `program-arguments=WORDS` | its arguments, text; `,` stands for a space |
/// | `log=LEVEL` | the least important level that is logged, whatever the manifest says |
/// | `after=halt` (default), `after=stay` | what follows when it ends |
/// | `forwards=PROTOCOL:HOST:ADDRESS:PORT,…` | ports of the host, for the command `ports`: `tcp:8081:10.0.2.21:80` |
///
/// [Those of the kernel](KERNEL_WORDS) are left alone; others are complained about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the manifest's users are started.
    pub users: bool,
    /// A program to run.
    pub program: Option<String>,
    /// The limit of its bank, in pages.
    pub program_bank: Option<u64>,
    /// Its arguments.
    pub program_arguments: String,
    /// What follows when it ends.
    pub after: AfterProgram,
    /// The least important level that is logged.
    pub log: Option<LogLevel>,
    /// Ports of the host.
    pub forwards: Vec<Forward>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            users: true,
            program: None,
            program_bank: None,
            program_arguments: String::new(),
            after: AfterProgram::Halt,
            log: None,
            forwards: Vec::new(),
        }
    }
}

impl Options {
    /// Reads a command line. A word of init's with a wrong value keeps its default and adds a line
    /// to the complaints.
    pub fn parse(line: &str) -> (Options, Vec<String>) {
        let mut options = Options::default();
        let mut complaints = Vec::new();
        for word in line.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            if !WORDS.contains(&key) && !KERNEL_WORDS.contains(&key) {
                complaints.push(unknown(word, key));
            } else if let Err(wanted) = options.set(key, value) {
                complaints.push(format!("command line: {word:?} should be {wanted}"));
            }
        }
        (options, complaints)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match (key, value) {
            ("users", "on") => self.users = true,
            ("users", "off") => self.users = false,
            ("users", _) => return Err("users=on or users=off"),
            ("program", "") => return Err("program=bin/NAME"),
            ("program", _) => self.program = Some(value.to_string()),
            ("program-bank", _) => {
                let pages = value.parse().map_err(|_| "program-bank=PAGES")?;
                self.program_bank = Some(pages);
            }
            ("program-arguments", _) => self.program_arguments = value.replace(',', " "),
            ("after", "halt") => self.after = AfterProgram::Halt,
            ("after", "stay") => self.after = AfterProgram::Stay,
            ("after", _) => return Err("after=halt or after=stay"),
            ("log", _) => {
                let wanted = "log=LEVEL: off, error, warn, info, debug or trace";
                self.log = Some(value.parse().map_err(|_| wanted)?);
            }
            ("forwards", "") => self.forwards = Vec::new(),
            ("forwards", _) => {
                let forwards = value.split(',').map(forward).collect::<Option<Vec<_>>>();
                self.forwards = forwards.ok_or("forwards=tcp:HOSTPORT:ADDRESS:PORT,…")?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The words that the kernel reads, besides `log`.
const KERNEL_WORDS: &[&str] = &["exit", "init"];

/// The words that init reads.
const WORDS: &[&str] = &[
    "users",
    "program",
    "program-bank",
    "program-arguments",
    "after",
    "log",
    "forwards",
];

/// A complaint about a word that neither kernel nor init knows.
fn unknown(word: &str, key: &str) -> String {
    let words = WORDS.iter().chain(KERNEL_WORDS).copied();
    match nearest(key, words.clone()) {
        Some(near) => format!("command line: {word:?} is not known; did you mean {near}=?"),
        None => {
            let words: Vec<&str> = words.collect();
            format!(
                "command line: {word:?} is not known; the words are {}",
                words.join(" ")
            )
        }
    }
}

fn forward(text: &str) -> Option<Forward> {
    let (protocol, rest) = text.split_once(':')?;
    let (host, rest) = rest.split_once(':')?;
    let (address, port) = rest.rsplit_once(':')?;
    let udp = match protocol {
        "udp" => true,
        "tcp" => false,
        _ => return None,
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Some(Forward {
        udp,
        host: host.parse().ok()?,
        address: address.parse().ok()?,
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(line: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(INIT_MAGIC.to_le_bytes());
        bytes.extend(0x4000_0000u64.to_le_bytes());
        bytes.extend(1536u64.to_le_bytes());
        bytes.extend(16384u32.to_le_bytes());
        bytes.extend(2u32.to_le_bytes());
        bytes.extend((line.len() as u64).to_le_bytes());
        bytes.extend(line.bytes());
        bytes
    }

    #[test]
    fn boot_data_is_read() {
        let boot = Boot::parse(&page("log=info users=off")).unwrap();
        assert_eq!(boot.archive, 0x4000_0000);
        assert_eq!(boot.archive_bytes, 1536);
        assert_eq!((boot.frames, boot.cpus), (16384, 2));
        assert_eq!(boot.command_line, "log=info users=off");
    }

    #[test]
    fn boot_data_that_is_not_whole_is_refused() {
        let whole = page("users=off");
        for length in 0..whole.len() {
            assert_eq!(Boot::parse(&whole[..length]), Err(NoBoot), "{length} bytes");
        }
        let mut other = whole;
        other[0] ^= 1;
        assert_eq!(Boot::parse(&other), Err(NoBoot));
    }

    #[test]
    fn words_are_read_and_the_kernels_are_left_alone() {
        let line = "exit=0xf4 log=info users=off program=bin/bench program-bank=900 \
                    program-arguments=echo,udp after=stay \
                    forwards=tcp:8081:10.0.2.21:80,udp:7001:[fd00::21]:7";
        let (options, complaints) = Options::parse(line);
        assert!(complaints.is_empty(), "{complaints:?}");
        assert!(!options.users);
        assert_eq!(options.program.as_deref(), Some("bin/bench"));
        assert_eq!(options.program_bank, Some(900));
        assert_eq!(options.program_arguments, "echo udp");
        assert_eq!(options.after, AfterProgram::Stay);
        assert_eq!(options.log, Some(LogLevel::Info));
        assert_eq!(options.forwards.len(), 2);
        assert_eq!(
            options.forwards[0].address,
            core::net::IpAddr::from([10, 0, 2, 21])
        );
        assert!(options.forwards[1].udp && options.forwards[1].host == 7001);
    }

    #[test]
    fn wrong_words_are_told_and_change_nothing() {
        let (options, complaints) = Options::parse(
            "users=maybe program= after=never forwards=tcp:1:2 log=x program-bank=x",
        );
        assert_eq!(options, Options::default());
        assert_eq!(complaints.len(), 6);
        assert!(complaints[0].contains("\"users=maybe\" should be users=on or users=off"));
    }

    #[test]
    fn a_word_that_nobody_reads_is_complained_about() {
        let (options, complaints) = Options::parse("exit=0xf4 init=hello usres=off colour=red");
        assert_eq!(options, Options::default());
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].contains("\"usres=off\" is not known; did you mean users=?"));
        assert!(complaints[1].contains("the words are users program"));
        for word in WORDS {
            // Each of them is read, so no value does for all.
            let (options, complaints) = Options::parse(&format!("{word}=7"));
            assert!(!complaints.is_empty() || options != Options::default());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Boot::parse(&bytes);
            Options::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
