//! What a client does that no honest one can, and how sessions end.

use dev::Mac;
use sys::Fault;

use crate::pages::BadReturn;

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An index moved back, or beyond what its ring holds.
    RingIndex(ring::Misbehaved),
    /// A frame in a page that isn't a transmit page.
    TransmitPage(u32),
    /// A frame that reaches beyond its page.
    TransmitRange {
        /// First byte.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// A frame with flags that mean nothing here.
    TransmitFlags(u32),
    /// A frame of several pieces that isn't one.
    TransmitRun {
        /// Place of the piece that the frame should go on after.
        page: u32,
        /// What is wrong with it.
        what: BadRun,
    },
    /// A frame in memory that is still in transmission.
    TransmitTwice {
        /// Place of the page.
        page: u32,
        /// First byte.
        offset: u32,
    },
    /// A frame that goes on where there is nothing more, or in more entries than a frame can take.
    TransmitUnfinished,
    /// A return of what it does not hold.
    Return(BadReturn),
    /// A return with an offset or flags.
    ReturnFields,
}

/// What is wrong with a frame of several pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRun {
    /// The next piece isn't there, or somewhere else.
    BreaksOff,
    /// A piece that others follow ends short of its page's end.
    Short {
        /// First byte.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// A piece has no bytes.
    Empty,
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Kind::RingIndex(what) => what.fmt(f),
            Kind::TransmitPage(page) => write!(f, "place {page} is no transmit page"),
            Kind::TransmitRange { offset, length } => {
                write!(f, "{length} bytes from {offset} on reach beyond the page")
            }
            Kind::TransmitFlags(flags) => write!(f, "flags {flags:#x} on a frame to send"),
            Kind::TransmitRun { page, what } => match what {
                BadRun::BreaksOff => {
                    write!(
                        f,
                        "a frame to send isn't whole: it breaks off in place {page}"
                    )
                }
                BadRun::Empty => write!(f, "a piece of a frame, in place {page}, has no bytes"),
                BadRun::Short { offset, length } => {
                    write!(
                        f,
                        "a frame to send goes on after {length} bytes from {offset} on in place {page}: short of its end"
                    )
                }
            },
            Kind::TransmitTwice { page, offset } => {
                write!(
                    f,
                    "place {page} from {offset} on is in transmission already"
                )
            }
            Kind::TransmitUnfinished => {
                f.write_str("a frame that goes on in an entry that isn't there, or in too many")
            }
            Kind::Return(BadReturn::Page(page)) => write!(f, "place {page} is no receive page"),
            Kind::Return(BadReturn::Count(count)) => {
                write!(
                    f,
                    "it gave back {count} frames of a page that holds fewer, or none"
                )
            }
            Kind::ReturnFields => f.write_str("a return with an offset or flags"),
        }
    }
}

/// Who did what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehaved {
    /// The port's address.
    pub port: Mac,
    /// Serial number of the session.
    pub session: u64,
    /// What.
    pub kind: Kind,
}

impl core::fmt::Display for Misbehaved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Misbehaved {
            port,
            session,
            kind,
        } = self;
        write!(f, "port {port}: session {session} misbehaved: {kind}")
    }
}

impl core::error::Error for Misbehaved {}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client detached.
    Detached,
    /// The port's holder attached anew.
    Replaced,
    /// The port was removed.
    Removed,
    /// Its memory was taken back.
    Revoked,
    /// The client broke the protocol.
    Misbehaved(Kind),
}

impl From<ring::Error> for End {
    fn from(error: ring::Error) -> End {
        match error {
            ring::Error::Fault(fault) => fault.into(),
            ring::Error::Misbehaved(what) => End::Misbehaved(Kind::RingIndex(what)),
            // The driver looks for room before it pushes: this is memory that isn't what it was.
            ring::Error::Full => End::Revoked,
        }
    }
}

impl From<Fault> for End {
    fn from(_: Fault) -> End {
        End::Revoked
    }
}
