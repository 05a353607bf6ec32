//! How often each invariant was checked.

use std::cell::Cell;

/// A kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Check {
    /// One object against everything that it names.
    Object,
    /// A free frame, for residue.
    Residue,
    /// The whole kernel: objects, frames, tables, pins, processes.
    Kernel,
    /// Each translation that is remembered, against the tables.
    Translations,
    /// What a stack can see and write, in the scenarios that have stacks.
    Authority,
    /// What hostile processes can come by, and whether it is theirs.
    Reach,
    /// spacebank's books, and each entry against the kernel's row.
    Books,
    /// An access of a device's, against the pins.
    Dma,
    /// The registers of a program that was interrupted.
    Registers,
    /// A system call that exchanges frames, against what was foretold.
    Exchange,
    /// What a program says must hold.
    Claim,
    /// A frame that a stack received: whole, once, in order.
    Frame,
    /// Everything is back at the end of a run.
    Return,
    /// A user who came and went left of everything what there was before.
    Cycle,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Check; 14] = [
        Check::Object,
        Check::Residue,
        Check::Kernel,
        Check::Translations,
        Check::Authority,
        Check::Reach,
        Check::Books,
        Check::Dma,
        Check::Registers,
        Check::Exchange,
        Check::Claim,
        Check::Frame,
        Check::Return,
        Check::Cycle,
    ];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Check::Object => "objects agree with what they name",
            Check::Residue => "free frames are zeroed",
            Check::Kernel => "the whole kernel agrees",
            Check::Translations => "no translation outlives its entry",
            Check::Authority => "stacks control and see only what is theirs",
            Check::Reach => "hostile processes reach only what is theirs",
            Check::Books => "spacebank agrees with the kernel",
            Check::Dma => "devices reach only pinned memory",
            Check::Registers => "registers survive interruptions",
            Check::Exchange => "exchanges do what was foretold",
            Check::Claim => "programs find what they were promised",
            Check::Frame => "frames arrive once, whole, in order",
            Check::Return => "all storage is back at the end",
            Check::Cycle => "who came and went left nothing behind",
        }
    }
}

/// The counts.
#[derive(Default)]
pub struct Checks([Cell<u64>; Check::ALL.len()]);

impl Checks {
    /// One more.
    #[inline]
    pub fn count(&self, check: Check) {
        let count = &self.0[check as usize];
        count.set(count.get() + 1);
    }

    /// All of them, also those that were never made.
    pub fn all(&self) -> Vec<(Check, u64)> {
        let counts = self.0.iter().map(Cell::get);
        Check::ALL.into_iter().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_numbered_in_order() {
        for (n, check) in Check::ALL.into_iter().enumerate() {
            assert_eq!(check as usize, n);
        }
    }
}
