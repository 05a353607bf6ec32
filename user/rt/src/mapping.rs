//! Memory that somebody else can reach too: `sys::Mem` by single loads and stores.
//!
//! [`Mapping`] is memory that can't vanish: one's own, a window over pinned frames, device registers.
//! [`RevocableMapping`] is memory that its owner may take back at any instant; each access reports
//! that. Neither is ever a Rust reference: what another party can write is not Rust's memory. Every
//! access is one machine instruction (or the copy routine's), which the compiler neither splits,
//! repeats nor leaves out.

mod revocable;
#[cfg(test)]
mod tests;

use core::arch::asm;
use core::sync::atomic::{Ordering, fence};

use sys::mem::Direct;
use sys::{Fault, Mem};

use crate::try_access;

pub use revocable::RevocableMapping;

/// Memory that can't vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    address: usize,
    length: usize,
}

impl Mapping {
    /// Memory at an address.
    ///
    /// # Safety
    /// No Rust object lies in the range, now or as long as the mapping is used, unless the caller
    /// holds it exclusively. (Memory that is not mapped is sound: the access is a reported fault.)
    pub const unsafe fn new(address: usize, length: usize) -> Mapping {
        Mapping { address, length }
    }

    /// Its address.
    pub const fn address(&self) -> usize {
        self.address
    }

    /// A part of it.
    ///
    /// # Errors
    /// The part reaches beyond it.
    pub fn part(&self, offset: usize, length: usize) -> Result<Mapping, Fault> {
        Ok(Mapping {
            address: self.range(offset, length)?,
            length,
        })
    }

    /// The address of a range inside.
    #[inline]
    fn range(&self, offset: usize, bytes: usize) -> Result<usize, Fault> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.length => Ok(self.address + offset),
            _ => Err(Fault::OutOfRange),
        }
    }

    /// The address of an aligned word inside.
    #[inline]
    fn place<W>(&self, offset: usize) -> Result<usize, Fault> {
        let address = self.range(offset, size_of::<W>())?;
        if !address.is_multiple_of(size_of::<W>()) {
            return Err(Fault::OutOfRange);
        }
        Ok(address)
    }
}

/// Plain loads and stores of a `Mapping`. x86 orders loads with loads and stores with stores; an
/// acquire or a release differs from a plain access only in what it tells the compiler.
macro_rules! plain {
    ($type:ty, $class:ident, $value:literal, $load:ident, $store:ident) => {
        #[inline]
        fn $load(&self, offset: usize) -> Result<$type, Fault> {
            let address = self.place::<$type>(offset)?;
            let value;
            // SAFETY: one load from memory where no Rust object lies.
            unsafe {
                asm!(
                    concat!("mov {value", $value, "}, [{address}]"),
                    address = in(reg) address,
                    value = lateout($class) value,
                    options(nostack, preserves_flags),
                );
            }
            Ok(value)
        }

        #[inline]
        fn $store(&self, offset: usize, value: $type) -> Result<(), Fault> {
            let address = self.place::<$type>(offset)?;
            // SAFETY: one store to memory where no Rust object lies.
            unsafe {
                asm!(
                    concat!("mov [{address}], {value", $value, "}"),
                    address = in(reg) address,
                    value = in($class) value,
                    options(nostack, preserves_flags),
                );
            }
            Ok(())
        }
    };
}

impl Mapping {
    plain!(u8, reg_byte, "", word_u8, set_u8);
    plain!(u16, reg, ":x", word_u16, set_u16);
    plain!(u32, reg, ":e", word_u32, set_u32);
    plain!(u64, reg, ":r", word_u64, set_u64);
}

/// Copies from one region straight to another, if both lie where only `Mem` reaches.
#[inline]
fn copy_between<T: Mem>(
    from: Direct,
    offset: usize,
    to: &T,
    to_offset: usize,
    bytes: usize,
) -> Option<Result<(), Fault>> {
    let target = to.direct()?;
    let place = |region: Direct, offset: usize| {
        let end = offset.checked_add(bytes)?;
        (end <= region.length).then(|| region.address + offset)
    };
    let (Some(source), Some(destination)) = (place(from, offset), place(target, to_offset)) else {
        return Some(Err(Fault::OutOfRange));
    };
    // `direct` is safe code that anybody may implement, so its answer is believed only where no
    // Rust object can lie.
    if !foreign(source, bytes) || !foreign(destination, bytes) {
        return None;
    }
    // SAFETY: both ranges lie in the part of the address space that holds no Rust object. What isn't
    // mapped there is revocable, or else a reported fault.
    Some(unsafe {
        try_access::try_copy(destination, source, bytes, target.revocable, from.revocable)
    })
}

/// Whether a range lies where programs map shared segments, and nothing of Rust's.
fn foreign(address: usize, bytes: usize) -> bool {
    use abi::boot::layout::{SHARED, SHARED_END};
    address >= SHARED as usize
        && address
            .checked_add(bytes)
            .is_some_and(|end| end <= SHARED_END as usize)
}

impl Mem for Mapping {
    #[inline]
    fn len(&self) -> usize {
        self.length
    }

    #[inline]
    fn load_u8(&self, offset: usize) -> Result<u8, Fault> {
        self.word_u8(offset)
    }

    #[inline]
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.word_u16(offset)
    }

    #[inline]
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.word_u32(offset)
    }

    #[inline]
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.word_u64(offset)
    }

    #[inline]
    fn store_u8(&self, offset: usize, value: u8) -> Result<(), Fault> {
        self.set_u8(offset, value)
    }

    #[inline]
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.set_u16(offset, value)
    }

    #[inline]
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.set_u32(offset, value)
    }

    #[inline]
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.set_u64(offset, value)
    }

    #[inline]
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.word_u16(offset)
    }

    #[inline]
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.word_u32(offset)
    }

    #[inline]
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.set_u16(offset, value)
    }

    #[inline]
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.set_u32(offset, value)
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let from = self.range(offset, into.len())?;
        // SAFETY: `into` is exclusively ours, and no Rust object lies in the region.
        unsafe { try_access::copy(into.as_mut_ptr().expose_provenance(), from, into.len()) };
        Ok(())
    }

    #[inline]
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let to = self.range(offset, from.len())?;
        // SAFETY: `from` can be read, and no Rust object lies in the region.
        unsafe { try_access::copy(to, from.as_ptr().expose_provenance(), from.len()) };
        Ok(())
    }

    #[inline]
    fn copy_to<T: Mem>(
        &self,
        offset: usize,
        to: &T,
        to_offset: usize,
        length: usize,
    ) -> Result<(), Fault> {
        let own = Direct {
            address: self.address,
            length: self.length,
            revocable: false,
        };
        copy_between(own, offset, to, to_offset, length)
            .unwrap_or_else(|| sys::mem::copy_by_pieces(self, offset, to, to_offset, length))
    }

    #[inline]
    fn direct(&self) -> Option<Direct> {
        Some(Direct {
            address: self.address,
            length: self.length,
            revocable: false,
        })
    }
}
