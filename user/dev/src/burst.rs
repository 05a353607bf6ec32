//! How many frames a session takes at once: before its client gives any of them back.
//!
//! The driver is more urgent than its clients. A whole burst reaches a session before its client runs,
//! and what finds no page to spare is lost. Copied frames of the usual length share a page; a frame that
//! is flipped has one to itself, and what the device was lent is of no use for frames that come in other
//! buffers. So a session that flips lends no more than leaves it enough, and when its pages become
//! *scarce* it has frames copied, that share pages, and lends no more.
//!
//! What comes of it is a promise that holds whatever the session's strategy, and whenever that changes: a
//! client that lets its peers have no more under way than the session [takes](frames) loses nothing.

use abi::PAGE_SIZE;
use ring::CAPACITY;

/// Frames that are copied into one page start at multiples of this: whole cache lines, so that two
/// frames share none.
pub const ALIGNMENT: u32 = 64;

/// Pages that a session keeps of those that it could lend, if they are not the half of all: they take a
/// window of 128 KiB in frames of 1,514 bytes, with something to spare for others.
const KEPT: u16 = 96;

/// Bytes of a page before a frame that the device put there, at most.
const BEFORE: u32 = 16;

/// Most pages that a session lends the device, if its client sees them: half of many, a quarter of few.
pub const fn most_lent(pages: u16) -> u16 {
    let (half, quarter) = (pages / 2, pages / 4);
    let beyond = pages.saturating_sub(KEPT);
    let lent = if beyond < half { beyond } else { half };
    let lent = if lent > quarter { lent } else { quarter };
    // None at all would never be filled in place.
    if lent > 0 { lent } else { 1 }
}

/// With so many pages to spare, or fewer, a session lends none, and frames of which several fit into a
/// page are copied.
pub const fn scarce(pages: u16) -> u16 {
    pages.saturating_sub(most_lent(pages)) / 2
}

/// Frames of a length that fit into a page, copied; 0 where a frame is longer.
pub const fn packed(length: u32) -> u32 {
    match length.next_multiple_of(ALIGNMENT) {
        0 => PAGE_SIZE as u32 / ALIGNMENT,
        bytes => PAGE_SIZE as u32 / bytes,
    }
}

/// How many frames of a length a session takes at least, whatever its strategy. Its ring has an entry for
/// each page of each.
pub const fn frames(pages: u16, length: u32) -> u32 {
    let kept = pages.saturating_sub(most_lent(pages)) as u32;
    let scarce = scarce(pages) as u32;
    match packed(length) {
        // One page may be open: shorter frames are packed into it.
        0 | 1 => kept.saturating_sub(1) / (length + BEFORE).div_ceil(PAGE_SIZE as u32 - BEFORE),
        together => {
            let all = kept - scarce + scarce * together;
            if all < CAPACITY { all } else { CAPACITY }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{FEWEST_PAGES, MOST_PAGES};

    #[test]
    fn a_port_with_many_pages_takes_a_large_window_and_lends_half() {
        assert_eq!(most_lent(MOST_PAGES), MOST_PAGES / 2);
        assert_eq!(frames(MOST_PAGES, 1514), 180);
        assert_eq!(frames(MOST_PAGES, 60), CAPACITY);
        assert_eq!(frames(MOST_PAGES, 4096), 59);
        assert_eq!(frames(MOST_PAGES, 9014), 39);
    }

    #[test]
    fn a_port_with_few_pages_lends_a_quarter_and_packs_half_of_the_others() {
        assert_eq!((most_lent(64), scarce(64)), (16, 24));
        assert_eq!(frames(64, 1514), 24 + 2 * 24);
        // Each takes a page, in whichever way it comes.
        assert_eq!(frames(64, 2049), 47);
        assert_eq!(frames(64, 9014), 15);
    }

    #[test]
    fn whoever_has_more_pages_takes_no_fewer_frames() {
        for pages in FEWEST_PAGES..MOST_PAGES {
            assert!(scarce(pages) + most_lent(pages) < pages, "{pages}");
            for length in [60, 1514, 2048, 4096, 9014] {
                let (fewer, more) = (frames(pages, length), frames(pages + 1, length));
                assert!(fewer <= more + 1, "{pages} pages, {length} bytes");
            }
        }
    }
}
