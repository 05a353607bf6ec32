//! Frames from the driver to the stack.
//!
//! A frame is copied out of the copier's receive segment straight into the stack's. Either may vanish at
//! any byte: the one because the driver died, the other because its owner took it back. What the stack
//! has no room for is dropped and counted; the driver gets its pages back all the same.

use dev::Program;
use dev::session::{Frame, Lost, Session};
use dev::statistics::Counters;
use ethdrv::frame::{Part, Source, Stretch};
use ethdrv::misbehaviour::End;
use ethdrv::strategy::{Undelivered, copy};
use sys::Mem;

use crate::pair::{Stack, Trouble};

/// Frames in a round.
const ROUND: usize = 64;

/// Carries a bounded number of frames. `true`: there may be more.
pub(crate) fn carry<P: Program>(
    stack: &mut Stack<P>,
    driver: &mut Session<P>,
    counters: &mut Counters,
) -> Result<bool, Trouble> {
    for _ in 0..ROUND {
        let Some(frame) = driver.receive()? else {
            return Ok(false);
        };
        let delivered = deliver(stack, driver.receive_memory(), &frame);
        let outcome = match delivered {
            Ok(()) => Ok(()),
            Err(Undelivered::Dropped(counter)) => {
                counters.count(counter);
                Ok(())
            }
            Err(Undelivered::End(end)) => Err(blame(end, driver, &frame)),
        };
        driver.give_back(frame);
        outcome?;
    }
    Ok(true)
}

/// Whose memory it was that vanished in the midst of a copy. If both did, the stack's shows itself again.
#[cold]
fn blame<P: Program>(end: End, driver: &Session<P>, frame: &Frame) -> Trouble {
    let memory = driver.receive_memory();
    let gone = frame
        .pieces()
        .any(|(start, _)| memory.load_u8(start).is_err());
    match gone {
        true => Trouble::Driver(Lost::Revoked),
        false => Trouble::Stack(end),
    }
}

#[inline]
fn deliver<P: Program>(
    stack: &mut Stack<P>,
    memory: &P::Shared,
    frame: &Frame,
) -> Result<(), Undelivered> {
    let nothing = Stretch {
        memory,
        part: Part::default(),
    };
    let mut stretches = [nothing; Frame::MOST_PIECES];
    let mut count = 0;
    for ((offset, length), stretch) in frame.pieces().zip(&mut stretches) {
        // No piece is longer than a page.
        let length = length as u32;
        stretch.part = Part { offset, length };
        count += 1;
    }
    let placed = copy::place(stack, &Source::new(&stretches[..count]))?;
    for piece in placed.pieces() {
        stack.filled.push(&stack.receive, *piece)?;
    }
    Ok(())
}
