//! What is to be measured.

use crossover::vectors::{ReadBy, Strategy};

use super::rows;

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Lengths of frames, 60 to 65,536 bytes.
    pub sizes: Vec<u32>,
    /// Frames that arrive together, 1 to 64.
    pub batches: Vec<u32>,
    /// How they are delivered.
    pub strategies: Vec<Strategy>,
    /// What is read of them: not `any`.
    pub touched: Vec<ReadBy>,
    /// Frames that a row is counted over, at least.
    pub frames: u32,
    /// Isolated operations, too.
    pub operations: bool,
    /// Print the command lines.
    pub verbose: bool,
}

impl Plan {
    /// Lengths on both sides of each step: a header, half a page, what a page holds of a frame, a whole
    /// page, ethernet's frames and what jumbo frames hold, up to sixteen pages.
    const SIZES: [u32; 20] = [
        64, 128, 256, 512, 1024, 1514, 2032, 2033, 3072, 4080, 4081, 4096, 4097, 6144, 8192, 9014,
        16384, 24576, 32768, 65536,
    ];

    /// Everything.
    pub fn full() -> Plan {
        Plan {
            sizes: Plan::SIZES.to_vec(),
            batches: vec![1, 2, 4, 8, 16, 32, 64],
            strategies: vec![
                Strategy::Copy,
                Strategy::InPlace,
                Strategy::Exchange,
                Strategy::Sealed,
            ],
            touched: vec![ReadBy::None, ReadBy::Header, ReadBy::All],
            frames: 256,
            operations: true,
            verbose: false,
        }
    }

    /// The same at fewer points, over fewer frames.
    pub fn quick() -> Plan {
        Plan {
            sizes: vec![64, 512, 1514, 4080, 4097, 9014, 65536],
            batches: vec![1, 4, 32],
            frames: 64,
            ..Plan::full()
        }
    }

    /// Rows that the guest prints, if it skips none.
    pub fn rows(&self) -> u64 {
        let counts = [
            self.sizes.len(),
            self.batches.len(),
            self.strategies.len(),
            self.touched.len(),
        ];
        counts.into_iter().product::<usize>() as u64
    }

    /// The guest's `etc/crossover`.
    pub(super) fn render(&self) -> String {
        fn line(name: &str, words: impl Iterator<Item = String>) -> String {
            format!("{name} {}\n", words.collect::<Vec<_>>().join(" "))
        }
        let named = |touched: &ReadBy| rows::touched_name(*touched).to_string();
        [
            line("sizes", self.sizes.iter().map(u32::to_string)),
            line("batches", self.batches.iter().map(u32::to_string)),
            line(
                "strategies",
                self.strategies
                    .iter()
                    .map(|strategy| rows::strategy_name(*strategy).to_string()),
            ),
            line("touched", self.touched.iter().map(named)),
            line("frames", [self.frames.to_string()].into_iter()),
            match self.operations {
                true => "operations\n".into(),
                false => String::new(),
            },
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_told_all_of_the_plan() {
        let plan = Plan {
            sizes: vec![64, 1514],
            batches: vec![1, 32],
            strategies: vec![Strategy::InPlace, Strategy::Sealed],
            touched: vec![ReadBy::None, ReadBy::All],
            frames: 64,
            operations: true,
            verbose: false,
        };
        assert_eq!(plan.rows(), 16);
        assert_eq!(
            plan.render(),
            "sizes 64 1514\nbatches 1 32\nstrategies in_place sealed\ntouched none all\nframes 64\noperations\n"
        );
    }
}
