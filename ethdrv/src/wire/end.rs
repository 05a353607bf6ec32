//! The wire process's end of the simulated wire: what a device would do with the rings.

use abi::PAGE_SIZE;
use ring::{Consumer, Descriptor, Error, MORE, Producer};
use sys::Mem;

use super::{PIECES, layout};

/// Bytes that lie in a page that the driver sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The window: 0 is the driver's pool, *n* + 1 that of port *n*.
    pub window: usize,
    /// Where in it.
    pub offset: usize,
    /// How many.
    pub length: usize,
}

impl Span {
    fn new(entry: &Descriptor) -> Span {
        let slots = abi::APERTURE_SLOTS as u32;
        Span {
            window: (entry.page / slots) as usize,
            offset: (entry.page % slots) as usize * PAGE_SIZE + entry.offset as usize,
            length: entry.length as usize,
        }
    }
}

/// A buffer that the driver posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Where it lies.
    pub span: Span,
    /// Its token.
    pub token: u16,
}

/// The wire process's end. It moves no bytes: the process does, in windows of its own.
pub struct End<M> {
    /// The wire's segment.
    own: M,
    /// The driver's.
    peer: M,
    posted: Consumer,
    sent: Consumer,
    received: Producer,
}

impl<M: Mem> End<M> {
    /// The wire's end, in fresh memory that the driver doesn't look at yet.
    ///
    /// # Errors
    /// The segments lack their pages.
    pub fn begin(own: M, peer: M) -> Result<Self, Error> {
        let end = End {
            own,
            peer,
            posted: Consumer::new(layout::POSTED, 0),
            sent: Consumer::new(layout::SENT, 0),
            received: Producer::new(layout::RECEIVED, 0),
        };
        end.posted.begin(&end.own)?;
        end.sent.begin(&end.own)?;
        end.received.begin(&end.own)?;
        Ok(end)
    }

    /// Takes the next buffer to fill, if there is one.
    ///
    /// # Errors
    /// The driver's indices make no sense.
    pub fn buffer(&mut self) -> Result<Option<Buffer>, Error> {
        if self.posted.available() == 0 {
            self.posted.refresh(&self.peer)?;
        }
        let entry = self.posted.pop(&self.peer)?;
        self.posted.release(entry.is_some() as u32);
        Ok(entry.map(|entry| Buffer {
            span: Span::new(&entry),
            token: entry.flags as u16,
        }))
    }

    /// Gives a buffer back with a frame of this length, or the rest of one, in it; seen by the driver from
    /// [`End::publish`] on.
    ///
    /// # Errors
    /// The driver's indices make no sense, or it left no room.
    pub fn filled(&mut self, token: u16, length: usize) -> Result<(), Error> {
        self.give_back(token, length, 0)
    }

    /// The same with a part of a frame, which goes on in the next buffer given back.
    ///
    /// # Errors
    /// As for [`End::filled`].
    pub fn part(&mut self, token: u16, length: usize) -> Result<(), Error> {
        self.give_back(token, length, MORE)
    }

    fn give_back(&mut self, token: u16, length: usize, flags: u32) -> Result<(), Error> {
        if self.received.room() == 0 {
            self.received.refresh(&self.peer)?;
        }
        let entry = Descriptor {
            page: token.into(),
            offset: 0,
            length: length as u32,
            flags,
        };
        self.received.push(&self.own, entry)
    }

    /// Takes the next frame sent: its pieces, the unused ones empty. The driver gets it back
    /// ([`End::publish`]) with the frames before it, after [`End::carried`].
    ///
    /// # Errors
    /// The driver's indices make no sense.
    pub fn sent(&mut self) -> Result<Option<[Span; PIECES]>, Error> {
        if self.sent.available() == 0 {
            self.sent.refresh(&self.peer)?;
        }
        let mut pieces = [Span::default(); PIECES];
        for piece in &mut pieces {
            // The driver publishes whole frames.
            let Some(entry) = self.sent.pop(&self.peer)? else {
                return Ok(None);
            };
            *piece = Span::new(&entry);
            if entry.flags & MORE == 0 {
                break;
            }
        }
        Ok(Some(pieces))
    }

    /// The wire is done with every frame taken.
    pub fn carried(&mut self) {
        self.sent.release(self.sent.held());
    }

    /// Lets the driver see what was done. `true`: it wants to be notified.
    ///
    /// # Errors
    /// The segments are gone.
    pub fn publish(&mut self) -> Result<bool, Error> {
        let mut notify = false;
        // Buffers first: who sees a frame can post its buffer again.
        if self.posted.unpublished() {
            self.posted.publish(&self.own)?;
        }
        if self.sent.unpublished() {
            self.sent.publish(&self.own)?;
            notify |= self.sent.must_notify(&self.own, &self.peer)?;
        }
        if self.received.unpublished() {
            self.received.publish(&self.own)?;
            notify |= self.received.must_notify(&self.own, &self.peer)?;
        }
        Ok(notify)
    }

    /// Asks to be notified of the next frame sent. `true`: there is one already.
    ///
    /// # Errors
    /// The driver's indices make no sense.
    pub fn ask(&mut self) -> Result<bool, Error> {
        self.sent.ask(&self.own, &self.peer)
    }
}
