//! Starting a program out of the archive.

use alloc::format;
use alloc::string::String;

use abi::cap::CapAddr;
use rt::child::{Builder, Child, Grant, Image, Program, SCRATCH_SLOTS};
use sys::Cap;
use sys::bank::{Bank, BankRights};

use crate::archive::Archive;
use crate::failure::{Failure, Trying};
use crate::host::{Host, PROCESS};

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The process's name.
    pub name: &'a str,
    /// The file.
    pub file: &'a str,
    /// Its arguments, as it reads them.
    pub arguments: &'a [u8],
    /// Its priority.
    pub priority: u8,
    /// Pages of its stack.
    pub stack_pages: usize,
    /// What it is bought from.
    pub bank: Cap<Bank>,
    /// With which rights it gets that bank.
    pub bank_rights: BankRights,
    /// What else it finds in its root table.
    pub grants: &'a [Grant],
    /// The notification bit of init's that is set when it stops.
    pub bit: u64,
}

/// Slots that hold a process and its root table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The process.
    pub process: CapAddr,
    /// Its root table.
    pub root: CapAddr,
}

/// What a program may do with its own bank: all but raise its limit, end it, and look at what init
/// bought for it.
pub const OWN_BANK: BankRights = BankRights::BUY.union(BankRights::SELL);

/// The name under which an image's symbols are looked up: the file's.
pub fn image_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// Reads an image out of the archive.
///
/// # Errors
/// It isn't there, or can't be run.
pub fn image<'a>(archive: &Archive<'a>, file: &str) -> Result<Image<'a>, Failure> {
    let what = || format!("reading {file}");
    let bytes = archive
        .file(file)
        .map_err(|error| Failure::new(what(), error))?;
    Image::from_elf(bytes).map_err(|error| Failure::new(what(), error))
}

/// Starts programs.
#[derive(Debug)]
pub struct Launcher {
    /// The builder's slots; taken when they are first needed.
    scratch: Option<CapAddr>,
    /// Two slots for what is handed on: the notification, and the bank.
    keeper: CapAddr,
    bank: CapAddr,
    /// What was lent last.
    lent: CapAddr,
}

impl Launcher {
    /// A launcher.
    ///
    /// # Errors
    /// No slot is left.
    pub fn new<H: Host>(host: &H) -> Result<Launcher, Failure> {
        let what = "taking slots to start programs with";
        Ok(Launcher {
            scratch: None,
            keeper: host.take_slot().trying(what)?,
            bank: host.take_slot().trying(what)?,
            lent: host.take_slot().trying(what)?,
        })
    }

    /// A bank with some of its rights, to be handed on. It lasts until the next one is lent.
    ///
    /// # Errors
    /// The bank's.
    pub fn lend<H: Host>(
        &mut self,
        host: &H,
        bank: Cap<Bank>,
        rights: BankRights,
    ) -> Result<CapAddr, sys::Error> {
        clear(host, self.lent);
        bank.restrict(host.sys(), rights, Cap::at(self.lent))?;
        Ok(self.lent)
    }

    /// Builds and starts a program, with process and root table in the slots of `held`. When it fails,
    /// what was bought is the bank's, which the caller destroys.
    ///
    /// # Errors
    /// What was being done, and why it could not be.
    pub fn launch<H: Host>(
        &mut self,
        host: &H,
        image: &Image<'_>,
        order: &Order<'_>,
        held: Held,
    ) -> Result<Child, Failure> {
        let what = |step: &str| -> String { format!("starting {}: {step}", order.file) };
        let sys = host.sys();
        let scratch = match self.scratch {
            Some(scratch) => scratch,
            None => host
                .take_slots(SCRATCH_SLOTS)
                .trying(what("taking slots"))?,
        };
        self.scratch = Some(scratch);
        for slot in [held.process, held.root, self.keeper, self.bank] {
            clear(host, slot);
        }
        PROCESS
            .make_notify(sys, order.bit, self.keeper)
            .trying(what("naming its keeper"))?;
        order
            .bank
            .restrict(sys, order.bank_rights, Cap::at(self.bank))
            .trying(what("giving it its bank"))?;
        let mut grants = alloc::vec::Vec::from(Grant::SERVICES);
        grants.push(Grant::new(abi::boot::slot::BANK, self.bank));
        grants.extend(order.grants);
        let program = Program {
            arguments: order.arguments,
            priority: order.priority,
            stack_pages: order.stack_pages,
            grants: &grants,
            keeper: self.keeper,
            ..Program::new(order.name, image, order.bank)
        };
        let child = Builder::new(sys, host.window(), scratch)
            .build(&program, held.process, held.root)
            .map_err(|error| Failure::buying(sys, order.bank, what(&step(&error)), error.error))?;
        child.start(sys).trying(what("letting it run"))?;
        Ok(child)
    }
}

/// A builder's step, in words.
fn step(error: &rt::child::BuildError) -> String {
    use rt::child::Step;
    match error.step {
        Step::Buy(kind) => format!("buying a {}", kind.name()),
        Step::Fill => "filling its address space".into(),
        Step::Arguments => "writing its arguments".into(),
        Step::Stack => "laying out its stack".into(),
        Step::Grant(slot) => format!("granting slot {slot}"),
        Step::Share(address) => format!("mapping a segment at {address:#x}"),
        Step::Configure => "configuring the process".into(),
    }
}

/// Empties a slot of init's.
pub fn clear<H: Host>(host: &H, slot: CapAddr) {
    let (table, index) = host.table_of(slot);
    // An own table can't refuse.
    let _ = table.clear(host.sys(), index, 1);
}
