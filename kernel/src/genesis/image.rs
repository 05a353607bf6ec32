//! The image of a first program: an ELF file, checked whole before any of it is loaded.
//!
//! The boot archive is whose who starts the machine, so a bad image is a mistake rather than an attack.
//! It is refused all the same: two segments in one page would give that place two owners, and an entry
//! that is no address of a program's would fault in the kernel.

use abi::PAGE_SIZE;
use abi::boot::layout;
use abi::cap::Rights;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;

/// Most segments of an image; linkers make four.
const SEGMENTS: usize = 8;

/// Consecutive pages with the same rights.
#[derive(Clone, Copy)]
pub(super) struct Segment<'i> {
    /// Its address, a multiple of the page size.
    pub address: u64,
    /// Its first bytes; the rest is zero.
    pub bytes: &'i [u8],
    /// How many pages it has; at least those of `bytes`.
    pub pages: usize,
    /// Read, and perhaps one of write and execute.
    pub rights: Rights,
}

/// A checked image: segments ascend, don't overlap, and lie between `layout::IMAGE` and
/// `layout::START`; the entry lies in the bytes of one that can be executed.
pub(super) struct Image<'i> {
    /// Where it starts.
    pub entry: u64,
    segments: [Segment<'i>; SEGMENTS],
    count: usize,
}

impl<'i> Image<'i> {
    /// The image of a static ELF64 program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(file: &'i [u8]) -> Result<Image<'i>, &'static str> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| "no ELF image")?;
        let header = &elf.ehdr;
        if (header.class, header.e_type, header.e_machine) != (Class::ELF64, ET_EXEC, EM_X86_64) {
            return Err("not a static x86_64 program");
        }
        let empty = Segment {
            address: 0,
            bytes: &[],
            pages: 0,
            rights: Rights::READ,
        };
        let mut image = Image {
            entry: header.e_entry,
            segments: [empty; SEGMENTS],
            count: 0,
        };
        let loaded = |header: &ProgramHeader| header.p_type == PT_LOAD && header.p_memsz > 0;
        let mut from = layout::IMAGE;
        for header in elf.segments().ok_or("no segments")?.iter().filter(loaded) {
            let bytes = elf
                .segment_data(&header)
                .map_err(|_| "a segment is cut off")?;
            let segment = check(&header, bytes, from)?;
            from = segment.address + (segment.pages * PAGE_SIZE) as u64;
            *image
                .segments
                .get_mut(image.count)
                .ok_or("too many segments")? = segment;
            image.count += 1;
        }
        let starts = |segment: &Segment| {
            let end = segment.address + segment.bytes.len() as u64;
            segment.rights.contains(Rights::EXEC) && (segment.address..end).contains(&image.entry)
        };
        if !image.segments().iter().any(starts) {
            return Err("the entry doesn't lie in code");
        }
        Ok(image)
    }

    /// Its segments, in ascending order.
    pub fn segments(&self) -> &[Segment<'i>] {
        &self.segments[..self.count]
    }
}

/// A segment that begins at `from` or behind it.
fn check<'i>(
    header: &ProgramHeader,
    bytes: &'i [u8],
    from: u64,
) -> Result<Segment<'i>, &'static str> {
    let address = header.p_vaddr;
    let end = address
        .checked_add(header.p_memsz)
        .filter(|end| *end <= layout::START);
    let inside = address >= from && end.is_some() && header.p_memsz >= bytes.len() as u64;
    if !inside || !address.is_multiple_of(PAGE_SIZE as u64) {
        return Err("a segment lies outside or on another, or isn't aligned to pages");
    }
    let mut rights = Rights::READ;
    rights.set(Rights::WRITE, header.p_flags & PF_W != 0);
    rights.set(Rights::EXEC, header.p_flags & PF_X != 0);
    if rights.contains(Rights::WRITE | Rights::EXEC) {
        return Err("a segment is writable and executable");
    }
    Ok(Segment {
        address,
        bytes,
        pages: (header.p_memsz as usize).div_ceil(PAGE_SIZE),
        rights,
    })
}
