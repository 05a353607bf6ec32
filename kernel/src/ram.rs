//! Regions of physical memory as a loader describes them, what of the RAM in them is left while the
//! kernel makes its tables, and how all of it is mapped.
//!
//! Numbers only: `arch` reads the loader's map and writes the page tables.

use core::fmt;
use core::ops::Range;

use crate::frame::Frame;

/// Regions of a memory map that are kept. A map of more can't be used: one that is left out may say
/// that RAM in another is somebody else's.
pub const REGIONS: usize = 64;

/// Bytes of a small page.
pub const PAGE: u64 = 4096;
/// Bytes of a page of an entry of a level-2 table.
pub const LARGE: u64 = 1 << 21;
/// Bytes of a page of an entry of a level-3 table.
pub const HUGE: u64 = 1 << 30;

/// First address beyond all frames: a frame's number has 32 bits.
pub const FRAMES_END: u64 = PAGE << 32;

/// Up to here device memory is mapped where the CPU has pages of 1 GiB: what 39 bits address.
const DEVICES_END: u64 = 512 * HUGE;
/// Below lie the devices that every PC has.
const LOW_END: u64 = 4 * HUGE;
/// What PCs had when they were small; nobody is given any of it.
const FIRST_MIB: u64 = 1 << 20;

/// A region of physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// First byte behind it.
    pub end: u64,
    /// RAM that nobody else uses.
    pub usable: bool,
}

/// There is no such piece of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes wanted, in one piece.
    pub bytes: u64,
    /// They had to lie below this address.
    pub below: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage { bytes, below } = self;
        write!(
            f,
            "the kernel's own tables need {bytes} more bytes in one piece below {below:#x}, and so \
             much RAM isn't free there"
        )
    }
}

/// Memory that turned out to be no RAM is used as RAM already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse(pub Range<u64>);

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0;
        write!(
            f,
            "the memory map has RAM from {start:#x} to {end:#x}, where registers are, and the kernel or \
             the archive lies there"
        )
    }
}

/// Usable RAM in whole pages, less what is taken already.
pub struct Ram {
    free: [Region; REGIONS],
    count: usize,
}

impl Ram {
    /// The usable regions of a memory map, from the second MiB on.
    ///
    /// Maps overlap where firmware is careless. RAM that is named twice is there once, and what somebody
    /// else uses as well isn't usable: each frame gets one owner.
    pub fn new(map: &[Region]) -> Ram {
        let mut ram = Ram {
            free: [Region::default(); REGIONS],
            count: 0,
        };
        for region in map.iter().filter(|region| region.usable) {
            if let Some(start) = region.start.checked_next_multiple_of(PAGE) {
                let (start, end) = (start.max(FIRST_MIB), region.end & !(PAGE - 1));
                let end = end.min(FRAMES_END);
                ram.take(start..end);
                ram.add(start, end);
            }
        }
        for region in map.iter().filter(|region| !region.usable) {
            ram.take(whole_pages(&(region.start..region.end)));
        }
        ram
    }

    fn add(&mut self, start: u64, end: u64) {
        if start < end && self.count < REGIONS {
            self.free[self.count] = Region {
                start,
                end,
                usable: true,
            };
            self.count += 1;
        }
    }

    /// What is free: whole pages, no two of them the same.
    pub fn free(&self) -> &[Region] {
        &self.free[..self.count]
    }

    /// First address behind what is free.
    pub fn end(&self) -> u64 {
        self.free()
            .iter()
            .map(|region| region.end)
            .max()
            .unwrap_or(0)
    }

    /// Pages that are free.
    pub fn pages(&self) -> u64 {
        let pages = |region: &Region| (region.end - region.start) / PAGE;
        self.free().iter().map(pages).sum()
    }

    /// Whether all of a range is free.
    pub fn holds(&self, range: &Range<u64>) -> bool {
        let mut from = range.start;
        while from < range.end {
            let part = self
                .free()
                .iter()
                .find(|r| (r.start..r.end).contains(&from));
            match part {
                Some(part) => from = part.end,
                None => return false,
            }
        }
        true
    }

    /// Takes a range out of every region. Where it leaves two pieces and only one can be kept, the smaller
    /// is lost.
    pub fn take(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut n = 0;
        while n < self.count {
            let region = self.free[n];
            let lower = region.start..region.end.min(range.start);
            let upper = region.start.max(range.end)..region.end;
            let place = &mut self.free[n];
            match (lower.is_empty(), upper.is_empty()) {
                (false, false) => {
                    let bytes = |piece: &Range<u64>| piece.end - piece.start;
                    let upper_first = self.count == REGIONS && bytes(&upper) > bytes(&lower);
                    let [kept, other] = if upper_first {
                        [upper, lower]
                    } else {
                        [lower, upper]
                    };
                    (place.start, place.end) = (kept.start, kept.end);
                    self.add(other.start, other.end);
                }
                (false, true) => place.end = lower.end,
                (true, false) => place.start = upper.start,
                (true, true) => {
                    self.count -= 1;
                    self.free[n] = self.free[self.count];
                    continue;
                }
            }
            n += 1;
        }
    }

    /// Takes out what turned out to be no RAM, though the map that this was made of has some there. For
    /// before [`Ram::keep`], which leaves memory that nobody uses.
    ///
    /// # Errors
    /// Some of it isn't free any more.
    pub fn withhold(
        &mut self,
        map: &[Region],
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> Result<(), InUse> {
        let mut all = Ram::new(map);
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            let range = whole_pages(&range);
            for region in all.free() {
                let part = region.start.max(range.start)..region.end.min(range.end);
                if !self.holds(&part) {
                    return Err(InUse(part));
                }
            }
            self.take(range.clone());
            all.take(range);
        }
        Ok(())
    }

    /// Keeps so many pages, those of the lowest addresses. Answers how many it leaves for good.
    pub fn keep(&mut self, pages: u64) -> u64 {
        self.free[..self.count].sort_unstable_by_key(|region| region.start);
        let (mut left, mut lost) = (pages, 0);
        for region in &mut self.free[..self.count] {
            let (all, kept) = {
                let all = (region.end - region.start) / PAGE;
                (all, all.min(left))
            };
            region.end = region.start + kept * PAGE;
            left -= kept;
            lost += all - kept;
        }
        while self.count > 0 && self.free[self.count - 1].start == self.free[self.count - 1].end {
            self.count -= 1;
        }
        lost
    }

    /// Takes whole pages in one piece, below an address: out of the region that has most there.
    ///
    /// # Errors
    /// No region has so much.
    pub fn allocate(&mut self, bytes: u64, below: u64) -> Result<u64, Shortage> {
        let shortage = Shortage { bytes, below };
        let bytes = bytes.checked_next_multiple_of(PAGE).ok_or(shortage)?;
        let room = |region: &Region| region.end.min(below).saturating_sub(region.start);
        let most = (0..self.count).max_by_key(|n| room(&self.free[*n]));
        let n = most
            .filter(|n| room(&self.free[*n]) >= bytes)
            .ok_or(shortage)?;
        let start = self.free[n].start;
        self.take(start..start + bytes);
        Ok(start)
    }

    /// Frames left.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        self.free()
            .iter()
            .flat_map(|region| (region.start / PAGE..region.end / PAGE).map(|n| Frame(n as u32)))
    }
}

/// The pages in which any of a range lies.
fn whole_pages(range: &Range<u64>) -> Range<u64> {
    let end = range.end.checked_next_multiple_of(PAGE);
    range.start & !(PAGE - 1)..end.unwrap_or(u64::MAX)
}

/// A page of the map of all physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Physical address, a multiple of its size.
    pub address: u64,
    /// Whether it is of 1 GiB; else it is of 2 MiB.
    pub is_huge: bool,
    /// Whether RAM lies in it; device memory must not be cached.
    pub is_ram: bool,
}

/// First physical address that isn't mapped: behind all RAM and all device memory below 4 GiB, or
/// below 512 GiB where the CPU has pages of 1 GiB.
pub fn mapped_end(map: &[Region], has_huge_pages: bool) -> u64 {
    let least = if has_huge_pages { DEVICES_END } else { LOW_END };
    let ends = map.iter().filter(|region| region.usable).map(|r| r.end);
    let end = ends.max().unwrap_or(0).clamp(least, FRAMES_END);
    end.next_multiple_of(HUGE)
}

/// Whether all of a range lies in the first MiB, or in one region of a map, usable or not.
pub fn first_mib_or_in(map: &[Region], range: Range<u64>) -> bool {
    let covers = |region: &Region| region.start <= range.start && range.end <= region.end;
    range.end <= FIRST_MIB || map.iter().any(covers)
}

/// The pages that map all physical memory below [`mapped_end`], in order and without a gap.
///
/// A GiB is one page or 512, never some of both: its entry of the level-3 table is either.
pub fn mappings(map: &[Region], has_huge_pages: bool) -> impl Iterator<Item = Mapping> + '_ {
    let end = mapped_end(map, has_huge_pages);
    let is_ram = |start: u64, bytes: u64| {
        let mut usable = map.iter().filter(|region| region.usable);
        usable.any(|region| region.start.max(start) < region.end.min(start + bytes))
    };
    let mut address = 0;
    core::iter::from_fn(move || {
        if address >= end {
            return None;
        }
        let start = address;
        let gib = start & !(HUGE - 1);
        let is_huge = has_huge_pages && gib >= LOW_END && !is_ram(gib, HUGE);
        let bytes = if is_huge { HUGE } else { LARGE };
        address += bytes;
        Some(Mapping {
            address: start,
            is_huge,
            is_ram: !is_huge && is_ram(start, bytes),
        })
    })
}
