//! `copy`: a frame is received into a buffer of the driver's and copied into a page of the
//! recipient's.
//!
//! The recipient's pages are mapped, not pinned: they may vanish at any byte of the copy. Then nothing
//! was published, and the session ends. Small frames are packed into an open page.

use abi::PAGE_SIZE;
use dev::Program;
use dev::statistics::Counter;
use ring::Descriptor;
use sys::Mem;

use super::Undelivered;
use crate::frame::{Part, Source};
use crate::session::Session;

/// Copies a frame into the recipient's next room.
///
/// # Errors
/// No page to spare, or the ring is left full: dropped. The memory is gone, or the client
/// misbehaves: the session ends.
#[inline]
pub fn deliver<P: Program>(
    session: &mut Session<P>,
    frame: &Source<'_, P::Own>,
) -> Result<(), Undelivered> {
    if session.filled.room() == 0 && session.filled.refresh(&session.transmit_memory)? == 0 {
        return Err(Undelivered::Dropped(Counter::RingFull));
    }
    let length = frame.length();
    let pages = &session.pages;
    if !pages.fits_open(length) && pages.spare() < pages.total() / 2 {
        // Not only when there is none left: the ring of returns may be full of small frames of few
        // pages, and the client can't return the others before it is emptied.
        session.collect_returns()?;
    }
    let room = match session.pages.room(length) {
        Some(room) => room,
        None => {
            session.collect_returns()?;
            session
                .pages
                .room(length)
                .ok_or(Undelivered::Dropped(Counter::NoPage))?
        }
    };
    let to = room.page as usize * PAGE_SIZE + room.offset as usize;
    let copy = |memory: &P::Own, part: Part, to: usize| {
        memory.copy_to(part.offset, &session.receive, to, part.length as usize)
    };
    copy(frame.head_memory, frame.head, to)?;
    if frame.rest.length > 0 {
        copy(
            frame.rest_memory,
            frame.rest,
            to + frame.head.length as usize,
        )?;
    }
    let descriptor = Descriptor {
        page: room.page,
        offset: room.offset,
        length,
        flags: 0,
    };
    session.filled.push(&session.receive, descriptor)?;
    session.pages.hold(length);
    Ok(())
}
