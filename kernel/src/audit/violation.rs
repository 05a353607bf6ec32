//! What an audit finds: what doesn't agree, its number, and the object that it is about.

use crate::frame::Frame;
use crate::object::Oid;

/// What does not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame and the object that owns it don't name each other.
    Owner {
        /// The object; `NONE` when it is the frame that names nothing.
        oid: Oid,
        /// The frame.
        frame: Frame,
    },
    /// An object's row contradicts itself, or what it names.
    Object {
        /// The object.
        oid: Oid,
        /// What is wrong.
        what: &'static str,
    },
    /// A free object's frame is not zeroed.
    Residue {
        /// The object.
        oid: Oid,
        /// The first word that is left.
        word: u32,
    },
    /// An entry of a table grants what its child's row doesn't know of, or what nobody may have.
    Entry {
        /// The table.
        table: Oid,
        /// Its entry.
        index: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A pin and the slot that should hold it don't agree.
    Pin {
        /// The frame.
        frame: Frame,
        /// What is wrong.
        what: &'static str,
    },
    /// A slot of an aperture and what it names don't agree.
    Slot {
        /// The aperture.
        aperture: Oid,
        /// The slot.
        slot: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A capability that is alive names what it can't.
    Capability {
        /// The `CapTable`.
        table: Oid,
        /// The slot.
        slot: u32,
    },
    /// A process's state contradicts itself, or a queue that it stands in.
    Process {
        /// The process.
        oid: Oid,
        /// What is wrong.
        what: &'static str,
    },
    /// A list of the kernel's own is broken.
    List {
        /// Where it shows.
        oid: Oid,
        /// Which list, and how.
        what: &'static str,
    },
    /// The timers' heap is broken.
    Timer {
        /// Where it shows.
        place: u32,
    },
    /// Calls that wait for an answer, and those who may answer them, are not one to one: a caller
    /// waits for ever, or could be answered twice.
    Calls {
        /// Processes that wait for an answer, and answers that somebody can still give, where both were
        /// counted at one instant.
        counts: Option<(u32, u32)>,
    },
    /// Translations were taken away, and nobody made the CPU forget them.
    Flush,
    /// There are not as many objects in a state as were counted on the way there.
    Census {
        /// Which.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        counted: usize,
    },
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Violation::Owner { oid, frame } => {
                write!(
                    f,
                    "object {} and frame {:#x} don't name each other",
                    oid.0, frame.0
                )
            }
            Violation::Object { oid, what } => write!(f, "object {}: {what}", oid.0),
            Violation::Residue { oid, word } => {
                write!(
                    f,
                    "object {} is free, and word {word} of its frame isn't zero",
                    oid.0
                )
            }
            Violation::Entry { table, index, what } => {
                write!(f, "entry {index} of table {}: {what}", table.0)
            }
            Violation::Pin { frame, what } => write!(f, "pin of frame {:#x}: {what}", frame.0),
            Violation::Slot {
                aperture,
                slot,
                what,
            } => write!(f, "slot {slot} of aperture {}: {what}", aperture.0),
            Violation::Capability { table, slot } => {
                write!(
                    f,
                    "slot {slot} of capability table {} names what it can't",
                    table.0
                )
            }
            Violation::Process { oid, what } => write!(f, "process {}: {what}", oid.0),
            Violation::List { oid, what } => write!(f, "at object {}: {what}", oid.0),
            Violation::Timer { place } => write!(f, "place {place} of the timers is wrong"),
            Violation::Calls {
                counts: Some((waiting, answers)),
            } => write!(
                f,
                "{waiting} calls wait and {answers} answers can be given, or not to the same calls"
            ),
            Violation::Calls { counts: None } => {
                f.write_str("calls wait that nobody can answer, or answers can be given twice")
            }
            Violation::Flush => f.write_str("translations were taken away and not forgotten"),
            Violation::Census {
                what,
                found,
                counted,
            } => write!(
                f,
                "{found} objects are {what}, and were counted as {counted}"
            ),
        }
    }
}

impl core::error::Error for Violation {}

impl Violation {
    /// Its number: those of one kind have the same one, and none has 0.
    pub const fn code(&self) -> u64 {
        match self {
            Violation::Owner { .. } => 1,
            Violation::Object { .. } => 2,
            Violation::Residue { .. } => 3,
            Violation::Entry { .. } => 4,
            Violation::Pin { .. } => 5,
            Violation::Slot { .. } => 6,
            Violation::Capability { .. } => 7,
            Violation::Process { .. } => 8,
            Violation::List { .. } => 9,
            Violation::Timer { .. } => 10,
            Violation::Calls { .. } => 11,
            Violation::Flush => 12,
            Violation::Census { .. } => 13,
        }
    }

    /// The object that it is about, if it is about one.
    pub(super) const fn object(&self) -> Oid {
        match self {
            Violation::Owner { oid, .. }
            | Violation::Object { oid, .. }
            | Violation::Residue { oid, .. }
            | Violation::Process { oid, .. }
            | Violation::List { oid, .. } => *oid,
            Violation::Entry { table, .. } | Violation::Capability { table, .. } => *table,
            Violation::Slot { aperture, .. } => *aperture,
            Violation::Pin { .. }
            | Violation::Timer { .. }
            | Violation::Calls { .. }
            | Violation::Census { .. }
            | Violation::Flush => Oid::NONE,
        }
    }
}
