//! Children of guest programs.

use core::fmt;

use abi::boot::slot;
use abi::cap::{CapAddr, Rights};
use rt::child::{BuildError, Builder, Child, ImageError, OwnWindow, Program, SCRATCH_SLOTS};
use rt::{Kernel, slots};
use sys::bank::Bank;
use sys::object::{CapTable, Process};
use sys::{Cap, Error};

/// The program's own bank.
pub const BANK: Cap<Bank> = Cap::at(slot::BANK);
/// The program's own process.
pub const SELF: Cap<Process> = Cap::at(slot::PROCESS);

/// Why there is no child.
#[derive(Debug)]
pub enum Failed {
    /// No slots are left, or its bank can't be made.
    Prepare(Error),
    /// The code makes no image.
    Image(ImageError),
    /// It can't be built.
    Build(BuildError),
    /// It does something else than it should.
    Wrong(&'static str),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Prepare(error) => write!(f, "no slots or no bank: {error}"),
            Failed::Image(error) => write!(f, "no image: {error}"),
            Failed::Build(error) => write!(f, "not built: {error}"),
            Failed::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<ImageError> for Failed {
    fn from(error: ImageError) -> Failed {
        Failed::Image(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Prepare(error)
    }
}

/// Makes children, one after the other or several at once.
pub struct Nursery {
    builder: Builder<'static, Kernel, OwnWindow>,
    scratch: CapAddr,
}

impl Nursery {
    /// Buys what building needs.
    ///
    /// # Errors
    /// The bank refuses.
    pub fn new() -> Result<Nursery, Error> {
        let scratch = slots::take_run(SCRATCH_SLOTS)?;
        let builder = Builder::new(&Kernel, OwnWindow::default(), scratch);
        Ok(Nursery { builder, scratch })
    }

    /// Makes a child. It does not run yet.
    ///
    /// # Errors
    /// It can't be made; what was bought is gone with the bank.
    pub fn child(&mut self, program: &Program<'_>) -> Result<Child, Failed> {
        let process = slots::take()?;
        let root = slots::take().inspect_err(|_| slots::give(process))?;
        self.builder.build(program, process, root).map_err(|error| {
            slots::give(process);
            slots::give(root);
            Failed::Build(error)
        })
    }

    /// Frees the slots that building needs.
    pub fn end(self) {
        (self.scratch..self.scratch + SCRATCH_SLOTS).for_each(slots::give);
    }

    /// Frees the slots of a child whose bank was destroyed.
    pub fn forget(&mut self, child: Child) {
        slots::give(child.process.address());
        slots::give(child.root.address());
    }
}

/// A bank below the program's own, destroyed when dropped.
pub struct SubBank {
    /// The bank.
    pub bank: Cap<Bank>,
}

impl SubBank {
    /// Makes one.
    ///
    /// # Errors
    /// The bank refuses.
    pub fn new(limit: u64) -> Result<SubBank, Error> {
        let bank: Cap<Bank> = Cap::at(slots::take()?);
        BANK.sub_bank(&Kernel, limit, false, bank)
            .inspect_err(|_| slots::give(bank.address()))?;
        Ok(SubBank { bank })
    }
}

impl Drop for SubBank {
    fn drop(&mut self) {
        // Only a bank that is gone refuses.
        let _ = self.bank.destroy(&Kernel);
        slots::give(self.bank.address());
    }
}

/// The program's own priority.
///
/// # Errors
/// It may not ask.
pub fn own_priority() -> Result<u8, Error> {
    SELF.info(&Kernel).map(|info| info.priority)
}

/// A copy of a capability with fewer rights, in a free slot.
///
/// # Errors
/// No slot is left, or there is no capability.
pub fn weakened(capability: CapAddr, rights: Rights) -> Result<CapAddr, Error> {
    let address = slots::take()?;
    let (table, index) = slots::table_of(address);
    table.put(&Kernel, index, capability, rights)?;
    Ok(address)
}

/// Puts a bank of this limit, below the program's, in its place: from now on the program buys from that
/// one. Even init, whose bank has no limit, can so be made to run out of memory.
///
/// # Errors
/// The bank refuses.
pub fn use_small_bank(limit: u64) -> Result<(), Error> {
    let small: Cap<Bank> = Cap::at(slots::take()?);
    BANK.sub_bank(&Kernel, limit, false, small)?;
    let root: Cap<CapTable> = Cap::at(slot::ROOT);
    root.put(&Kernel, slot::BANK, small.address(), Rights::FULL)
}
