//! Memory that somebody else can reach too: `sys::Mem` by single loads and stores.
//!
//! [`Mapping`] is memory that can't vanish: one's own, a window over pinned frames, device registers.
//! [`RevocableMapping`] is memory that its owner may take back at any instant; each access reports
//! that. Neither is ever a Rust reference: what another party can write is not Rust's memory. Every
//! access is one machine instruction (or the copy routine's), which the compiler neither splits,
//! repeats nor leaves out.

use core::arch::asm;
use core::sync::atomic::{Ordering, fence};

use sys::mem::Direct;
use sys::{Fault, Mem};

use crate::try_access::{self, Word};

/// Memory that can't vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    address: usize,
    length: usize,
}

/// Memory that its owner may take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocableMapping(Mapping);

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

impl RevocableMapping {
    /// Memory at an address.
    ///
    /// # Safety
    /// As for [`Mapping::new`].
    pub const unsafe fn new(address: usize, length: usize) -> RevocableMapping {
        // SAFETY: the caller's.
        RevocableMapping(unsafe { Mapping::new(address, length) })
    }

    /// Its address.
    pub const fn address(&self) -> usize {
        self.0.address
    }

    /// A part of it.
    ///
    /// # Errors
    /// The part reaches beyond it.
    pub fn part(&self, offset: usize, length: usize) -> Result<RevocableMapping, Fault> {
        self.0.part(offset, length).map(RevocableMapping)
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

impl RevocableMapping {
    #[inline]
    fn load<W: Word>(&self, offset: usize) -> Result<W, Fault> {
        // SAFETY: no Rust object lies in the region.
        unsafe { W::try_load(self.0.place::<W>(offset)?) }
    }

    #[inline]
    fn store<W: Word>(&self, offset: usize, value: W) -> Result<(), Fault> {
        // SAFETY: no Rust object lies in the region.
        unsafe { W::try_store(self.0.place::<W>(offset)?, value) }
    }
}

impl Mem for RevocableMapping {
    #[inline]
    fn len(&self) -> usize {
        self.0.length
    }

    #[inline]
    fn load_u8(&self, offset: usize) -> Result<u8, Fault> {
        self.load(offset)
    }

    #[inline]
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load(offset)
    }

    #[inline]
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load(offset)
    }

    #[inline]
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        self.load(offset)
    }

    #[inline]
    fn store_u8(&self, offset: usize, value: u8) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        self.load(offset)
    }

    #[inline]
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        self.load(offset)
    }

    #[inline]
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        self.store(offset, value)
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        let from = self.0.range(offset, into.len())?;
        let to = into.as_mut_ptr().expose_provenance();
        // SAFETY: `into` is exclusively ours, and no Rust object lies in the region.
        unsafe { try_access::try_copy(to, from, into.len(), false, true) }
    }

    #[inline]
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        let to = self.0.range(offset, from.len())?;
        let source = from.as_ptr().expose_provenance();
        // SAFETY: `from` can be read, and no Rust object lies in the region.
        unsafe { try_access::try_copy(to, source, from.len(), true, false) }
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
            address: self.0.address,
            length: self.0.length,
            revocable: true,
        };
        copy_between(own, offset, to, to_offset, length)
            .unwrap_or_else(|| sys::mem::copy_by_pieces(self, offset, to, to_offset, length))
    }

    #[inline]
    fn direct(&self) -> Option<Direct> {
        Some(Direct {
            address: self.0.address,
            length: self.0.length,
            revocable: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> ([u64; 64], [u64; 64]) {
        (
            core::array::from_fn(|n| n as u64 * 0x0101_0101_0101_0101),
            [0; 64],
        )
    }

    /// A mapping over memory that the test holds exclusively while it uses it.
    fn over(memory: &mut [u64]) -> Mapping {
        let address = memory.as_mut_ptr().expose_provenance();
        // SAFETY: the test touches the array by this mapping alone as long as it uses it.
        unsafe { Mapping::new(address, size_of_val(memory)) }
    }

    fn accesses(memory: &impl Mem) {
        memory.store_u64(8, 0x1122_3344_5566_7788).unwrap();
        memory.store_u32(8, 0xAABB_CCDD).unwrap();
        memory.store_u16(12, 0xEEFF).unwrap();
        memory.store_u8(15, 0x99).unwrap();
        assert_eq!(memory.load_u64(8), Ok(0x9922_EEFF_AABB_CCDD));
        assert_eq!(memory.acquire_u32(12), Ok(0x9922_EEFF));
        assert_eq!(memory.load_u16(14), Ok(0x9922));
        assert_eq!(memory.load_u8(9), Ok(0xCC));
        assert_eq!(memory.load_u64(505), Err(Fault::OutOfRange));
        assert_eq!(memory.load_u32(510), Err(Fault::OutOfRange));
        assert_eq!(memory.load_u8(512), Err(Fault::OutOfRange));
        assert_eq!(memory.load_u64(usize::MAX - 7), Err(Fault::OutOfRange));
        assert_eq!(
            memory.store_u32(2, 1),
            Err(Fault::OutOfRange),
            "not aligned"
        );
        assert_eq!(memory.write(500, &[0; 13]), Err(Fault::OutOfRange));
        let mut bytes = [0; 7];
        memory.read(9, &mut bytes).unwrap();
        assert_eq!(bytes, [0xCC, 0xBB, 0xAA, 0xFF, 0xEE, 0x22, 0x99]);
    }

    #[test]
    fn each_access_has_its_width_and_stays_inside() {
        let (mut one, mut other) = pair();
        accesses(&over(&mut one));
        accesses(&RevocableMapping(over(&mut other)));
    }

    #[test]
    fn regions_outside_shared_memory_are_copied_by_pieces() {
        let (mut one, mut other) = pair();
        let (from, to) = (over(&mut one), RevocableMapping(over(&mut other)));
        assert_eq!(copy_between(from.direct().unwrap(), 0, &to, 0, 8), None);
        from.copy_to(16, &to, 3, 450).unwrap();
        assert_eq!(to.copy_to(64, &from, 0, 449), Err(Fault::OutOfRange));
        let mut bytes = [0; 453];
        to.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[..12], [0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
    }

    #[test]
    fn parts_stay_inside() {
        let (mut one, _) = pair();
        let whole = over(&mut one);
        let part = whole.part(256, 256).unwrap();
        assert_eq!(part.load_u8(0), whole.load_u8(256));
        assert_eq!(part.load_u8(256), Err(Fault::OutOfRange));
        assert_eq!(whole.part(256, 257), Err(Fault::OutOfRange));
        assert_eq!(whole.part(usize::MAX, 2), Err(Fault::OutOfRange));
    }
}
