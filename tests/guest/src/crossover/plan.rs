//! What is to be measured: the file `etc/crossover` of the boot archive.
//!
//! Lines of a word and what belongs to it: `sizes`, `batches` and `frames` with numbers, `strategies`
//! with `copy`, `in_place`, `sealed` and `exchange`, `touched` with `none`, `header` and `all`; and the
//! word `operations`, by itself: isolated ones are measured too.

use alloc::vec::Vec;

use guest::wired::Failure;

use crate::strategy::Delivery;
use crate::touched::Touched;

/// The file.
pub const FILE: &str = "etc/crossover";

/// What is to be measured.
#[derive(Debug, Default)]
pub struct Plan {
    /// Lengths of frames.
    pub sizes: Vec<usize>,
    /// Frames that arrive together.
    pub batches: Vec<usize>,
    /// How they are delivered.
    pub strategies: Vec<Delivery>,
    /// What is read of them.
    pub touched: Vec<Touched>,
    /// Frames of a row, but for what the batch makes of it.
    pub frames: usize,
    /// Isolated operations, too.
    pub operations: bool,
}

impl Plan {
    /// Reads the file.
    ///
    /// # Errors
    /// It says something else.
    pub fn parse(text: &[u8]) -> Result<Plan, Failure> {
        const WRONG: Failure = Failure::Wrong("etc/crossover says what can't be measured");
        let text = core::str::from_utf8(text).map_err(|_| WRONG)?;
        let mut plan = Plan::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(name) = words.next() else {
                continue;
            };
            match name {
                "sizes" => plan.sizes = numbers(words).ok_or(WRONG)?,
                "batches" => plan.batches = numbers(words).ok_or(WRONG)?,
                "frames" => {
                    plan.frames = numbers(words).ok_or(WRONG)?.first().copied().ok_or(WRONG)?
                }
                "operations" => plan.operations = true,
                "strategies" => {
                    plan.strategies = words
                        .map(Delivery::from_name)
                        .collect::<Option<_>>()
                        .ok_or(WRONG)?;
                }
                "touched" => {
                    plan.touched = words
                        .map(Touched::from_name)
                        .collect::<Option<_>>()
                        .ok_or(WRONG)?;
                }
                _ => return Err(WRONG),
            }
        }
        if plan.frames == 0 || plan.batches.contains(&0) {
            return Err(WRONG);
        }
        Ok(plan)
    }
}

fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<usize>> {
    words.map(|word| word.parse().ok()).collect()
}
