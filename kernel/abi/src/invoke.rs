//! The registers of an invocation.
//!
//! There is one shape for kernel objects and for servers. `syscall` with
//!
//! | register | on entry | on return |
//! | --- | --- | --- |
//! | `rax` | operation (bits 0 to 7), status to reply with (bits 32 to 63) | status (bits 0 to 31), [`Received`] kind (bits 32 to 39) |
//! | `rdi` | capability address | badge of a received message, group of a notification |
//! | `rsi` `rdx` `r10` `r8` `r9` `r12` | six words | six words |
//! | `r13` | four 16-bit addresses of capabilities to send, 0 for none | bits 0 to 3: which capabilities were received; bits 4 to 7: which of them were a `Start` of the receiver itself |
//! | `r14` | four 16-bit addresses to receive capabilities into, 0 to refuse | badge of the first `Start` of the receiver itself, else 0 |
//! | `rcx` `r11` | – | clobbered |
//!
//! A `Start` capability sent to the very process that it names arrives as its badge, whatever the
//! receive address says: it is not stored.
//!
//! `rbx`, `rbp`, `rsp` and `r15` are preserved. By convention the first word of a request is its
//! method; a server and a kernel object can't be told apart by invoking them.
//!
//! Only [`Op::Call`] waits for another process. [`Op::Send`] and replies to a receiver that isn't
//! ready are lost.

/// Operations, in bits 0 to 7 of `rax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Invoke a capability and wait for the answer.
    Call = 0,
    /// Reply (to the caller held, or to the `Resume` that `rdi` names), then wait for a message.
    ReplyWait = 1,
    /// Invoke a capability without an answer. Never waits. Through a `Resume` it is the reply, with
    /// the status in bits 32 to 63.
    Send = 2,
    /// Wait for a message or a notification. A caller still held gets [`EPIPE`](crate::error::EPIPE).
    Wait = 3,
    /// Take what is there, without waiting: like `Wait`, but answers
    /// [`EAGAIN`](crate::error::EAGAIN) when nothing is. The caller held is kept when nothing is.
    Poll = 4,
    /// Move the caller held into the capability slot `rdi`, as a `Resume`.
    SaveCaller = 5,
    /// Leave the fault entry: restore the registers saved at the fault and arm the entry again. A
    /// nonzero `rdi` becomes the instruction pointer.
    FaultReturn = 6,
    /// Leave the fault entry for good: the process is suspended with its fault and its keeper is told.
    FaultDecline = 7,
    /// Let others of the same priority run.
    Yield = 8,
    /// Do nothing: measures the boundary itself.
    Null = 9,
}

impl Op {
    /// The operation that bits 0 to 7 of `rax` name, if any.
    pub const fn from_u8(value: u8) -> Option<Op> {
        Some(match value {
            0 => Op::Call,
            1 => Op::ReplyWait,
            2 => Op::Send,
            3 => Op::Wait,
            4 => Op::Poll,
            5 => Op::SaveCaller,
            6 => Op::FaultReturn,
            7 => Op::FaultDecline,
            8 => Op::Yield,
            9 => Op::Null,
            _ => return None,
        })
    }
}

/// What a wait received, in bits 32 to 39 of `rax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Received {
    /// A call: a reply is owed, and the caller is held until then.
    Call = 0,
    /// A message sent without expecting an answer.
    Sent = 1,
    /// Notifications: `rdi` is a group of 64 bits (bit / 64), `rsi` the bits that were set and are
    /// now clear.
    Notified = 2,
}

/// Words in a message.
pub const WORDS: usize = 6;
/// Capabilities in a message.
pub const CAPS: usize = 4;

/// Packs four capability addresses into a register; the first in the low bits.
pub const fn pack(caps: [u16; CAPS]) -> u64 {
    caps[0] as u64 | (caps[1] as u64) << 16 | (caps[2] as u64) << 32 | (caps[3] as u64) << 48
}

/// Undoes [`pack`].
pub const fn unpack(register: u64) -> [u16; CAPS] {
    [
        register as u16,
        (register >> 16) as u16,
        (register >> 32) as u16,
        (register >> 48) as u16,
    ]
}
