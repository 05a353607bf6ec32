//! How much of the host's heap is in use, in pieces: what a simulation keeps of each cycle of
//! thousands, whoever in it keeps it, shows there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The host's allocator, which counts. For programs that play one simulation at a time.
pub struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static PIECES: AtomicI64 = AtomicI64::new(0);

/// Pieces in use, if this program counts them.
pub fn pieces() -> Option<i64> {
    COUNTS
        .load(Ordering::Relaxed)
        .then(|| PIECES.load(Ordering::Relaxed))
}

// SAFETY:
// - all is left to the system's allocator, which is one;
// - counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTS.store(true, Ordering::Relaxed);
        PIECES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller owes what the system's allocator is owed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        PIECES.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(piece, layout) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.realloc(piece, layout, size) }
    }
}
