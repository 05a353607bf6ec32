//! How much of its frames the recipient reads.

use guest::traffic::bit;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Nothing.
    None,
    /// Headers.
    Header,
    /// All.
    All,
}

impl Touched {
    const NAMES: [(Touched, &'static str); 3] = [
        (Touched::None, "none"),
        (Touched::Header, "header"),
        (Touched::All, "all"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = Touched::NAMES.iter().find(|(one, _)| *one == self);
        found.map_or("", |(_, name)| name)
    }

    /// What is called so.
    pub fn from_name(name: &str) -> Option<Touched> {
        let found = Touched::NAMES.iter().find(|(_, other)| *other == name);
        found.map(|(one, _)| *one)
    }

    /// The recipient's notification that tells it.
    pub const fn bit(self) -> u64 {
        match self {
            Touched::None => bit::NONE,
            Touched::Header => bit::HEADER,
            Touched::All => bit::ALL,
        }
    }
}
