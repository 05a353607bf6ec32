//! The message page: the one page that the kernel reads and writes on the program's behalf.
//!
//! Its first half is the program's, for batches. The rest holds log lines and, apart from them, the
//! lines of panics and faults, which may interrupt a log line that is being written.

use abi::PAGE_SIZE;
use abi::boot::{layout, slot};
use sys::Cap;
use sys::object::Page;

use crate::mapping::Mapping;
use crate::text::LINE;

/// The page's capability.
pub const PAGE: Cap<Page> = Cap::at(slot::MESSAGE);

/// Bytes that are the program's.
pub const BATCH_BYTES: usize = 2048;

/// Offset of the buffer for lines of panics and faults.
pub(crate) const REPORT: usize = BATCH_BYTES;
/// Offset of the buffer for log lines.
pub(crate) const LOG: usize = REPORT + LINE;

const _: () = assert!(LOG + LINE == PAGE_SIZE);

/// The program's half, for batches. Offsets in it are offsets in the page.
pub fn batch() -> Mapping {
    // SAFETY: whoever starts a program maps this page here; no Rust object lies in it.
    unsafe { Mapping::new(layout::MESSAGE as usize, BATCH_BYTES) }
}

/// The buffer for one line at an offset.
pub(crate) fn line(offset: usize) -> Mapping {
    // SAFETY: as for `batch`.
    unsafe { Mapping::new(layout::MESSAGE as usize + offset, LINE) }
}
