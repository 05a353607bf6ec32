//! Frames from the stack to the driver.
//!
//! What the ring says is read once and checked, as the driver checks it; the bytes are copied into the
//! copier's own transmit segment, and may change or vanish while they are. What they say is the driver's
//! to check: it sees the copy alone.

use abi::PAGE_SIZE;
use dev::Program;
use dev::layout::MORE;
use dev::session::Session;
use dev::statistics::{Counter, Counters};
use ethdrv::misbehaviour::{BadRun, End, Kind};
use ethdrv::outgoing::transmit_page;
use ring::Descriptor;
use sys::Mem;

use crate::pair::{Stack, Trouble};

/// Frames in a round.
const ROUND: usize = 64;

/// Carries a bounded number of frames. Answers whether there may be more, and whether the driver has no
/// room for them.
pub(crate) fn carry<P: Program>(
    stack: &mut Stack<P>,
    driver: &mut Session<P>,
    counters: &mut Counters,
) -> Result<(bool, bool), Trouble> {
    for _ in 0..ROUND {
        let ring = &mut stack.transmit;
        if ring.available() == 0 && ring.refresh(&stack.transmit_memory)? == 0 {
            return Ok((false, false));
        }
        if driver.room()? == 0 {
            return Ok((false, true));
        }
        match take(stack, driver)? {
            Some(length) => {
                // There is room, and it isn't too long.
                driver.send(length)?;
            }
            None => counters.count(Counter::TooLong),
        }
    }
    Ok((true, false))
}

/// Copies the next frame into the driver's next buffer; answers its length. `None`: it is longer than
/// frames can be.
fn take<P: Program>(stack: &mut Stack<P>, driver: &Session<P>) -> Result<Option<u32>, Trouble> {
    let limit = driver.send_limit();
    let (mut length, mut count, mut fits) = (0u32, 0, true);
    let mut last = None;
    loop {
        let Some(piece) = stack.transmit.pop(&stack.transmit_memory)? else {
            // Pieces are published at once: there must be another.
            let page = last.map_or(0, |piece: Descriptor| piece.page);
            return Err(misbehaved(Kind::TransmitRun {
                page,
                what: BadRun::BreaksOff,
            }));
        };
        count += 1;
        if piece.length == 0 && (last.is_some() || piece.flags & MORE != 0) {
            let page = piece.page;
            return Err(misbehaved(Kind::TransmitRun {
                page,
                what: BadRun::Empty,
            }));
        }
        let more = check(&piece, stack.transmit_pages.len()).map_err(misbehaved)?;
        // No more than all entries of the ring, of a page each.
        fits &= length + piece.length <= limit;
        if fits {
            let from = piece.page as usize * PAGE_SIZE + piece.offset as usize;
            let to = driver.buffer() + length as usize;
            let bytes = piece.length as usize;
            let own = driver.transmit_memory();
            let copied = stack.transmit_memory.copy_to(from, own, to, bytes);
            copied.map_err(|fault| Trouble::Stack(fault.into()))?;
        }
        length += piece.length;
        if !more {
            break;
        }
        last = Some(piece);
    }
    // The stack has its memory back, whatever becomes of the frame.
    stack.transmit.release(count);
    Ok(fits.then_some(length))
}

const fn misbehaved(kind: Kind) -> Trouble {
    Trouble::Stack(End::Misbehaved(kind))
}

/// Whether the frame goes on after a piece.
fn check(piece: &Descriptor, pages: usize) -> Result<bool, Kind> {
    transmit_page(piece, pages)?;
    match piece.flags {
        0 => Ok(false),
        MORE if piece.offset + piece.length == PAGE_SIZE as u32 => Ok(true),
        MORE => Err(Kind::TransmitRun {
            page: piece.page,
            what: BadRun::BreaksOff,
        }),
        flags => Err(Kind::TransmitFlags(flags)),
    }
}
