//! Objects: the unit that space banks sell, and the row that the kernel keeps for each.
//!
//! There are exactly as many objects as frames for them, and each object owns exactly one frame at
//! any time. An object's version is bumped when it is rescinded and is never reused, so every
//! capability to it is void at once, without a search.

use core::cell::Cell;

use abi::cap::{Kind, Rights};

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{KIND, Result, VOID};
use crate::frame::Frame;
use crate::machine::Machine;

/// An object's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Oid(pub u32);

impl Oid {
    /// No object.
    pub const NONE: Oid = Oid(u32::MAX);
}

/// State of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not sold; its frame is zeroed.
    Free = 0,
    /// Sold.
    Live = 1,
    /// Rescinded while its frame was pinned: void, but not to be sold.
    Limbo = 2,
    /// Void, and being taken apart in bounded pieces.
    Dying = 3,
}

/// Where an entry names an object: a table and an index in it; or, for address spaces and root
/// `CapTable`s, a process and [`Parent::PROCESS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Parent {
    /// The table, or the process.
    pub holder: Oid,
    /// Index in the table, or [`Parent::PROCESS`].
    pub index: u32,
}

impl Parent {
    /// No parent.
    pub const NONE: Parent = Parent {
        holder: Oid::NONE,
        index: 0,
    };
    /// The index of a parent that is a process.
    pub const PROCESS: u32 = u32::MAX;
}

/// Who is notified of something: one bit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The process; `NONE` for nobody.
    pub process: Oid,
    /// Bit.
    pub bit: u32,
    /// The process's version; when it no longer fits, nobody is told.
    pub version: u64,
}

impl Binding {
    /// Nobody.
    pub const NONE: Binding = Binding {
        process: Oid::NONE,
        bit: 0,
        version: 0,
    };
}

/// What the kernel knows of an object.
#[repr(C, align(64))]
pub struct ObjectRow {
    /// Capabilities with another version are void. It starts at 1 and only grows: 64 bits last for
    /// centuries of nothing but rescinding one object, so that it wraps is not looked for.
    pub version: Cell<u64>,
    /// The frame that it owns.
    pub frame: Cell<Frame>,
    /// Kind, while not free.
    pub kind: Cell<Kind>,
    /// State.
    pub state: Cell<State>,
    /// How far taking it apart has come (`Dying`).
    pub progress: Cell<u16>,
    /// Next object in a list of ended limbos or of dead apertures.
    pub next: Cell<Oid>,
    /// A window `Table1` names its aperture here, an aperture its window.
    pub partner: Cell<Oid>,
    /// Home (pages: the first) or parents (tables, root `CapTable`s). An aperture keeps the binding
    /// of its limbo notification in the first two.
    pub parents: [Cell<Parent>; 4],
    /// Aperture: PCI function + 1; 0 when not bound.
    pub function: Cell<u32>,
    /// Aperture: first slot in limbo not yet told + 1 (low half), slots pinned (high half).
    pub slots: Cell<u32>,
}

impl ObjectRow {
    /// A free object that owns a frame.
    pub const fn free(frame: Frame) -> ObjectRow {
        ObjectRow {
            version: Cell::new(1),
            frame: Cell::new(frame),
            kind: Cell::new(Kind::Void),
            state: Cell::new(State::Free),
            progress: Cell::new(0),
            next: Cell::new(Oid::NONE),
            partner: Cell::new(Oid::NONE),
            parents: [const { Cell::new(Parent::NONE) }; 4],
            function: Cell::new(0),
            slots: Cell::new(0),
        }
    }

    /// Forgets everything that belongs to the object's former life, but version and frame.
    pub(crate) fn clear(&self) {
        self.progress.set(0);
        self.next.set(Oid::NONE);
        self.partner.set(Oid::NONE);
        for parent in &self.parents {
            parent.set(Parent::NONE);
        }
        self.function.set(0);
        self.slots.set(0);
    }

    /// Whether it is live and of this kind: one comparison, because the two lie side by side.
    #[inline(always)]
    pub(crate) fn is_live(&self, kind: Kind) -> bool {
        let both = |kind: Kind, state: State| u16::from_le_bytes([kind as u8, state as u8]);
        both(self.kind.get(), self.state.get()) == both(kind, State::Live)
    }

    /// Whether it remembers nothing of a former life.
    pub(crate) fn is_clear(&self) -> bool {
        self.progress.get() == 0
            && self.next.get() == Oid::NONE
            && self.partner.get() == Oid::NONE
            && self
                .parents
                .iter()
                .all(|parent| parent.get() == Parent::NONE)
            && self.function.get() == 0
            && self.slots.get() == 0
    }

    /// Records a parent; false when all four are taken, or would leave fewer than `spare` free.
    pub(crate) fn add_parent(&self, new: Parent, spare: usize) -> bool {
        let free = self
            .parents
            .iter()
            .filter(|parent| parent.get() == Parent::NONE)
            .count();
        if free <= spare {
            return false;
        }
        match self
            .parents
            .iter()
            .find(|parent| parent.get() == Parent::NONE)
        {
            Some(parent) => {
                parent.set(new);
                true
            }
            None => false,
        }
    }

    /// Forgets a parent.
    pub(crate) fn remove_parent(&self, old: Parent) {
        if let Some(parent) = self.parents.iter().find(|parent| parent.get() == old) {
            parent.set(Parent::NONE);
        }
    }
}

const _: () = assert!(size_of::<ObjectRow>() == 64);

/// An object, and what a capability to it allows.
#[derive(Clone, Copy)]
pub(crate) struct Named<'k> {
    pub oid: Oid,
    pub row: &'k ObjectRow,
    pub rights: Rights,
}

impl<M: Machine> Kernel<'_, M> {
    /// The row of an object that the kernel itself names.
    #[inline(always)]
    pub(crate) fn row(&self, oid: Oid) -> Option<&ObjectRow> {
        self.objects.get(oid.0 as usize)
    }

    /// The row of an object, if it is live and of this kind.
    #[inline]
    pub(crate) fn live(&self, oid: Oid, kind: Kind) -> Option<&ObjectRow> {
        self.row(oid).filter(|row| row.is_live(kind))
    }

    /// The row that a capability to storage names.
    #[inline(always)]
    pub(crate) fn object(&self, capability: &Capability) -> Result<&ObjectRow> {
        if !capability.is_storage() {
            return Err(if capability.is_void() { VOID } else { KIND });
        }
        match self.row(capability.oid()) {
            Some(row) if row.version.get() == capability.version => Ok(row),
            _ => Err(VOID),
        }
    }

    /// The row that a capability names, which must be to this kind.
    #[inline(always)]
    pub(crate) fn object_of(&self, capability: &Capability, kind: Kind) -> Result<&ObjectRow> {
        let row = self.object(capability)?;
        if row.kind.get() == kind {
            Ok(row)
        } else {
            Err(KIND)
        }
    }

    /// The object of this kind that a slot names with all these rights, if it does.
    #[inline(always)]
    pub(crate) fn usual_object(
        &self,
        slot: &Cell<Capability>,
        kind: Kind,
        rights: Rights,
    ) -> Option<Named<'_>> {
        let capability = slot.get();
        // One comparison for everything. The version was given to an object of this kind.
        if capability.allows(kind, rights)
            && let Some(row) = self.row(capability.oid())
            && row.version.get() == capability.version
        {
            return Some(Named {
                oid: capability.oid(),
                row,
                rights: capability.rights(),
            });
        }
        None
    }

    /// The object of this kind that a slot names with all these rights. What is wrong, if anything is,
    /// is found out afterwards.
    #[inline(always)]
    pub(crate) fn object_in(
        &self,
        slot: &Cell<Capability>,
        kind: Kind,
        rights: Rights,
    ) -> Result<Named<'_>> {
        match self.usual_object(slot, kind, rights) {
            Some(named) => Ok(named),
            None => self.object_with(&slot.get(), kind, rights),
        }
    }

    /// The object of this kind that a capability names with all these rights.
    #[inline(never)]
    pub(crate) fn object_with(
        &self,
        capability: &Capability,
        kind: Kind,
        rights: Rights,
    ) -> Result<Named<'_>> {
        let row = self.object_of(capability, kind)?;
        capability.needs(rights)?;
        Ok(Named {
            oid: capability.oid(),
            row,
            rights: capability.rights(),
        })
    }
}
