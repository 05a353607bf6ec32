//! Which of the vectors are asked for.

use std::str::FromStr;

use crate::vectors::{Iommu, Row, Strategy};

/// A strategy, or what the IOMMU does: what a path was counted for beside sizes and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Frames delivered so.
    Strategy(Strategy),
    /// With the IOMMU in this mode.
    Iommu(Iommu),
}

impl Mode {
    /// All, by the words that name them: as in a file of vectors.
    pub const WORDS: [(&'static str, Mode); 8] = [
        ("copy", Mode::Strategy(Strategy::Copy)),
        ("in_place", Mode::Strategy(Strategy::InPlace)),
        ("exchange", Mode::Strategy(Strategy::Exchange)),
        ("sealed", Mode::Strategy(Strategy::Sealed)),
        ("off", Mode::Iommu(Iommu::Off)),
        ("static", Mode::Iommu(Iommu::Static)),
        ("strict", Mode::Iommu(Iommu::Strict)),
        ("lazy", Mode::Iommu(Iommu::Lazy)),
    ];
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let known = Mode::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, mode)| *mode).ok_or_else(|| {
            let words: Vec<&str> = Mode::WORDS.iter().map(|(word, _)| *word).collect();
            format!("it must be one of {}", words.join(", "))
        })
    }
}

/// Which of the vectors are asked for. What is empty leaves the choice open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Frame sizes in bytes.
    pub sizes: Vec<u32>,
    /// Frames delivered together.
    pub batches: Vec<u32>,
    /// Strategies and IOMMU modes; no strategy is any, and no IOMMU mode is any.
    pub modes: Vec<Mode>,
}

impl Selection {
    /// Whether a strategy is asked for. Copying always is: it is what the others are compared with.
    pub fn takes_strategy(&self, strategy: Strategy) -> bool {
        let mut named = self.modes.iter().filter_map(|mode| match mode {
            Mode::Strategy(strategy) => Some(*strategy),
            Mode::Iommu(_) => None,
        });
        let any = named.clone().next().is_none();
        any || strategy == Strategy::Copy || named.any(|one| one == strategy)
    }

    /// Whether what the IOMMU does is asked for.
    pub fn takes_iommu(&self, iommu: Iommu) -> bool {
        let mut named = self.modes.iter().filter_map(|mode| match mode {
            Mode::Iommu(iommu) => Some(*iommu),
            Mode::Strategy(_) => None,
        });
        let any = named.clone().next().is_none();
        any || named.any(|one| one == iommu)
    }

    /// Whether a row is asked for.
    pub fn takes(&self, row: &Row) -> bool {
        let of = |wanted: &[u32], value| wanted.is_empty() || wanted.contains(&value);
        of(&self.sizes, row.bytes)
            && of(&self.batches, row.batch)
            && self.takes_strategy(row.strategy)
            && self.takes_iommu(row.iommu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_of_one_kind_leaves_the_other_kind_open() {
        let selection = Selection {
            modes: vec![Mode::Strategy(Strategy::Sealed)],
            ..Selection::default()
        };
        assert!(selection.takes_strategy(Strategy::Sealed));
        assert!(selection.takes_strategy(Strategy::Copy));
        assert!(!selection.takes_strategy(Strategy::Exchange));
        assert!(selection.takes_iommu(Iommu::Lazy));
        let selection = Selection {
            modes: vec![Mode::Iommu(Iommu::Off)],
            ..Selection::default()
        };
        assert!(selection.takes_strategy(Strategy::InPlace));
        assert!(!selection.takes_iommu(Iommu::Strict));
    }

    #[test]
    fn a_wrong_mode_is_answered_with_the_right_ones() {
        assert_eq!("strict".parse(), Ok(Mode::Iommu(Iommu::Strict)));
        let error = "flip".parse::<Mode>().unwrap_err();
        assert!(error.contains("in_place") && error.contains("lazy"));
    }
}
