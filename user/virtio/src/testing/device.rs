//! The device's side of a split queue.

use alloc::vec::Vec;

use sys::{Fault, Mem};

use crate::queue::{Access, Areas, Buffer};
use crate::{event, layout};

/// A chain as the device finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its first descriptor: what the device names it by.
    pub head: u16,
    /// Its buffers, in order.
    pub buffers: Vec<Buffer>,
}

impl Chain {
    /// Bytes that the device may write.
    pub fn room(&self) -> u32 {
        self.buffers
            .iter()
            .filter(|buffer| buffer.access == Access::DeviceWrites)
            .map(|buffer| buffer.length)
            .sum()
    }
}

/// The device's side of a queue. It keeps to the specification unless a method is called whose name
/// says otherwise.
pub struct FakeDevice<M> {
    areas: Areas<M>,
    size: u16,
    event_index: bool,
    /// The next available entry to look at.
    available_index: u16,
    /// Used entries published.
    used_index: u16,
    /// The used index when an interrupt was last decided on.
    decided_index: u16,
}

/// Rings don't go away in tests.
fn sound<T>(result: Result<T, Fault>) -> T {
    result.expect("the rings lie in the areas that the driver gave")
}

impl<M: Mem> FakeDevice<M> {
    /// The device's side of the queue in these areas.
    pub fn new(size: u16, areas: Areas<M>, event_index: bool) -> Self {
        Self {
            areas,
            size,
            event_index,
            available_index: 0,
            used_index: 0,
            decided_index: 0,
        }
    }

    /// Used entries published, modulo 2¹⁶.
    pub fn used_index(&self) -> u16 {
        self.used_index
    }

    /// Chains that were posted and not yet looked at.
    ///
    /// # Panics
    /// When the driver published more than the queue holds.
    pub fn waiting(&self) -> u16 {
        let index = sound(self.areas.available.memory.acquire_u16(layout::INDEX));
        let waiting = index.wrapping_sub(self.available_index);
        assert!(waiting <= self.size, "the driver posted {waiting} chains");
        waiting
    }

    /// Takes the next posted chain.
    ///
    /// # Panics
    /// When it isn't one: a loop, a bad descriptor, flags that nobody defined, buffers that are empty
    /// or in the wrong order.
    pub fn take(&mut self) -> Option<Chain> {
        if self.waiting() == 0 {
            return None;
        }
        let head = self.next_head();
        match self.chain(head) {
            Ok(chain) => Some(chain),
            Err(what) => panic!("chain {head}: {what}"),
        }
    }

    /// Takes what lies at the next posted place. Once a device has given back what it hadn't taken, the
    /// driver posts over entries that it hasn't looked at, and makes other chains of their descriptors.
    /// It passes over those.
    pub fn take_whatever(&mut self) -> Option<Chain> {
        let index = sound(self.areas.available.memory.acquire_u16(layout::INDEX));
        if index.wrapping_sub(self.available_index) > self.size {
            self.available_index = index.wrapping_sub(self.size);
        }
        if index == self.available_index {
            return None;
        }
        let head = self.next_head();
        self.chain(head).ok()
    }

    fn next_head(&mut self) -> u16 {
        let position = self.available_index & (self.size - 1);
        let entry = layout::available_entry(position);
        self.available_index = self.available_index.wrapping_add(1);
        sound(self.areas.available.memory.load_u16(entry))
    }

    /// The chain that begins here, or why it is none.
    fn chain(&self, head: u16) -> Result<Chain, &'static str> {
        let require = |right, what| if right { Ok(()) } else { Err(what) };
        let table = &self.areas.descriptors.memory;
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut index = head;
        loop {
            require(index < self.size, "a descriptor that doesn't exist")?;
            require(buffers.len() < self.size.into(), "a loop")?;
            let address = sound(table.load_u64(layout::descriptor_address(index)));
            let rest = sound(table.load_u64(layout::descriptor_rest(index)));
            let (length, flags, next) = layout::unpack_rest(rest);
            require(length != 0, "an empty buffer")?;
            let unknown = flags & !(layout::FLAG_NEXT | layout::FLAG_WRITE);
            require(unknown == 0, "flags that nobody defined")?;
            let access = if flags & layout::FLAG_WRITE != 0 {
                Access::DeviceWrites
            } else {
                let written = buffers.iter().any(|b| b.access == Access::DeviceWrites);
                require(!written, "to be read after to be written")?;
                Access::DeviceReads
            };
            buffers.push(Buffer {
                address,
                length,
                access,
            });
            if flags & layout::FLAG_NEXT == 0 {
                return Ok(Chain { head, buffers });
            }
            index = next;
        }
    }

    /// Gives a chain back. Nothing keeps the caller from giving back what it hasn't got.
    pub fn give(&mut self, id: u32, written: u32) {
        let position = self.used_index & (self.size - 1);
        let used = &self.areas.used.memory;
        sound(used.store_u32(layout::used_id(position), id));
        sound(used.store_u32(layout::used_length(position), written));
        self.used_index = self.used_index.wrapping_add(1);
        sound(used.release_u16(layout::INDEX, self.used_index));
    }

    /// Misbehaves: publishes this index, whatever was given.
    pub fn lie_about_index(&mut self, index: u16) {
        self.used_index = index;
        sound(self.areas.used.memory.release_u16(layout::INDEX, index));
    }

    /// Whether the driver is to be interrupted for what was given since this was last asked (2.7.7).
    pub fn should_interrupt(&mut self) -> bool {
        let old = core::mem::replace(&mut self.decided_index, self.used_index);
        let available = &self.areas.available.memory;
        available.fence();
        if self.event_index {
            let wanted = sound(available.load_u16(layout::used_event(self.size)));
            event::needed(wanted, self.used_index, old)
        } else {
            let flags = sound(available.load_u16(layout::FLAGS));
            old != self.used_index && flags & layout::NO_INTERRUPT == 0
        }
    }

    /// Asks to be notified of the next chain. Whether one is there already, looked at after asking.
    pub fn listen(&mut self) -> bool {
        let used = &self.areas.used.memory;
        if self.event_index {
            sound(used.store_u16(layout::available_event(self.size), self.available_index));
        } else {
            sound(used.store_u16(layout::FLAGS, 0));
        }
        used.fence();
        self.waiting() != 0
    }

    /// Wants no notifications until it listens again.
    pub fn quiet(&mut self) {
        let used = &self.areas.used.memory;
        if self.event_index {
            let passed = self.available_index.wrapping_sub(1);
            sound(used.store_u16(layout::available_event(self.size), passed));
        } else {
            sound(used.store_u16(layout::FLAGS, layout::NO_NOTIFY));
        }
    }
}
