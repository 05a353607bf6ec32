//! Memory that may be taken back at any instant.

use core::sync::atomic::{Ordering, fence};

use sys::mem::Direct;
use sys::{Fault, Mem};

use super::{Mapping, copy_between};
use crate::try_access::{self, Word};

/// Memory that its owner may take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocableMapping(pub(super) Mapping);

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
