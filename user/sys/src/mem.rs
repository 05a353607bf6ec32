//! Shared memory, access by access.

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The memory is gone: its owner revoked it (or it never was mapped that way).
    Revoked,
    /// The access reaches beyond the region.
    OutOfRange,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Fault::Revoked => "memory revoked by its owner",
            Fault::OutOfRange => "access beyond the region",
        })
    }
}

impl core::error::Error for Fault {}

/// Where a region lies in the program's own address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct {
    /// Its first address.
    pub address: usize,
    /// Bytes in it.
    pub length: usize,
    /// Whether it may be taken back.
    pub revocable: bool,
}

/// A region of memory that somebody else may write, or take back, at any instant.
///
/// Every access is a separate load or store, done once, in program order; nothing is cached. What is
/// read must be checked after it was read, never read again. Offsets are bytes from the start of the
/// region and must be aligned to the access. An implementation over memory that can't be revoked
/// (pinned, or one's own) never answers `Revoked`.
pub trait Mem {
    /// Bytes in the region.
    fn len(&self) -> usize;

    /// Whether the region is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads a byte, as one byte-wide access (device registers ask for it).
    fn load_u8(&self, offset: usize) -> Result<u8, Fault> {
        let mut byte = [0];
        self.read(offset, &mut byte)?;
        Ok(byte[0])
    }
    /// Loads two bytes.
    fn load_u16(&self, offset: usize) -> Result<u16, Fault>;
    /// Loads four bytes.
    fn load_u32(&self, offset: usize) -> Result<u32, Fault>;
    /// Loads eight bytes.
    fn load_u64(&self, offset: usize) -> Result<u64, Fault>;
    /// Stores a byte, as one byte-wide access (device registers ask for it).
    fn store_u8(&self, offset: usize, value: u8) -> Result<(), Fault> {
        self.write(offset, &[value])
    }
    /// Stores two bytes.
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault>;
    /// Stores four bytes.
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault>;
    /// Stores eight bytes.
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault>;

    /// Loads with acquire ordering: what the writer stored before its release is seen afterwards.
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault>;
    /// Loads with acquire ordering.
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault>;
    /// Stores with release ordering: what was stored before is seen by who acquires it.
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault>;
    /// Stores with release ordering.
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault>;

    /// Full fence: a store before it is visible before a load after it is done.
    fn fence(&self);

    /// Copies bytes out of the region.
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault>;
    /// Copies bytes into the region. After `Revoked`, a part may have been written.
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault>;

    /// Copies bytes from this region to another, or within it when they don't overlap.
    fn copy_to<T: Mem>(
        &self,
        offset: usize,
        to: &T,
        to_offset: usize,
        length: usize,
    ) -> Result<(), Fault> {
        copy_by_pieces(self, offset, to, to_offset, length)
    }

    /// Where the region lies, for implementations of [`copy_to`](Mem::copy_to) that copy from one
    /// region straight to another; `None` when it has no address, or may hold more than shared
    /// memory. Nobody may believe it without checking where it points.
    fn direct(&self) -> Option<Direct> {
        None
    }
}

/// Copies from one region to another by way of a small buffer of one's own.
///
/// # Errors
/// As the accesses; a part may have been copied.
pub fn copy_by_pieces(
    from: &(impl Mem + ?Sized),
    offset: usize,
    to: &impl Mem,
    to_offset: usize,
    length: usize,
) -> Result<(), Fault> {
    let mut piece = [0u8; 256];
    let mut done = 0;
    while done < length {
        let n = piece.len().min(length - done);
        from.read(offset + done, &mut piece[..n])?;
        to.write(to_offset + done, &piece[..n])?;
        done += n;
    }
    Ok(())
}

/// A borrowed region is a region.
impl<M: Mem> Mem for &M {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn load_u8(&self, offset: usize) -> Result<u8, Fault> {
        (**self).load_u8(offset)
    }
    fn load_u16(&self, offset: usize) -> Result<u16, Fault> {
        (**self).load_u16(offset)
    }
    fn load_u32(&self, offset: usize) -> Result<u32, Fault> {
        (**self).load_u32(offset)
    }
    fn load_u64(&self, offset: usize) -> Result<u64, Fault> {
        (**self).load_u64(offset)
    }
    fn store_u8(&self, offset: usize, value: u8) -> Result<(), Fault> {
        (**self).store_u8(offset, value)
    }
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        (**self).store_u16(offset, value)
    }
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        (**self).store_u32(offset, value)
    }
    fn store_u64(&self, offset: usize, value: u64) -> Result<(), Fault> {
        (**self).store_u64(offset, value)
    }
    fn acquire_u16(&self, offset: usize) -> Result<u16, Fault> {
        (**self).acquire_u16(offset)
    }
    fn acquire_u32(&self, offset: usize) -> Result<u32, Fault> {
        (**self).acquire_u32(offset)
    }
    fn release_u16(&self, offset: usize, value: u16) -> Result<(), Fault> {
        (**self).release_u16(offset, value)
    }
    fn release_u32(&self, offset: usize, value: u32) -> Result<(), Fault> {
        (**self).release_u32(offset, value)
    }
    fn fence(&self) {
        (**self).fence()
    }
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        (**self).read(offset, into)
    }
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        (**self).write(offset, from)
    }
    fn copy_to<T: Mem>(
        &self,
        offset: usize,
        to: &T,
        to_offset: usize,
        length: usize,
    ) -> Result<(), Fault> {
        (**self).copy_to(offset, to, to_offset, length)
    }
    fn direct(&self) -> Option<Direct> {
        (**self).direct()
    }
}
