//! Physical memory: which frames there are, and the kernel's own address space.
//!
//! All RAM (and, uncached, the device memory below 512 GiB where the CPU has 1 GiB pages) is mapped
//! at [`PHYSICAL_BASE`], never executable. The kernel's image is mapped at its link address with the
//! rights of its sections. Nothing is mapped in the lower half.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel::frame::Frame;

use super::pvh::{Handover, REGIONS, Region};

/// Where physical memory is mapped.
pub const PHYSICAL_BASE: u64 = 0xffff_8000_0000_0000;
/// Where the kernel's image is linked, less its physical address.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

const PAGE: u64 = 4096;
const LARGE: u64 = 1 << 21;
const HUGE: u64 = 1 << 30;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const LEAF: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;

unsafe extern "C" {
    static kernel_start: u8;
    static kernel_text_end: u8;
    static kernel_rodata_end: u8;
    static kernel_end: u8;
}

/// End of the physical memory that is mapped.
static MAPPED_END: AtomicU64 = AtomicU64::new(HUGE);

/// The pointer through which the kernel reaches a physical address.
pub fn physical(address: u64) -> *mut u8 {
    (PHYSICAL_BASE + address) as *mut u8
}

/// Whether a physical address is mapped at [`PHYSICAL_BASE`].
pub fn is_mapped(address: u64) -> bool {
    address < mapped_end()
}

/// First physical address that isn't.
pub fn mapped_end() -> u64 {
    MAPPED_END.load(Ordering::Relaxed)
}

/// Physical address of a symbol of the kernel's image.
fn image_address(symbol: &u8) -> u64 {
    core::ptr::from_ref(symbol) as u64 - KERNEL_BASE
}

/// Usable RAM in whole pages, without what is taken already.
pub struct Memory {
    free: [Region; REGIONS],
    count: usize,
    /// First address behind all usable RAM.
    pub end: u64,
}

impl Memory {
    /// Usable RAM, less the first MiB, the kernel's image and the archive.
    pub fn new(handover: &Handover) -> Memory {
        let mut memory = Memory {
            free: [Region::default(); REGIONS],
            count: 0,
            end: 0,
        };
        for region in handover.regions().iter().filter(|region| region.usable) {
            let (start, end) = (
                region.start.next_multiple_of(PAGE),
                region.end & !(PAGE - 1),
            );
            memory.end = memory.end.max(end);
            memory.add(start.max(1 << 20), end);
        }
        // SAFETY: symbols of the linker script; only their addresses count.
        let image = unsafe { (image_address(&kernel_start), image_address(&kernel_end)) };
        memory.take(image.0, image.1);
        let (start, end) = handover.archive;
        memory.take(start & !(PAGE - 1), end.next_multiple_of(PAGE));
        memory
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

    /// Takes a range out of every region.
    fn take(&mut self, start: u64, end: u64) {
        for n in 0..self.count {
            let region = self.free[n];
            if start >= region.end || end <= region.start {
                continue;
            }
            self.free[n].end = region.start.max(start.min(region.end));
            self.add(end.max(region.start), region.end);
        }
    }

    /// Takes zeroed pages from the largest region.
    pub fn allocate(&mut self, bytes: usize) -> Option<*mut u8> {
        let bytes = (bytes as u64).next_multiple_of(PAGE);
        let largest = self.free[..self.count]
            .iter_mut()
            .max_by_key(|r| r.end - r.start)?;
        if largest.end - largest.start < bytes {
            return None;
        }
        let start = largest.start;
        largest.start += bytes;
        if !is_mapped(start + bytes - 1) {
            return None;
        }
        let pointer = physical(start);
        // SAFETY: usable RAM that was taken from nobody, mapped, and now taken for the caller.
        unsafe { core::ptr::write_bytes(pointer, 0, bytes as usize) };
        Some(pointer)
    }

    /// Frames left.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        self.free[..self.count]
            .iter()
            .flat_map(|region| (region.start / PAGE..region.end / PAGE).map(|n| Frame(n as u32)))
    }
}

/// The kernel's tables in the making.
struct Tables<'m> {
    memory: &'m mut Memory,
    root: *mut u64,
}

impl Tables<'_> {
    fn table(&mut self) -> Option<*mut u64> {
        Some(self.memory.allocate(PAGE as usize)?.cast())
    }

    /// The entry that maps an address at a level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB).
    fn entry(&mut self, address: u64, level: u32) -> Option<*mut u64> {
        let mut table = self.root;
        for above in (level + 1..=4).rev() {
            let index = (address >> (3 + 9 * above)) as usize & 511;
            // SAFETY: `table` is one of this tree's tables, of 512 words.
            let entry = unsafe { table.add(index) };
            // SAFETY: as above.
            if unsafe { *entry } & PRESENT == 0 {
                let below = self.table()? as u64 - PHYSICAL_BASE;
                // SAFETY: as above.
                unsafe { *entry = below | PRESENT | WRITABLE };
            }
            // SAFETY: as above.
            table = physical(unsafe { *entry } & 0x000f_ffff_ffff_f000).cast();
        }
        // SAFETY: as above.
        Some(unsafe { table.add((address >> (3 + 9 * level)) as usize & 511) })
    }

    fn map(&mut self, address: u64, level: u32, bits: u64) -> Option<()> {
        let entry = self.entry(address, level)?;
        // SAFETY: `entry` answers a word of one of this tree's tables.
        unsafe { *entry = bits | PRESENT };
        Some(())
    }
}

/// Makes the kernel's address space; `None` when memory doesn't suffice. Answers its level-4 table,
/// which the caller must load.
pub fn make_kernel_space(memory: &mut Memory, has_huge_pages: bool) -> Option<Frame> {
    let root: *mut u64 = memory.allocate(PAGE as usize)?.cast();
    let ram_end = memory.end;
    let end = if has_huge_pages {
        512 * HUGE
    } else {
        ram_end.max(4 * HUGE).next_multiple_of(HUGE)
    };
    let mut tables = Tables { memory, root };
    let mut address = 0;
    while address < end {
        let virtual_address = PHYSICAL_BASE + address;
        if has_huge_pages && address >= ram_end.max(4 * HUGE) {
            let bits = address | LEAF | WRITABLE | NO_EXECUTE | GLOBAL | UNCACHED;
            tables.map(virtual_address, 3, bits)?;
            address += HUGE;
        } else {
            // Below 4 GiB and behind RAM lie devices.
            let cached = if address >= ram_end || is_hole(address, ram_end) {
                UNCACHED
            } else {
                0
            };
            let bits = address | LEAF | WRITABLE | NO_EXECUTE | GLOBAL | cached;
            tables.map(virtual_address, 2, bits)?;
            address += LARGE;
        }
    }
    // SAFETY: symbols of the linker script; only their addresses count.
    let (start, text, rodata, image_end) = unsafe {
        (
            image_address(&kernel_start),
            image_address(&kernel_text_end),
            image_address(&kernel_rodata_end),
            image_address(&kernel_end),
        )
    };
    for address in (start..image_end).step_by(PAGE as usize) {
        let rights = match address {
            address if address < text => 0,
            address if address < rodata => NO_EXECUTE,
            _ => NO_EXECUTE | WRITABLE,
        };
        tables.map(KERNEL_BASE + address, 1, address | rights | GLOBAL)?;
    }
    // Every entry of the upper half must exist now: address spaces copy them once.
    MAPPED_END.store(end, Ordering::Relaxed);
    Some(Frame::holding(root as u64 - PHYSICAL_BASE))
}

/// Whether an address lies in the PC's hole for devices, from 3 GiB (q35 may begin at 2) to 4 GiB.
fn is_hole(address: u64, ram_end: u64) -> bool {
    let low_ram_end = ram_end.min(0xc000_0000);
    (low_ram_end..4 * HUGE).contains(&address)
}
