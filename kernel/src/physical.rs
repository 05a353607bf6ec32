//! Physical memory as the kernel reads it while it starts, when others say what lies where.
//!
//! A loader and a firmware hand over addresses and lengths. Whoever follows them asks for the bytes, and
//! gets none where memory doesn't have them all: nobody makes a pointer out of a number that was read.

use core::ops::Range;

/// Physical memory that can be read.
pub trait Physical {
    /// Whether all of a range is there. Says nothing of what is there: memory, or a device.
    fn is_mapped(&self, range: Range<u64>) -> bool;

    /// So many bytes from an address on; `None` where not all of them are there.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// Whether bytes may be read there: in memory that ends at `end`, and none of the kernel's own image, where
/// reading and writing would meet.
pub fn may_be_read(range: &Range<u64>, end: u64, image: &Range<u64>) -> bool {
    let meets_image = range.start < image.end && image.start < range.end;
    range.start <= range.end && range.end <= end && !meets_image
}

/// The number of 16 bits at an offset, or `None` where the bytes end before.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let (number, _) = bytes.get(offset..)?.split_first_chunk()?;
    Some(u16::from_le_bytes(*number))
}

/// As above, of 32 bits.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let (number, _) = bytes.get(offset..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*number))
}

/// As above, of 64 bits.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let (number, _) = bytes.get(offset..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*number))
}
