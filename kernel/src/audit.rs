//! Whether the kernel's tables agree with each other: for tests, the simulator and the console.
//!
//! Everything that the kernel knows twice is compared: objects and frames, entries and homes, slots
//! and pins, windows and apertures, queues and states, calls and those who may answer them, states and
//! how many objects came into them. Nothing is changed. It holds between any two entries into the
//! kernel, not inside one.
//!
//! There are two ways. [`Kernel::audit`] looks at everything at once, for tests and the simulator: it
//! takes time in proportion to all objects, tables and slots. [`Kernel::audit_piece`] does a bounded
//! piece, so that a live system can be looked at while it works; see `pieces` for what that finds and
//! what it doesn't.

mod aloud;
mod calls;
mod cursor;
mod lists;
mod pieces;
mod pins;
mod processes;
mod queues;
mod tables;
mod violation;

use core::ops::Range;

use abi::TABLE_ENTRIES;
use abi::cap::{Kind, Rights};

pub use cursor::Cursor;
pub use pieces::Piece;
pub use violation::Violation;

use crate::Kernel;
use crate::frame::{Frame, FrameRow, Words};
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};

type Result = core::result::Result<(), Violation>;

/// How much of an object that holds much is looked at.
struct Extent {
    /// What is a sum over all that it holds.
    sums: bool,
    /// These entries of a table, or slots of an aperture.
    entries: Range<usize>,
}

impl Extent {
    /// All of it.
    const WHOLE: Extent = Extent {
        sums: true,
        entries: 0..TABLE_ENTRIES,
    };
}

const _: () = assert!(abi::APERTURE_SLOTS == TABLE_ENTRIES);

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
        self.audit_census()?;
        self.audit_lists(usize::MAX)?;
        self.audit_scheduler()?;
        self.audit_timers()?;
        self.audit_calls()
    }

    /// Checks one object against everything that it names.
    ///
    /// # Errors
    /// The first disagreement found.
    pub fn audit_object(&self, oid: Oid) -> Result {
        self.audit_object_in(oid, &Extent::WHOLE)
    }

    /// Checks one object, and some of what it holds, against everything that it names.
    fn audit_object_in(&self, oid: Oid, extent: &Extent) -> Result {
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
                    row.is_clear(),
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
            Kind::Aperture => self.audit_aperture(oid, row, extent),
            _ => self.audit_table(oid, row, extent.entries.clone()),
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

    /// A frame's owner names it, and so do those who pin it.
    fn audit_frame(&self, frame: Frame, row: &FrameRow) -> Result {
        let owner = row.owner.get();
        if owner != Oid::NONE {
            let names = self.row(owner).is_some_and(|row| row.frame.get() == frame);
            demand!(names, Violation::Owner { oid: owner, frame });
        }
        self.audit_pins(frame, row)
    }

    /// Objects and frames are one to one.
    fn audit_frames(&self) -> Result {
        let mut owned = 0;
        for (n, frame) in self.frames.iter().enumerate() {
            owned += usize::from(frame.owner.get() != Oid::NONE);
            self.audit_frame(Frame(n as u32), frame)?;
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
}

/// Whether an entry may be there at all: nobody maps anything writable and executable.
fn is_sound(rights: Rights) -> bool {
    !rights.contains(Rights::WRITE | Rights::EXEC)
}
