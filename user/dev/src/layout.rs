//! Who writes what in a network session.
//!
//! A session shares two segments. Each word has one writer, and the tables enforce it: the **receive
//! segment** is the driver's (its pages are the client's storage), and the client has it read-only;
//! the **transmit segment** is the client's, and the driver pins it and never writes it.
//!
//! Receive segment:
//!
//! | page | bytes | what |
//! | --- | --- | --- |
//! | 0 | 0–63 | line of the producer of `filled` |
//! | | 64–127 | line of the consumer of `transmit` |
//! | | 128–191 | line of the consumer of `returned` |
//! | | 1024– | statistics: counters of 8 bytes, as [`Counter`](crate::statistics::Counter) orders them |
//! | 1 | | entries of `filled` |
//! | 2– | | receive pages |
//!
//! Transmit segment:
//!
//! | page | bytes | what |
//! | --- | --- | --- |
//! | 0 | 0–63 | line of the consumer of `filled` |
//! | | 64–127 | line of the producer of `transmit` |
//! | | 128–191 | line of the producer of `returned` |
//! | 1 | | entries of `transmit` |
//! | 2 | | entries of `returned` |
//! | 3– | | transmit pages |
//!
//! The rings, and what their descriptors say (`page` is always a place in the segment):
//!
//! | ring | from, to | an entry says | releasing it says |
//! | --- | --- | --- | --- |
//! | `filled` | driver, client | a piece of a received frame: page, offset, length in the receive segment | it was read (not: that the page is free) |
//! | `returned` | client, driver | `length` pieces in receive page `page` are no longer needed; offset and flags zero | it was noticed |
//! | `transmit` | client, driver | a piece of a frame to send: page, offset, length in the transmit segment | driver and device are done with the memory, whatever became of the frame |
//!
//! A piece lies within a page. A frame is one piece, or a run of pieces: all but the last have the flag
//! [`MORE`] and fill their page from their offset to its end, and none of a run is empty. All pieces of a
//! frame are published at once; no other flag means anything. Pieces under transmission don't share 256 aligned bytes of a
//! page.
//! Entries of `transmit` are released in order; frames of up to [`COPIED`] bytes at once, longer ones
//! when they have left. What became of a frame stands in the statistics.

use abi::PAGE_SIZE;
use ring::Ring;

pub use ring::MORE;

/// Bytes of a frame that the driver copies and checks.
pub const COPIED: usize = 128;

/// Where the control page of either segment lies.
pub const CONTROL: usize = 0;
/// Where the statistics begin in the driver's control page.
pub const STATISTICS: usize = 1024;

/// First receive page, and the pages before it.
pub const FIRST_RECEIVE_PAGE: u32 = 2;
/// First transmit page, and the pages before it.
pub const FIRST_TRANSMIT_PAGE: u32 = 3;
/// Most receive pages, or transmit pages, of a session: both with their rings fit into the slots of
/// one aperture.
pub const MOST_PAGES: u16 = 240;
/// Fewest receive pages, or transmit pages, of a session.
pub const FEWEST_PAGES: u16 = 2;

/// Received frames. The driver produces.
pub const FILLED: Ring = Ring {
    entries: PAGE_SIZE,
    producer: CONTROL,
    consumer: CONTROL,
};

/// Frames to send. The client produces.
pub const TRANSMIT: Ring = Ring {
    entries: PAGE_SIZE,
    producer: CONTROL + ring::LINE_BYTES,
    consumer: CONTROL + ring::LINE_BYTES,
};

/// Receive pages given back. The client produces.
pub const RETURNED: Ring = Ring {
    entries: 2 * PAGE_SIZE,
    producer: CONTROL + 2 * ring::LINE_BYTES,
    consumer: CONTROL + 2 * ring::LINE_BYTES,
};

const _: () = {
    assert!(
        2 * (MOST_PAGES as usize) + (FIRST_RECEIVE_PAGE + FIRST_TRANSMIT_PAGE) as usize
            <= abi::APERTURE_SLOTS
    );
    assert!(CONTROL + 3 * ring::LINE_BYTES <= STATISTICS);
    assert!(STATISTICS + 8 * crate::statistics::COUNTERS <= PAGE_SIZE);
};
