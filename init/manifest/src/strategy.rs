//! How the driver brings received frames to a user (DESIGN 5): `copy`, `flip`, `hybrid`, `hybrid(2048)`.

use core::fmt;
use core::str::FromStr;

use super::text::{NotThat, as_text};

/// How received frames reach the user's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Into driver-owned buffers first, then copied into the user's pages.
    #[default]
    Copy,
    /// Where the device put them: the page becomes the user's, in exchange for one of its own.
    Flip,
    /// Short frames are copied, longer ones flipped.
    Hybrid {
        /// From how many bytes on a frame is flipped; none: what the driver takes by default.
        threshold: Option<u16>,
    },
}

impl Strategy {
    /// The words by which strategies are called.
    pub const WORDS: [&'static str; 3] = ["copy", "flip", "hybrid"];

    /// Highest threshold, in bytes: the longest frame of a link with an MTU of 9,000.
    pub const MAX_THRESHOLD: u16 = 9014;
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Copy => f.write_str("copy"),
            Strategy::Flip => f.write_str("flip"),
            Strategy::Hybrid { threshold: None } => f.write_str("hybrid"),
            Strategy::Hybrid {
                threshold: Some(bytes),
            } => write!(f, "hybrid({bytes})"),
        }
    }
}

impl FromStr for Strategy {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        let wrong = || NotThat::new(text, Self::WANTED);
        match text {
            "copy" => Ok(Strategy::Copy),
            "flip" => Ok(Strategy::Flip),
            "hybrid" => Ok(Strategy::Hybrid { threshold: None }),
            _ => {
                let inner = text
                    .strip_prefix("hybrid(")
                    .and_then(|rest| rest.strip_suffix(')'))
                    .ok_or_else(wrong)?;
                // Digits alone: `+7` would be a number, too.
                if !inner.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(wrong());
                }
                let bytes: u16 = inner.parse().map_err(|_| wrong())?;
                (1..=Strategy::MAX_THRESHOLD)
                    .contains(&bytes)
                    .then_some(Strategy::Hybrid {
                        threshold: Some(bytes),
                    })
                    .ok_or_else(wrong)
            }
        }
    }
}

as_text! {
    Strategy: "a strategy: one of copy, flip, hybrid, or hybrid(BYTES) with 1 to 9014 bytes from which on a frame is flipped";
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn each_reads_back_as_it_prints() {
        for text in [
            "copy",
            "flip",
            "hybrid",
            "hybrid(1)",
            "hybrid(2048)",
            "hybrid(9014)",
        ] {
            assert_eq!(text.parse::<Strategy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_is_told_what_there_is() {
        let wrong = [
            "",
            "flop",
            "Copy",
            "hybrid()",
            "hybrid(0)",
            "hybrid(9015)",
            "hybrid(+7)",
            "hybrid(70000)",
            "hybrid(12",
            "hybrid 12",
            "flip(3)",
            "hybrid(1)x",
        ];
        for text in wrong {
            let error = text.parse::<Strategy>().unwrap_err().to_string();
            assert!(error.contains("one of copy, flip, hybrid"), "{error}");
        }
    }
}
