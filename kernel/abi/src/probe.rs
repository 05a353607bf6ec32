//! How the probe names an entry into the kernel, and what it is told when it is read.

/// `READ`: the longest stretch begins anew.
pub const FORGET: u64 = 1 << 0;
/// `READ`: nobody is stopped from now on; entries are still watched.
pub const GO_ON: u64 = 1 << 1;

/// `AUDIT`: contents of free frames are looked through as well.
pub const WHOLE: u64 = 1 << 0;

/// An entry: what had the CPU enter the kernel, and what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How it came.
    pub how: How,
    /// The operation of a system call, or the vector of an interrupt or fault.
    pub number: u8,
    /// The kind of the capability that was invoked; 0 when there was none.
    pub kind: u8,
    /// The first word of the invocation: by convention the method.
    pub method: u32,
}

/// How an entry came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum How {
    /// There was none.
    #[default]
    Nothing = 0,
    /// By a system call.
    Call = 1,
    /// By an interrupt or a fault, while a process ran.
    Interrupt = 2,
    /// By an interrupt, while nobody ran.
    Idle = 3,
    /// An instruction that is counted.
    Instruction = 4,
}

impl How {
    /// What a byte stands for.
    pub const fn from_u8(value: u8) -> How {
        match value {
            1 => How::Call,
            2 => How::Interrupt,
            3 => How::Idle,
            4 => How::Instruction,
            _ => How::Nothing,
        }
    }
}

impl Entry {
    /// None.
    pub const NOTHING: Entry = Entry {
        how: How::Nothing,
        number: 0,
        kind: 0,
        method: 0,
    };

    /// As a word: how (bits 0 to 7), number (8 to 15), kind (16 to 23), method (32 to 63).
    pub const fn pack(self) -> u64 {
        self.how as u64
            | (self.number as u64) << 8
            | (self.kind as u64) << 16
            | (self.method as u64) << 32
    }

    /// The entry that a word stands for.
    pub const fn unpack(word: u64) -> Entry {
        Entry {
            how: How::from_u8(word as u8),
            number: (word >> 8) as u8,
            kind: (word >> 16) as u8,
            method: (word >> 32) as u32,
        }
    }
}
