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

    /// Loads two bytes.
    fn load_u16(&self, offset: usize) -> Result<u16, Fault>;
    /// Loads four bytes.
    fn load_u32(&self, offset: usize) -> Result<u32, Fault>;
    /// Loads eight bytes.
    fn load_u64(&self, offset: usize) -> Result<u64, Fault>;
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
        let mut piece = [0u8; 256];
        let mut done = 0;
        while done < length {
            let n = piece.len().min(length - done);
            self.read(offset + done, &mut piece[..n])?;
            to.write(to_offset + done, &piece[..n])?;
            done += n;
        }
        Ok(())
    }
}
