//! What a process does, as data.

use abi::cap::CapAddr;
use abi::invoke::{Op, pack};

use crate::slots::What;

/// A system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Operation, and the status to reply with from bit 32 on.
    pub op: u64,
    /// The capability's address.
    pub target: u64,
    /// Words.
    pub words: [u64; 6],
    /// Addresses of the capabilities sent.
    pub send: u64,
    /// Addresses to receive into.
    pub receive: u64,
    /// What comes back first, if it succeeds; 0 for nothing known.
    pub gives: What,
}

impl Invocation {
    /// A call of a method.
    pub fn call(target: CapAddr, words: &[u64], send: [CapAddr; 4]) -> Invocation {
        let mut all = [0; 6];
        for (to, from) in all.iter_mut().zip(words) {
            *to = *from;
        }
        Invocation {
            op: Op::Call as u64,
            target: target.into(),
            words: all,
            send: pack(send),
            ..Invocation::default()
        }
    }

    /// The same, with a place for what comes back.
    pub fn giving(mut self, what: What, into: CapAddr) -> Invocation {
        self.receive = pack([into, 0, 0, 0]);
        self.gives = what;
        self
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It invokes.
    Invoke(Invocation),
    /// It writes a word into its message page, where batches lie.
    Store {
        /// Where, in bytes; a multiple of 8.
        offset: usize,
        /// What.
        word: u64,
    },
    /// It reads or writes an address at which nothing need be.
    Touch {
        /// The address, a multiple of 8.
        address: u64,
        /// Whether it writes.
        write: bool,
    },
}
