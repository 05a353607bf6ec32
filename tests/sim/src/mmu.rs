//! The CPU's memory management unit, in software.
//!
//! It walks the very table entries that the kernel wrote, as the Intel SDM (vol. 3A, 4.5) says: rights
//! are the conjunction of all levels, accessed and dirty bits are set. What it found it keeps in a
//! translation lookaside buffer until it is told to forget it, as a CPU does, and uses it however the
//! tables have changed meanwhile. But each time it uses one it looks whether the tables still grant
//! as much, and remembers the first that they don't: an invalidation was missing.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use kernel::frame::Frame;

use crate::lookup::{ADDRESS, DEVICE, NO_EXECUTE, PRESENT, USER, WRITABLE, frame_of};
use crate::memory::Memory;

const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// Places in the buffer. Large, so that what was forgotten to be invalidated stays long.
const PLACES: usize = 512;

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Executed.
    Execute,
}

/// What an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// A byte of a frame of RAM.
    Ram(Frame, usize),
    /// A byte of a page of device memory.
    Device(u64, usize),
}

/// Why an address reaches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Something is mapped there, but not with that right.
    pub present: bool,
}

/// A translation that was used after the tables took it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The address.
    pub address: u64,
    /// The frame that it reached.
    pub frame: Frame,
}

/// A translation: the page, and bits as in an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Translation {
    page: u64,
    bits: u64,
    /// Which time between two losses of all translations it is of.
    era: u64,
}

const NOTHING: Translation = Translation {
    page: 0,
    bits: 0,
    era: 0,
};

impl Translation {
    fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => true,
            Access::Write => self.bits & WRITABLE != 0,
            Access::Execute => self.bits & NO_EXECUTE == 0,
        }
    }

    /// Whether it grants no more than another.
    fn within(self, other: Translation) -> bool {
        let same = (self.bits ^ other.bits) & (ADDRESS | DEVICE) == 0;
        let writes = self.bits & WRITABLE & !other.bits == 0;
        let executes = other.bits & NO_EXECUTE & !self.bits == 0;
        same && writes && executes
    }
}

/// The unit.
pub struct Mmu {
    root: Cell<Frame>,
    era: Cell<u64>,
    places: Box<[Cell<Translation>]>,
    stale: Cell<Option<Stale>>,
    /// Pages forgotten one by one.
    pub flushed_pages: Cell<u64>,
    /// Times that everything was forgotten.
    pub flushed_all: Cell<u64>,
}

impl Mmu {
    /// A unit without an address space.
    pub fn new() -> Mmu {
        Mmu {
            root: Cell::new(Frame::NONE),
            era: Cell::new(1),
            places: (0..PLACES).map(|_| Cell::new(NOTHING)).collect(),
            stale: Cell::new(None),
            flushed_pages: Cell::new(0),
            flushed_all: Cell::new(0),
        }
    }

    /// The level-4 table that is loaded.
    pub fn root(&self) -> Frame {
        self.root.get()
    }

    /// Loads an address space; forgets everything.
    pub fn load(&self, root: Frame) {
        self.root.set(root);
        self.forget_all();
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.flushed_all.set(self.flushed_all.get() + 1);
        self.era.set(self.era.get() + 1);
    }

    /// Forgets one page.
    pub fn forget(&self, address: u64) {
        self.flushed_pages.set(self.flushed_pages.get() + 1);
        let place = self.place(address);
        if place.get().page == address >> 12 {
            place.set(NOTHING);
        }
    }

    /// The first translation that was used though the tables had taken it back.
    pub fn stale(&self) -> Option<Stale> {
        self.stale.get()
    }

    /// A translation that is remembered and that the tables don't grant, if there is one.
    pub fn find_stale(&self, memory: &Memory) -> Option<Stale> {
        let known = self.places.iter().map(Cell::get);
        known
            .filter(|known| known.era == self.era.get())
            .find(|known| !granted(*known, walk(memory, self.root.get(), known.page << 12)))
            .map(|known| Stale {
                address: known.page << 12,
                frame: frame_of(known.bits),
            })
    }

    /// Whether a translation to this frame is remembered.
    pub fn remembers(&self, frame: Frame) -> bool {
        let era = self.era.get();
        let leads = |known: Translation| known.era == era && frame_of(known.bits) == frame;
        self.places.iter().any(|place| leads(place.get()))
    }

    fn place(&self, address: u64) -> &Cell<Translation> {
        // Segments are 512 pages: fold the segment in, so that neighbours don't collide.
        let page = address >> 12;
        &self.places[(page ^ page >> 9 ^ page >> 18) as usize % PLACES]
    }

    /// What an address reaches.
    ///
    /// # Errors
    /// The tables don't grant this access.
    pub fn reach(&self, memory: &Memory, address: u64, access: Access) -> Result<Reached, Miss> {
        if address >> 47 != 0 {
            return Err(Miss { present: false });
        }
        let place = self.place(address);
        let known = place.get();
        let fits = known.era == self.era.get() && known.page == address >> 12;
        if fits && known.allows(access) && (access != Access::Write || known.bits & DIRTY != 0) {
            if !granted(known, walk(memory, self.root.get(), address)) && self.stale.get().is_none()
            {
                self.stale.set(Some(Stale {
                    address,
                    frame: frame_of(known.bits),
                }));
            }
            return Ok(reached(known.bits, address));
        }
        // A CPU that finds a translation that doesn't allow the access walks the tables again.
        let found = walk(memory, self.root.get(), address).ok_or(Miss { present: false })?;
        if !found.allows(access) {
            return Err(Miss { present: true });
        }
        let mut bits = found.bits;
        if access == Access::Write {
            bits |= DIRTY;
        }
        mark(memory, self.root.get(), address, access == Access::Write);
        place.set(Translation {
            page: address >> 12,
            bits,
            era: self.era.get(),
        });
        Ok(reached(bits, address))
    }
}

impl Default for Mmu {
    fn default() -> Mmu {
        Mmu::new()
    }
}

fn granted(known: Translation, found: Option<Translation>) -> bool {
    found.is_some_and(|found| known.within(found))
}

fn reached(bits: u64, address: u64) -> Reached {
    let offset = address as usize & 0xfff;
    if bits & DEVICE != 0 {
        Reached::Device((bits & ADDRESS) >> 12, offset)
    } else {
        Reached::Ram(frame_of(bits), offset)
    }
}

/// The entries that lead to an address, from level 4 on, as long as they are there.
fn path(memory: &Memory, root: Frame, address: u64) -> impl Iterator<Item = (Frame, usize, u64)> {
    let mut table = Some(root);
    [39, 30, 21, 12].into_iter().map_while(move |shift| {
        let frame = table.filter(|frame| memory.is_ram(*frame))?;
        let index = (address >> shift) as usize & 511;
        let entry = memory.word(frame, index).load(Ordering::Relaxed);
        table = (entry & PRESENT != 0 && entry & DEVICE == 0).then(|| frame_of(entry));
        Some((frame, index, entry))
    })
}

/// What the tables grant for an address.
fn walk(memory: &Memory, root: Frame, address: u64) -> Option<Translation> {
    let (mut levels, mut all, mut any, mut leaf) = (0, !0, 0, 0);
    for (_, _, entry) in path(memory, root, address) {
        levels += 1;
        all &= entry;
        any |= entry;
        leaf = entry;
    }
    let mapped = levels == 4 && all & (PRESENT | USER) == PRESENT | USER;
    mapped.then_some(Translation {
        page: address >> 12,
        bits: leaf & (ADDRESS | DEVICE) | all & (PRESENT | WRITABLE) | any & NO_EXECUTE,
        era: 0,
    })
}

/// Sets accessed bits on the way, and the dirty bit at its end.
fn mark(memory: &Memory, root: Frame, address: u64, write: bool) {
    for (n, (frame, index, entry)) in path(memory, root, address).enumerate() {
        let dirty = if n == 3 && write { DIRTY } else { 0 };
        if entry & (ACCESSED | dirty) != ACCESSED | dirty {
            let word = memory.word(frame, index);
            word.store(entry | ACCESSED | dirty, Ordering::Relaxed);
        }
    }
}
