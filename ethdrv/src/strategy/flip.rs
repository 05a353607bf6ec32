//! Flipping: a frame stays in the page that the device put it into, and that page becomes its
//! recipient's.
//!
//! If the page is the recipient's already, it is delivered in place. Otherwise it is exchanged for a
//! spare one of the recipient's: the owner of the page gets that frame of memory in its stead, so
//! that neither has less than before, and nothing is ever taken from anybody but the recipient. A page
//! that is delivered is no longer the device's, and is not posted before it is given back.
//!
//! A page for each frame is much. Where the recipient has [few to spare](dev::burst), frames of which
//! several fit into a page are copied, if they would have to be exchanged.
//!
//! A page of the driver's own is exchanged like another session's.
//!
//! What an exchanged page holds beside the frame was somebody else's, and so was what comes back for
//! it: a session that isn't sealed may glimpse what the device put into its pages, or the driver's, and
//! what others that aren't sealed received before. For a sealed session, and out of its pages, all but the
//! frame is zeroed first; and what arrives for it in a page that another client can see is copied instead.

use dev::layout::MORE;
use dev::statistics::Counter;
use dev::{Activity, Program, burst};
use ring::Descriptor;
use sys::Mem;

use abi::PAGE_SIZE;
use abi::batch::LIMIT;

use super::{Undelivered, Way};
use crate::buffers::{Buffer, Fragment};
use crate::deliveries::{Delivery, Swap};
use crate::demux::PortNumber;
use crate::driver::{Driver, session};
use crate::pages::ReceivePages;
use crate::planted::Fault;
use crate::slots::{Owner, Page, SlotNumber, Slots};
use crate::transport::Transport;

/// Zeros, for what lies around a frame.
static ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];

/// A fragment in a page that can be flipped.
#[derive(Clone, Copy)]
struct Flippable {
    slot: SlotNumber,
    owner: Owner,
    /// First byte in the page.
    offset: u32,
}

impl<P: Program, T: Transport> Driver<P, T> {
    /// Flips a frame to a session, or at least begins to: what has to be exchanged waits for its batch.
    /// If it can't be flipped, nothing was done, and the answer is what counts the reason.
    ///
    /// # Errors
    /// No page to spare, or the ring is left full: dropped. The client misbehaves, or its memory is
    /// gone: the session ends. Then too, nothing was done.
    #[inline]
    pub(crate) fn flip(
        &mut self,
        number: PortNumber,
        fragments: &[Fragment],
    ) -> Result<Option<Counter>, Undelivered> {
        if self.deliveries.exchanges() + fragments.len() > LIMIT {
            // May end the session.
            self.commit();
        }
        let Some(session) = session(&mut self.ports, number) else {
            return Ok(Some(Counter::ChoseGoing));
        };
        let sealed = session.receiving.sealed;
        let mut exchanges = 0;
        for (n, fragment) in fragments.iter().enumerate() {
            let Some(flippable) = flippable(&self.slots, fragment) else {
                return Ok(Some(Counter::ChosePool));
            };
            let seen = matches!(flippable.owner.page, Page::Seen(_));
            let goes_on = n + 1 < fragments.len();
            let reaches_end = flippable.offset + fragment.part.length == PAGE_SIZE as u32;
            if sealed && seen {
                return Ok(Some(Counter::ChoseSealed));
            }
            if goes_on && !reaches_end {
                return Ok(Some(Counter::ChosePool));
            }
            exchanges += !(seen && flippable.owner.port == number) as usize;
        }
        if !session.has_room(fragments.len() as u32)? {
            return Err(Undelivered::Dropped(Counter::RingFull));
        }
        let spare = session.pages.spare();
        // Long before they are scarce: who collects no returns finds nothing to lend either.
        if spare * 2 <= session.pages.total() || spare < exchanges {
            session.collect_returns()?;
            let spare = session.pages.spare();
            let scarce = spare < session.pages.scarce() + exchanges;
            if scarce && exchanges > 0 && shares_a_page(fragments) {
                return Ok(Some(Counter::ChoseScarce));
            }
            if spare < exchanges {
                return Err(Undelivered::Dropped(Counter::NoPage));
            }
        }
        for (n, fragment) in fragments.iter().enumerate() {
            if let Some(flippable) = flippable(&self.slots, fragment) {
                let goes_on = n + 1 < fragments.len();
                self.flip_one(number, fragment, flippable, goes_on);
            }
        }
        Ok(None)
    }

    /// Flips one fragment. All that it needs is there.
    #[inline]
    fn flip_one(
        &mut self,
        number: PortNumber,
        fragment: &Fragment,
        flippable: Flippable,
        goes_on: bool,
    ) {
        let Flippable {
            slot,
            owner,
            offset,
        } = flippable;
        let (posts_again, skips) = (self.has(Fault::PostDelivered), self.has(Fault::SkipClear));
        let Some(session) = session(&mut self.ports, number) else {
            return;
        };
        let length = fragment.part.length;
        let (page, way, swap) = match owner.page {
            Page::Seen(page) if owner.port == number => {
                self.buffers.release(fragment.token);
                self.slots.set_away(slot, false);
                if posts_again {
                    session.came_back(owner.page);
                } else {
                    session.receiving.away -= 1;
                    session.pages.hold_whole(page, offset, length, false);
                }
                (page, Way::InPlace, None)
            }
            from => {
                let Some(page) = session.pages.take() else {
                    return;
                };
                let hidden = matches!(from, Page::Hidden(_));
                let clean = session.receiving.sealed || hidden && self.slots.is_private(slot);
                if clean
                    && !skips
                    && let Some(memory) = self.slots.memory(slot)
                {
                    self.program.doing(Activity::Clearing);
                    clear_around(memory, Slots::<P>::offset(slot), offset, length);
                    self.program.doing(Activity::Receiving);
                }
                let swap = Swap::new(fragment.token, slot, page, clean);
                (page, Way::Exchanged, Some(swap))
            }
        };
        self.posting.want(number, session);
        let descriptor = Descriptor {
            page: ReceivePages::place(page),
            offset,
            length,
            flags: if goes_on { MORE } else { 0 },
        };
        session.receiving.deferred += 1;
        self.deliveries.add(Delivery {
            port: number,
            serial: session.serial,
            descriptor,
            way,
            recovered: false,
            swap,
        });
    }
}

/// Whether a frame, if it is copied, leaves room for another one like it.
fn shares_a_page(fragments: &[Fragment]) -> bool {
    let length = fragments.iter().map(|one| one.part.length).sum();
    burst::packed(length) > 1
}

/// A fragment that lies in a page of the driver's own, or of a session's that still is.
#[inline]
fn flippable<P: Program>(slots: &Slots<P>, fragment: &Fragment) -> Option<Flippable> {
    let Buffer::Page(slot) = fragment.buffer else {
        return None;
    };
    Some(Flippable {
        slot,
        owner: slots.owner(slot)?,
        offset: (fragment.part.offset % PAGE_SIZE) as u32,
    })
}

/// Zeroes a page but for some bytes of it. It is pinned, so it can't fail.
#[inline]
fn clear_around(memory: &impl Mem, page: usize, offset: u32, length: u32) {
    let (start, end) = (offset as usize, (offset + length) as usize);
    let _ = memory.write(page, &ZEROS[..start]);
    let _ = memory.write(page + end, &ZEROS[..PAGE_SIZE - end]);
}

/// Zeroes a page but for the bytes from `start` to `end`.
pub(crate) fn clear_but(memory: &impl Mem, page: usize, start: u32, end: u32) {
    clear_around(memory, page, start, end - start);
}
