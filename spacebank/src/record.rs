//! A bank's record, and where records lie.

use abi::cap::{Kind, STORAGE_KINDS};

use crate::entry::NIL;
use crate::owner::Serial;

/// Lists of objects that a bank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Records of its child banks.
    Children,
    /// Objects of a kind that it sold.
    Of(Kind),
    /// Objects in limbo that it is charged for.
    Limbo,
}

/// Number of lists.
pub(crate) const LISTS: usize = STORAGE_KINDS + 2;

impl List {
    pub const fn index(self) -> usize {
        match self {
            List::Children => Kind::Void as usize,
            List::Of(kind) => kind as usize,
            List::Limbo => STORAGE_KINDS + 1,
        }
    }
}

/// Storage kinds, in the order in which a destroyed bank's objects go: what runs, what maps (from
/// the root down), then the rest.
pub(crate) const ORDER: [Kind; STORAGE_KINDS] = [
    Kind::Process,
    Kind::Table4,
    Kind::Table3,
    Kind::Table2,
    Kind::Table1,
    Kind::CapTable,
    Kind::Aperture,
    Kind::Page,
];

/// Kinds at the start of [`ORDER`] that go in the whole subtree before anything else does.
pub(crate) const EARLY: usize = 5;

/// What a bank is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    /// Gives what it has to its parent.
    Leaving,
    /// Its objects become void.
    Dying,
}

/// A bank's record. Its parent stands in the entry of the object that holds it.
///
/// Totals include all descendants. Any bit pattern is a valid record (it lies in a mapped page), but
/// only spacebank ever writes it.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Record {
    pub(crate) serial: u64,
    pub(crate) limit: u64,
    /// Objects that it and its descendants hold, records of their banks among them.
    pub(crate) live: u64,
    /// Objects in limbo that it and its descendants are charged for.
    pub(crate) limbo: u64,
    pub(crate) high_water: u64,
    /// Clients that wait for the end of it or of one of its descendants.
    pub(crate) waiters: u64,
    pub(crate) heads: [u32; LISTS],
    pub(crate) counts: [u32; LISTS],
    /// 0 alive, 1 leaving, otherwise dying.
    life: u32,
    opaque: u32,
    /// Neighbours in the reaper's queue.
    pub(crate) queue_next: u32,
    pub(crate) queue_prev: u32,
    /// Where the destruction of this subtree stands: a bank of it, and the index into [`ORDER`].
    pub(crate) cursor: u32,
    pub(crate) phase: u32,
}

const _: () = assert!(size_of::<Record>() <= abi::PAGE_SIZE);

impl Record {
    pub(crate) fn new(serial: Serial, limit: u64, opaque: bool) -> Record {
        Record {
            serial: serial.id(),
            limit,
            live: 0,
            limbo: 0,
            high_water: 0,
            waiters: 0,
            heads: [NIL; LISTS],
            counts: [0; LISTS],
            life: 0,
            opaque: opaque.into(),
            queue_next: NIL,
            queue_prev: NIL,
            cursor: 0,
            phase: 0,
        }
    }

    pub(crate) fn serial(&self) -> Serial {
        Serial::from_id(self.serial)
    }

    pub(crate) fn opaque(&self) -> bool {
        self.opaque != 0
    }

    pub(crate) fn life(&self) -> Life {
        match self.life {
            0 => Life::Alive,
            1 => Life::Leaving,
            _ => Life::Dying,
        }
    }

    pub(crate) fn set_life(&mut self, life: Life) {
        self.life = life as u32;
    }

    pub(crate) fn head(&self, list: List) -> u32 {
        self.heads[list.index()]
    }

    pub(crate) fn count(&self, list: List) -> u32 {
        self.counts[list.index()]
    }

    /// Whether nothing is left in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.iter().all(|head| *head == NIL)
    }

    /// Whether `n` more objects are within the limit.
    pub(crate) fn has_room(&self, n: u64) -> bool {
        self.live
            .checked_add(self.limbo)
            .and_then(|charged| charged.checked_add(n))
            .is_some_and(|charged| charged <= self.limit)
    }
}

/// Access to the records of banks: the record of the bank whose record page is object *n*.
///
/// The server asks only for records of living banks: after it had the page minted into its own
/// address space, and before it has it rescinded. What an implementation answers for others is its
/// own affair; a panic shows a fault of the server's.
pub trait Records {
    /// The record in object `oid`'s page.
    fn get(&self, oid: u32) -> &Record;
    /// The same, to be changed.
    fn get_mut(&mut self, oid: u32) -> &mut Record;
    /// Object `oid`'s page was just mapped: makes it hold this record.
    fn create(&mut self, oid: u32, record: Record);
    /// Object `oid`'s page is gone.
    fn discard(&mut self, oid: u32);
}
