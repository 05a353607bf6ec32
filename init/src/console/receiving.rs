//! What `strategy` is told: `alice hybrid(1000) sealed`.

use alloc::format;
use alloc::string::{String, ToString};

use crate::manifest::Strategy;

/// Whose way of receiving is asked for, and what is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiving {
    /// The user's name.
    pub name: String,
    /// The strategy from now on.
    pub strategy: Option<Strategy>,
    /// Whether sealed from now on.
    pub sealed: Option<bool>,
}

impl Receiving {
    /// The words that may follow a name.
    pub const WORDS: [&'static str; 5] = ["copy", "flip", "hybrid", "sealed", "open"];

    /// Reads the words after `strategy`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[&str]) -> Result<Receiving, String> {
        let Some((name, words)) = words.split_first() else {
            return Err("lacks its argument".into());
        };
        let mut receiving = Receiving {
            name: (*name).into(),
            strategy: None,
            sealed: None,
        };
        for word in words {
            match *word {
                "sealed" | "open" => {
                    let sealed = *word == "sealed";
                    if receiving
                        .sealed
                        .replace(sealed)
                        .is_some_and(|before| before != sealed)
                    {
                        return Err("takes no port that is open and sealed at once".into());
                    }
                }
                word => {
                    let strategy: Strategy = word.parse().map_err(|error| format!("{error}"))?;
                    if let Some(before) = receiving.strategy.replace(strategy)
                        && before != strategy
                    {
                        let (a, b) = (before.to_string(), strategy.to_string());
                        return Err(format!("takes one strategy, not {a} and {b} at once"));
                    }
                }
            }
        }
        Ok(receiving)
    }

    /// Whether anything is to change.
    pub fn changes(&self) -> bool {
        self.strategy.is_some() || self.sealed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_any_order() {
        let sealed_flip = Receiving {
            name: "alice".into(),
            strategy: Some(Strategy::Flip),
            sealed: Some(true),
        };
        for words in [["alice", "flip", "sealed"], ["alice", "sealed", "flip"]] {
            assert_eq!(Receiving::parse(&words).unwrap(), sealed_flip);
        }
        assert!(!Receiving::parse(&["alice"]).unwrap().changes());
        assert_eq!(
            Receiving::parse(&["bob", "open"]).unwrap().sealed,
            Some(false)
        );
    }
}
