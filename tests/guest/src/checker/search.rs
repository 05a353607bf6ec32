//! Searches what the stack can see of receive memory, page by page, to the last byte.
//!
//! Nothing but frames of the host's and zeros may be there. Whose frames is told by their patterns.

use guest::numbered::{ETHERNET, HOST, MARK, PRIVATE, Report, TYPE, block_start, is_text, mac};

/// Bytes of a page.
const PAGE: usize = 4096;
/// Where the device's own header in front of a frame says how many buffers the frame takes
/// (virtio 1.2, 5.1.6.4), with the header at the page's start or so that the frame is aligned; the rest
/// of that header is zero here.
const BUFFERS: [usize; 2] = [10, 14];
/// Most buffers that a frame takes.
const MOST_BUFFERS: u8 = 4;
/// What is left of a frame's header at the start of a page when the device fills the page from here on.
const LEFT: usize = 4;

/// Adds what lies in a page to the report. Answers where a byte lies that belongs to no frame.
pub fn search(page: &[u8; PAGE], own: u8, report: &mut Report) -> Option<usize> {
    report.searched += PAGE as u32;
    for block in page.windows(8) {
        // A whole block: where a frame ends in the middle of one, what follows is of an earlier frame, and
        // the two together must not look like a third user's.
        let whose = block[2] & 0xf;
        let is_whole = block[2..].iter().all(|byte| byte & 0xf0 == 0x40);
        if is_whole && block[..3] == block_start(MARK, whose) && whose != own {
            report.others += 1;
        }
    }
    for three in page.windows(3) {
        if three == block_start(PRIVATE, three[2] & 0xf) {
            report.private += 1;
        }
    }
    let mut first = None;
    let mut at = 0;
    while at < PAGE {
        let step = explained(page, at);
        if step == 0 {
            report.unexplained += 1;
            first = first.or(Some(at));
        }
        at += step.max(1);
    }
    first
}

/// How many bytes from here on are zero, text, or of a header.
fn explained(page: &[u8; PAGE], at: usize) -> usize {
    let byte = page[at];
    if byte == 0 || is_text(byte) || BUFFERS.contains(&at) && byte <= MOST_BUFFERS {
        return 1;
    }
    if at == 0 && page[..LEFT] == mac(0)[..LEFT] {
        return LEFT;
    }
    // A frame's header; or the rest of it, where a later frame ended within it.
    (1..=ETHERNET)
        .rev()
        .find(|length| is_header(page, at, *length))
        .unwrap_or(0)
}

/// Whether the last `length` bytes of a header lie there.
fn is_header(page: &[u8; PAGE], at: usize, length: usize) -> bool {
    let Some(bytes) = page.get(at..at + length) else {
        // It goes on in another page.
        return false;
    };
    (0..16).any(|recipient| {
        let header: [&[u8]; 3] = [&mac(recipient), &HOST, &TYPE];
        let mut header = header.into_iter().flatten().skip(ETHERNET - length);
        bytes.iter().all(|byte| header.next() == Some(byte))
    })
}
