//! Why a request is refused.

use abi::error::{self, Status};
use sys::Error;

/// Every reason that a client can hear. The protocol (`sys::bank`) says which method gives which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such bank, or no longer: gone, being destroyed (it or an ancestor), being removed.
    Void,
    /// No such method.
    Method,
    /// A word is malformed or out of range.
    Argument,
    /// The capability sent is void, missing or of another kind than the method needs.
    Kind,
    /// The bank capability lacks the right.
    Right,
    /// The bank is opaque: it is not inspected or removed.
    Opaque,
    /// The bank is opaque: it sells into places of tables only, never capabilities.
    PlacesOnly,
    /// The prime bank ends with the system.
    Prime,
    /// The capability sent is not full-strength.
    Weak,
    /// Another bank sold the object, or none did.
    Foreign,
    /// The limit of the bank (level 0), or of an ancestor, would be exceeded.
    Quota {
        /// How many levels above the bank the limit stands.
        level: usize,
    },
    /// The machine has no free object, or none that can hold a record.
    Exhausted,
    /// As many banks lie above as are allowed.
    Depth,
    /// As many clients wait for the end of banks as there are slots.
    Waiters,
    /// As many wait for the end of this bank, or of an ancestor and its descendants, as may.
    Share,
    /// Inspection: the object that the cursor names is no longer the bank's.
    Stale,
    /// Inspection: the bank holds nothing.
    Empty,
    /// The kernel refused what the client asked for.
    Kernel(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Kernel(error)
    }
}

impl Refusal {
    /// As it travels.
    pub fn status(self) -> Status {
        let errno = match self {
            Refusal::Void => return error::VOID,
            // These two would speak of the invocation itself, not of an argument.
            Refusal::Kernel(Error(error::VOID)) => error::EBADF,
            Refusal::Kernel(Error(error::MORE)) => error::EAGAIN,
            Refusal::Kernel(Error(status)) => return status,
            Refusal::Method => error::ENOSYS,
            Refusal::Argument => error::EINVAL,
            Refusal::Kind => error::EBADF,
            Refusal::Right | Refusal::Prime | Refusal::Opaque => error::EPERM,
            Refusal::PlacesOnly | Refusal::Weak => error::EACCES,
            Refusal::Foreign => error::ERANGE,
            Refusal::Quota { .. } => error::EDQUOT,
            Refusal::Exhausted => error::ENOMEM,
            Refusal::Depth => error::EMLINK,
            Refusal::Waiters => error::EMFILE,
            Refusal::Share => error::EAGAIN,
            Refusal::Stale => error::ESTALE,
            Refusal::Empty => error::ENOENT,
        };
        error::status(errno)
    }
}
