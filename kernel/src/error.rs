//! Status values that kernel objects answer with. The boundary's own list is `abi::error`.

use abi::error as errno;
pub use abi::error::{MORE, OK, Status, VOID};

/// An answer or a status other than success.
pub type Result<T> = core::result::Result<T, Status>;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $errno:ident;)*) => {
        $($(#[$doc])* pub const $name: Status = errno::status(errno::$errno);)*
    };
}

statuses! {
    /// A manage or control right is missing.
    PERMISSION = EPERM;
    /// A read, write or pin right is missing.
    ACCESS = EACCES;
    /// A capability of another kind was expected.
    KIND = EBADF;
    /// An argument is malformed or out of range.
    INVALID = EINVAL;
    /// No such method.
    METHOD = ENOSYS;
    /// The place or slot is in use.
    EXISTS = EEXIST;
    /// The place or slot is empty.
    EMPTY = ENOENT;
    /// The object is in use elsewhere.
    BUSY = EBUSY;
    /// Nothing of this kind is left.
    EXHAUSTED = ENOMEM;
    /// The server died or dropped the call.
    ABANDONED = EPIPE;
    /// Nothing is there now.
    AGAIN = EAGAIN;
    /// An address or batch can't be read or written.
    FAULT = EFAULT;
    /// The table has all the parents that it can have.
    PARENTS = EMLINK;
    /// No such device.
    DEVICE = ENODEV;
    /// Outside the range that the capability covers.
    RANGE = ERANGE;
}
