//! The side that reads entries.

use sys::Mem;

use crate::{CAPACITY, Descriptor, Error, INDEX, Ring, SEEN, advance, passed};

/// The consumer's private state of a ring.
///
/// Reading an entry ([`Consumer::pop`]) and giving its slot back ([`Consumer::release`]) are two
/// steps, so that a ring can also say when what an entry names is no longer in use: entries are
/// released in order.
///
/// In all methods `own` is the memory that holds the consumer's line, `peer` the memory that holds
/// the entries and the producer's line.
#[derive(Clone, Debug)]
pub struct Consumer {
    ring: Ring,
    /// Next entry to read.
    head: u32,
    /// Next entry to release.
    released: u32,
    /// What the peer was told of `released`.
    published: u32,
    /// `published` when it was last looked whether the peer wants to know.
    told: u32,
    /// What the peer has published, as far as is known.
    seen: u32,
}

impl Consumer {
    /// The consumer of an empty ring whose indices are `index` (0 in fresh memory).
    pub const fn new(ring: Ring, index: u32) -> Consumer {
        Consumer {
            ring,
            head: index,
            released: index,
            published: index,
            told: index,
            seen: index,
        }
    }

    /// Writes the line for the first time. Until the peer may look, nothing else is needed.
    pub fn begin(&self, own: &impl Mem) -> Result<(), Error> {
        own.store_u32(self.ring.consumer + INDEX, self.published)?;
        // Behind every index to come for 2^32 entries: no wish.
        own.store_u32(self.ring.consumer + SEEN, self.seen.wrapping_sub(CAPACITY))?;
        Ok(())
    }

    /// The index of the next entry to be read.
    #[inline]
    pub const fn head(&self) -> u32 {
        self.head
    }

    /// Entries to be read, as far as is known.
    #[inline]
    pub const fn available(&self) -> u32 {
        self.seen.wrapping_sub(self.head)
    }

    /// Entries read and not released.
    #[inline]
    pub const fn held(&self) -> u32 {
        self.head.wrapping_sub(self.released)
    }

    /// Reads how far the producer is; answers the entries to be read.
    ///
    /// # Errors
    /// [`Error::Misbehaved`]: it claims more than the ring holds, or takes back.
    #[inline]
    pub fn refresh(&mut self, peer: &impl Mem) -> Result<u32, Error> {
        let claimed = peer.acquire_u32(self.ring.producer + INDEX)?;
        let limit = CAPACITY - self.seen.wrapping_sub(self.published);
        advance(&mut self.seen, claimed, limit)?;
        Ok(self.available())
    }

    /// Reads the next entry there is, as far as is known; `None` at the end.
    #[inline]
    pub fn pop(&mut self, peer: &impl Mem) -> Result<Option<Descriptor>, Error> {
        if self.available() == 0 {
            return Ok(None);
        }
        let offset = self.ring.entry(self.head);
        let first = peer.load_u64(offset)?;
        let second = peer.load_u64(offset + 8)?;
        self.head = self.head.wrapping_add(1);
        Ok(Some(Descriptor::from_words(first, second)))
    }

    /// Gives back the slots of the `count` oldest entries read, unseen until [`Consumer::publish`].
    /// No more than are [held](Consumer::held) are given back.
    #[inline]
    pub fn release(&mut self, count: u32) {
        self.released = self.released.wrapping_add(count.min(self.held()));
    }

    /// Whether there are slots given back and not yet published.
    #[inline]
    pub const fn unpublished(&self) -> bool {
        self.released != self.published
    }

    /// Lets the producer see what was released.
    #[inline]
    pub fn publish(&mut self, own: &impl Mem) -> Result<(), Error> {
        own.release_u32(self.ring.consumer + INDEX, self.released)?;
        self.published = self.released;
        Ok(())
    }

    /// Whether the producer wants to be notified of what was released since this was last asked.
    #[inline]
    pub fn must_notify(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Error> {
        if self.told == self.published {
            return Ok(false);
        }
        own.fence();
        let seen = peer.load_u32(self.ring.producer + SEEN)?;
        let past = passed(seen, self.told, self.published);
        self.told = self.published;
        Ok(past)
    }

    /// Whether the producer waits for something that was read and is not yet released.
    pub fn awaited(&self, peer: &impl Mem) -> Result<bool, Error> {
        let seen = peer.load_u32(self.ring.producer + SEEN)?;
        Ok(passed(seen, self.published, self.head))
    }

    /// Asks to be notified of the next entry, and looks again. `true`: there is one already, so
    /// don't wait.
    pub fn ask(&mut self, own: &impl Mem, peer: &impl Mem) -> Result<bool, Error> {
        if self.available() > 0 {
            return Ok(true);
        }
        own.store_u32(self.ring.consumer + SEEN, self.seen)?;
        own.fence();
        Ok(self.refresh(peer)? > 0)
    }
}

#[cfg(all(test, loom))]
impl Consumer {
    /// A consumer in the midst of things: `head` read and released.
    pub(crate) const fn resume(ring: Ring, head: u32, seen: u32) -> Consumer {
        Consumer {
            ring,
            head,
            released: head,
            published: head,
            told: head,
            seen,
        }
    }
}
