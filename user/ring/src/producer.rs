//! The side that writes entries.

use sys::Mem;

use crate::{CAPACITY, Descriptor, Error, INDEX, Ring, SEEN, advance, passed};

/// The producer's private state of a ring.
///
/// In all methods `own` is the memory that holds the entries and the producer's line, `peer` the
/// memory that holds the consumer's line.
#[derive(Clone, Debug)]
pub struct Producer {
    ring: Ring,
    /// Next entry to write.
    tail: u32,
    /// What the peer was told of `tail`.
    published: u32,
    /// `published` when it was last looked whether the peer wants to know.
    told: u32,
    /// What the peer has released, as far as is known.
    released: u32,
}

impl Producer {
    /// The producer of an empty ring whose indices are `index` (0 in fresh memory).
    pub const fn new(ring: Ring, index: u32) -> Producer {
        Producer {
            ring,
            tail: index,
            published: index,
            told: index,
            released: index,
        }
    }

    /// Writes the line for the first time. Until the peer may look, nothing else is needed.
    pub fn begin(&self, own: &impl Mem) -> Result<(), Error> {
        own.store_u32(self.ring.producer + INDEX, self.published)?;
        // Behind every index to come for 2^32 entries: no wish.
        own.store_u32(
            self.ring.producer + SEEN,
            self.released.wrapping_sub(CAPACITY),
        )?;
        Ok(())
    }

    /// The index of the next entry to be pushed.
    #[inline]
    pub const fn tail(&self) -> u32 {
        self.tail
    }

    /// Entries that can be pushed, as far as is known.
    #[inline]
    pub const fn room(&self) -> u32 {
        CAPACITY - self.tail.wrapping_sub(self.released)
    }

    /// The consumer's index as last read: entries before it are no longer the consumer's.
    #[inline]
    pub const fn released(&self) -> u32 {
        self.released
    }

    /// Reads how far the consumer is; answers the room.
    ///
    /// # Errors
    /// [`Error::Misbehaved`]: it claims to have released what was never published, or takes back.
    #[inline]
    pub fn refresh(&mut self, peer: &impl Mem) -> Result<u32, Error> {
        let claimed = peer.acquire_u32(self.ring.consumer + INDEX)?;
        let limit = self.published.wrapping_sub(self.released);
        advance(&mut self.released, claimed, limit)?;
        Ok(self.room())
    }

    /// Writes the next entry, unseen until [`Producer::publish`].
    ///
    /// # Errors
    /// [`Error::Full`]: no room that is known of.
    #[inline]
    pub fn push(&mut self, own: &impl Mem, descriptor: Descriptor) -> Result<(), Error> {
        if self.room() == 0 {
            return Err(Error::Full);
        }
        let offset = self.ring.entry(self.tail);
        let (first, second) = descriptor.to_words();
        own.store_u64(offset, first)?;
        own.store_u64(offset + 8, second)?;
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Whether there are entries not yet published.
    #[inline]
    pub const fn unpublished(&self) -> bool {
        self.tail != self.published
    }

    /// Lets the consumer see what was pushed.
    #[inline]
    pub fn publish(&mut self, own: &impl Mem) -> Result<(), Error> {
        own.release_u32(self.ring.producer + INDEX, self.tail)?;
        self.published = self.tail;
        Ok(())
    }

    /// Whether the consumer wants to be notified of what was published since this was last asked.
    #[inline]
    pub fn must_notify(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Error> {
        if self.told == self.published {
            return Ok(false);
        }
        own.fence();
        let seen = peer.load_u32(self.ring.consumer + SEEN)?;
        let past = passed(seen, self.told, self.published);
        self.told = self.published;
        Ok(past)
    }

    /// Asks to be notified when the consumer has released all but `left` of what is in the ring, and
    /// looks again. `true`: it has already, so don't wait.
    pub fn ask(&mut self, own: &impl Mem, peer: &impl Mem, left: u32) -> Result<bool, Error> {
        let held = self.published.wrapping_sub(self.released);
        if held <= left {
            return Ok(true);
        }
        // Its index moves past this when only `left` remain.
        let wake = self.published.wrapping_sub(left).wrapping_sub(1);
        own.store_u32(self.ring.producer + SEEN, wake)?;
        own.fence();
        self.refresh(peer)?;
        Ok(self.published.wrapping_sub(self.released) <= left)
    }
}

#[cfg(all(test, loom))]
impl Producer {
    /// A producer in the midst of things.
    pub(crate) const fn resume(ring: Ring, tail: u32, released: u32) -> Producer {
        Producer {
            ring,
            tail,
            published: tail,
            told: tail,
            released,
        }
    }
}
