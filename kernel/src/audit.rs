//! Whether the kernel's tables agree with each other: for tests, the simulator and the console.
//!
//! Everything that the kernel knows twice is compared: objects and frames, entries and homes, slots
//! and pins, windows and apertures, queues and states, calls and those who may answer them. Nothing
//! is changed. A whole audit takes time in proportion to all objects, tables and slots; one object
//! alone can be audited between two steps of a simulation.
//!
//! It holds between any two entries into the kernel, not inside one.

mod aloud;
mod pins;
mod processes;
mod tables;

use abi::cap::{Kind, Rights};

use crate::Kernel;
use crate::frame::{Frame, Words};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, Parent, State};

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
        /// Processes that wait for an answer.
        waiting: u32,
        /// Answers that somebody can still give.
        answers: u32,
    },
    /// Translations were taken away, and nobody made the CPU forget them.
    Flush,
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
            Violation::Calls { waiting, answers } => write!(
                f,
                "{waiting} calls wait and {answers} answers can be given, or not to the same calls"
            ),
            Violation::Flush => f.write_str("translations were taken away and not forgotten"),
        }
    }
}

impl core::error::Error for Violation {}

type Result = core::result::Result<(), Violation>;

/// Demands that something holds.
macro_rules! demand {
    ($holds:expr, $violation:expr) => {
        if !$holds {
            return Err($violation);
        }
    };
}
pub(crate) use demand;

impl<M: Machine> Kernel<'_, M> {
    /// Checks everything but the contents of free frames.
    ///
    /// # Errors
    /// The first disagreement found.
    pub fn audit(&self) -> Result {
        demand!(!self.flush.is_pending(), Violation::Flush);
        self.audit_frames()?;
        for n in 0..self.objects.len() {
            self.audit_object(Oid(n as u32))?;
        }
        self.audit_lists()?;
        self.audit_scheduler()?;
        self.audit_timers()?;
        self.audit_calls()
    }

    /// Checks one object against everything that it names.
    ///
    /// # Errors
    /// The first disagreement found.
    pub fn audit_object(&self, oid: Oid) -> Result {
        let Some(row) = self.row(oid) else {
            return Ok(());
        };
        let frame = row.frame.get();
        demand!(
            self.frame_row(frame).owner.get() == oid,
            Violation::Owner { oid, frame }
        );
        let kind = row.kind.get();
        let wrong = |what| Violation::Object { oid, what };
        match row.state.get() {
            State::Free => {
                demand!(kind == Kind::Void, wrong("free, with a kind"));
                demand!(
                    is_clear(row),
                    wrong("free, with records of its former life")
                );
                demand!(
                    self.frame_row(frame).pinned() == 0,
                    wrong("free, with a pin on its frame")
                );
                return Ok(());
            }
            State::Limbo => {
                demand!(
                    matches!(kind, Kind::Page | Kind::Aperture),
                    wrong("in limbo, of a kind that nothing holds back")
                );
                demand!(
                    row.partner.get() == Oid::NONE || kind == Kind::Aperture,
                    wrong("in limbo, with a partner")
                );
            }
            State::Live | State::Dying => {
                demand!(kind.is_storage(), wrong("sold, without a kind"));
                demand!(row.next.get() == Oid::NONE, wrong("sold, and in a list"));
            }
        }
        demand!(
            row.state.get() == State::Dying || row.progress.get() == 0,
            wrong("taken apart before it was rescinded")
        );
        self.audit_partner(oid, row)?;
        match kind {
            Kind::Page => self.audit_page(oid, row),
            Kind::CapTable => self.audit_cap_table(oid, row),
            Kind::Process => self.audit_process(oid, row),
            Kind::Aperture => self.audit_aperture(oid, row),
            _ => self.audit_table(oid, row),
        }
    }

    /// Checks that a free object's frame is zeroed.
    ///
    /// # Errors
    /// It isn't.
    pub fn audit_zeroed(&self, oid: Oid) -> Result {
        let Some(row) = self.row(oid).filter(|row| row.state.get() == State::Free) else {
            return Ok(());
        };
        let words: &Words = self.view(row.frame.get());
        // A cache line at a time: simulations look through a frame after each step.
        if (0..abi::PAGE_SIZE / 64).all(|line| words.are_zero(line)) {
            return Ok(());
        }
        let word = (0..abi::PAGE_SIZE / 8).find(|n| words.get(*n) != 0);
        Err(Violation::Residue {
            oid,
            word: word.unwrap_or(0) as u32,
        })
    }

    /// Objects and frames are one to one.
    fn audit_frames(&self) -> Result {
        let mut owned = 0;
        for (n, frame) in self.frames.iter().enumerate() {
            let owner = frame.owner.get();
            if owner != Oid::NONE {
                owned += 1;
                let frame = Frame(n as u32);
                let names = self.row(owner).is_some_and(|row| row.frame.get() == frame);
                demand!(names, Violation::Owner { oid: owner, frame });
            }
            self.audit_pins(Frame(n as u32), frame)?;
        }
        demand!(
            owned == self.objects.len(),
            Violation::Owner {
                oid: Oid::NONE,
                frame: Frame::NONE
            }
        );
        Ok(())
    }

    /// A window and its aperture name each other.
    fn audit_partner(&self, oid: Oid, row: &ObjectRow) -> Result {
        let Some(partner) = self.row(row.partner.get()) else {
            return Ok(());
        };
        let other = match row.kind.get() {
            Kind::Table1 => Kind::Aperture,
            Kind::Aperture => Kind::Table1,
            _ => {
                return Err(Violation::Object {
                    oid,
                    what: "it has a partner",
                });
            }
        };
        demand!(
            partner.kind.get() == other && partner.partner.get() == oid,
            Violation::Object {
                oid,
                what: "window and aperture don't name each other"
            }
        );
        Ok(())
    }

    /// The lists of dead apertures and of ended limbos hold what they should.
    fn audit_lists(&self) -> Result {
        let in_limbo = || {
            self.objects
                .iter()
                .filter(|row| row.state.get() == State::Limbo)
        };
        let held = |row: &ObjectRow| match row.kind.get() {
            Kind::Aperture => self.aperture_holds(row),
            _ => self.frame_row(row.frame.get()).pinned() != 0,
        };
        let dead = |row: &ObjectRow| row.kind.get() == Kind::Aperture && held(row);
        self.audit_list(
            self.dead_apertures.get(),
            in_limbo().filter(|row| dead(row)).count(),
            dead,
            "the list of dead apertures",
        )?;
        self.audit_list(
            self.reapable.get(),
            in_limbo().filter(|row| !held(row)).count(),
            |row| !held(row),
            "the list of ended limbos",
        )
    }

    fn audit_list(
        &self,
        head: Oid,
        expected: usize,
        belongs: impl Fn(&ObjectRow) -> bool,
        what: &'static str,
    ) -> Result {
        let (mut oid, mut length) = (head, 0);
        while let Some(row) = self.row(oid) {
            length += 1;
            let fits = row.state.get() == State::Limbo && belongs(row) && length <= expected;
            demand!(fits, Violation::List { oid, what });
            oid = row.next.get();
        }
        demand!(length == expected, Violation::List { oid: head, what });
        Ok(())
    }
}

/// Whether a row holds nothing but version and frame.
fn is_clear(row: &ObjectRow) -> bool {
    row.next.get() == Oid::NONE
        && row.partner.get() == Oid::NONE
        && row
            .parents
            .iter()
            .all(|parent| parent.get() == Parent::NONE)
        && row.function.get() == 0
        && row.slots.get() == 0
        && row.progress.get() == 0
}

/// Whether an entry may be there at all: nobody maps anything writable and executable.
fn is_sound(rights: Rights) -> bool {
    !rights.contains(Rights::WRITE | Rights::EXEC)
}
