//! The first two programs: spacebank and init.
//!
//! Their objects are taken from the lowest numbers and stay sold; spacebank finds how many there are
//! in its boot page. init gets the prime bank, the verifier, the archive and every device authority;
//! everybody else gets what init gives.

pub mod archive;

mod equip;
mod image;
mod program;

use abi::boot::{self, layout, slot};
use abi::cap::{Kind, Rights};
use abi::{CAP_TABLE_SLOTS, PAGE_SIZE, SEGMENT_SIZE, TABLE_ENTRIES};

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::frame::{Frame, Words};
use crate::machine::Machine;
use crate::object::{Oid, Parent};
use crate::process::Process;
use crate::table::Entry;

/// Priorities of the first programs.
pub mod priority {
    /// Nothing may delay storage.
    pub const SPACEBANK: u8 = 60;
    /// Below drivers, above stacks.
    pub const INIT: u8 = 40;
}

/// Most objects: what the tables that spacebank has slots for hold a record of.
pub const MOST_OBJECTS: usize =
    (CAP_TABLE_SLOTS - slot::BANK_RECORD_TABLES as usize) * CAP_TABLE_SLOTS * TABLE_ENTRIES;
const _: () = assert!(
    layout::BULK as usize + MOST_OBJECTS * boot::BANK_ARRAY_ENTRY <= layout::RECORDS as usize
);
/// Most pages of an archive: half a GiB, which is what fits below spacebank's like array.
const ARCHIVE_PAGES: usize = 1 << 17;

/// What the boot loader handed over.
#[derive(Clone, Copy)]
pub struct Boot<'b> {
    /// spacebank's image.
    pub spacebank: &'b [u8],
    /// init's image.
    pub init: &'b [u8],
    /// The first so many objects own, in order, the frames in which the archive lies.
    pub archive_pages: usize,
    /// Its length in bytes.
    pub archive_bytes: usize,
    /// The kernel's command line.
    pub command_line: &'b [u8],
    /// CPUs that run.
    pub cpus: u32,
}

/// Why there are no first programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenesisError {
    /// Not an ELF64 program that can be loaded at its addresses; which, and why.
    Image(&'static str, &'static str),
    /// Too little memory.
    Memory,
    /// The archive is too large.
    Archive,
}

impl core::fmt::Display for GenesisError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GenesisError::Image(program, why) => write!(f, "{program} can't be loaded: {why}"),
            GenesisError::Memory => f.write_str("too little memory for the first programs"),
            GenesisError::Archive => f.write_str("the archive is too large"),
        }
    }
}

type Result<T> = core::result::Result<T, GenesisError>;

/// Sells the lowest objects, one after the other.
struct Genesis<'k, 'a, M> {
    kernel: &'k Kernel<'a, M>,
    next: u32,
}

/// A program in the making.
struct Program<'k> {
    process: &'k Process,
    oid: Oid,
    root: Frame,
    space: Frame,
}

impl<M: Machine> Kernel<'_, M> {
    /// Makes spacebank and init, ready to run. Answers how many objects are sold.
    pub fn genesis(&self, boot: &Boot) -> Result<u32> {
        let mut genesis = Genesis {
            kernel: self,
            next: 0,
        };
        for _ in 0..boot.archive_pages {
            genesis.sell(Kind::Page)?;
        }
        let bank = genesis.program("spacebank", boot.spacebank, priority::SPACEBANK)?;
        let init = genesis.program("init", boot.init, priority::INIT)?;
        genesis.equip_init(&init, &bank, boot)?;
        genesis.equip_bank(&bank)?;
        self.vital.set([bank.oid, init.oid]);
        for program in [bank, init] {
            program
                .process
                .state
                .set(abi::method::process::state::READY);
            self.enqueue(program.process);
        }
        Ok(genesis.next)
    }
}

impl<'k, M: Machine> Genesis<'k, '_, M> {
    fn sell(&mut self, kind: Kind) -> Result<(Oid, Frame)> {
        let oid = Oid(self.next);
        let row = self.kernel.row(oid).ok_or(GenesisError::Memory)?;
        self.next += 1;
        self.kernel.make(oid, row, kind);
        Ok((oid, row.frame.get()))
    }

    fn capability(&self, kind: Kind, rights: Rights, oid: Oid) -> Capability {
        let version = self.kernel.row(oid).map_or(0, |row| row.version.get());
        Capability::new(kind, rights, oid, version)
    }

    fn put(&self, root: Frame, slot: u16, capability: Capability) {
        self.kernel.view::<CapTable>(root).0[usize::from(slot) % CAP_TABLE_SLOTS].set(capability);
    }

    /// The table of the level below that covers an address, made if need be.
    fn table(&mut self, above: Frame, level: u8, address: u64) -> Result<Frame> {
        let index = (address >> (3 + 9 * u64::from(level))) as usize & (TABLE_ENTRIES - 1);
        if let Some(frame) = Entry(self.kernel.view::<Words>(above).get(index)).frame() {
            return Ok(frame);
        }
        let kind = [Kind::Table1, Kind::Table2, Kind::Table3][usize::from(level) - 2];
        let (oid, frame) = self.sell(kind)?;
        self.link(
            above,
            index,
            oid,
            frame,
            Rights::READ | Rights::WRITE | Rights::EXEC,
        );
        Ok(frame)
    }

    fn link(&self, above: Frame, index: usize, oid: Oid, frame: Frame, rights: Rights) {
        let holder = self.kernel.frame_row(above).owner.get();
        if let Some(row) = self.kernel.row(oid) {
            row.parents[0].set(Parent {
                holder,
                index: index as u32,
            });
        }
        self.kernel
            .view::<Words>(above)
            .set(index, Entry::new(frame, rights).0);
    }

    fn segment(&mut self, space: Frame, address: u64) -> Result<Frame> {
        let third = self.table(space, 4, address)?;
        let second = self.table(third, 3, address)?;
        self.table(second, 2, address)
    }

    fn map(
        &mut self,
        space: Frame,
        address: u64,
        page: (Oid, Frame),
        rights: Rights,
    ) -> Result<()> {
        let segment = self.segment(space, address)?;
        let index = (address as usize % SEGMENT_SIZE) / PAGE_SIZE;
        self.link(segment, index, page.0, page.1, rights);
        Ok(())
    }

    fn page(&mut self, space: Frame, address: u64, rights: Rights) -> Result<(Oid, Frame)> {
        let page = self.sell(Kind::Page)?;
        self.map(space, address, page, rights)?;
        Ok(page)
    }
}
