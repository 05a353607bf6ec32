//! How a frame reaches a session's pages: one file a strategy.

pub mod copy;

use dev::Program;
use dev::settings::Strategy;
use dev::statistics::Counter;

use crate::frame::Source;
use crate::misbehaviour::End;
use crate::session::Session;

/// Why a frame wasn't delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It is dropped and counted against the recipient.
    Dropped(Counter),
    /// The recipient's session can't go on.
    End(End),
}

impl From<End> for Undelivered {
    fn from(end: End) -> Undelivered {
        Undelivered::End(end)
    }
}

impl From<ring::Error> for Undelivered {
    fn from(error: ring::Error) -> Undelivered {
        Undelivered::End(error.into())
    }
}

impl From<sys::Fault> for Undelivered {
    fn from(fault: sys::Fault) -> Undelivered {
        Undelivered::End(fault.into())
    }
}

/// Delivers a frame by the port's strategy.
///
/// # Errors
/// The frame is dropped, or the session ends. The recipient sees nothing of it then.
#[inline]
pub fn deliver<P: Program>(
    strategy: Strategy,
    session: &mut Session<P>,
    frame: &Source<'_, P::Own>,
) -> Result<(), Undelivered> {
    match strategy {
        Strategy::Copy | Strategy::Flip | Strategy::Hybrid => copy::deliver(session, frame),
    }
}
