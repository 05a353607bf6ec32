//! The badges of the ethernet driver's capabilities.

/// What a badge of the driver's stands for.
///
/// Serial numbers are never reused, so a badge is dead for ever once what it named is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Badge {
    /// The administration.
    Admin,
    /// A port: index and serial number.
    Port(u16, u64),
    /// A port's session: index of the port and serial number of the session.
    Session(u16, u64),
}

/// The badge with which init makes the administration's capability.
pub const ADMIN_BADGE: u64 = 3;

impl Badge {
    /// What a word stands for, if anything.
    #[inline]
    pub const fn from_word(word: u64) -> Option<Badge> {
        let index = (word >> 2) as u16 & 0x3fff;
        let serial = word >> 16;
        match word & 3 {
            1 => Some(Badge::Port(index, serial)),
            2 => Some(Badge::Session(index, serial)),
            3 if word == ADMIN_BADGE => Some(Badge::Admin),
            _ => None,
        }
    }

    /// As a word.
    pub const fn word(self) -> u64 {
        match self {
            Badge::Admin => ADMIN_BADGE,
            Badge::Port(index, serial) => serial << 16 | (index as u64) << 2 | 1,
            Badge::Session(index, serial) => serial << 16 | (index as u64) << 2 | 2,
        }
    }
}
