//! Copying: a frame is copied, from wherever it lies, into pages of the recipient's.
//!
//! The recipient's pages may vanish at any byte of the copy. Then nothing was published, and the
//! session ends. Small frames are packed into an open page; a frame of more than a page gets pages of
//! its own.

use abi::PAGE_SIZE;
use dev::Program;
use dev::burst::ALIGNMENT;
use dev::layout::MORE;
use dev::statistics::Counter;
use ring::Descriptor;
use sys::{Fault, Mem};

use super::Undelivered;
use crate::frame::{MOST_PIECES, Source};
use crate::pages::ReceivePages;
use crate::session::Session;

/// Zeros, for what lies between frames.
const ZEROS: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];

/// Where a frame was put: the client's from now on, but not told to it yet.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pieces: [Descriptor; MOST_PIECES],
    count: usize,
}

impl Placed {
    /// The frame's pieces.
    #[inline]
    pub fn pieces(&self) -> &[Descriptor] {
        &self.pieces[..self.count]
    }
}

/// Copies a frame into the recipient's next room.
///
/// # Errors
/// No page to spare, or the ring is left full: dropped. The memory is gone, or the client
/// misbehaves: the session ends.
#[inline]
pub fn place<P: Program, M: Mem, F: Mem>(
    session: &mut Session<P, M>,
    frame: &Source<'_, F>,
) -> Result<Placed, Undelivered> {
    if frame.length() > PAGE_SIZE as u32 {
        return place_pages(session, frame);
    }
    let mut pieces = [Descriptor::default(); MOST_PIECES];
    pieces[0] = place_one(session, frame)?;
    Ok(Placed { pieces, count: 1 })
}

/// The same for a frame of at most a page: its one piece.
///
/// # Errors
/// As for [`place`].
#[inline]
pub fn place_one<P: Program, M: Mem, F: Mem>(
    session: &mut Session<P, M>,
    frame: &Source<'_, F>,
) -> Result<Descriptor, Undelivered> {
    let length = frame.length();
    if !session.has_room(1)? {
        return Err(Undelivered::Dropped(Counter::RingFull));
    }
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
    let page = room.page as usize * PAGE_SIZE;
    frame.copy(0, &session.receive, page + room.offset as usize, length)?;
    if let Some((offset, count)) = session.pages.gap(length) {
        let zeros = &ZEROS[..count as usize];
        session.receive.write(page + offset as usize, zeros)?;
    }
    session.pages.hold(length);
    Ok(Descriptor {
        page: room.page,
        offset: room.offset,
        length,
        flags: 0,
    })
}

/// The same for a frame of more than a page: as many pages as it takes, or none.
///
/// # Errors
/// As for [`place`].
pub fn place_pages<P: Program, M: Mem, F: Mem>(
    session: &mut Session<P, M>,
    frame: &Source<'_, F>,
) -> Result<Placed, Undelivered> {
    let length = frame.length();
    let count = (length as usize).div_ceil(PAGE_SIZE);
    if count > MOST_PIECES || !session.has_room(count as u32)? {
        return Err(Undelivered::Dropped(Counter::RingFull));
    }
    if session.pages.spare() < session.pages.total() / 2 || session.pages.spare() < count {
        session.collect_returns()?;
    }
    if session.pages.spare() < count {
        return Err(Undelivered::Dropped(Counter::NoPage));
    }
    let mut taken = [0; MOST_PIECES];
    for number in &mut taken[..count] {
        let spare = session.pages.take();
        *number = spare.ok_or(Undelivered::Dropped(Counter::NoPage))?;
    }
    let taken = &taken[..count];
    let copied = copy_pages(session, frame, taken);
    if copied.is_err() {
        // It may be that the frame is gone, not the pages.
        taken.iter().for_each(|page| session.pages.put_back(*page));
    }
    Ok(Placed {
        pieces: copied?,
        count,
    })
}

/// Copies a frame into pages that were taken for it.
fn copy_pages<P: Program, M: Mem, F: Mem>(
    session: &mut Session<P, M>,
    frame: &Source<'_, F>,
    taken: &[u16],
) -> Result<[Descriptor; MOST_PIECES], Fault> {
    let length = frame.length();
    let mut pieces = [Descriptor::default(); MOST_PIECES];
    let mut done = 0;
    for (number, piece) in taken.iter().zip(&mut pieces) {
        let page = ReceivePages::place(*number);
        let bytes = (length - done).min(PAGE_SIZE as u32);
        frame.copy(done, &session.receive, page as usize * PAGE_SIZE, bytes)?;
        done += bytes;
        *piece = Descriptor {
            page,
            offset: 0,
            length: bytes,
            flags: if done < length { MORE } else { 0 },
        };
    }
    for (number, piece) in taken.iter().zip(&pieces) {
        session.pages.hold_copied(*number, 0, piece.length);
    }
    Ok(pieces)
}
