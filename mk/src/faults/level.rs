//! Where faults are injected.

use std::fmt;
use std::str::FromStr;

/// A level at which faults are injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The simulator: kernel, servers and clients in one process of the host.
    Sim,
    /// A sweep over the kernel entries of a running transfer, in QEMU.
    Qemu,
    /// Fuzzing: hostile processes in QEMU, and everything that takes bytes apart.
    Fuzz,
}

/// All of them.
const ALL: [Level; 3] = [Level::Sim, Level::Qemu, Level::Fuzz];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Sim => "sim",
            Level::Qemu => "qemu",
            Level::Fuzz => "fuzz",
        })
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        let named = ALL.into_iter().find(|level| level.to_string() == text);
        named.ok_or_else(|| {
            let names = ALL.map(|level| level.to_string()).join(", ");
            format!("no level '{text}'; the levels there are: {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_there_is_not_is_told_those_that_there_are() {
        for level in ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!(
            "moon".parse::<Level>(),
            Err("no level 'moon'; the levels there are: sim, qemu, fuzz".into())
        );
    }
}
