//! Status values: what an invocation answers in `rax`.
//!
//! Zero is success. Everything else is an errno value of `redox_syscall`, re-exported here, or one
//! of the project's own, which lie above every errno.

pub use syscall::error::Error;
pub use syscall::error::{
    EACCES, EAGAIN, EBADF, EBUSY, EDQUOT, EEXIST, EFAULT, EINVAL, EIO, EMFILE, EMLINK, EMSGSIZE,
    ENODEV, ENOENT, ENOMEM, ENOSYS, EPERM, EPIPE, EPROTO, ERANGE, ESTALE, ETIMEDOUT,
};

/// A status as it travels in a register.
pub type Status = u32;

/// Success.
pub const OK: Status = 0;
/// The invoked capability is void: its slot is empty, its object was rescinded, or the server that
/// it names holds its badge for dead. Nobody can tell these apart.
pub const VOID: Status = 256;
/// The operation did a bounded piece of its work and wants to be invoked again. Not a failure.
pub const MORE: Status = 257;

/// A status of `redox_syscall`'s as it travels in a register.
pub const fn status(errno: i32) -> Status {
    errno as Status
}

/// One line for people: what a status means here.
pub const fn explain(status: Status) -> &'static str {
    match status as i32 {
        0 => "success",
        256 => "void capability: empty, rescinded, or no longer served",
        257 => "more to do: invoke again",
        EPERM => "the capability lacks the manage or control right that this needs",
        EACCES => "the capability lacks the read, write or pin right that this needs",
        EBADF => "a capability of another kind was expected here",
        EINVAL => "an argument is malformed or out of range",
        ENOSYS => "this object has no such method",
        EEXIST => "the place or slot is already in use",
        ENOENT => "the place or slot is empty",
        EBUSY => "the object is in use elsewhere (mapped, pinned or bound)",
        ESTALE => "the place no longer holds what it held",
        EDQUOT => "the bank's limit, or an ancestor's, would be exceeded",
        ENOMEM => "nothing of this kind is left",
        EPIPE => "the server died or dropped the call",
        EAGAIN => "not ready now: try again later",
        EFAULT => "an address or batch can't be read or written",
        EMLINK => "the table has all the parents that it can have",
        EMFILE => "no slot or session is left",
        ENODEV => "no such device",
        EIO => "the device failed",
        ETIMEDOUT => "no answer in time",
        EPROTO => "the peer broke the protocol",
        ERANGE => "outside the range that the capability covers",
        EMSGSIZE => "too long, or too short, for this",
        _ => "unknown status",
    }
}

const _: () = assert!(
    VOID > 200 && MORE > 200,
    "the project's own values must lie above errno's"
);
