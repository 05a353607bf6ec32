//! From which length on `hybrid` flips where nobody names one: what the driver chose, and why.

use core::fmt;

use crate::settings::NO_THRESHOLD;

/// Longest frame that a threshold may name; a driver that would flip only longer ones never does.
pub const LONGEST: u32 = 9014;

/// What was measured when the driver began: in thousandths of a nanosecond, by the CPU's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// A copy, whatever its size.
    pub copy: u64,
    /// Each byte of it.
    pub byte: u64,
    /// A pair of pages, exchanged among others in one call.
    pub exchange: u64,
    /// The clock was an emulator's: such time says nothing of hardware.
    pub emulated: bool,
}

/// What `hybrid` goes by where nobody names a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Frames of so many bytes and more are flipped. `None`: all are copied.
    pub threshold: Option<u16>,
    /// What the choice rests on beside the cost model. `None`: nothing could be measured.
    pub measured: Option<Measured>,
}

impl Choice {
    const MEASURED: u64 = 1 << 16;
    const EMULATED: u64 = 1 << 17;

    /// As words: threshold (bits 0–15; 0: all are copied), measured (16), emulated (17); a copy, a byte
    /// of it, an exchange.
    pub fn words(&self) -> [u64; 4] {
        let threshold = u64::from(self.threshold.unwrap_or(0));
        match &self.measured {
            None => [threshold, 0, 0, 0],
            Some(measured) => {
                let emulated = if measured.emulated {
                    Choice::EMULATED
                } else {
                    0
                };
                [
                    threshold | Choice::MEASURED | emulated,
                    measured.copy,
                    measured.byte,
                    measured.exchange,
                ]
            }
        }
    }

    /// From words.
    pub fn from_words([first, copy, byte, exchange]: [u64; 4]) -> Choice {
        let threshold = first as u16;
        Choice {
            threshold: (threshold != 0).then_some(threshold),
            measured: (first & Choice::MEASURED != 0).then_some(Measured {
                copy,
                byte,
                exchange,
                emulated: first & Choice::EMULATED != 0,
            }),
        }
    }

    /// The threshold as a port takes it: [`NO_THRESHOLD`] where all are copied.
    pub fn port_threshold(&self) -> u16 {
        self.threshold.unwrap_or(NO_THRESHOLD)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threshold {
            Some(bytes) => write!(f, "hybrid flips from {bytes} bytes on")?,
            None => write!(f, "hybrid copies frames of any length")?,
        }
        f.write_str(" where nobody says otherwise: ")?;
        let Some(measured) = &self.measured else {
            return f.write_str(
                "predicted by the cost model for a server of 2023; nothing was measured here",
            );
        };
        write!(
            f,
            "a copy takes {} ns and {} a byte, an exchange {} (measured at boot, {}); the rest is predicted by the cost model",
            Thousandths(measured.copy),
            Thousandths(measured.byte),
            Thousandths(measured.exchange),
            match measured.emulated {
                true => "in emulated time, which says nothing of hardware",
                false => "time on this hardware",
            }
        )
    }
}

struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        match whole {
            0..10 => write!(f, "{whole}.{rest:03}"),
            _ => write!(f, "{whole}.{}", rest / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_choice_survives_its_words_and_says_why() {
        let measured = Measured {
            copy: 12_345,
            byte: 43,
            exchange: 35_000,
            emulated: true,
        };
        for (threshold, measured) in [
            (None, None),
            (Some(1), None),
            (Some(9014), Some(measured)),
            (
                None,
                Some(Measured {
                    emulated: false,
                    ..measured
                }),
            ),
        ] {
            let choice = Choice {
                threshold,
                measured,
            };
            assert_eq!(Choice::from_words(choice.words()), choice);
        }
        let choice = Choice {
            threshold: Some(700),
            measured: Some(measured),
        };
        let text = choice.to_string();
        assert!(text.contains("from 700 bytes on"), "{text}");
        assert!(text.contains("12.3 ns and 0.043 a byte"), "{text}");
        assert!(text.contains("emulated time"), "{text}");
        let text = Choice::default().to_string();
        assert!(text.contains("any length") && text.contains("nothing was measured"));
        assert_eq!(Choice::default().port_threshold(), NO_THRESHOLD);
    }
}
