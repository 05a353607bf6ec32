//! A split queue, the driver's side (2.7).
//!
//! The driver posts chains of buffers, each with a token of its own; the device hands each chain back
//! once, in whatever order. Which descriptors are free, and what each chain in flight is, stands in
//! private memory: the rings are written, and read only where the device writes. What it says (an
//! index, a chain, a length) is read once and held against that memory. So whatever the device does
//!
//! - a token comes back at most once, and exactly once counting [`reclaim`](Queue::reclaim);
//! - no chain is overwritten while the device has it;
//! - at most as many entries are looked at as chains were posted.
//!
//! An entry that names no chain in flight is passed over ([`Misbehaviour::NotPosted`]); an index that
//! moved further than there are chains in flight leaves nothing to go on from, and the queue stays
//! failed until the device was reset. A device that merely stalls is for the driver to notice.

mod buffer;
mod error;

use alloc::boxed::Box;
use core::num::NonZeroU16;

use sys::Mem;

use crate::transport::Stopped;
use crate::{event, layout};

pub use buffer::{Access, Area, Areas, Buffer, Completion, Overrun};
pub use error::{Error, Misbehaviour};

/// A chain in flight, filed under its first descriptor.
#[derive(Clone, Copy)]
struct Chain<T> {
    token: T,
    /// Bytes that the device may write.
    room: u32,
    last: u8,
    count: NonZeroU16,
}

/// What is known for each descriptor. A descriptor's number is eight bits, and so never out of range;
/// of a smaller queue the rest stays unused.
type PerDescriptor<E> = Box<[E; layout::MAX_SIZE as usize]>;

/// The driver's side of a split queue. `T` is what the driver knows a chain by.
pub struct Queue<M, T> {
    areas: Areas<M>,
    size: u16,
    event_index: bool,
    /// For each descriptor the one after it: in the free list, or in its chain.
    next: PerDescriptor<u8>,
    /// For each descriptor the chain in flight that it starts.
    chains: PerDescriptor<Option<Chain<T>>>,
    first_free: u8,
    free_count: u16,
    /// Chains in flight.
    outstanding: u16,
    /// Chains published, modulo 2¹⁶.
    available_index: u16,
    /// Chains published since the device was last told, or wasn't to be told.
    unannounced: u16,
    /// The next used entry to take.
    used_index: u16,
    /// Where the used entries known to be there end.
    used_end: u16,
    /// Whether the device was last asked for interrupts.
    listening: bool,
    failure: Option<Misbehaviour>,
}

impl<M: Mem, T: Copy> Queue<M, T> {
    /// Lays out an empty queue of `size` entries. The device must not know the areas yet.
    ///
    /// # Errors
    /// [`Error::BadQueue`], [`Error::Memory`].
    pub fn new(size: u16, areas: Areas<M>, event_index: bool) -> Result<Self, Error> {
        let aligned = areas.descriptors.address.is_multiple_of(16)
            && areas.available.address.is_multiple_of(2)
            && areas.used.address.is_multiple_of(4);
        let large_enough = areas.descriptors.memory.len() >= layout::descriptor_bytes(size)
            && areas.available.memory.len() >= layout::available_bytes(size)
            && areas.used.memory.len() >= layout::used_bytes(size);
        if !size.is_power_of_two() || size > layout::MAX_SIZE || !aligned || !large_enough {
            return Err(Error::BadQueue);
        }
        let mut queue = Self {
            areas,
            size,
            event_index,
            next: Box::new([0; _]),
            chains: Box::new([None; _]),
            first_free: 0,
            free_count: 0,
            outstanding: 0,
            available_index: 0,
            unannounced: 0,
            used_index: 0,
            used_end: 0,
            listening: true,
            failure: None,
        };
        queue.clear()?;
        Ok(queue)
    }

    /// Makes everything as it is before the first chain is posted.
    fn clear(&mut self) -> Result<(), Error> {
        let (available, used) = (&self.areas.available.memory, &self.areas.used.memory);
        for offset in [layout::FLAGS, layout::INDEX, layout::used_event(self.size)] {
            available.store_u16(offset, 0)?;
        }
        for offset in [
            layout::FLAGS,
            layout::INDEX,
            layout::available_event(self.size),
        ] {
            used.store_u16(offset, 0)?;
        }
        for (index, next) in self.next.iter_mut().enumerate() {
            // Each the one before the next; what the last one says is never used.
            *next = (index as u8).wrapping_add(1);
        }
        self.chains.fill(None);
        self.first_free = 0;
        self.free_count = self.size;
        self.outstanding = 0;
        self.available_index = 0;
        self.unannounced = 0;
        self.used_index = 0;
        self.used_end = 0;
        self.listening = true;
        self.failure = None;
        Ok(())
    }

    /// Entries.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Descriptors free.
    #[inline]
    pub fn free(&self) -> u16 {
        self.free_count
    }

    /// Chains in flight.
    #[inline]
    pub fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// What made the queue useless, if anything did.
    pub fn failure(&self) -> Option<Misbehaviour> {
        self.failure
    }

    /// The DMA addresses of descriptor table, available and used ring.
    pub fn addresses(&self) -> [u64; 3] {
        let Areas {
            descriptors,
            available,
            used,
        } = &self.areas;
        [descriptors.address, available.address, used.address]
    }

    /// Lends the device a chain. It may use it at once; whether it must be told, ask
    /// [`should_notify`](Self::should_notify), once for many chains.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::BadChain`], [`Error::Memory`]; [`Error::Misbehaved`] when the queue
    /// has failed. Nothing was posted then.
    #[inline(always)] // Most chains have a length that the caller knows.
    pub fn post(&mut self, chain: &[Buffer], token: T) -> Result<(), Error> {
        if let Some(failure) = self.failure {
            return Err(Error::Misbehaved(failure));
        }
        let size = usize::from(self.size);
        let count = match u16::try_from(chain.len()).map(NonZeroU16::new) {
            Ok(Some(count)) if count.get() <= self.free_count => count,
            Ok(Some(count)) if usize::from(count.get()) <= size => return Err(Error::Full),
            _ => return Err(Error::BadChain),
        };

        let table = &self.areas.descriptors.memory;
        let head = self.first_free;
        let (mut index, mut last) = (head, head);
        let (mut total, mut room) = (0u32, 0u32);
        let mut left = count.get();
        for buffer in chain {
            left -= 1;
            let mut flags = if left == 0 { 0 } else { layout::FLAG_NEXT };
            total = total.checked_add(buffer.length).ok_or(Error::BadChain)?;
            match buffer.access {
                Access::DeviceReads if room != 0 => return Err(Error::BadChain),
                Access::DeviceReads => {}
                Access::DeviceWrites => {
                    flags |= layout::FLAG_WRITE;
                    room += buffer.length;
                }
            }
            if buffer.length == 0 {
                return Err(Error::BadChain);
            }
            let next = self.next[usize::from(index)];
            table.store_u64(layout::descriptor_address(index.into()), buffer.address)?;
            table.store_u64(
                layout::descriptor_rest(index.into()),
                layout::pack_rest(buffer.length, flags, next.into()),
            )?;
            last = index;
            index = next;
        }

        let available = &self.areas.available.memory;
        let position = self.available_index & (self.size - 1);
        let published = self.available_index.wrapping_add(1);
        available.store_u16(layout::available_entry(position), head.into())?;
        // From here on the device may have it (2.7.13.3).
        available.release_u16(layout::INDEX, published)?;

        self.chains[usize::from(head)] = Some(Chain {
            token,
            room,
            last,
            count,
        });
        self.first_free = index;
        self.free_count -= count.get();
        self.outstanding += 1;
        self.available_index = published;
        self.unannounced = self.unannounced.saturating_add(1);
        Ok(())
    }

    /// Whether the device wants to be told of what was posted since this was last asked. `true` is
    /// said once: ring its bell then.
    ///
    /// # Errors
    /// [`Error::Memory`].
    #[inline]
    pub fn should_notify(&mut self) -> Result<bool, Error> {
        let unannounced = core::mem::take(&mut self.unannounced);
        if unannounced == 0 {
            return Ok(false);
        }
        let used = &self.areas.used.memory;
        // The index must be visible before the device's wish is read, or device and driver may each
        // miss what the other wrote (2.7.13.4.1).
        used.fence();
        if !self.event_index {
            return Ok(used.load_u16(layout::FLAGS)? & layout::NO_NOTIFY == 0);
        }
        if unannounced == u16::MAX {
            // As many or more: too many to tell which were asked for.
            return Ok(true);
        }
        let event = used.load_u16(layout::available_event(self.size))?;
        let old = self.available_index.wrapping_sub(unannounced);
        Ok(event::needed(event, self.available_index, old))
    }

    /// Takes the next chain that the device gave back.
    ///
    /// # Errors
    /// [`Error::Misbehaved`]: with [`NotPosted`](Misbehaviour::NotPosted) an entry was passed over,
    /// and there may be more; with [`IndexJump`](Misbehaviour::IndexJump) it is said again until the
    /// device was reset. [`Error::Memory`].
    #[inline]
    pub fn take(&mut self) -> Result<Option<Completion<T>>, Error> {
        if self.used_index == self.used_end && self.look()? == 0 {
            return Ok(None);
        }
        let used = &self.areas.used.memory;
        let position = self.used_index & (self.size - 1);
        let id = used.load_u32(layout::used_id(position))?;
        let claimed = used.load_u32(layout::used_length(position))?;
        self.used_index = self.used_index.wrapping_add(1);

        let Ok(head) = u8::try_from(id) else {
            return Err(Error::Misbehaved(Misbehaviour::NotPosted { id }));
        };
        let Some(chain) = self.chains[usize::from(head)].take() else {
            return Err(Error::Misbehaved(Misbehaviour::NotPosted { id }));
        };
        self.next[usize::from(chain.last)] = self.first_free;
        self.first_free = head;
        self.free_count += chain.count.get();
        self.outstanding -= 1;
        let room = chain.room;
        Ok(Some(Completion {
            token: chain.token,
            written: if claimed <= room {
                Ok(claimed)
            } else {
                Err(Overrun { claimed, room })
            },
        }))
    }

    /// Chains that the device gave back, by what its index says now, and that were not taken yet.
    /// As many [`take`](Self::take)s find one each, or an entry to be passed over.
    ///
    /// # Errors
    /// [`Error::Misbehaved`], [`Error::Memory`].
    #[inline]
    pub fn waiting(&mut self) -> Result<u16, Error> {
        self.look()
    }

    /// Reads how far the device came: entries that wait to be taken.
    #[inline]
    fn look(&mut self) -> Result<u16, Error> {
        if let Some(failure) = self.failure {
            return Err(Error::Misbehaved(failure));
        }
        let index = self.areas.used.memory.acquire_u16(layout::INDEX)?;
        let waiting = index.wrapping_sub(self.used_index);
        if waiting > self.outstanding {
            let failure = Misbehaviour::IndexJump {
                expected: self.used_index,
                index,
                outstanding: self.outstanding,
            };
            self.failure = Some(failure);
            return Err(Error::Misbehaved(failure));
        }
        self.used_end = index;
        Ok(waiting)
    }

    /// Asks to be interrupted when the next chain comes back. `true`: one is back already (looked at
    /// after asking); take it instead of waiting.
    ///
    /// # Errors
    /// [`Error::Misbehaved`], [`Error::Memory`].
    pub fn listen(&mut self) -> Result<bool, Error> {
        let available = &self.areas.available.memory;
        if self.event_index {
            available.store_u16(layout::used_event(self.size), self.used_index)?;
        } else {
            available.store_u16(layout::FLAGS, 0)?;
        }
        self.listening = true;
        // The wish must be visible before the index is read: see `should_notify`.
        available.fence();
        Ok(self.look()? != 0)
    }

    /// Wants no interrupts until the next [`listen`](Self::listen). A hint: some may come.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn quiet(&mut self) -> Result<(), Error> {
        if !self.listening {
            return Ok(());
        }
        let available = &self.areas.available.memory;
        if self.event_index {
            // The entry taken last: it comes round again 65,535 entries from now.
            let passed = self.used_index.wrapping_sub(1);
            available.store_u16(layout::used_event(self.size), passed)?;
        } else {
            available.store_u16(layout::FLAGS, layout::NO_INTERRUPT)?;
        }
        self.listening = false;
        Ok(())
    }

    /// Takes back everything in flight from a device that was reset, and makes the queue as new; the
    /// device must be told of it again.
    ///
    /// # Errors
    /// [`Error::Memory`]. The tokens are back all the same.
    pub fn reclaim(&mut self, _: &Stopped, mut take: impl FnMut(T)) -> Result<(), Error> {
        for chain in self.chains.iter_mut() {
            if let Some(chain) = chain.take() {
                take(chain.token);
            }
        }
        self.clear()
    }
}
