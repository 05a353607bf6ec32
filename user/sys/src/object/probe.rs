//! Counting entries into the kernel, stopping at one, and looking at the whole kernel.

use abi::cap::CapAddr;
use abi::method::probe as method;
use abi::probe::Entry;

use super::Process;
use crate::{Cap, Error, Message, Sys};

/// What [`Cap::<Probe>::read`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Entries since it was armed.
    pub entries: u64,
    /// Instructions since then.
    pub instructions: u64,
    /// Whether it stopped somebody since then.
    pub stopped: bool,
    /// The longest stretch with interrupts off, in ticks.
    pub longest: u64,
    /// What took it.
    pub longest_entry: Entry,
}

/// Where somebody was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The process's name, padded with zeros.
    pub name: [u8; 16],
    /// Its instruction pointer.
    pub instruction: u64,
    /// The entry.
    pub entry: Entry,
    /// Who was told waited, and ran at once. Otherwise he came when it was his turn, perhaps long afterwards.
    pub at_once: bool,
}

/// How far an audit of the kernel has come, as the kernel says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCursor([u64; 5]);

impl AuditCursor {
    /// At the beginning; `whole`: free frames are looked through as well.
    pub const fn start(whole: bool) -> AuditCursor {
        let first = if whole { abi::probe::WHOLE } else { 0 };
        AuditCursor([first, 0, 0, 0, 0])
    }
}

/// What a piece of an audit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPiece {
    /// There is more to look at.
    More(AuditCursor),
    /// Everything was looked at, or something is wrong.
    Done(Audit),
}

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The number of what doesn't agree; 0 when everything does.
    pub violation: u64,
    /// Calls could be compared with their answers: they didn't come and go all the time.
    pub compared: bool,
}

/// How many objects are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Objects that are free.
    pub free: u64,
    /// Objects that are sold.
    pub live: u64,
    /// Objects in limbo.
    pub limbo: u64,
}

/// Counting entries into the kernel, stopping at one, and looking at the whole kernel.
pub enum Probe {}

impl Cap<Probe> {
    /// Counts entries, of one process if `only` names one, and tells `told` (a `Notify`) before the kernel
    /// serves the one of this number; 0 counts only.
    pub fn arm(
        self,
        sys: &impl Sys,
        entry: u64,
        told: CapAddr,
        only: CapAddr,
    ) -> Result<(), Error> {
        let message = Message::new(&[method::ARM, entry]);
        self.perform(sys, &message.with_caps(&[told, only]))
    }

    /// Counts the instructions that a process runs between two addresses, and tells `told` before the one of
    /// this number; 0 counts only.
    pub fn step(
        self,
        sys: &impl Sys,
        process: Cap<Process>,
        (first, end): (u64, u64),
        instruction: u64,
        told: CapAddr,
    ) -> Result<(), Error> {
        let message = Message::new(&[method::STEP, first, end, instruction]);
        self.perform(sys, &message.with_caps(&[told, process.address()]))
    }

    /// Watches entries no more.
    pub fn disarm(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::DISARM]))
    }

    /// What was counted and measured. Flags: `abi::probe::FORGET`, `GO_ON`.
    pub fn read(self, sys: &impl Sys, flags: u64) -> Result<Reading, Error> {
        let words = self.invoke(sys, &Message::new(&[method::READ, flags]))?;
        Ok(Reading {
            entries: words[0],
            instructions: words[1],
            stopped: words[2] != 0,
            longest: words[3],
            longest_entry: Entry::unpack(words[4]),
        })
    }

    /// Where somebody was stopped.
    pub fn place(self, sys: &impl Sys) -> Result<Place, Error> {
        let words = self.invoke(sys, &Message::new(&[method::WHERE]))?;
        let mut name = [0; 16];
        name[..8].copy_from_slice(&words[0].to_le_bytes());
        name[8..].copy_from_slice(&words[1].to_le_bytes());
        Ok(Place {
            name,
            instruction: words[2],
            entry: Entry::unpack(words[3]),
            at_once: words[4] != 0,
        })
    }

    /// Compares a piece of what the kernel knows twice.
    pub fn audit_piece(self, sys: &impl Sys, at: AuditCursor) -> Result<AuditPiece, Error> {
        let [w1, w2, w3, w4, w5] = at.0;
        let message = Message::new(&[method::AUDIT, w1, w2, w3, w4, w5]);
        let (more, words) = sys.call(self.address(), &message).more()?;
        let [violation, w1, w2, w3, w4, w5] = words;
        Ok(match more {
            true => AuditPiece::More(AuditCursor([w1, w2, w3, w4, w5])),
            false => AuditPiece::Done(Audit {
                violation,
                compared: w1 == 0,
            }),
        })
    }

    /// Compares everything that the kernel knows twice, one piece after the other; `whole`: looks through
    /// free frames as well.
    pub fn audit(self, sys: &impl Sys, whole: bool) -> Result<Audit, Error> {
        let mut at = AuditCursor::start(whole);
        loop {
            match self.audit_piece(sys, at)? {
                AuditPiece::More(next) => at = next,
                AuditPiece::Done(audit) => return Ok(audit),
            }
        }
    }

    /// How many objects are in which state at this instant.
    pub fn census(self, sys: &impl Sys) -> Result<Census, Error> {
        let words = self.invoke(sys, &Message::new(&[method::CENSUS]))?;
        Ok(Census {
            free: words[0],
            live: words[1],
            limbo: words[2],
        })
    }
}
