//! Commands: what they are called, what they take, and how a line becomes one.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::injection::Injecting;
use super::near::nearest;
use super::receiving::Receiving;
use crate::manifest::{LogLevel, UserSpec};

/// More about `inject`.
const INJECT: &str = "\
\x20 revoke USER    the user's bank is destroyed
  session USER   the bank of its session is, and the session with it
  kill PROCESS   a process is ended, as by `kill`
  device stall   the network card reaches memory no more
  list, clear    which faults are armed; none is any more
  at entry N [of PROCESS]   before the kernel does what the N-th entry from now on asks for,
                            of all that are made or of those of one process
  at frame N     when N frames have passed from now on: of the user's, or of everybody's
";

/// What can be asked for at the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What commands there are, or what one of them does.
    Help(Option<&'static Entry>),
    /// The users.
    Users,
    /// The tree of space banks.
    Banks,
    /// The processes.
    Ps,
    /// The sessions.
    Net,
    /// Bring a user up.
    Spawn(UserSpec),
    /// End a process; a supervised one is started again.
    Kill(String),
    /// Destroy a user's bank.
    Revoke(String),
    /// Which service answers where.
    Ports,
    /// Show or change how a user receives.
    Strategy(Receiving),
    /// Arm a fault, or say which are.
    Inject(Injecting),
    /// Check that the live system agrees with itself.
    Invariants,
    /// Set the least important level that is logged.
    Log(LogLevel),
    /// Start the machine again.
    Reboot,
    /// Stop the machine.
    Halt,
}

/// A command's entry in `help`.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
}

/// All commands, in the order of `help`.
pub const ENTRIES: &[Entry] = &[
    entry(
        "help",
        "[COMMAND]",
        "what commands there are, or more about one",
    ),
    entry("users", "", "the users: addresses, bank, state"),
    entry(
        "banks",
        "",
        "the tree of space banks: limit, bought, in limbo, high-water",
    ),
    entry(
        "ps",
        "",
        "the processes: priority, CPU share, switches, memory, state",
    ),
    entry(
        "net",
        "",
        "the sessions: frames and bytes in and out, drops by reason; `help net`: the columns",
    ),
    entry("ports", "", "which service answers at which address"),
    entry(
        "spawn",
        "NAME [--OPTION VALUE ...]",
        "bring up a user: bank, port, stack and services",
    ),
    entry(
        "kill",
        "NAME",
        "end a process; a supervised one is started again",
    ),
    entry(
        "revoke",
        "NAME",
        "destroy a user's bank, and with it all that the user has",
    ),
    entry(
        "strategy",
        "NAME [copy|flip|hybrid[(BYTES)]] [sealed|open]",
        "how a user receives; with more words, from now on",
    ),
    entry(
        "inject",
        "FAULT|list|clear [at entry|frame N]",
        "a fault on purpose, now or at an entry into the kernel; `help inject`: which",
    ),
    entry(
        "invariants",
        "",
        "check that kernel, banks, sessions and processes agree, and say what was checked",
    ),
    entry(
        "log",
        "LEVEL",
        "show lines up to this level: off error warn info debug trace",
    ),
    entry("reboot", "", "start the machine again"),
    entry("halt", "", "stop the machine"),
];

const fn entry(name: &'static str, takes: &'static str, does: &'static str) -> Entry {
    Entry { name, takes, does }
}

impl Entry {
    /// The entry of a command.
    pub fn find(name: &str) -> Option<&'static Entry> {
        ENTRIES.iter().find(|entry| entry.name == name)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if !self.takes.is_empty() {
            write!(f, " {}", self.takes)?;
        }
        Ok(())
    }
}

/// Why a line is no command, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(String);

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for CommandError {}

impl Command {
    /// Reads a line; an empty one is no command.
    ///
    /// # Errors
    /// What is wrong with the line, and what would be right.
    pub fn parse(line: &str) -> Result<Option<Command>, CommandError> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((name, rest)) = words.split_first() else {
            return Ok(None);
        };
        let entry = find(name)?;
        let none = |command| match rest {
            [] => Ok(command),
            [extra, ..] => Err(wrong(entry, &format!("takes nothing, so not {extra:?}"))),
        };
        let one = || match rest {
            [word] => Ok(*word),
            [] => Err(wrong(entry, "lacks its argument")),
            [_, extra, ..] => Err(wrong(entry, &format!("takes one word, so not {extra:?}"))),
        };
        let command = match entry.name {
            "help" => match rest {
                [] => Command::Help(None),
                _ => Command::Help(Some(find(one()?)?)),
            },
            "users" => none(Command::Users)?,
            "banks" => none(Command::Banks)?,
            "ps" => none(Command::Ps)?,
            "net" => none(Command::Net)?,
            "ports" => none(Command::Ports)?,
            "spawn" => {
                let spec =
                    UserSpec::parse(rest).map_err(|error| wrong(entry, &error.to_string()))?;
                Command::Spawn(spec)
            }
            "strategy" => {
                let receiving = Receiving::parse(rest).map_err(|error| wrong(entry, &error))?;
                Command::Strategy(receiving)
            }
            "inject" => {
                let asked = Injecting::parse(rest).map_err(|error| wrong(entry, &error))?;
                Command::Inject(asked)
            }
            "invariants" => none(Command::Invariants)?,
            "kill" => Command::Kill(one()?.into()),
            "revoke" => Command::Revoke(one()?.into()),
            "log" => {
                let level = one()?.parse::<LogLevel>();
                Command::Log(level.map_err(|error| wrong(entry, &error.to_string()))?)
            }
            "reboot" => none(Command::Reboot)?,
            "halt" => none(Command::Halt)?,
            // Only names of ENTRIES get here, and a test parses each of them.
            other => return Err(CommandError(format!("{other}: not built in"))),
        };
        Ok(Some(command))
    }
}

fn find(name: &str) -> Result<&'static Entry, CommandError> {
    Entry::find(name).ok_or_else(|| {
        let known = ENTRIES.iter().map(|entry| entry.name);
        CommandError(match nearest(name, known).and_then(Entry::find) {
            Some(near) => format!(
                "{name:?} is no command. Did you mean: {near}  ({})",
                near.does
            ),
            None => {
                let known: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
                format!(
                    "{name:?} is no command; the commands are {}",
                    known.join(" ")
                )
            }
        })
    })
}

fn wrong(entry: &Entry, what: &str) -> CommandError {
    CommandError(format!(
        "{}: {what}\nusage: {entry}  ({})",
        entry.name, entry.does
    ))
}

/// What `help net` says of the columns.
const NET: &str = "\
\x20 copied      frames copied into a page of the user's
  in place    frames that lay in the user's own page already, and stayed there
  exchanged   frames whose page became the user's, in exchange for a spare one of the user's
  recovered   of those copied, the ones that lay in a page that its owner had taken back
  dropped     frames that did not arrive or were not sent; the lines below the table say why
  spare       the user's receive pages that wait for frames
  in flight   frames of the user's that the card has still to send
";

/// What `help strategy` says of frames that no strategy exchanges.
const COPIED_ANYHOW: &str = "\
Copied in every strategy: multicast and broadcast; frames in the driver's own buffers, where they
lie while too few pages are pinned (after a change, or where slots or pages are lacking); short ones
that would be exchanged while the user has few pages to spare, because copied they share pages;
frames of revoked pages; and what came for a sealed user into a page that an open one can see.
`net` counts copied, in place and exchanged.
";

/// The text of `help`.
pub fn help(about: Option<&'static Entry>) -> String {
    let Some(entry) = about else {
        let width = ENTRIES
            .iter()
            .map(|e| e.to_string().chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for entry in ENTRIES {
            text.push_str(&format!("  {:width$}  {}\n", entry.to_string(), entry.does));
        }
        text.push_str(
            "Tab completes, the arrows edit and recall. `help spawn` lists its options.\n",
        );
        return text;
    };
    let mut text = format!("{entry}\n  {}\n", entry.does);
    if entry.name == "net" {
        text.push_str(NET);
    }
    if entry.name == "strategy" {
        text.push_str(
            "  copy      each frame is copied into the user's memory\n\
             \x20 flip      the page that the device filled becomes the user's, in exchange for one\n\
             \x20 hybrid    frames of BYTES and more are flipped, shorter ones copied. Without BYTES\n\
             \x20           the driver chose when it began, by a cost model and what it timed: `net`\n\
             \x20 sealed    the user never sees a byte that isn't of a frame of its own; open undoes it\n",
        );
        text.push_str(COPIED_ANYHOW);
    }
    if entry.name == "inject" {
        text.push_str(INJECT);
    }
    if entry.name == "spawn" {
        for (option, takes) in UserSpec::OPTIONS {
            text.push_str(&format!("  {option:18} {takes}\n"));
        }
        text.push_str("What is not said comes from the manifest's [spawn] section.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Command {
        Command::parse(line).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        Command::parse(line).unwrap_err().to_string()
    }

    #[test]
    fn every_entry_is_a_command() {
        for entry in ENTRIES {
            let line = match entry.takes {
                "" | "[COMMAND]" => entry.name.to_string(),
                "LEVEL" => format!("{} warn", entry.name),
                _ if entry.name == "inject" => "inject list".into(),
                _ => format!("{} carol", entry.name),
            };
            parse(&line);
            assert_eq!(
                parse(&format!("help {}", entry.name)),
                Command::Help(Some(entry))
            );
            assert!(help(None).contains(entry.does));
        }
    }

    #[test]
    fn arguments_are_read() {
        assert_eq!(parse("  kill   ethdrv "), Command::Kill("ethdrv".into()));
        assert_eq!(parse("log debug"), Command::Log(LogLevel::Debug));
        let Command::Spawn(spec) = parse("spawn carol --share 3") else {
            panic!("not a spawn");
        };
        assert_eq!(spec.name().as_str(), "carol");
        assert_eq!(Command::parse("   ").unwrap(), None);
    }

    #[test]
    fn wrong_lines_say_what_is_right() {
        assert!(refused("spwan carol").contains("Did you mean: spawn NAME"));
        assert!(refused("user").contains("Did you mean: users"));
        assert!(refused("xyzzy").contains("the commands are help users"));
        assert!(refused("kill").contains("usage: kill NAME"));
        assert!(refused("kill a b").contains("takes one word, so not \"b\""));
        assert!(refused("banks all").contains("takes nothing, so not \"all\""));
        assert!(refused("log loud").contains("is not a log level: one of off, error"));
        assert!(refused("spawn").contains("usage: spawn NAME"));
        assert!(refused("spawn carol --shore 2").contains("the options are --mac"));
        assert!(refused("strategy").contains("usage: strategy NAME [copy|flip"));
        assert!(
            refused("strategy alice flop")
                .contains("\"flop\" is not a strategy: one of copy, flip")
        );
        assert!(refused("strategy alice hybrid(0)").contains("is not a strategy"));
        assert!(refused("strategy alice copy flip").contains("copy and flip at once"));
        assert!(refused("strategy alice open sealed").contains("open and sealed at once"));
        assert!(refused("help nothing").contains("is no command"));
    }

    #[test]
    fn help_net_explains_the_columns_and_help_strategy_what_is_copied_anyhow() {
        let net = help(Entry::find("net"));
        for column in [
            "copied",
            "in place",
            "exchanged",
            "recovered",
            "spare",
            "in flight",
        ] {
            assert!(net.contains(&format!("\n  {column} ")), "{column}: {net}");
        }
        let strategy = help(Entry::find("strategy"));
        assert!(strategy.contains("shorter ones copied"), "{strategy}");
        assert!(strategy.contains("the driver's own buffers"), "{strategy}");
    }

    #[test]
    fn spawn_alone_says_its_usage_once() {
        assert_eq!(refused("spawn").matches("NAME [--OPTION").count(), 1);
        assert!(refused("spawn carol --rate 1M").contains("such as 1000000"));
    }

    #[test]
    fn help_lists_the_options_of_spawn() {
        for (option, _) in UserSpec::OPTIONS {
            assert!(help(Entry::find("spawn")).contains(option));
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(line in "[ -~]{0,80}") {
            let _ = Command::parse(&line);
        }
    }
}
