//! Settings that are one word out of a closed set.

use core::fmt;
use core::str::FromStr;

use super::text::{NotThat, as_text};

/// An enum whose values are words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $wanted:literal {
        $($(#[$vdoc:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All values, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word that stands for the value.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
        impl FromStr for $name {
            type Err = NotThat;
            fn from_str(text: &str) -> Result<Self, NotThat> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err(NotThat::new(text, Self::WANTED)),
                }
            }
        }
        as_text! { $name: $wanted; }
    };
}

words! {
    /// Importance of a log message, and the least importance that is shown.
    #[derive(Default)]
    LogLevel "a log level: one of off, error, warn, info, debug, trace" {
        /// Nothing is shown.
        Off = "off",
        /// Something failed.
        Error = "error",
        /// Something is odd.
        Warn = "warn",
        /// Something worth knowing happened.
        #[default]
        Info = "info",
        /// For who looks into a fault.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// What a user's stack serves.
    Service "a service: one of http, echo, discard, chargen" {
        /// HTTP on TCP port 80: a page about the user, and `/bytes/N`.
        Http = "http",
        /// Echo on TCP and UDP port 7 (RFC 862).
        Echo = "echo",
        /// Discard on TCP and UDP port 9 (RFC 863).
        Discard = "discard",
        /// Character source on TCP and UDP port 19 (RFC 864).
        Chargen = "chargen",
    }
}

words! {
    /// How long the pages that a user sends from are pinned (DESIGN 5).
    #[derive(Default)]
    Pinning "a way to pin: one of session, frame" {
        /// As long as the session lasts.
        #[default]
        Session = "session",
        /// Each while a frame in it is being sent.
        Frame = "frame",
    }
}
