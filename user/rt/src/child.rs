//! Making processes: from an image, with arguments and capabilities.
//!
//! [`Builder::build`] buys everything that a process consists of from a bank, lays its address space
//! out as `abi::boot::layout` says and fills its capability table as `abi::boot::slot` says; the
//! process stands still until [`Child::start`]. Whoever destroys the bank ends it. init starts
//! programs so, and tests their children.
//!
//! It works on `sys::Sys` and a [`Window`], through which it sees the segments that it fills; a
//! program uses [`OwnWindow`].

mod build;
mod image;
#[cfg(test)]
mod tests;
#[cfg(target_os = "none")]
mod window;

use abi::boot::slot;
use abi::cap::{CapAddr, NONE, Rights};
use sys::bank::Bank;
use sys::object::{CapTable, Process, Table};
use sys::{Cap, Error, Mem, Sys};

pub use build::{BuildError, Builder, SCRATCH_SLOTS, Step};
pub use image::{Image, ImageError, Piece};
#[cfg(target_os = "none")]
pub use window::OwnWindow;

/// Pages of stack that a program has unless it asks for more.
pub const STACK_PAGES: usize = 16;

/// Most pages of stack.
pub const MOST_STACK_PAGES: usize = 448;

/// What a process is made of.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name in reports; 16 bytes count.
    pub name: &'a str,
    /// What it runs.
    pub image: &'a Image<'a>,
    /// What it reads with `rt::arguments`: postcard.
    pub arguments: &'a [u8],
    /// The word that it gets in `rdi`.
    pub argument: u64,
    /// Its priority.
    pub priority: u8,
    /// Pages of its stack.
    pub stack_pages: usize,
    /// What it is bought from.
    pub bank: Cap<Bank>,
    /// Capabilities that it finds in its root table, besides those to itself.
    pub grants: &'a [Grant],
    /// Segments that it finds in its address space, besides its own.
    pub segments: &'a [Shared],
    /// A `Notify` that is signalled when it stops for good; 0 for none.
    pub keeper: CapAddr,
}

impl<'a> Program<'a> {
    /// A program without arguments, grants and keeper, at priority 16.
    pub const fn new(name: &'a str, image: &'a Image<'a>, bank: Cap<Bank>) -> Program<'a> {
        Program {
            name,
            image,
            arguments: &[],
            argument: 0,
            priority: 16,
            stack_pages: STACK_PAGES,
            bank,
            grants: &[],
            segments: &[],
            keeper: NONE,
        }
    }
}

/// A capability that a process finds in its root table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it finds it.
    pub slot: u16,
    /// Where the builder's program holds it.
    pub capability: CapAddr,
    /// The rights that it keeps.
    pub rights: Rights,
}

impl Grant {
    /// The capability with the rights that it has.
    pub const fn new(slot: u16, capability: CapAddr) -> Grant {
        Grant {
            slot,
            capability,
            rights: Rights::FULL,
        }
    }

    /// The same grant with no more than these rights.
    pub const fn with(mut self, rights: Rights) -> Grant {
        self.rights = rights;
        self
    }

    /// The log, the clock and random numbers, from where every program has them.
    pub const SERVICES: [Grant; 3] = [
        // A program's own log capability may do more than write.
        Grant::new(slot::LOG, slot::LOG).with(Rights::READ.union(Rights::WRITE)),
        Grant::new(slot::CLOCK, slot::CLOCK),
        Grant::new(slot::RANDOM, slot::RANDOM),
    ];
}

/// A segment that a process finds in its address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Where; a multiple of 2 MiB.
    pub address: u64,
    /// The segment.
    pub segment: Cap<Table>,
    /// With which rights.
    pub rights: Rights,
}

/// A process that was made. It lives as long as its bank; this only names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The process, with all rights.
    pub process: Cap<Process>,
    /// Its root `CapTable`, with all rights.
    pub root: Cap<CapTable>,
}

impl Child {
    /// Lets it run.
    ///
    /// # Errors
    /// Those of `Process::START`.
    pub fn start(&self, sys: &impl Sys) -> Result<(), Error> {
        self.process.start(sys)
    }
}

/// How a builder sees the segment that it fills.
pub trait Window {
    /// What it sees.
    type Memory: Mem;

    /// Shows a segment, readable and writable; one at a time.
    ///
    /// # Errors
    /// Those of `Table::MAP`.
    fn show(&mut self, segment: Cap<Table>) -> Result<Self::Memory, Error>;

    /// Shows it no longer.
    ///
    /// # Errors
    /// Those of `Table::UNMAP`.
    fn hide(&mut self) -> Result<(), Error>;
}
