//! What a PVH loader hands over: memory map, command line, archive, ACPI's root pointer.
//!
//! All of it lies in memory that the map calls usable, so it is copied before anything is allocated.
//! x86/HVM direct boot ABI: xen/include/public/arch-x86/hvm/start_info.h. The loader is believed as to
//! what RAM there is; not that its pointers lead anywhere, nor that what it names makes sense.

use core::fmt;
use core::ops::Range;

use crate::physical::{Physical, u32_at, u64_at};
use crate::ram::{PAGE, REGIONS, Ram, Region};

const MAGIC: u32 = 0x336e_c578;

/// Offsets in the start-info structure, whose version 0 ends before the memory map.
mod start_info {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 4;
    pub const MODULES: usize = 12;
    pub const MODULE_LIST: usize = 16;
    pub const COMMAND_LINE: usize = 24;
    pub const ROOT_POINTER: usize = 32;
    pub const FIRST_BYTES: usize = 40;
    pub const MEMORY_MAP: usize = 40;
    pub const MEMORY_MAP_ENTRIES: usize = 48;
    pub const BYTES: usize = 56;
}

/// Offsets in an entry of the list of modules.
mod module {
    pub const ADDRESS: usize = 0;
    pub const LENGTH: usize = 8;
    pub const BYTES: usize = 32;
}

/// Offsets in an entry of the memory map, and its kind that is RAM.
mod map_entry {
    pub const ADDRESS: usize = 0;
    pub const LENGTH: usize = 8;
    pub const KIND: usize = 16;
    pub const BYTES: usize = 24;
    pub const RAM: u32 = 1;
}

/// Bytes of the command line that are kept.
pub const COMMAND_LINE: usize = 2048;
/// Most entries of a memory map. Some may be empty; of the others there is room for [`REGIONS`].
const MAP_ENTRIES: u32 = 1024;

/// A copy of what was handed over.
pub struct Handover {
    /// The memory map.
    pub regions: [Region; REGIONS],
    count: usize,
    /// Why what was copied isn't all of the map.
    map_fault: Option<Unusable>,
    /// The bytes of the archive; none when there is no archive. [`Handover::ram`] checks them.
    pub archive: Range<u64>,
    /// Physical address of ACPI's root pointer, or 0.
    pub root_pointer: u64,
    command_line: [u8; COMMAND_LINE],
    command_line_bytes: usize,
}

/// Why nothing can be started with what was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The memory map has more entries than are kept: the others may say that RAM is somebody's.
    LongMap,
    /// Some of the memory map can't be read.
    CutMap,
    /// There is no archive.
    NoArchive,
    /// The archive doesn't begin with a page: pages of it are given away.
    Misaligned,
    /// The archive doesn't lie in RAM, or where the kernel lies.
    Misplaced,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unusable::LongMap => "the memory map has more entries than the kernel keeps",
            Unusable::CutMap => "some of the memory map can't be read",
            Unusable::NoArchive => "no boot archive: give one with -initrd",
            Unusable::Misaligned => "the boot archive doesn't begin with a page",
            Unusable::Misplaced => "the boot archive doesn't lie in RAM, or where the kernel lies",
        })
    }
}

impl Handover {
    /// Copies what lies at a start-info structure, or `None` where there is none. A pointer that leads
    /// nowhere is as if nothing were there; so is memory from `end` on, which the CPU can't address.
    pub fn copy(memory: &impl Physical, info: u64, end: u64) -> Option<Handover> {
        let first = memory.bytes(info, start_info::FIRST_BYTES)?;
        if u32_at(first, start_info::MAGIC)? != MAGIC {
            return None;
        }
        let mut handover = Handover {
            regions: [Region::default(); REGIONS],
            count: 0,
            map_fault: None,
            archive: 0..0,
            root_pointer: u64_at(first, start_info::ROOT_POINTER)?,
            command_line: [0; COMMAND_LINE],
            command_line_bytes: 0,
        };
        if u32_at(first, start_info::VERSION)? > 0 {
            let info = memory.bytes(info, start_info::BYTES)?;
            let map = u64_at(info, start_info::MEMORY_MAP)?;
            let entries = u32_at(info, start_info::MEMORY_MAP_ENTRIES)?;
            handover.map_fault = handover.copy_map(memory, map, entries, end).err();
        }
        if u32_at(first, start_info::MODULES)? > 0 {
            let list = u64_at(first, start_info::MODULE_LIST)?;
            handover.archive = archive(memory, list).unwrap_or(0..0);
        }
        let line = u64_at(first, start_info::COMMAND_LINE)?;
        if line != 0 {
            handover.copy_command_line(memory, line);
        }
        Some(handover)
    }

    fn copy_map(
        &mut self,
        memory: &impl Physical,
        map: u64,
        entries: u32,
        end: u64,
    ) -> Result<(), Unusable> {
        if entries > MAP_ENTRIES {
            return Err(Unusable::LongMap);
        }
        let entry = |n: u32| {
            let offset = u64::from(n) * map_entry::BYTES as u64;
            let entry = memory.bytes(map.checked_add(offset)?, map_entry::BYTES)?;
            let start = u64_at(entry, map_entry::ADDRESS)?;
            let length = u64_at(entry, map_entry::LENGTH)?;
            Some(Region {
                start,
                end: start.saturating_add(length).min(end),
                usable: u32_at(entry, map_entry::KIND)? == map_entry::RAM,
            })
        };
        for n in 0..entries {
            let region = entry(n).ok_or(Unusable::CutMap)?;
            if region.start < region.end {
                let place = self.regions.get_mut(self.count);
                *place.ok_or(Unusable::LongMap)? = region;
                self.count += 1;
            }
        }
        Ok(())
    }

    /// Copies a string that is ended by zero, or by the end of what is kept.
    fn copy_command_line(&mut self, memory: &impl Physical, line: u64) {
        for (n, place) in self.command_line.iter_mut().enumerate() {
            let address = line.checked_add(n as u64);
            match address.and_then(|address| memory.bytes(address, 1)) {
                Some([byte]) if *byte != 0 => *place = *byte,
                _ => break,
            }
            self.command_line_bytes = n + 1;
        }
    }

    /// The memory map; all of it where [`Handover::ram`] answers some.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }

    /// The command line.
    pub fn command_line(&self) -> &[u8] {
        &self.command_line[..self.command_line_bytes]
    }

    /// Usable RAM, less the first MiB, the kernel's image, and the archive, of which it makes sure that
    /// it lies in RAM.
    ///
    /// # Errors
    /// It doesn't, or there is none, or the memory map isn't known whole.
    pub fn ram(&self, image: Range<u64>) -> Result<Ram, Unusable> {
        if let Some(fault) = self.map_fault {
            return Err(fault);
        }
        let mut ram = Ram::new(self.regions());
        let image_end = image.end.checked_next_multiple_of(PAGE);
        ram.take(image.start & !(PAGE - 1)..image_end.unwrap_or(u64::MAX));
        if self.archive.is_empty() {
            return Err(Unusable::NoArchive);
        }
        if !self.archive.start.is_multiple_of(PAGE) {
            return Err(Unusable::Misaligned);
        }
        let end = self.archive.end.checked_next_multiple_of(PAGE);
        let pages = self.archive.start..end.ok_or(Unusable::Misplaced)?;
        if !ram.holds(&pages) {
            return Err(Unusable::Misplaced);
        }
        ram.take(pages);
        Ok(ram)
    }
}

/// The bytes of the first module in a list.
fn archive(memory: &impl Physical, list: u64) -> Option<Range<u64>> {
    let module = memory.bytes(list, module::BYTES)?;
    let start = u64_at(module, module::ADDRESS)?;
    let end = start.checked_add(u64_at(module, module::LENGTH)?)?;
    Some(start..end)
}
