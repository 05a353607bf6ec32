//! Starting programs, as init does: with `rt`'s own builder, from a bank.

use abi::boot::slot;
use abi::cap::{CapAddr, NONE};
use rt::child::{Builder, Child, Grant, Image, Program as Plan, SCRATCH_SLOTS};
use sys::bank::Bank;
use sys::{Cap, Error};

use crate::image;
use crate::program::{OwnWindow, Program};

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'l> {
    /// Its name.
    pub name: &'l str,
    /// Which program, by the number that the world gave it.
    pub code: usize,
    /// What it is bought from; it finds it in `slot::BANK`.
    pub bank: Cap<Bank>,
    /// Its priority.
    pub priority: u8,
    /// What it finds besides bank, log, clock and random numbers.
    pub grants: &'l [Grant],
    /// Who is told when it stops for good; 0 for nobody.
    pub keeper: CapAddr,
    /// The word that it gets.
    pub argument: u64,
}

impl<'l> Launch<'l> {
    /// A program with a bank and nothing else.
    pub const fn new(name: &'l str, code: usize, bank: Cap<Bank>) -> Launch<'l> {
        Launch {
            name,
            code,
            bank,
            priority: 16,
            grants: &[],
            keeper: NONE,
            argument: 0,
        }
    }
}

/// Starts programs.
pub struct Launcher {
    program: Program,
    scratch: CapAddr,
}

impl Launcher {
    /// A launcher for a program that may start others.
    ///
    /// # Errors
    /// No slots are left.
    pub fn new(program: &Program) -> Result<Launcher, Error> {
        Ok(Launcher {
            program: program.clone(),
            scratch: program.take_run(SCRATCH_SLOTS)?,
        })
    }

    /// Makes a process and starts it. The two slots, empty, get the process and its root table.
    ///
    /// # Errors
    /// What the bank and the kernel refuse. What was bought stays the bank's.
    pub fn launch(
        &self,
        what: &Launch<'_>,
        process: CapAddr,
        root: CapAddr,
    ) -> Result<Child, Error> {
        let file = image::elf(what.code);
        let image = Image::from_elf(&file).map_err(|_| Error::new(abi::error::EINVAL))?;
        let mut grants = vec![Grant::new(slot::BANK, what.bank.address())];
        grants.extend(Grant::SERVICES);
        grants.extend_from_slice(what.grants);
        let plan = Plan {
            priority: what.priority,
            stack_pages: 1,
            grants: &grants,
            keeper: what.keeper,
            argument: what.argument,
            ..Plan::new(what.name, &image, what.bank)
        };
        let window = OwnWindow::new(&self.program);
        let sys = self.program.context();
        let child = Builder::new(sys, window, self.scratch)
            .build(&plan, process, root)
            .map_err(|error| error.error)?;
        child.start(sys)?;
        Ok(child)
    }
}
