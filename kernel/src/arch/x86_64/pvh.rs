//! What a PVH loader hands over: memory map, command line, archive, ACPI's root pointer.
//!
//! All of it lies in memory that the map calls usable, so it is copied before anything is allocated.
//! x86/HVM direct boot ABI: xen/include/public/arch-x86/hvm/start_info.h.

use kernel::ram::{REGIONS, Region};

use super::memory::physical;

const MAGIC: u32 = 0x336e_c578;

/// Bytes of the command line that are kept.
pub const COMMAND_LINE: usize = 2048;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    root_pointer: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct Module {
    address: u64,
    bytes: u64,
    command_line: u64,
    reserved: u64,
}

#[repr(C)]
struct MapEntry {
    address: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

/// A copy of what was handed over.
pub struct Handover {
    /// The memory map.
    pub regions: [Region; REGIONS],
    /// Regions in it.
    pub count: usize,
    /// The archive: first byte and first behind it; equal when there is none.
    pub archive: (u64, u64),
    /// Physical address of ACPI's root pointer, or 0.
    pub root_pointer: u64,
    /// The command line.
    pub command_line: [u8; COMMAND_LINE],
    /// Bytes in it.
    pub command_line_bytes: usize,
}

impl Handover {
    /// Copies what lies at a start-info structure, or `None` where there is none.
    ///
    /// # Safety
    /// `info` is the address that a PVH loader passed, and nothing has written to RAM since.
    pub unsafe fn copy(info: u64) -> Option<Handover> {
        // SAFETY: as promised by the caller; PVH puts these structures into the first GiB, which the
        // boot tables map, and they are plain integers.
        let info = unsafe { &*physical(info).cast::<StartInfo>() };
        if info.magic != MAGIC {
            return None;
        }
        let mut handover = Handover {
            regions: [Region::default(); REGIONS],
            count: 0,
            archive: (0, 0),
            root_pointer: info.root_pointer,
            command_line: [0; COMMAND_LINE],
            command_line_bytes: 0,
        };
        for n in 0..info.memory_map_entries as usize {
            // SAFETY: the loader says that there are so many entries.
            let entry = unsafe { &*physical(info.memory_map).cast::<MapEntry>().add(n) };
            if entry.bytes != 0 && handover.count < REGIONS {
                handover.regions[handover.count] = Region {
                    start: entry.address,
                    end: entry.address.saturating_add(entry.bytes),
                    usable: entry.kind == 1,
                };
                handover.count += 1;
            }
        }
        if info.modules > 0 {
            // SAFETY: the loader says that there is at least one.
            let module = unsafe { &*physical(info.module_list).cast::<Module>() };
            handover.archive = (module.address, module.address.saturating_add(module.bytes));
        }
        if info.command_line != 0 {
            let text = physical(info.command_line);
            for n in 0..COMMAND_LINE {
                // SAFETY: a string ended by zero, which is where this stops.
                let byte = unsafe { *text.add(n) };
                if byte == 0 {
                    break;
                }
                handover.command_line[n] = byte;
                handover.command_line_bytes = n + 1;
            }
        }
        Some(handover)
    }

    /// The memory map.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }

    /// The command line.
    pub fn command_line(&self) -> &[u8] {
        &self.command_line[..self.command_line_bytes]
    }

    /// The value of a word `key=value` of the command line.
    pub fn option(&self, key: &str) -> Option<&str> {
        let text = core::str::from_utf8(self.command_line()).ok()?;
        text.split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}
