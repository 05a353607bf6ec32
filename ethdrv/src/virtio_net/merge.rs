//! Frames that the device spreads over several buffers (5.1.6.3.2, 5.1.6.4).
//!
//! The header in a frame's first buffer says how many buffers the frame takes; the others hold nothing
//! but frame. The number is read once, after the buffer came back, and nothing is handed on before all
//! of them came back too and make a frame that the link carries: so the policy never holds a frame
//! whose end doesn't come. The specification doesn't say in so many words that a device gives all of a
//! frame's buffers back at once, but every device does, and drivers rely on it.
//!
//! A frame that its own number disproves is told as a fault and passed over: its buffers come to the
//! policy without bytes. Those that come back later are passed over too, as many as the device named.
//! What lies in them is what a frame on the wire holds in its middle, and taken for the beginning of a
//! frame it would be whatever a sender far away wants it to be.

use sys::Mem;
use virtio::Queue;
use virtio::queue::{Completion, Error as QueueError};

use super::device::{HEADER, HEADER_BUFFERS, MOST_MTU, frame_limit};
use crate::transport::Received;

/// What the least buffer holds that is posted where frames take several.
const LEAST_BUFFER: u32 = 1024;

/// Most buffers of a frame.
pub const MOST_BUFFERS: usize = (HEADER + frame_limit(MOST_MTU)).div_ceil(LEAST_BUFFER) as usize;

/// What the device said of a frame that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Its queue doesn't hold what it should.
    Queue(QueueError),
    /// The frame itself contradicts what the device was given.
    Frame(&'static str),
}

impl From<QueueError> for Wrong {
    fn from(error: QueueError) -> Self {
        Wrong::Queue(error)
    }
}

/// The frame that is being taken.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    frame_limit: u32,
    buffers: [Received; MOST_BUFFERS],
    /// How many of them there are, and how many the policy has.
    taken: usize,
    handed: usize,
    /// Buffers still to come of frames that are passed over.
    late: u16,
}

/// A buffer that begins a frame, as if it were the whole of it.
#[inline]
pub(super) fn first(done: &Completion<u16>) -> Received {
    Received {
        token: done.token,
        offset: HEADER,
        length: written(done).saturating_sub(HEADER),
        more: false,
    }
}

/// What the device claims to have written: it is for the policy to know how much there was room for.
#[inline]
fn written(done: &Completion<u16>) -> u32 {
    done.written.unwrap_or_else(|overrun| overrun.claimed)
}

/// A buffer of which nothing is to be believed.
const fn empty(token: u16) -> Received {
    Received {
        token,
        offset: 0,
        length: 0,
        more: false,
    }
}

impl Merge {
    /// No frame yet.
    pub(super) fn new(frame_limit: u32) -> Self {
        Self {
            frame_limit,
            buffers: [empty(0); MOST_BUFFERS],
            taken: 0,
            handed: 0,
            late: 0,
        }
    }

    /// Takes the next filled buffer from the device's queue. `headroom` as for
    /// [`receive`](crate::transport::Transport::receive).
    ///
    /// # Errors
    /// A frame was passed over, or a queue entry was; ask again.
    pub(super) fn receive<M: Mem>(
        &mut self,
        queue: &mut Queue<M, u16>,
        headroom: impl FnOnce(u16, u32) -> Option<u16>,
    ) -> Result<Option<Received>, Wrong> {
        if let Some(next) = self.hand() {
            return Ok(Some(next));
        }
        let done = match queue.take() {
            Ok(Some(done)) => done,
            Ok(None) => return Ok(None),
            Err(error) => {
                // It may well have stood for one of them.
                self.late = self.late.saturating_sub(1);
                return Err(error.into());
            }
        };
        if self.late > 0 {
            self.late -= 1;
            return Ok(Some(empty(done.token)));
        }
        let first = first(&done);
        if written(&done) < HEADER {
            // There is no header that the device wrote, so no number either.
            return Ok(Some(first));
        }
        let count = headroom(done.token, HEADER_BUFFERS).unwrap_or(0);
        if count == 1 && first.length <= self.frame_limit {
            return Ok(Some(first));
        }
        self.buffers[0] = first;
        (self.taken, self.handed) = (1, 0);
        if let Err(wrong) = self.gather(queue, count) {
            for buffer in &mut self.buffers[..self.taken] {
                *buffer = empty(buffer.token);
            }
            return Err(wrong);
        }
        Ok(self.hand())
    }

    /// The next of the buffers that were taken.
    #[inline]
    fn hand(&mut self) -> Option<Received> {
        if self.handed == self.taken {
            return None;
        }
        let next = self.buffers[self.handed];
        self.handed += 1;
        Some(next)
    }

    /// Takes the rest of a frame that is to have so many buffers.
    fn gather<M: Mem>(&mut self, queue: &mut Queue<M, u16>, count: u16) -> Result<(), Wrong> {
        let Some(more) = count.checked_sub(1) else {
            return Err(Wrong::Frame("a frame in no buffer at all"));
        };
        if more > queue.outstanding() {
            return Err(Wrong::Frame("a frame in more buffers than it has"));
        }
        if more > queue.waiting()? {
            self.late = more;
            return Err(Wrong::Frame("a frame and not all of its buffers"));
        }
        if usize::from(count) > MOST_BUFFERS {
            self.late = more;
            return Err(Wrong::Frame("a frame in more buffers than any takes"));
        }
        let mut total = self.buffers[0].length;
        let mut wrong = None;
        for _ in 0..more {
            match queue.take() {
                Ok(Some(done)) => {
                    let length = written(&done);
                    total = total.saturating_add(length);
                    self.buffers[self.taken - 1].more = true;
                    self.buffers[self.taken] = Received {
                        length,
                        ..empty(done.token)
                    };
                    self.taken += 1;
                }
                // It said that they are there.
                Ok(None) => wrong = Some(Wrong::Frame("a frame and not all of its buffers")),
                Err(error) => wrong = Some(error.into()),
            }
        }
        if total > self.frame_limit {
            wrong = wrong.or(Some(Wrong::Frame("a frame longer than the link carries")));
        }
        wrong.map_or(Ok(()), Err)
    }
}
