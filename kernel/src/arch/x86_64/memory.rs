//! Physical memory: which frames there are, and the kernel's own address space.
//!
//! All RAM (and, uncached, the device memory below 512 GiB where the CPU has 1 GiB pages) is mapped
//! at [`PHYSICAL_BASE`], never executable. The kernel's image is mapped at its link address with the
//! rights of its sections. Nothing is mapped in the lower half.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::frame::Frame;
use kernel::physical::{Physical, may_be_read};
use kernel::platform::Platform;
use kernel::pvh::{Handover, Unusable};
use kernel::ram::{self, HUGE, InUse, PAGE, Ram, Region, Shortage, mappings};

/// Where physical memory is mapped.
pub const PHYSICAL_BASE: u64 = 0xffff_8000_0000_0000;
/// Where the kernel's image is linked, less its physical address.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

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

/// End of the physical memory that is mapped: at first what the boot tables map.
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

/// The memory that is mapped at [`PHYSICAL_BASE`], less the kernel's image, as what loader and firmware
/// say is read.
pub struct Mapped(());

impl Mapped {
    /// All of it.
    ///
    /// # Safety
    /// While bytes of it are borrowed, nobody writes to them. The kernel's image is none of it: a
    /// pointer may lead to the stack and to the statics that are written all the time.
    pub unsafe fn new() -> Mapped {
        Mapped(())
    }
}

impl Physical for Mapped {
    fn is_mapped(&self, range: Range<u64>) -> bool {
        range.start <= range.end && range.end <= mapped_end()
    }

    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        if !may_be_read(&(address..end), mapped_end(), &image()) {
            return None;
        }
        // SAFETY:
        // - all of the range is mapped for good, and any bytes are `u8`s;
        // - it holds none of the kernel's stack and statics;
        // - elsewhere nobody writes, as whoever made `self` promised.
        Some(unsafe { core::slice::from_raw_parts(physical(address), length) })
    }
}

/// Physical address of a symbol of the kernel's image.
fn image_address(symbol: &u8) -> u64 {
    core::ptr::from_ref(symbol) as u64 - KERNEL_BASE
}

/// Physical addresses of the kernel's image, with its stack and statics.
fn image() -> Range<u64> {
    // SAFETY: symbols of the linker script; only their addresses count.
    unsafe { image_address(&kernel_start)..image_address(&kernel_end) }
}

/// Usable RAM that is left while the kernel makes its tables.
pub struct Memory {
    ram: Ram,
}

impl Memory {
    /// Usable RAM, less the first MiB, the kernel's image and the archive.
    ///
    /// # Errors
    /// There is no archive, or not in RAM, or the memory map isn't known whole.
    pub fn new(handover: &Handover) -> Result<Memory, Unusable> {
        let ram = handover.ram(image())?;
        Ok(Memory { ram })
    }

    /// Takes out what the platform says are registers, though the memory map has RAM there.
    ///
    /// # Errors
    /// Some of it is used already.
    pub fn withhold(&mut self, map: &[Region], platform: &Platform) -> Result<(), InUse> {
        self.ram.withhold(map, platform.registers())
    }

    /// Keeps so many pages, those of the lowest addresses. Answers how many nobody will use.
    pub fn keep(&mut self, pages: usize) -> usize {
        self.ram.keep(pages as u64) as usize
    }

    /// Takes zeroed pages in one piece, of the RAM that is mapped.
    ///
    /// # Errors
    /// No such piece is free.
    pub fn allocate(&mut self, bytes: usize) -> Result<*mut u8, Shortage> {
        let start = self.ram.allocate(bytes as u64, mapped_end())?;
        let pointer = physical(start);
        // SAFETY: usable RAM that was taken from nobody, mapped, and now taken for the caller.
        unsafe { core::ptr::write_bytes(pointer, 0, bytes.next_multiple_of(PAGE as usize)) };
        Ok(pointer)
    }

    /// First address behind what is left.
    pub fn end(&self) -> u64 {
        self.ram.end()
    }

    /// Pages left.
    pub fn pages(&self) -> usize {
        self.ram.pages() as usize
    }

    /// Frames left.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        self.ram.frames()
    }
}

/// The kernel's tables in the making.
struct Tables<'m> {
    memory: &'m mut Memory,
    root: *mut u64,
}

impl Tables<'_> {
    fn table(&mut self) -> Result<*mut u64, Shortage> {
        Ok(self.memory.allocate(PAGE as usize)?.cast())
    }

    /// The entry that maps an address at a level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB).
    fn entry(&mut self, address: u64, level: u32) -> Result<*mut u64, Shortage> {
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
        Ok(unsafe { table.add((address >> (3 + 9 * level)) as usize & 511) })
    }

    fn map(&mut self, address: u64, level: u32, bits: u64) -> Result<(), Shortage> {
        let entry = self.entry(address, level)?;
        // SAFETY: `entry` answers a word of one of this tree's tables.
        unsafe { *entry = bits | PRESENT };
        Ok(())
    }
}

/// Makes the kernel's address space. Answers its level-4 table, which the caller must load.
///
/// # Errors
/// Memory doesn't suffice.
pub fn make_kernel_space(
    memory: &mut Memory,
    map: &[Region],
    has_huge_pages: bool,
) -> Result<Frame, Shortage> {
    let root: *mut u64 = memory.allocate(PAGE as usize)?.cast();
    let mut tables = Tables { memory, root };
    for page in mappings(map, has_huge_pages) {
        let level = if page.is_huge { 3 } else { 2 };
        let cached = if page.is_ram { 0 } else { UNCACHED };
        let bits = page.address | LEAF | WRITABLE | NO_EXECUTE | GLOBAL | cached;
        tables.map(PHYSICAL_BASE + page.address, level, bits)?;
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
    MAPPED_END.store(ram::mapped_end(map, has_huge_pages), Ordering::Relaxed);
    Ok(Frame::holding(root as u64 - PHYSICAL_BASE))
}
