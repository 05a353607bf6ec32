//! Images: what of a program lies in memory.

use core::fmt;

use abi::PAGE_SIZE;
use abi::boot::layout::{IMAGE, START};
use abi::cap::Rights;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_R, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;

/// Most pieces of an image.
pub const PIECES: usize = 8;

/// Consecutive pages with the same rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Its address, a multiple of the page size.
    pub address: u64,
    /// Its first bytes; the rest is zero.
    pub bytes: &'a [u8],
    /// How many pages it has; at least those of `bytes`.
    pub pages: usize,
    /// What the program may do there: at least read, never both write and execute.
    pub rights: Rights,
}

/// A checked image: pieces ascend, don't overlap, and lie between `layout::IMAGE` and
/// `layout::START`; the entry lies in one that can be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    entry: u64,
    pieces: [Piece<'a>; PIECES],
    count: usize,
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Not an ELF file, or a damaged one.
    NotElf,
    /// An ELF file of another class, type or machine than a static x86_64 program's.
    WrongKind,
    /// It has more pieces than are supported, or none.
    Pieces,
    /// A piece does not begin on a page of its own.
    Unaligned(u64),
    /// A piece reaches beyond the place of images, or lies on the one before.
    Misplaced(u64),
    /// A piece can't be read, or can be written and executed at once.
    Rights(u64),
    /// The entry does not lie in code.
    Entry(u64),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::NotElf => f.write_str("not an ELF file, or a damaged one"),
            ImageError::WrongKind => f.write_str("not a static x86_64 program"),
            ImageError::Pieces => write!(f, "it must have 1 to {PIECES} loaded segments"),
            ImageError::Unaligned(at) => write!(f, "segment {at:#x} begins inside a page"),
            ImageError::Misplaced(at) => {
                write!(
                    f,
                    "segment {at:#x} is not between {IMAGE:#x} and {START:#x}, in order"
                )
            }
            ImageError::Rights(at) => write!(f, "segment {at:#x} is not r, rw or rx"),
            ImageError::Entry(at) => write!(f, "the entry {at:#x} is not in code"),
        }
    }
}

impl core::error::Error for ImageError {}

const EMPTY: Piece<'static> = Piece {
    address: 0,
    bytes: &[],
    pages: 0,
    rights: Rights::empty(),
};

impl<'a> Image<'a> {
    /// An image of these pieces.
    ///
    /// # Errors
    /// They break what an image promises.
    pub fn new(entry: u64, pieces: &[Piece<'a>]) -> Result<Image<'a>, ImageError> {
        if pieces.is_empty() || pieces.len() > PIECES {
            return Err(ImageError::Pieces);
        }
        let mut from = IMAGE;
        for piece in pieces {
            from = check(piece, from)?;
        }
        let starts = |piece: &&Piece<'_>| {
            let end = piece.address + piece.bytes.len() as u64;
            piece.rights.contains(Rights::EXEC) && (piece.address..end).contains(&entry)
        };
        pieces.iter().find(starts).ok_or(ImageError::Entry(entry))?;
        let mut image = Image {
            entry,
            pieces: [EMPTY; PIECES],
            count: pieces.len(),
        };
        image.pieces[..pieces.len()].copy_from_slice(pieces);
        Ok(image)
    }

    /// The image of a static ELF64 program.
    ///
    /// # Errors
    /// It is none, or none that can be run here.
    pub fn from_elf(file: &'a [u8]) -> Result<Image<'a>, ImageError> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| ImageError::NotElf)?;
        let header = &elf.ehdr;
        let kind = (header.class, header.e_type, header.e_machine);
        if kind != (Class::ELF64, ET_EXEC, EM_X86_64) {
            return Err(ImageError::WrongKind);
        }
        let mut pieces = [EMPTY; PIECES];
        let mut count = 0;
        let segments = elf.segments().ok_or(ImageError::Pieces)?;
        for segment in segments
            .iter()
            .filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0)
        {
            let bytes = elf.segment_data(&segment).map_err(|_| ImageError::NotElf)?;
            let pages = segment.p_memsz.div_ceil(PAGE_SIZE as u64);
            let mut rights = Rights::empty();
            rights.set(Rights::READ, segment.p_flags & PF_R != 0);
            rights.set(Rights::WRITE, segment.p_flags & PF_W != 0);
            rights.set(Rights::EXEC, segment.p_flags & PF_X != 0);
            let address = segment.p_vaddr;
            let pages = usize::try_from(pages).map_err(|_| ImageError::Misplaced(address))?;
            let place = pieces.get_mut(count).ok_or(ImageError::Pieces)?;
            *place = Piece {
                address,
                bytes,
                pages,
                rights,
            };
            count += 1;
        }
        Image::new(header.e_entry, &pieces[..count])
    }

    /// A few instructions that run wherever they lie, at `layout::IMAGE`.
    ///
    /// # Errors
    /// There are none, or more than 2 MiB.
    pub fn from_code(code: &'a [u8]) -> Result<Image<'a>, ImageError> {
        if code.len() > abi::SEGMENT_SIZE {
            return Err(ImageError::Misplaced(IMAGE));
        }
        let pages = code.len().div_ceil(PAGE_SIZE);
        let rights = Rights::READ | Rights::EXEC;
        Image::new(
            IMAGE,
            &[Piece {
                address: IMAGE,
                bytes: code,
                pages,
                rights,
            }],
        )
    }

    /// Where it starts.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Its pieces, in ascending order.
    pub fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces[..self.count]
    }
}

/// Checks a piece that may begin at `from` or later; answers its end.
fn check(piece: &Piece<'_>, from: u64) -> Result<u64, ImageError> {
    let address = piece.address;
    if !address.is_multiple_of(PAGE_SIZE as u64) {
        return Err(ImageError::Unaligned(address));
    }
    let size = (piece.pages as u64).checked_mul(PAGE_SIZE as u64);
    let end = size
        .and_then(|size| address.checked_add(size))
        .filter(|end| *end <= START);
    let fits = piece.bytes.len().div_ceil(PAGE_SIZE) <= piece.pages;
    let end = end
        .filter(|_| address >= from && fits)
        .ok_or(ImageError::Misplaced(address))?;
    let sound = piece.rights.contains(Rights::READ)
        && (Rights::READ | Rights::WRITE | Rights::EXEC).contains(piece.rights)
        && !piece.rights.contains(Rights::WRITE | Rights::EXEC);
    if sound {
        Ok(end)
    } else {
        Err(ImageError::Rights(address))
    }
}
