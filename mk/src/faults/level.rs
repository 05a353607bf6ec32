//! Where faults are injected.

use std::fmt;
use std::str::FromStr;

/// A level at which faults are injected: those that are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The simulator: kernel, servers and clients in one process of the host.
    Sim,
    /// A sweep over the kernel entries of a running transfer, in QEMU.
    Qemu,
}

/// Levels that are planned, and what each will be.
const PLANNED: [(&str, &str); 1] = [("fuzz", "fuzzing of invocations, rings, frames and devices")];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Sim => f.write_str("sim"),
            Level::Qemu => f.write_str("qemu"),
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        let built = [Level::Sim, Level::Qemu];
        if let Some(level) = built.into_iter().find(|level| level.to_string() == text) {
            return Ok(level);
        }
        match PLANNED.iter().find(|planned| planned.0 == text) {
            Some((name, what)) => Err(format!(
                "the level {name} ({what}) isn't built yet; the levels there are: sim, qemu"
            )),
            None => Err(format!(
                "no level '{text}'; the levels there are: sim, qemu"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_not_built_says_so_by_name() {
        assert_eq!("sim".parse(), Ok(Level::Sim));
        assert_eq!("qemu".parse(), Ok(Level::Qemu));
        let error = "fuzz".parse::<Level>().unwrap_err();
        assert!(error.contains("the level fuzz ("), "{error}");
        assert!(error.contains("isn't built yet"), "{error}");
        assert!(error.ends_with("there are: sim, qemu"), "{error}");
        assert_eq!(
            "moon".parse::<Level>(),
            Err("no level 'moon'; the levels there are: sim, qemu".into())
        );
    }
}
