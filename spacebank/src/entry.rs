//! What spacebank knows of each object: sixteen bytes in an array that the kernel sizes at boot.
//!
//! An entry lies in exactly one list at a time: the free list, one of the lists of the bank that owns
//! the object (by kind; records of child banks and objects in limbo have lists of their own), or none
//! while it is handed from one to the other.

use abi::cap::Kind;

use crate::owner::Owner;

/// Ends a list.
pub(crate) const NIL: u32 = u32::MAX;

/// Most objects that spacebank can manage: a bank's serial number has 22 bits for the object of its
/// record, and the record tables that the kernel prepares reach as far (64 capability tables of 128
/// segments of 512 records). 16 GiB of RAM.
pub const MAX_OBJECTS: usize = 1 << 22;

const _: () = {
    assert!(MAX_OBJECTS == 64 * abi::CAP_TABLE_SLOTS * abi::TABLE_ENTRIES);
    assert!(size_of::<Entry>() == abi::boot::BANK_ARRAY_ENTRY);
};

/// What an object is to spacebank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In the free list.
    Free,
    /// Sold to its owner.
    Live,
    /// Rescinded while a pin held its frame; charged to its owner until the kernel says otherwise.
    Limbo,
    /// Holds the record of a bank; charged to its owner, that bank's parent.
    Record,
}

/// An object's entry. Memory of zeros is a valid array of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    pub(crate) next: u32,
    pub(crate) prev: u32,
    /// How often this object held a bank's record: makes serial numbers unique.
    pub(crate) generation: u32,
    /// Owner (24 bits), kind (4), state (2), genesis (1), voiding (1).
    tag: u32,
}

const KIND: u32 = 24;
const STATE: u32 = 28;
const GENESIS: u32 = 1 << 30;
const VOIDING: u32 = 1 << 31;

impl Entry {
    /// An entry of an object that has held so many banks' records: for tests of what happens when
    /// serial numbers run out.
    pub const fn worn(generation: u32) -> Entry {
        Entry {
            next: 0,
            prev: 0,
            generation,
            tag: 0,
        }
    }

    /// What the object is.
    pub const fn state(&self) -> State {
        match self.tag >> STATE & 3 {
            0 => State::Free,
            1 => State::Live,
            2 => State::Limbo,
            _ => State::Record,
        }
    }

    /// The bank that it is charged to; means nothing when it is free.
    pub const fn owner(&self) -> Owner {
        Owner::from_raw(self.tag & Owner::MASK)
    }

    /// Its kind; `Void` when it is free.
    pub fn kind(&self) -> Kind {
        Kind::from_u8((self.tag >> KIND & 15) as u8).unwrap_or(Kind::Void)
    }

    /// Whether the kernel made it before spacebank ran. Such objects may belong to spacebank itself:
    /// nobody gets a new capability to them.
    pub const fn genesis(&self) -> bool {
        self.tag & GENESIS != 0
    }

    /// Whether it was sold back and is void, but the kernel has not finished with it.
    pub const fn voiding(&self) -> bool {
        self.tag & VOIDING != 0
    }

    /// Whether it can still hold a bank's record with a serial number never used before.
    pub(crate) const fn fresh(&self) -> bool {
        self.generation != u32::MAX
    }

    pub(crate) fn set(&mut self, state: State, kind: Kind, owner: Owner) {
        self.tag = owner.raw() | (kind as u32) << KIND | (state as u32) << STATE;
    }

    pub(crate) fn set_owner(&mut self, owner: Owner) {
        self.tag = self.tag & !Owner::MASK | owner.raw();
    }

    pub(crate) fn set_genesis(&mut self) {
        self.tag |= GENESIS;
    }

    pub(crate) fn set_voiding(&mut self, voiding: bool) {
        if voiding {
            self.tag |= VOIDING;
        } else {
            self.tag &= !VOIDING;
        }
    }
}
