//! What a port is made of: address, rate, pages, how it receives, and the IP addresses bound to it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use abi::error::{EINVAL, EMSGSIZE};
use sys::Error;

use crate::layout::{FEWEST_PAGES, MOST_PAGES};
use crate::mac::Mac;

/// How received frames reach the client's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Strategy {
    /// Each is copied into a page of the client's.
    #[default]
    Copy = 0,
    /// Each stays in the page that the device filled: that page becomes the client's, in exchange for
    /// one of its own.
    Flip = 1,
    /// Short ones as [`Copy`](Strategy::Copy), the others as [`Flip`](Strategy::Flip).
    Hybrid = 2,
}

impl Strategy {
    /// The strategy that a byte stands for, if any.
    pub const fn from_u8(value: u8) -> Option<Strategy> {
        match value {
            0 => Some(Strategy::Copy),
            1 => Some(Strategy::Flip),
            2 => Some(Strategy::Hybrid),
            _ => None,
        }
    }
}

/// In place of a threshold: the driver goes by its own, which it chose when it began
/// ([`Choice`](crate::hybrid::Choice)).
pub const OWN_THRESHOLD: u16 = 0;

/// In place of a threshold: frames of any length are copied.
pub const NO_THRESHOLD: u16 = u16::MAX;

/// How a port receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    /// How frames reach the client's pages.
    pub strategy: Strategy,
    /// `hybrid` copies frames shorter than so many bytes; [`OWN_THRESHOLD`]: than the driver's own
    /// threshold; [`NO_THRESHOLD`]: of any length. The others don't ask.
    pub threshold: u16,
    /// The client never sees a byte that isn't of a frame of its own. With `copy` that is so anyway;
    /// otherwise the device fills pages that the client can't see, and what a frame leaves of its page
    /// is zeroed before the page becomes the client's.
    pub sealed: bool,
}

impl Default for Receive {
    fn default() -> Receive {
        Receive {
            strategy: Strategy::Copy,
            threshold: OWN_THRESHOLD,
            sealed: false,
        }
    }
}

impl Receive {
    /// Bits of a [word](Receive::word) that mean something.
    const BITS: u64 = 0xffff_01ff;

    /// As a word: strategy (bits 0–7), sealed (8), threshold (16–31).
    pub const fn word(self) -> u64 {
        self.strategy as u64 | (self.sealed as u64) << 8 | (self.threshold as u64) << 16
    }

    /// With a threshold of the driver's own, where `hybrid` goes by that.
    pub const fn with_own(mut self, threshold: u16) -> Receive {
        if matches!(self.strategy, Strategy::Hybrid) && self.threshold == OWN_THRESHOLD {
            self.threshold = threshold;
        }
        self
    }

    /// From a word. `None`: it stands for none.
    pub const fn from_word(word: u64) -> Option<Receive> {
        if word & !Receive::BITS != 0 {
            return None;
        }
        let Some(strategy) = Strategy::from_u8(word as u8) else {
            return None;
        };
        Some(Receive {
            strategy,
            threshold: (word >> 16) as u16,
            sealed: word >> 8 & 1 != 0,
        })
    }
}

impl core::fmt::Display for Receive {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.strategy {
            Strategy::Copy => f.write_str("copy")?,
            Strategy::Flip => f.write_str("flip")?,
            Strategy::Hybrid if self.threshold == OWN_THRESHOLD => f.write_str("hybrid")?,
            Strategy::Hybrid => write!(f, "hybrid({})", self.threshold)?,
        }
        match self.sealed {
            true => f.write_str(" sealed"),
            false => Ok(()),
        }
    }
}

/// How long the pages that a port sends from are pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Pinning {
    /// As long as the session lasts.
    #[default]
    Session = 0,
    /// Each while a frame in it is being sent.
    Frame = 1,
}

impl core::fmt::Display for Pinning {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Pinning::Session => "session",
            Pinning::Frame => "frame",
        })
    }
}

/// How fast a port sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second in the long run; 0: no limit.
    pub bytes_per_second: u64,
    /// Bytes at once above that.
    pub burst: u64,
    /// Weight among the ports that want to send at once; at least 1.
    pub share: u16,
}

impl Default for Rate {
    fn default() -> Rate {
        Rate {
            bytes_per_second: 0,
            burst: 0,
            share: 1,
        }
    }
}

/// A port to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Its address: a single station's, no other port's.
    pub mac: Mac,
    /// How fast it sends.
    pub rate: Rate,
    /// Most transmit pages.
    pub transmit_pages: u16,
    /// Most receive pages.
    pub receive_pages: u16,
    /// How it receives.
    pub receive: Receive,
    /// How long what it sends from is pinned.
    pub pinning: Pinning,
}

impl PortSettings {
    /// As words.
    pub const fn to_words(&self) -> [u64; 5] {
        [
            self.mac.word(),
            self.rate.bytes_per_second,
            self.rate.burst,
            self.rate.share as u64
                | (self.transmit_pages as u64) << 16
                | (self.receive_pages as u64) << 32
                | (self.pinning as u64) << 48,
            self.receive.word(),
        ]
    }

    /// From words, checked.
    ///
    /// # Errors
    /// `EINVAL`: an address that is a group's or zero, no share, page counts out of bounds, an unknown
    /// strategy or pinning. `EMSGSIZE`: a rate with a burst too small for a frame.
    pub fn from_words(words: [u64; 5], frame_limit: u32) -> Result<PortSettings, Error> {
        let [mac, bytes_per_second, burst, rest, receive] = words;
        let invalid = Error::new(EINVAL);
        let mac = (mac >> 48 == 0)
            .then_some(Mac::from_word(mac))
            .ok_or(invalid)?;
        let settings = PortSettings {
            mac,
            rate: Rate {
                bytes_per_second,
                burst,
                share: rest as u16,
            },
            transmit_pages: (rest >> 16) as u16,
            receive_pages: (rest >> 32) as u16,
            receive: Receive::from_word(receive).ok_or(invalid)?,
            pinning: match (rest >> 48) as u8 {
                0 => Pinning::Session,
                1 => Pinning::Frame,
                _ => return Err(invalid),
            },
        };
        let counts = [settings.transmit_pages, settings.receive_pages];
        let bounds = FEWEST_PAGES..=MOST_PAGES;
        if mac.is_group() || mac.word() == 0 || rest >> 56 != 0 {
            return Err(invalid);
        }
        if counts.iter().any(|count| !bounds.contains(count)) {
            return Err(invalid);
        }
        settings.rate.check(frame_limit)?;
        Ok(settings)
    }
}

impl Rate {
    /// Whether it can work.
    ///
    /// # Errors
    /// As for [`PortSettings::from_words`].
    pub const fn check(&self, frame_limit: u32) -> Result<(), Error> {
        if self.share == 0 {
            return Err(Error::new(EINVAL));
        }
        if self.bytes_per_second != 0 && self.burst < frame_limit as u64 {
            return Err(Error::new(EMSGSIZE));
        }
        Ok(())
    }
}

/// An IP address as family and two words, first byte low.
pub const fn address_words(address: IpAddr) -> [u64; 3] {
    match address {
        IpAddr::V4(address) => [4, u32::from_le_bytes(address.octets()) as u64, 0],
        IpAddr::V6(address) => {
            let word = u128::from_le_bytes(address.octets());
            [6, word as u64, (word >> 64) as u64]
        }
    }
}

/// Undoes [`address_words`].
pub const fn address_from_words(words: [u64; 3]) -> Option<IpAddr> {
    let [family, low, high] = words;
    match family {
        4 if low >> 32 == 0 && high == 0 => {
            let [a, b, c, d] = (low as u32).to_le_bytes();
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        6 => {
            let word = low as u128 | (high as u128) << 64;
            Some(IpAddr::V6(Ipv6Addr::from_bits(u128::from_be_bytes(
                word.to_le_bytes(),
            ))))
        }
        _ => None,
    }
}
