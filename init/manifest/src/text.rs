//! Values with a textual form, what a text that is none is answered, names and PCI addresses.
//!
//! Each parses from text and prints as the text it parses from. Parsing checks all that can be
//! said of the value alone; what must hold between values is in `check`. The other values stand in
//! `address` and `words`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

/// Longest piece of a refused text that an error repeats, in characters.
const SHOWN: usize = 40;

/// A text that is not what it had to be. Says what it had to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThat {
    given: String,
    wanted: &'static str,
}

impl NotThat {
    pub(super) fn new(given: &str, wanted: &'static str) -> NotThat {
        NotThat {
            given: NotThat::shorten(given),
            wanted,
        }
    }

    /// What an error repeats of a text.
    pub(super) fn shorten(given: &str) -> String {
        let mut shown: String = given.chars().take(SHOWN).collect();
        if shown.len() < given.len() {
            shown.push('…');
        }
        shown
    }
}

impl fmt::Display for NotThat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug form: control characters of a hostile text must not reach a terminal.
        write!(f, "{:?} is not {}", self.given, self.wanted)
    }
}

impl core::error::Error for NotThat {}

/// Makes a type readable and writable by serde as the text that it parses from.
macro_rules! as_text {
    ($($type:ty: $wanted:expr;)*) => {$(
        impl $type {
            /// What a text that is none is told it had to be.
            pub(crate) const WANTED: &'static str = $wanted;
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        write!(f, "a string: {}", <$type>::WANTED)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}
pub(super) use as_text;

/// A user's name: 1 to 15 characters out of a to z, 0 to 9 and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Longest name, in bytes.
    pub const MAX: usize = 15;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // A name that starts with '-' would read as an option at the console.
        if (1..=Name::MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
        {
            Ok(Name(text.to_string()))
        } else {
            Err(NotThat::new(text, Self::WANTED))
        }
    }
}

/// The network card to drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetDevice {
    /// The first virtio-net function that enumeration finds.
    #[default]
    Auto,
    /// The PCI function at this address.
    Pci {
        /// Bus, 0 to 255.
        bus: u8,
        /// Device, 0 to 31.
        device: u8,
        /// Function, 0 to 7.
        function: u8,
    },
}

impl fmt::Display for NetDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetDevice::Auto => f.write_str("auto"),
            NetDevice::Pci {
                bus,
                device,
                function,
            } => {
                write!(f, "{bus:02x}:{device:02x}.{function}")
            }
        }
    }
}

impl FromStr for NetDevice {
    type Err = NotThat;
    fn from_str(text: &str) -> Result<Self, NotThat> {
        if text == "auto" {
            return Ok(NetDevice::Auto);
        }
        let hex = |part: &str, most: u8| {
            let digits = (1..=2).contains(&part.len())
                && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            digits
                .then(|| u8::from_str_radix(part, 16).ok())
                .flatten()
                .filter(|value| *value <= most)
        };
        let address = text.split_once(':').and_then(|(bus, rest)| {
            let (device, function) = rest.split_once('.')?;
            Some(NetDevice::Pci {
                bus: hex(bus, 255)?,
                device: hex(device, 31)?,
                function: hex(function, 7)?,
            })
        });
        address.ok_or_else(|| NotThat::new(text, Self::WANTED))
    }
}

as_text! {
    Name: "a name: 1 to 15 characters out of a-z, 0-9 and -, the first no -";
    NetDevice: "a network card: auto, or a PCI address such as 00:02.0";
}

/// Parses a plain value given at the console; `wanted` says what it had to be.
pub(super) fn plain<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{}", NotThat::new(text, wanted)))
}
