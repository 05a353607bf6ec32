//! Names of banks: where a bank's record lies, and the serial number that outlives it.

use abi::boot::badge;
use sys::bank::BankRights;

use crate::entry::MAX_OBJECTS;

/// A living bank, named by the object that holds its record.
///
/// Says nothing of whether there is such a bank: only a [`Serial`] that was looked up does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(u32);

impl Owner {
    /// Bits that an owner takes.
    pub(crate) const MASK: u32 = 0x00ff_ffff;
    /// The prime bank. Its record lies in the server itself: there is nobody to charge it to.
    pub const PRIME: Owner = Owner(Owner::MASK);

    pub(crate) const fn from_raw(raw: u32) -> Owner {
        Owner(raw)
    }

    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    /// The bank whose record object `oid` holds.
    pub(crate) const fn of_record(oid: u32) -> Owner {
        Owner(oid)
    }

    /// The object that holds its record; `None` for the prime bank.
    pub const fn record_object(self) -> Option<u32> {
        if self.0 == Owner::PRIME.0 {
            None
        } else {
            Some(self.0)
        }
    }
}

/// The number of a bank, never used again: which object holds its record, and for the how-manieth
/// time that object holds one.
///
/// 54 of a badge's 56 bits above the rights are in use. Each object is good for 2^32 - 1 banks and
/// afterwards for anything but a record, so numbers run out only after 2^32 banks for each object
/// of the machine; then no more banks can be made, and everything else goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(u64);

const OBJECT_BITS: u32 = MAX_OBJECTS.ilog2();

impl Serial {
    /// The prime bank's. Generation 0 is nobody else's.
    pub const PRIME: Serial = Serial(badge::PRIME >> 8);
    /// The verifier's.
    pub const VERIFIER: Serial = Serial(badge::VERIFIER >> 8);

    /// The serial of the bank whose record object `oid` holds for the `generation`-th time.
    pub(crate) const fn new(oid: u32, generation: u32) -> Serial {
        Serial((generation as u64) << OBJECT_BITS | oid as u64)
    }

    /// As a number: a bank's id.
    pub const fn id(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_id(id: u64) -> Serial {
        Serial(id)
    }

    /// Object and generation; generation 0 for numbers that are not a record's.
    pub(crate) const fn parts(self) -> (u32, u64) {
        (
            self.0 as u32 & (MAX_OBJECTS as u32 - 1),
            self.0 >> OBJECT_BITS,
        )
    }

    /// The badge of a capability to this bank.
    pub const fn badge(self, rights: BankRights) -> u64 {
        self.0 << 8 | rights.bits() as u64
    }

    /// Serial and rights of a badge. Bits without a meaning are dropped: the kernel mints the prime
    /// bank's badge with all of them.
    pub const fn from_badge(badge: u64) -> (Serial, BankRights) {
        (
            Serial(badge >> 8),
            BankRights::from_bits_truncate(badge as u8),
        )
    }
}

const _: () = {
    assert!(Serial::PRIME.parts().1 == 0 && Serial::VERIFIER.parts().1 == 0);
    assert!(OBJECT_BITS + 32 + 8 <= 64);
    assert!(MAX_OBJECTS <= Owner::MASK as usize);
};
