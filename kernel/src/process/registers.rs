//! Registers of a process, as the entry code saves and restores them.

use crate::error::Status;

/// The registers of an invocation, in the order in which the entry code pushes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "these are the registers of the same names")]
pub struct Registers {
    pub rax: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r10: u64,
    pub r8: u64,
    pub r9: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
}

impl Registers {
    /// The six words.
    #[inline(always)]
    pub fn words(&self) -> [u64; 6] {
        [self.rsi, self.rdx, self.r10, self.r8, self.r9, self.r12]
    }

    /// A status, and nothing else: no words, and no capabilities received.
    pub fn status(status: Status) -> Registers {
        Registers {
            rax: u64::from(status),
            ..Registers::default()
        }
    }

    /// What a kernel object answers: a status, at most a word, and no capabilities.
    #[inline(always)]
    pub fn answer(&mut self, status: Status, word: u64) {
        self.rax = u64::from(status);
        self.set_words([word, 0, 0, 0, 0, 0]);
        self.r13 = 0;
        self.r14 = 0;
    }

    /// Replaces the six words.
    pub fn set_words(&mut self, words: [u64; 6]) {
        [self.rsi, self.rdx, self.r10, self.r8, self.r9, self.r12] = words;
    }
}

/// Registers that no message passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "these are the registers of the same names")]
pub struct Preserved {
    pub rip: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub rbx: u64,
    pub rbp: u64,
    pub r15: u64,
    pub rcx: u64,
    pub r11: u64,
}

/// Flags register of user code: interrupts on.
pub const USER_FLAGS: u64 = 0x202;
