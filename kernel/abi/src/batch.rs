//! Entries of batches.
//!
//! A batch of up to [`LIMIT`] entries lies in a page whose capability (with read and write rights)
//! goes with the call; words name the byte offset of the first entry (a multiple of the entry's
//! size, the whole batch inside the page) and the count. The kernel reads each entry once, into a
//! copy of its own, and writes each entry's result.

/// Most entries in one batch.
pub const LIMIT: usize = 64;

/// An entry of `Range::MINT_INTO`: sell object `oid` into the place or slot `index`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mint {
    /// The object.
    pub oid: u32,
    /// Kind, as [`Kind`](crate::cap::Kind).
    pub kind: u8,
    /// Rights of the mapping, as [`Rights`](crate::cap::Rights); a capability always has all.
    pub rights: u8,
    /// Place in the table, or slot in the `CapTable`.
    pub index: u16,
    /// Status; the whole batch is undone when one fails.
    pub result: u32,
    /// Zero.
    pub reserved: u32,
}

/// An entry of `Range::RESCIND`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rescind {
    /// The object.
    pub oid: u32,
    /// [`RESCIND_FREED`], [`RESCIND_LIMBO`] or a status.
    pub result: u32,
}

/// Result of a rescind: the object is free, its frame zeroed.
pub const RESCIND_FREED: u32 = 0;
/// Result of a rescind: the object is void, but a pin holds its frame; `Range::REAP` tells when it
/// ends.
pub const RESCIND_LIMBO: u32 = 0x8000_0000;

/// An entry of `Aperture::PIN_BATCH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pin {
    /// Aperture slot, 0 to 511.
    pub slot: u16,
    /// Place in the segment, 0 to 511.
    pub index: u16,
    /// Direction, as [`direction`].
    pub direction: u8,
    /// Zero.
    pub reserved: u8,
    /// Status.
    pub result: u16,
    /// Out: the address at which the device reaches the frame; 0 for no direction.
    pub address: u64,
}

/// An entry of `Aperture::UNPIN_BATCH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Unpin {
    /// Aperture slot, 0 to 511.
    pub slot: u16,
    /// Status.
    pub result: u16,
    /// Zero.
    pub reserved: u32,
}

/// An entry of `Aperture::EXCHANGE_BATCH`: swap the frames of the pages at two places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Exchange {
    /// The segments: slot in a table of the call's, plus 128 times the number of that table (0 to 2).
    /// The kernel remembers the last one on either side, so entries sorted by segment are cheaper.
    pub segments: [u16; 2],
    /// The places in them, 0 to 511.
    pub places: [u16; 2],
    /// Status: all that is exchanged is exchanged when it is `OK`, and nothing otherwise.
    pub result: u32,
    /// Zero.
    pub reserved: u32,
}

/// Directions of a pin.
pub mod direction {
    /// Only the driver sees the frame: rings shared with a client.
    pub const NONE: u8 = 0;
    /// The device reads the frame.
    pub const TO_DEVICE: u8 = 1;
    /// The device writes the frame.
    pub const FROM_DEVICE: u8 = 2;
    /// Both.
    pub const BOTH: u8 = 3;
}

const _: () = {
    assert!(size_of::<Mint>() == 16);
    assert!(size_of::<Rescind>() == 8);
    assert!(size_of::<Pin>() == 16);
    assert!(size_of::<Unpin>() == 8);
    assert!(size_of::<Exchange>() == 16);
    assert!(LIMIT * size_of::<Mint>() <= crate::PAGE_SIZE);
};
