//! How far an audit in pieces has come: whoever asks for it keeps that, the kernel nothing.

/// Words that a cursor is handed out as, and back.
pub const WORDS: usize = 5;

/// What is looked at, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// The scheduler's queues.
    Queues = 0,
    /// The kernel's own lists.
    Lists = 1,
    /// Frames against their owners and pins.
    Frames = 2,
    /// Objects against all that they name.
    Objects = 3,
    /// The timers' heap.
    Timers = 4,
    /// Calls that wait.
    Calls = 5,
    /// Who can answer them.
    Answers = 6,
    /// Calls that still wait.
    CallsAgain = 7,
    /// Contents of free frames.
    Residue = 8,
}

impl Phase {
    const ALL: [Phase; 9] = [
        Phase::Queues,
        Phase::Lists,
        Phase::Frames,
        Phase::Objects,
        Phase::Timers,
        Phase::Calls,
        Phase::Answers,
        Phase::CallsAgain,
        Phase::Residue,
    ];

    fn from_u8(value: u8) -> Option<Phase> {
        Phase::ALL.get(usize::from(value)).copied()
    }
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Free frames are looked through as well.
    pub(super) whole: bool,
    /// Calls could not be compared.
    pub(super) uncompared: bool,
    pub(super) phase: Phase,
    /// How often objects, or calls, were looked at in vain.
    pub(super) tries: u8,
    /// The next object, frame, place or priority.
    pub(super) index: u32,
    /// The next part of it: 0 its row, or one more than an entry.
    pub(super) part: u16,
    /// What the phase has added up.
    pub(super) sums: [u64; 4],
}

impl Cursor {
    const WHOLE: u64 = abi::probe::WHOLE;
    const UNCOMPARED: u64 = 1 << 1;

    /// At the beginning; `whole`: free frames are looked through as well.
    pub const fn start(whole: bool) -> Cursor {
        Cursor {
            whole,
            uncompared: false,
            phase: Phase::Queues,
            tries: 0,
            index: 0,
            part: 0,
            sums: [0; 4],
        }
    }

    /// As words, the first of which is at most [`abi::probe::WHOLE`] only at the beginning.
    pub fn pack(&self) -> [u64; WORDS] {
        let flags = if self.whole { Cursor::WHOLE } else { 0 }
            | if self.uncompared {
                Cursor::UNCOMPARED
            } else {
                0
            };
        let first = flags
            | (self.phase as u64) << 2
            | u64::from(self.tries) << 8
            | u64::from(self.part) << 16
            | u64::from(self.index) << 32;
        let [a, b, c, d] = self.sums;
        [first, a, b, c, d]
    }

    /// The cursor that words stand for, if they stand for one. Whatever they say, a piece that goes on
    /// from there is bounded, and changes nothing.
    pub fn unpack(words: [u64; WORDS]) -> Option<Cursor> {
        let [first, sums @ ..] = words;
        Some(Cursor {
            whole: first & Cursor::WHOLE != 0,
            uncompared: first & Cursor::UNCOMPARED != 0,
            phase: Phase::from_u8((first >> 2) as u8 & 0x3f)?,
            tries: (first >> 8) as u8,
            part: (first >> 16) as u16,
            index: (first >> 32) as u32,
            sums,
        })
    }

    /// Goes on to another phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        (self.phase, self.index, self.part) = (phase, 0, 0);
    }
}
